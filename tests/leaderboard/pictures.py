"""The pictures of docs/images: `python -m tests.leaderboard.pictures`. Their numbers are made up.

Entries are called examples in the picture itself, so that nobody takes them for results.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import replace
from pathlib import Path

from PIL import Image

from tests.leaderboard.boards import EXAMPLES, SELFTESTS, write_board
from tests.leaderboard.browsers import chromium
from threedie import files
from threedie.leaderboard.site.build import build_site

HOME = Path(__file__).parents[2] / "docs" / "images"
SHOTS = (
    ("index.html", "leaderboard.png", 1440),
    ("entry/sie-hypernet.html", "leaderboard-entry.png", 1500),
)


def main() -> None:
    names = dict.fromkeys(fake.name for fake in EXAMPLES)
    letters = {name: f"Example {chr(ord('A') + i)}" for i, name in enumerate(names)}
    fakes = [replace(fake, name=letters[fake.name]) for fake in EXAMPLES]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        title = "Example leaderboard: made-up numbers"
        board = write_board(Path(folder) / "board", fakes, SELFTESTS, title=title)
        build_site(board, Path(folder) / "site")
        for address, name, height in SHOTS:
            page = browser.new_page(viewport={"width": 1280, "height": height})
            page.goto((Path(folder) / "site").as_uri() + f"/{address}")
            files.put(HOME / name, small(page.screenshot()))


def small(shot: bytes) -> bytes:
    """The same in few colours: a page has no more."""
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(shot)).convert("RGB")
    few = picture.quantize(160, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(out, "PNG", optimize=True)
    return out.getvalue()


if __name__ == "__main__":
    main()
