"""What `3die list` prints."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from threedie.manifests.classes import CLASSES, find_class
from threedie.manifests.recipes import DESCRIPTIONS, RECIPES


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


def print_shapes(console: Console) -> None:
    """The classes that the built-in shapes cover."""
    from threedie.render.shapes import SHAPES

    table = Table("shape", "synset", "what varies")
    for name, build in SHAPES.items():
        known = find_class(name)
        says = (build.__doc__ or "").strip().splitlines() or [""]
        table.add_row(name, known.synset if known else "", says[0])
    console.print(table)
