"""Claims proved here, on what pages say of levels of verification.

- A deeper level that failed is said wherever the entry is named with its level: by word and shape
  in tables, compared, in files, the badge, the history and the feed. Such a row has no rank, no
  test, is never best, and stands below those that are ranked.
- On an entry's page levels stand above the numbers; a check that failed reads so; a step says of
  how many runs it is, and what was found again is a folded table with its bounds.
- Index, protocol and entries say what "recomputed" does not prove.
- Papers' numbers are folded where the board's data are not the published ones.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.leaderboard.boards import EXAMPLES, Fake, failed_step
from tests.leaderboard.site.test_build import ONE, built, row_of
from tests.pages import Page
from threedie.leaderboard.site.cells import UNPROVED
from threedie.leaderboard.site.collect import collect
from threedie.leaderboard.site.ladder import tried
from threedie.leaderboard.site.pages import Site

FORGED = Fake(slug="forged", name="Forged", top1=0.99, r2=0.98, failed=("fresh-render",))


def page_text(site: Path, name: str) -> str:
    return (site / f"{name}.html").read_text()


def test_a_level_that_failed_is_seen(tmp_path: Path) -> None:
    site, _ = built(tmp_path, FORGED, *EXAMPLES)
    for page in ("index.html", "compare.html", "method/forged.html"):
        row = row_of(site, "forged", page)
        assert row.startswith('<tr class="failed"')
        assert '◔ recomputed <small class="bad">✗ failed fresh-render</small>' in row
        assert "<td>not ranked</td>" in row
        assert "<b>" not in row  # though it has the highest of all
    assert "<b>0.921</b>" in row_of(site, "supervised-r18")  # best without it
    order = re.findall(r"<tr[^>]*data-f.*?entry/([a-z0-9-]+)\.html", page_text(site, "index"))
    assert order[-3:] == ["forged", "vicreg", "too-good"]  # below all that are ranked
    (data,) = re.findall(r'id="data">(.*?)</script>', page_text(site, "compare"))
    told = json.loads(data)
    assert told["entries"]["forged"]["failed"] == "failed fresh-render"
    assert (told["entries"]["forged"]["best"], told["entries"]["simclr"]["best"]) == (False, True)
    assert not any("forged" in pair for pairs in told["tests"].values() for pair in pairs)
    history = Page((site / "history.html").read_bytes()).text
    assert "verified Forged : recomputed; failed fresh-render" in history
    assert "failed fresh-render Forged : fresh-render does not agree" in history
    assert "failed fresh-render: Forged" in (site / "feed.xml").read_text()
    entry = Page((site / "entry/forged.html").read_bytes()).text
    assert "fresh-render ✗ failed" in entry
    assert "✗ Failed fresh-render." in entry
    assert "✗ failed seed-0-metrics" in entry
    assert "▲" not in entry
    assert entry.index("✗ failed") < entry.index("0.980") < entry.index("All metrics")
    assert entry.index("Verification") < entry.index("All metrics")


def test_a_retracted_entry_that_failed_is_both(tmp_path: Path) -> None:
    site, _ = built(tmp_path, replace(FORGED, status=("retracted", "made up")))
    row = row_of(site, "forged")
    assert row.startswith('<tr class="retracted failed"')
    assert "✗ failed fresh-render" in row
    badge = json.loads((site / "badge/forged.json").read_bytes())
    assert badge["message"] == "retracted"


@pytest.mark.parametrize(
    ("passed", "runs", "expected"),
    [
        (True, None, ("passed", "passed")),
        (True, 3, ("passed", "passed")),
        (True, 1, ("partial", "passed, 1 of 3 runs")),
        (False, 1, ("failed", "failed, 1 of 3 runs")),
        (False, 3, ("failed", "failed")),
    ],
)
def test_a_step_says_how_many_runs(
    passed: bool, runs: int | None, expected: tuple[str, str]
) -> None:
    assert tried(passed, runs, 3) == expected


def test_a_level_of_some_runs_is_no_level(tmp_path: Path) -> None:
    step = {**failed_step(ONE, "re-run"), "passed": True, "runs": 1, "checks": []}
    site, _ = built(tmp_path, replace(ONE, verifies={"steps": [step]}))
    assert (
        "re-run ◌ passed, 1 of 3 runs" in Page((site / "entry/first-entry.html").read_bytes()).text
    )
    assert "◔ recomputed</td>" in row_of(site, "first-entry")
    assert "<td>not ranked</td>" not in row_of(site, "first-entry")


def test_pages_say_what_recomputed_does_not_prove(tmp_path: Path) -> None:
    deep = Fake(slug="deep-entry", name="Deep", level="re-run")
    site, _ = built(tmp_path, ONE, deep)
    for page in ("index.html", "protocol.html", "entry/first-entry.html"):
        assert UNPROVED in Page((site / page).read_bytes()).text
    assert UNPROVED not in Page((site / "entry/deep-entry.html").read_bytes()).text
    history = Page((site / "history.html").read_bytes()).text
    assert "ever removed" not in history
    assert "git history" in history


def test_what_was_found_again_is_a_table(tmp_path: Path) -> None:
    deltas = {f"all/metric_{i:02d}": 0.0001 * i for i in range(30)}
    deltas |= {"all/rotation_geodesic_deg": -0.52, "inv/top1": -0.0123}
    step = {**failed_step(ONE, "re-run"), "deltas": deltas}
    site, _ = built(tmp_path, replace(ONE, verifies={"steps": [step]}))
    page = Page((site / "entry/first-entry.html").read_bytes())
    says = "Found again minus recomputed: fractions within 0.0123, degrees within 0.52"
    assert says in page.text
    assert "inv/top1 −0.0123" in page.text
    assert ("summary", says) in page.inside  # and folded: 32 of them are no reading


def test_papers_of_other_data_are_folded(tmp_path: Path) -> None:
    site, _ = built(tmp_path)
    small = page_text(site, "index")
    after = small[small.index("Reported in papers") :]
    assert "of other data than this board's" in after
    assert after.index("<details>") < after.index("<table") < after.index("</details>")
    stock = collect(tmp_path / "board")
    data = stock.board.data.model_copy(update={"val_objects": 10_552})
    published = replace(stock, board=stock.board.model_copy(update={"data": data}))
    whole = dict(Site(published).files())["index.html"].decode()
    after = whole[whole.index("Reported in papers") :]
    assert "<details>" not in after
    assert "of other data than" not in after
