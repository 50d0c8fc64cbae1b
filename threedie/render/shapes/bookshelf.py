"""Bookshelves: of two heights, stepped, leaning or with doors; open to −Z, unevenly filled."""

from __future__ import annotations

from itertools import pairwise

from threedie.render.meshes.mesh import Material
from threedie.render.shapes._draw import Draw
from threedie.render.shapes._paint import metal, paint, pale, wood
from threedie.render.shapes._parts import box
from threedie.render.shapes._shape import Shape

BOARD = 0.03


def bookshelf(draw: Draw) -> Shape:
    """Kind, size, shelves, columns, back and how the books stand vary."""
    shape = Shape()
    frame = draw.pick((wood, wood, pale, paint))(draw, "frame")
    books = [draw.pick((paint, paint, pale))(draw, f"book {k}") for k in range(3)]
    draw.pick((_case, _case, _steps, _ladder, _cupboard, _cupboard))(shape, draw, frame, books)
    return shape


def _case(shape: Shape, draw: Draw, frame: Material, books: list[Material]) -> None:
    """Two or three columns with uneven shelves; those at one end are lower."""
    w, h, d = draw.between(0.8, 1.2), draw.between(1.3, 1.8), draw.between(0.3, 0.38)
    columns, side = draw.count(2, 3), draw.pick((-1, 1))
    wide, low = w / columns, h * draw.between(0.45, 0.66)
    short = draw.count(1, columns - 1)
    shape.add(frame, box((w - 0.02, 0.1, d - 0.05), (0, -0.04, 0.02)))
    for k in range(columns):
        x, tall = side * (-w / 2 + (k + 0.5) * wide), low if k < short else h
        shape.add(frame, box((wide, tall, 0.02), (x, tall / 2, d / 2 - 0.02)))
        shape.add(frame, box((wide + 0.04, BOARD * 1.4, d + 0.04), (x, tall + 0.003 * k, 0)))
        inner = low if k == short else 0.0  # the lower column's wall carries the taller one's
        shape.add(
            frame, box((BOARD, tall - inner, d), (x - side * wide / 2, (tall + inner) / 2, 0))
        )
        if k in (short - 1, columns - 1):
            shape.add(frame, box((BOARD, tall, d), (x + side * wide / 2, tall / 2, 0)))
        shelves = draw.count(2, 3) + (k >= short)
        uneven = [tall * (j + draw.between(-0.15, 0.15)) / shelves for j in range(1, shelves)]
        _column(shape, draw, frame, books, (x, 0.0), (wide, d), [0.0, *uneven, tall])


def _column(
    shape: Shape,
    draw: Draw,
    frame: Material,
    books: list[Material],
    at: tuple[float, float],
    size: tuple[float, float],
    levels: list[float],
) -> None:
    """Shelves at all levels but the last, with books; the upper ones may be empty."""
    (x, z), (w, d) = at, size
    for j, (low, high) in enumerate(pairwise(levels)):
        shape.add(frame, box((w - BOARD * 0.9, BOARD, d - 0.01), (x, low, z + 0.004)))
        if j < 2 or draw.chance(0.55):
            room = (w - 2 * BOARD, high - low - 1.5 * BOARD, d)
            _books(shape, draw, books, (x, low + BOARD / 2, z), room)


def _books(
    shape: Shape,
    draw: Draw,
    books: list[Material],
    at: tuple[float, float, float],
    room: tuple[float, float, float],
) -> None:
    """A row of books from one end of a compartment; it seldom reaches the other end."""
    x, y, z = at
    w, h, d = room
    side = draw.pick((-1, 1))
    end, used = w * draw.between(0.4, 1.0), 0.0
    while used + 0.03 < end:
        thick = min(draw.between(0.03, 0.065), w - used)
        tall, deep = h * draw.between(0.6, 0.92), d * draw.between(0.55, 0.75)
        at_x = x + side * (-w / 2 + used + thick / 2)
        size = (thick * 0.94, tall, deep)
        shape.add(
            draw.pick(books), box(size, (at_x, y + tall / 2 - 0.002, z - d * 0.44 + deep / 2))
        )
        used += thick


