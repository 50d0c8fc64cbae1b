"""The 55 ShapeNetCore.v2 classes of 3DIEBench: ids, names, labels, counts.

Counts are those of the published data set (facebookresearch/SIE): listed = in its object list,
rendered = with a mesh, train and val = its split. A label is the rank of the sorted synset id.
"""

from __future__ import annotations

import csv
import difflib
import functools
from dataclasses import dataclass
from importlib.resources import files

from threedie.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapeClass:
    """One of the 55 classes."""

    label: int
    synset: str
    """WordNet offset, eight digits: the folder's name in ShapeNet."""
    name: str
    n_listed: int
    n_rendered: int
    n_train: int
    n_val: int


@functools.cache
def shape_classes() -> tuple[ShapeClass, ...]:
    """All 55 classes in the order of their labels."""
    text = files("threedie.manifests").joinpath("shapenet55.csv").read_text(encoding="utf-8")
    return tuple(_from_row(row) for row in csv.DictReader(text.splitlines()))


def _from_row(row: dict[str, str]) -> ShapeClass:
    numbers = {key: int(row[key]) for key in row if key not in ("synset", "name")}
    return ShapeClass(synset=row["synset"], name=row["name"], **numbers)


CLASSES = shape_classes()


def find_class(name_or_id: str) -> ShapeClass | None:
    """The class with this name or synset id, or None: other names are other people's classes."""
    wanted = name_or_id.strip().lower()
    return next((c for c in CLASSES if wanted in (c.synset, c.name)), None)


def class_name(class_id: str) -> str:
    """A name for people: the class's own name for a synset id, else the id itself."""
    known = find_class(class_id)
    return known.name if known else class_id


def choose_classes(wanted: str, available: list[str]) -> list[str]:
    """Turn `--classes chair,03797390` into ids of a mesh source.

    Args:
        wanted: "all", or names and ids separated by commas.
        available: the source's own class ids (synset ids, class names or any other names).

    Returns:
        Ids out of `available`, in its order, each once.

    Raises:
        ConfigError: a name that is not there, with the nearest one that is.
    """
    if wanted.strip().lower() == "all":
        return list(available)
    asked = [part.strip() for part in wanted.split(",") if part.strip()]
    if not asked:
        raise ConfigError("--classes is empty: give 'all', or names or ids separated by commas.")
    chosen = {_choose_one(part, available) for part in asked}
    return [class_id for class_id in available if class_id in chosen]


def _choose_one(asked: str, available: list[str]) -> str:
    names = {class_id: class_id for class_id in available}
    for class_id in available:
        if known := find_class(class_id):
            names.setdefault(known.name, class_id)
            names.setdefault(known.synset, class_id)
    if match := names.get(asked) or names.get(asked.lower()):
        return match
    if known := find_class(asked):
        raise ConfigError(
            f"class '{asked}' ({known.synset}) is not in this mesh source, which has: "
            f"{_some(sorted(class_name(c) for c in available))}."
        )
    near = difflib.get_close_matches(asked.lower(), [*names, *(c.name for c in CLASSES)], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigError(
        f"unknown class '{asked}'.{hint} `3die list classes` shows all names and ids."
    )


def _some(names: list[str], most: int = 15) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"
