"""`3die list` and `3die doctor`: what there is, and what is missing."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

from threedie.cli.program import app, out


class Listing(str, enum.Enum):
    """What `3die list` can list."""

    classes = "classes"
    methods = "methods"
    presets = "presets"
    protocols = "protocols"
    recipes = "recipes"
    releases = "releases"
    shapes = "shapes"


@app.command("list")
def list_(what: Annotated[Listing, typer.Argument(help="What to list.")]) -> None:
    """List what there is: classes, recipes, shapes, releases, methods, presets, protocols."""
    from threedie import listings

    getattr(listings, f"print_{what.value}")(out)


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing and how to get it, and what Cycles can render on."""
    from threedie.doctor import print_diagnosis

    raise typer.Exit(0 if print_diagnosis(out) else 1)
