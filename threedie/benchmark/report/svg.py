"""A drawing as SVG: inside the page (colours are the page's) or as a file (light, self-contained).

Two decimals at most and no element more than is seen: a figure is a few kB.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from threedie.benchmark.report.canvas import (
    MARKS,
    RADIUS,
    Box,
    Dots,
    Drawing,
    Line,
    Mark,
    Point,
    Words,
)
from threedie.benchmark.report.palette import LIGHT

_FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def inline_svg(drawing: Drawing, anchor: str) -> str:
    """For the page.

    Args:
        drawing: the figure.
        anchor: a unique id; the title's and the description's begin with it.
    """
    label = f'aria-labelledby="{anchor}-t {anchor}-d"'
    title = f'<title id="{anchor}-t">{escape(drawing.title)}</title>'
    says = f'<desc id="{anchor}-d">{escape(drawing.says)}</desc>'
    return f'<svg {_box(drawing)} role="img" {label}>{title}{says}{_body(drawing)}</svg>'


def file_svg(drawing: Drawing) -> bytes:
    """A file of its own."""
    used = sorted({shape.ink for shape in drawing.shapes} | {"card"})
    rules = "".join(f".f-{ink}{{fill:{LIGHT[ink]}}}.l-{ink}{{stroke:{LIGHT[ink]}}}" for ink in used)
    style = f"<style>text{{font-family:{_FONT}}}path{{fill:none}}{rules}</style>"
    size = f'width="{_n(drawing.width)}" height="{_n(drawing.height)}"'
    says = f"<title>{escape(drawing.title)}</title><desc>{escape(drawing.says)}</desc>"
    sheet = f'<rect class="f-card" {size}/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {_box(drawing)} {size}>'
        f"{says}{style}{sheet}{_body(drawing)}</svg>\n"
    ).encode()


def _box(drawing: Drawing) -> str:
    return f'viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}"'


def _body(drawing: Drawing) -> str:
    return "".join(piece for shape in drawing.shapes for piece in _draw(shape))


def _draw(shape: Line | Mark | Dots | Box | Words) -> Iterator[str]:
    if isinstance(shape, Line):
        dash = ' stroke-dasharray="5 4"' if shape.dashed else ""
        width = f' stroke-width="{_n(shape.width)}"' if shape.width != 1 else ""
        yield f'<path class="l-{shape.ink}" fill="none"{width}{dash} d="{_path(shape.points)}"/>'
    elif isinstance(shape, Mark):
        yield from _mark(shape)
    elif isinstance(shape, Dots):
        spots = "".join(f"M{_n(x)} {_n(y)}h0" for x, y in shape.points)
        pen = f'fill="none" stroke-linecap="round" stroke-width="{_n(shape.width)}"'
        yield f'<path class="l-{shape.ink}" {pen} d="{spots}"/>'
    elif isinstance(shape, Box):
        (x, y), (w, h) = shape.at, shape.size
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"'
        yield f'<rect class="f-{shape.ink}" {place}/>'
    else:
        anchor = "" if shape.anchor == "start" else f' text-anchor="{shape.anchor}"'
        place = f'x="{_n(shape.at[0])}" y="{_n(shape.at[1])}" font-size="{_n(shape.size)}"'
        text = escape(shape.text, quote=False)
        yield f'<text class="f-{shape.ink}" {place}{anchor}>{text}</text>'


def _mark(mark: Mark) -> Iterator[str]:
    (x, y), outline = mark.at, MARKS[mark.shape]
    kind = f'class="l-{mark.ink}" fill="none" stroke-width="1.5"'
    if not mark.hollow:
        kind = f'class="f-{mark.ink}"'
    if outline is None:
        tag, where = "circle", f'cx="{_n(x)}" cy="{_n(y)}" r="{_n(RADIUS)}"'
    else:
        corners = " ".join(f"{_n(x + a)},{_n(y + b)}" for a, b in outline)
        tag, where = "polygon", f'points="{corners}"'
    says = f"<title>{escape(mark.says, quote=False)}</title></{tag}>" if mark.says else ""
    yield f"<{tag} {kind} {where}{f'>{says}' if says else '/>'}"


def _path(points: tuple[Point, ...]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
