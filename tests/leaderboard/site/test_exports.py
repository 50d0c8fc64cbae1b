"""Claims proved here, on what other programs read.

- leaderboard.json and leaderboard.csv hold every row and every verified number, and what was left
  out; numbers come back as they were verified.
- No cell of text begins as a formula does; negative numbers stay numbers.
- A badge is shields.io's endpoint form, and says when an entry is disputed or retracted, or when
  a level failed.
- The feed is valid Atom: dates from the data, the latest first, links that lead somewhere.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.leaderboard.boards import EXAMPLES, SELFTESTS, Fake, write_board
from threedie.leaderboard.site.build import build_site
from threedie.leaderboard.site.exports import defused

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    odd = Fake(slug="odd-entry", name="=1+1", variant="@SUM(A1)", r2=-0.25, seeds=2)
    build_site(write_board(folder / "board", [*EXAMPLES, odd], SELFTESTS), folder / "out")
    return folder / "out"


def rows(site: Path) -> dict[str, dict[str, str]]:
    text = (site / "leaderboard.csv").read_text()
    return {row["id"]: row for row in csv.DictReader(io.StringIO(text))}


def body(site: Path) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads((site / "leaderboard.json").read_bytes())
    return whole


def test_every_row_is_in_both(site: Path) -> None:
    shown = {fake.slug for fake in EXAMPLES if fake.verified} | {"odd-entry"}
    assert set(rows(site)) == shown
    assert {entry["id"] for entry in body(site)["entries"]} == shown
    assert [left["folder"] for left in body(site)["left_out"]] == ["entries/2026/newcomer"]
    assert len(body(site)["selftests"]) == len(SELFTESTS)


def test_numbers_come_back(site: Path) -> None:
    row = rows(site)["sie-hypernet"]
    assert float(row["all/rotation_r2_uniform"]) == 0.731
    assert float(row["all/rotation_r2_uniform low"]) < 0.731
    assert (row["seeds"], row["level"], row["state"]) == ("5", "re-run", "")
    assert rows(site)["simclr"]["all/mrr_val"] == ""
    assert rows(site)["too-good"]["state"] == "retracted"
    assert (row["failed"], rows(site)["vicreg"]["failed"]) == ("", "re-run")
    failed = {e["id"]: (e["failed"], e["ranked"]) for e in body(site)["entries"]}
    assert failed["vicreg"] == (["re-run"], False)
    assert failed["sie-hypernet"] == ([], True)
    (entry,) = [e for e in body(site)["entries"] if e["id"] == "sie-hypernet"]
    assert entry["metrics"]["all"]["rotation_r2_uniform"]["value"] == 0.731
    assert len(entry["metrics"]["all"]["top1"]["per_seed"]) == 5
    assert "replicates" not in entry


def test_no_text_is_a_formula(site: Path) -> None:
    row = rows(site)["odd-entry"]
    assert (row["method"], row["variant"]) == ("'=1+1", "'@SUM(A1)")
    assert float(row["all/rotation_r2_uniform"]) == -0.25
    for start in "=+-@\t\r":
        assert defused(f"{start}cmd") == f"'{start}cmd"
    assert defused("plain = text") == "plain = text"
    for one in rows(site).values():
        for name in ("id", "method", "variant", "family", "track", "level", "state"):
            assert not one[name].startswith(("=", "+", "-", "@"))


def test_badges(site: Path) -> None:
    badge = json.loads((site / "badge/sie-hypernet.json").read_bytes())
    assert badge == {
        "schemaVersion": 1,
        "label": "3die-v1/1",
        "message": "Rotation R² 0.731 · re-run",
        "color": "brightgreen",
    }
    for slug, message, color in (
        ("sen", "disputed", "orange"),
        ("too-good", "retracted", "red"),
        ("vicreg", "failed re-run", "red"),
    ):
        told = json.loads((site / f"badge/{slug}.json").read_bytes())
        assert (told["message"], told["color"]) == (message, color)


def test_the_feed(site: Path) -> None:
    feed = ElementTree.fromstring((site / "feed.xml").read_bytes())
    entries = feed.findall(f"{ATOM}entry")
    dates = [entry.findtext(f"{ATOM}updated") or "" for entry in entries]
    assert dates == sorted(dates, reverse=True)
    assert feed.findtext(f"{ATOM}updated") == dates[0] == "2026-03-02T00:00:00Z"
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert not any(" " in (name or "") for name in ids)  # each is an address
    # 13 submitted and verified, 2 states, the newcomer, one that failed
    assert len(set(ids)) == len(ids) == 2 * 13 + 2 + 1 + 1
    for link in feed.iter(f"{ATOM}link"):
        assert (site / link.attrib["href"]).is_file()
    assert "retracted: TooGood" in {entry.findtext(f"{ATOM}title") for entry in entries}
