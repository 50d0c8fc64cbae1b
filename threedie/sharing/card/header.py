"""The YAML head of a dataset card: what the hub reads splits, columns and types from.

The hub infers types from five samples and loses what differs in later ones; so every column is
declared. There is exactly one glob per split, which the hub's snippets need.
"""

from __future__ import annotations

from typing import Any

from threedie.data.escape import yaml
from threedie.sharing.card.overview import SPLIT_NAMES, Overview

_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M")
_TYPES: dict[type, str] = {bool: "bool", int: "int64", float: "float64", str: "string"}
_TAGS = ("3d", "synthetic", "blender", "equivariance", "self-supervised-learning")


def shards_header(overview: Overview) -> str:
    """The head of the card beside the shards: one configuration, a column per tar member."""
    splits = overview.splits
    globs = [{"split": SPLIT_NAMES.get(split, split), "path": f"{split}-*.tar"} for split in splits]
    info = {
        "config_name": "default",
        "features": columns(overview),
        "splits": [
            {
                "name": SPLIT_NAMES.get(split, split),
                "num_bytes": sum(entry.bytes for entry in overview.shards(split)),
                "num_examples": count,
            }
            for split, count in splits.items()
        ],
    }
    head = {
        **_common(overview, overview.objects, "webdataset"),
        "configs": [{"config_name": "default", "data_files": globs}],
        "dataset_info": info,
    }
    return f"---\n{yaml(head)}---\n"


def tables_header(overview: Overview, configs: dict[str, str]) -> str:
    """The head of the card of a repository of tables: a configuration per file."""
    rows = overview.objects * overview.manifest.making.views
    listed = [
        {"config_name": name, "data_files": path, "default": i == 0}
        for i, (name, path) in enumerate(configs.items())
    ]
    head = {**_common(overview, rows, "tabular"), "configs": listed}
    return f"---\n{yaml(head)}---\n"


def _common(overview: Overview, rows: int, form: str) -> dict[str, Any]:
    terms = overview.terms
    licence: dict[str, Any] = {"license": terms.hub}
    if terms.hub == "other":
        licence |= {"license_name": terms.name, "license_link": "LICENSE.md"}
    return {
        "pretty_name": overview.title,
        **licence,
        "task_categories": ["image-classification", "image-feature-extraction"],
        "tags": [*_TAGS, form, "arxiv:2302.10283"],
        "size_categories": [_SIZES[min(max(len(str(rows)) - 3, 0), len(_SIZES) - 1)]],
        "annotations_creators": ["machine-generated"],
    }


def columns(overview: Overview) -> list[dict[str, Any]]:
    """The hub's features of our samples, in its YAML form.

    Raises:
        ManifestError: the first shard is damaged.
    """
    making = overview.manifest.making
    shape = [making.views, len(overview.manifest.latent_columns)]
    pictures = [
        {"name": f"{view:03d}.{making.image_format}", "dtype": "image"}
        for view in range(making.views)
    ]
    return [
        *pictures,
        {"name": "latents.npy", "dtype": {"array2_d": {"shape": shape, "dtype": "float64"}}},
        {"name": "json", "struct": [_field(overview, n, v) for n, v in overview.record.items()]},
        {"name": "__key__", "dtype": "string"},
        {"name": "__url__", "dtype": "string"},
    ]


def _field(overview: Overview, name: str, value: Any) -> dict[str, Any]:
    """A field of the samples' json; an empty list is one of texts, as notes are."""
    if name == "label":
        names = {str(label): text for label, text in enumerate(overview.label_names)}
        return {"name": name, "dtype": {"class_label": {"names": names}}}
    if isinstance(value, list):
        return {"name": name, "sequence": _TYPES[type(value[0])] if value else "string"}
    return {"name": name, "dtype": _TYPES[type(value)]}
