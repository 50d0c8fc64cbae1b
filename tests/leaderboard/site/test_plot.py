"""Claims proved here, on the figure of the index.

- Every ranked entry is drawn where its two numbers are, and no other: not one of two seeds, not a
  retracted one, not one of which a level failed, not a self-test.
- The caption names the lines that are drawn, and no others.
- The front is joined by steps, and named as far as names don't stand in each other's way.
- Of many entries the front is drawn in full and the others as one path, which stays small.
- Without a ranked entry there is no figure, and the index has none.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.leaderboard.boards import EXAMPLES, SELFTESTS, Fake, many, write_board
from threedie.benchmark.report.canvas import Dots, Line, Mark, Words
from threedie.benchmark.report.png import file_png
from threedie.benchmark.report.svg import inline_svg
from threedie.leaderboard.site.build import build_site
from threedie.leaderboard.site.collect import Stock, collect
from threedie.leaderboard.site.plot import front, plot


def stock(folder: Path, *fakes: Fake) -> Stock:
    return collect(write_board(folder / "board", fakes, SELFTESTS))


def test_ranked_entries_are_drawn_and_no_others(tmp_path: Path) -> None:
    board = stock(tmp_path, *EXAMPLES)
    drawing = plot(board.entries, board.selftests)
    assert drawing is not None
    said = {s.says for s in drawing.shapes if isinstance(s, Mark) and s.says}
    assert "SIE, hypernet, split 256/256: top-1 0.814, R² 0.731" in said
    assert len(said) == 9  # 13, less one that waits, one retracted, one of one seed, one failed
    assert not any(
        name in text for text in said for name in ("TooGood", "EquiCaps", "Oracle", "VICReg")
    )
    marks = [s for s in drawing.shapes if isinstance(s, Mark) and s.says]
    by_height = sorted(marks, key=lambda m: m.at[1])
    assert by_height[0].says.startswith("ContextSSL")  # the highest R²
    assert max(marks, key=lambda m: m.at[0]).says.startswith("Supervised")


def test_the_front_is_joined_and_named(tmp_path: Path) -> None:
    board = stock(tmp_path, *EXAMPLES)
    assert {entry.slug for entry in front(board.entries)} == {
        *("context-ssl", "sie-hypernet", "seq-jepa", "dino-open", "supervised-r18")
    }
    drawing = plot(board.entries, board.selftests)
    assert drawing is not None
    (steps,) = [s for s in drawing.shapes if isinstance(s, Line) and s.dashed]
    assert len(steps.points) == 2 * 4 + 1
    assert "The dashed grey steps join the entries that no other beats" in drawing.says
    names = [s.text for s in drawing.shapes if isinstance(s, Words) and s.size == 11]
    assert {"ContextSSL", "seq-JEPA", "Supervised"} <= set(names)
    assert "SIE" not in names  # it would stand on ContextSSL's name


@pytest.mark.parametrize(
    ("fakes", "says"),
    [
        ([(0.80, 0.60), (0.79, 0.59)], ""),
        (
            [(0.80, 0.60), (0.79, 0.001)],
            " The straight dashed line is one answer for everything (level: R² 0.000).",
        ),
        (
            [(0.80, 0.60), (0.15, 0.59)],
            " The straight dashed line is one answer for everything (upright: top-1 0.160).",
        ),
        (
            [(0.80, 0.60), (0.15, -0.01)],
            " The straight dashed lines are one answer for everything (upright and level: "
            "top-1 0.160, R² 0.000).",
        ),
    ],
)
def test_the_caption_says_what_is_drawn(
    tmp_path: Path, fakes: list[tuple[float, float]], says: str
) -> None:
    both = [Fake(slug=f"entry-{i}", top1=x, r2=y) for i, (x, y) in enumerate(fakes)]
    board = stock(tmp_path, *both)
    drawing = plot(board.entries, board.selftests)
    assert drawing is not None
    dashed = [s for s in drawing.shapes if isinstance(s, Line) and s.dashed]
    assert len(dashed) == says.count("top-1") + says.count("R²")  # the front is one point: no steps
    assert "steps" not in drawing.says
    assert says in drawing.says
    assert ("one answer" in drawing.says) == bool(says)


def test_of_many_the_front_stands_out(tmp_path: Path) -> None:
    board = stock(tmp_path, *many(300))
    drawing = plot(board.entries, board.selftests)
    assert drawing is not None
    (dots,) = [s for s in drawing.shapes if isinstance(s, Dots)]
    marks = [s for s in drawing.shapes if isinstance(s, Mark) and s.says]
    assert len(marks) == len(front(board.entries))
    ranked = sum(entry.ranked for entry in board.entries)
    assert 0.9 * (ranked - len(marks)) < len(dots.points) <= ranked - len(marks)
    assert "Dim dots are the other entries." in drawing.says
    assert len(inline_svg(drawing, "x")) < 12_000


def test_dots_are_drawn_in_files_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    board = stock(tmp_path, *many(200))
    drawing = plot(board.entries, board.selftests)
    assert drawing is not None
    with_dots = file_png(drawing)
    drawing.shapes = [s for s in drawing.shapes if not isinstance(s, Dots)]
    assert file_png(drawing) != with_dots


def test_no_ranked_entry_no_figure(tmp_path: Path) -> None:
    board = stock(tmp_path, Fake(slug="one-seed", seeds=1))
    assert plot(board.entries, board.selftests) is None
    build_site(tmp_path / "board", tmp_path / "site")
    assert "<svg" not in (tmp_path / "site/index.html").read_text()
