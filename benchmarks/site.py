"""Speed and size of a leaderboard's site: `python -m benchmarks.site [entries]`.

A board of made-up entries is written and built into a new folder, and once more over the same one.
Where Chromium and playwright are there, the index is opened as a file and sorted by each column;
a sort is timed from the click to the next frame that was painted, by the clock and, since that
counts what else the machine does, by the processor time of the page's thread.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.leaderboard.boards import SELFTESTS, many, write_board
from tests.leaderboard.browsers import chromium
from threedie.leaderboard.site.build import build_site

_CLICK = """(column) => new Promise((done) => {
  const button = document.querySelectorAll("#entries thead button")[column];
  const start = performance.now(), since = () => performance.now() - start;
  button.click();
  const sorted = since();
  requestAnimationFrame(() => requestAnimationFrame(() => done([sorted, since()])));
})"""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        board = write_board(folder / "board", many(count), SELFTESTS)
        for what in ("into a new folder", "again, nothing changed"):
            start = time.perf_counter()
            built = build_site(board, folder / "site")
            print(f"build, {what}: {time.perf_counter() - start:.1f} s ({built.written} files)")
        index = folder / "site" / "index.html"
        print(f"index.html: {index.stat().st_size / 1e3:.1f} kB for {count} entries")
        whole = sum(p.stat().st_size for p in (folder / "site").rglob("*") if p.is_file())
        print(f"site: {whole / 1e6:.1f} MB; compare.html: {_size(folder, 'compare.html'):.0f} kB")
        _sorting(index)


def _size(folder: Path, name: str) -> float:
    return (folder / "site" / name).stat().st_size / 1e3


def _sorting(index: Path) -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.goto(index.as_uri())
        thread = page.context.new_cdp_session(page)
        thread.send("Performance.enable", {"timeDomain": "threadTicks"})
        columns = page.locator("#entries thead button").count()
        times = []
        for column in range(columns):
            for _ in range(2):
                before = _busy(thread)
                clock = page.evaluate(_CLICK, column)
                times.append((*clock, _busy(thread) - before))
    whats = ("script", "to the next painted frame", "processor time of the page's thread")
    for what, found in zip(whats, zip(*times, strict=True), strict=True):
        middle, most = statistics.median(found), max(found)
        print(f"sort, {what}: median {middle:.0f} ms, slowest {most:.0f} ms")


def _busy(thread: Any) -> float:
    """Milliseconds that the page's main thread has worked, whatever else the machine does."""
    found = thread.send("Performance.getMetrics")["metrics"]
    return 1000 * next(float(m["value"]) for m in found if m["name"] == "TaskDuration")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
