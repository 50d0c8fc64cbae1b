"""A drawing as a PNG file, through matplotlib (extra `report`)."""

from __future__ import annotations

import io
from typing import Any

from threedie.benchmark.report.canvas import MARKS, RADIUS, Box, Dots, Drawing, Line, Mark, Words
from threedie.benchmark.report.palette import LIGHT
from threedie.errors import MissingExtra

_POINTS = 0.75
"""Of one pixel: a sheet has 96 to the inch."""
_ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def file_png(drawing: Drawing, *, dpi: int = 192) -> bytes:
    """The file.

    Args:
        drawing: the figure.
        dpi: 96 gives the drawing's own pixels.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as err:
        raise MissingExtra("matplotlib", "report", why=str(err)) from err
    figure = Figure(
        figsize=(drawing.width / 96, drawing.height / 96), dpi=dpi, facecolor=LIGHT["card"]
    )
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.axis("off")
    for order, shape in enumerate(drawing.shapes, start=1):
        _draw(axes, shape, order)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None})
    return out.getvalue()


def _draw(axes: Any, shape: Line | Mark | Dots | Box | Words, order: int) -> None:
    color = LIGHT[shape.ink]
    if isinstance(shape, Line):
        style = (0, (5, 4)) if shape.dashed else "-"
        xs, ys = zip(*shape.points, strict=True)
        axes.plot(xs, ys, color=color, lw=shape.width * _POINTS, ls=style, zorder=order)
    elif isinstance(shape, Dots):
        xs, ys = zip(*shape.points, strict=True)
        axes.scatter(xs, ys, (shape.width * _POINTS) ** 2, color, lw=0, zorder=order)
    elif isinstance(shape, Words):
        axes.text(
            *shape.at,
            shape.text,
            color=color,
            fontsize=shape.size * _POINTS,
            ha=_ANCHORS[shape.anchor],
            va="baseline",
            parse_math=False,
            zorder=order,
        )
    else:
        axes.add_patch(_patch(shape, color, order))


def _patch(shape: Mark | Box, color: str, order: int) -> Any:
    from matplotlib.patches import Circle, Polygon, Rectangle

    if isinstance(shape, Box):
        return Rectangle(shape.at, *shape.size, facecolor=color, edgecolor="none", zorder=order)
    x, y = shape.at
    look: dict[str, Any] = {"facecolor": color, "edgecolor": "none"}
    if shape.hollow:
        look = {"facecolor": "none", "edgecolor": color, "lw": 1.5 * _POINTS}
    outline = MARKS[shape.shape]
    if outline is None:
        return Circle((x, y), RADIUS, zorder=order, **look)
    return Polygon([(x + a, y + b) for a, b in outline], closed=True, zorder=order, **look)