def _steps(shape: Shape, draw: Draw, frame: Material, books: list[Material]) -> None:
    """Columns that grow from one side to the other like stairs."""
    columns, d = draw.count(3, 4), draw.between(0.28, 0.34)
    wide, rise = draw.between(0.32, 0.38), draw.between(0.44, 0.52)
    side = draw.pick((-1, 1))
    for k in range(columns):
        x = side * (k - (columns - 1) / 2) * wide
        top = (k + 1) * rise
        levels = [j * rise for j in range(k + 2)]
        _column(shape, draw, frame, books, (x, 0.0), (wide, d), levels)
        shape.add(frame, box((wide + BOARD, BOARD, d), (x, top, 0)))
        shape.add(frame, box((wide, top, 0.02), (x, top / 2, d / 2 - 0.02)))
        for edge in (-1, 1):
            height = top if edge == side or k == 0 else top - rise * 0.01
            at = (x + edge * wide / 2, height / 2, 0.0)
            if edge == side or k == 0:
                shape.add(frame, box((BOARD, height, d), at))
        if k:
            shape.add(frame, box((BOARD, rise, d), (x - side * wide / 2, top - rise / 2, 0)))


def _ladder(shape: Shape, draw: Draw, frame: Material, books: list[Material]) -> None:
    """A leaning ladder whose shelves get deeper to the floor."""
    w, h, deep = draw.between(0.6, 0.85), draw.between(1.4, 1.8), draw.between(0.4, 0.55)
    rails = draw.pick((frame, metal(draw, "rails")))
    shelves = draw.count(4, 5)
    lean = 14.0
    for side in (-1, 1):
        rail = box((0.05, h * 1.04, 0.06), (side * (w / 2 + 0.02), h * 0.52, 0))
        shape.add(rails, rail.turned("x", lean).moved(z=-deep * 0.55))
    slope = 0.249  # tan(14°)
    back = slope * h - deep * 0.55 + 0.02
    for k in range(shelves):
        y = h * (0.06 + 0.9 * k / (shelves - 1))
        front = y * slope - deep * 0.55 - 0.03
        d = max(back - front, 0.16)
        shape.add(frame, box((w, BOARD, d), (0, y, front + d / 2)))
        shape.add(frame, box((w, 0.09, 0.02), (0, y + 0.04, front + d - 0.012)))
        if k < shelves - 1 and draw.chance(0.8):
            room = (w - 0.04, h * 0.8 / shelves, min(d, 0.3))
            _books(shape, draw, books, (0, y + BOARD / 2, front + d - 0.16), room)


def _cupboard(shape: Shape, draw: Draw, frame: Material, books: list[Material]) -> None:
    """Shelves above, a deeper cupboard with doors below."""
    w, h, d = draw.between(0.75, 1.0), draw.between(1.3, 1.75), draw.between(0.28, 0.34)
    low, deep = h * draw.between(0.28, 0.42), d * draw.between(1.5, 1.9)
    z = d / 2 - deep / 2
    shape.add(frame, box((w + 0.05, low, deep), (0, low / 2, z - 0.003)))
    doors = draw.count(2, 3)
    wide = (w + 0.02) / doors
    knob = metal(draw, "knob")
    for k in range(doors):
        x = (k - (doors - 1) / 2) * wide
        front = z - deep / 2
        shape.add(books[0], box((wide * 0.9, low * 0.84, 0.03), (x, low / 2, front - 0.005)))
        shape.add(knob, box((0.03, low * 0.25, 0.04), (x + wide * 0.34, low * 0.55, front - 0.03)))
    shape.add(frame, box((w, h - low, 0.02), (0, (h + low) / 2, d / 2 - 0.02)))
    for side in (-1, 1):
        shape.add(frame, box((BOARD, h - low, d), (side * w / 2, (h + low) / 2, 0)))
    shape.add(frame, box((w + 0.07, BOARD * 1.4, d + 0.05), (0, h, -0.01)))
    count = draw.count(2, 4)
    levels = [low + 0.005 + (h - low) * k / count for k in range(count + 1)]
    _column(shape, draw, frame, books[1:], (0, 0), (w, d), levels)
