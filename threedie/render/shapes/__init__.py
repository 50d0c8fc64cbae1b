"""The built-in shapes: objects for tests, examples and first runs, without any download.

Each class of ShapeNet here is a family in its own file that draws one object from dice keyed by
(class, index). Frame: +Y up, −Z front; the bounding box is centred and its diagonal is 1, as in
ShapeNetCore.v2. No object looks the same after a rotation, so a picture can tell its rotation.
"""

from __future__ import annotations

from collections.abc import Callable

from threedie.errors import ConfigError
from threedie.render.meshes.mesh import TriangleMesh
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._shape import Shape
from threedie.render.shapes.airplane import airplane
from threedie.render.shapes.bed import bed
from threedie.render.shapes.bench import bench
from threedie.render.shapes.bookshelf import bookshelf
from threedie.render.shapes.bottle import bottle
from threedie.render.shapes.car import car
from threedie.render.shapes.chair import chair
from threedie.render.shapes.guitar import guitar
from threedie.render.shapes.lamp import lamp
from threedie.render.shapes.laptop import laptop
from threedie.render.shapes.mailbox import mailbox
from threedie.render.shapes.mug import mug
from threedie.render.shapes.piano import piano
from threedie.render.shapes.skateboard import skateboard
from threedie.render.shapes.sofa import sofa
from threedie.render.shapes.table import table

SHAPES: dict[str, Callable[[Draw], Shape]] = {
    "airplane": airplane,
    "bed": bed,
    "bench": bench,
    "bookshelf": bookshelf,
    "bottle": bottle,
    "car": car,
    "chair": chair,
    "guitar": guitar,
    "lamp": lamp,
    "laptop": laptop,
    "mailbox": mailbox,
    "mug": mug,
    "piano": piano,
    "skateboard": skateboard,
    "sofa": sofa,
    "table": table,
}
"""Class name (as in ShapeNet) to family, in alphabetical order."""


def build_shape(class_name: str, index: int) -> TriangleMesh:
    """The object number `index` (0, 1, 2, ...) of a class: the same one every time, everywhere.

    Raises:
        ConfigError: for a class that has no family, or an index below 0.
    """
    if class_name not in SHAPES:
        known = ", ".join(SHAPES)
        raise ConfigError(f"no built-in shape is called {class_name!r}; there are: {known}")
    if index < 0:
        raise ConfigError(f"the index of a built-in {class_name} must be 0 or more, got {index}")
    return SHAPES[class_name](Draw(class_name, index)).mesh()


__all__ = ["SHAPES", "build_shape"]
