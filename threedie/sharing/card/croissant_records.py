"""The record sets of croissant.json: pictures by view, latents, objects, splits."""

from __future__ import annotations

from typing import Any

from threedie.sharing.card.overview import Overview
from threedie.sharing.card.tables import object_types, view_types

_TYPES = {
    "string": "sc:Text",
    "int32": "cr:Int32",
    "int64": "cr:Int64",
    "float64": "cr:Float64",
}
_SPLITS = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit"}


def record_sets(overview: Overview, tables: list[str]) -> list[dict[str, Any]]:
    """All record sets.

    Args:
        overview: of the data set.
        tables: names of the table of views and of the table of objects.
    """
    views, objects = tables
    return [
        _splits(overview),
        _views(overview.manifest.making.image_format),
        _of_table("latents", views, view_types(overview.manifest), "All but the pixels, by view."),
        _of_table("objects", objects, object_types(), "A row per object."),
    ]


def _splits(overview: Overview) -> dict[str, Any]:
    rows = [
        {"splits/name": split, "splits/url": _SPLITS.get(split, "cr:Split")}
        for split in overview.splits
    ]
    fields = [
        _field("splits", "name", "sc:Text", "As the tables name it.", None),
        _field("splits", "url", "sc:URL", "What it is for.", None),
    ]
    return {
        **_set("splits", "The splits, by object.", fields),
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "data": rows,
    }


def _views(image_format: str) -> dict[str, Any]:
    def named(regex: str) -> dict[str, Any]:
        return {
            "fileSet": {"@id": "picture-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": regex},
        }

    content = {"fileSet": {"@id": "picture-files"}, "extract": {"fileProperty": "content"}}
    view = rf"^.*\.(\d+)\.{image_format}$"
    fields = [
        _field("views", "key", "sc:Text", "Of the object.", named(r"^([^.]+)\..*$")),
        _field("views", "view", "cr:Int32", "Number of the view, from 0.", named(view)),
        _field("views", "image", "sc:ImageObject", "The picture.", content),
    ]
    return _set("views", "The pictures, straight out of the tars.", fields)


def _of_table(name: str, table: str, types: dict[str, str], says: str) -> dict[str, Any]:
    fields = []
    for column, kind in types.items():
        source = {"fileObject": {"@id": table}, "extract": {"column": column}}
        field = _field(name, column, _TYPES[kind], f"Column {column}.", source)
        if column == "split":
            field["references"] = {"field": {"@id": "splits/name"}}
        fields.append(field)
    return _set(name, says, fields)


def _set(name: str, says: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": says,
        "field": fields,
    }


def _field(
    record_set: str, name: str, kind: str, says: str, source: dict[str, Any] | None
) -> dict[str, Any]:
    field = {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "description": says,
        "dataType": kind,
    }
    return field if source is None else {**field, "source": source}
