"""What `3die list` prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from threedie.baselines import METHODS
from threedie.benchmark.evaluation.protocols import PROTOCOLS
from threedie.benchmark.training.presets import PRESETS
from threedie.manifests.classes import CLASSES, find_class
from threedie.manifests.recipes import DESCRIPTIONS, RECIPES
from threedie.manifests.releases import releases


def print_classes(console: Console) -> None:
    """The 55 classes of 3DIEBench; counts are those of the published data set."""
    table = Table("label", "synset", "name", "train", "val")
    for known in CLASSES:
        row = (known.label, known.synset, known.name, known.n_train, known.n_val)
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


def print_recipes(console: Console) -> None:
    """The recipes and what they vary."""
    table = Table("recipe", "views", "what it draws")
    for name, recipe in RECIPES.items():
        table.add_row(name, str(recipe.views), DESCRIPTIONS[name])
    console.print(table)


def print_releases(console: Console) -> None:
    """The published data sets that `3die download` knows by name."""
    table = Table("release", "what it is", "licence")
    for name, release in releases().items():
        table.add_row(name, release.title, release.licence.name)
    console.print(table)


def print_shapes(console: Console) -> None:
    """The classes that the built-in shapes cover."""
    from threedie.render.shapes import SHAPES

    table = Table("shape", "synset", "what varies")
    for name, build in SHAPES.items():
        known = find_class(name)
        says = (build.__doc__ or "").strip().splitlines() or [""]
        table.add_row(name, known.synset if known else "", says[0])
    console.print(table)


def print_methods(console: Console) -> None:
    """The methods that `3die bench --method` takes."""
    table = Table("method", "what it is", "settings")
    for name, entry in METHODS.items():
        table.add_row(name, entry.says, _said(entry.settings))
    console.print(table)


def print_presets(console: Console) -> None:
    """The presets of `3die bench --preset`, with what they set."""
    table = Table("preset", "for", "settings")
    for name, preset in PRESETS.items():
        table.add_row(name, preset.says, _said(preset.settings))
    console.print(table)


def _said(settings: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def print_protocols(console: Console) -> None:
    """The protocols of evaluation; docs/metrics.md has every setting."""
    table = Table("protocol", "version", "how it measures")
    for name, protocol in PROTOCOLS.items():
        table.add_row(name, str(protocol.version), protocol.says)
    console.print(table)
