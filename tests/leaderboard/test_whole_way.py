"""The whole way of an entry, by the command line, through a real bare git repository.

Claims proved here:

- init → a bare repository → submit --push → (in a clone) changes → check → verify → merge → build
  works by the commands of the board's README and workflow; what is merged is what was packed.
- An entry with a forged number in it, or changed after it was verified, is refused or stale.
- A pull request that adds more than the entry is stopped before its files are looked at.
- Submitting what a board would refuse (made for another board) tells it before it is pushed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.data.builders import tree
from tests.leaderboard.repositories import run_git
from tests.leaderboard.runs import PLAN, data_set, three_runs
from threedie import files
from threedie.leaderboard.board import open_board
from threedie.leaderboard.verify import current
from threedie.manifests.verification import FILE_NAME, Verification

WORDS = (
    *("--name", "SIE (ours)", "--contact", "Jane Doe <jane@example.org>"),
    *("--code", "https://example.org/jane/sie", "--commit", "c0ffee" * 6 + "c0ff"),
    *("--runs-started", "3", "--tuned-on", "train-holdout"),
)


def cli(*words: object, status: int = 0) -> str:
    command = [sys.executable, "-m", "threedie", *map(str, words)]
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}  # a busy machine makes two wait for each other
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=threads)
    assert ended.returncode == status, (words, ended.stdout, ended.stderr)
    assert "Traceback" not in ended.stderr
    return ended.stdout + ended.stderr


@dataclass(frozen=True)
class Place:
    """What everybody has."""

    data: Path
    runs: tuple[Path, ...]
    bare: Path
    """The board's repository."""
    clone: Path
    """A maintainer's."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A board on a server, and trained runs."""
    root = tmp_path_factory.mktemp("whole")
    data = data_set(root / "demo")
    said = cli("leaderboard", "init", root / "board", "--data", data, "--title", "Demo")
    assert "a board with" in said
    run_git("clone", "--quiet", "--bare", str(root / "board"), str(root / "board.git"))
    return Place(data, three_runs(root / "runs", data), root / "board.git", root / "clone")


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """The same, with a fresh server and clone for each test."""
    bare, clone = tmp_path / "board.git", tmp_path / "clone"
    run_git("clone", "--quiet", "--bare", str(made.bare), str(bare))
    run_git("clone", "--quiet", str(bare), str(clone))
    return Place(made.data, made.runs, bare, clone)


def test_from_runs_to_a_merged_and_verified_entry(place: Place, tmp_path: Path) -> None:
    said = cli("submit", *place.runs, *WORDS, "--out", tmp_path / "out", "--push", place.bare)
    assert "pushed entry/sie-ours" in said
    run_git("fetch", "--quiet", "origin", at=place.clone)
    branch = "origin/entry/sie-ours"
    folder = cli("leaderboard", "changes", place.clone, f"origin/main...{branch}").strip()
    assert folder == f"entries/{folder.split('/')[1]}/sie-ours"
    run_git("checkout", "--quiet", "-b", "look", branch, at=place.clone)
    entry = place.clone / folder
    packed = tmp_path / "out" / "sie-ours"
    assert tree(entry) == tree(packed)
    assert "nothing wrong" in cli("leaderboard", "check", entry)
    cli("leaderboard", "verify", entry, "--by", "a maintainer")
    run_git("checkout", "--quiet", "main", at=place.clone)  # verification.json is not tracked yet
    run_git("merge", "--quiet", "--no-ff", "-m", "Merge", branch, at=place.clone)
    run_git("add", "--all", at=place.clone)
    run_git("commit", "--quiet", "-m", "Verify sie-ours", at=place.clone)
    run_git("push", "--quiet", "origin", "main", at=place.clone)
    board = open_board(place.clone)
    assert board.entries() == [entry]
    assert current(entry, board) is not None
    found = Verification.read(entry / FILE_NAME)
    assert (found.level, found.seeds, found.by) == ("recomputed", (0, 1, 2), "a maintainer")
    top1 = found.metrics["all"]["top1"].value
    assert top1 is not None
    assert 1 / len(PLAN.classes) < top1 < 1
    site = tmp_path / "site"
    cli("leaderboard", "build", place.clone, "--out", site)
    assert f"{top1:.3f}" in (site / "index.html").read_text()
    again = cli("submit", packed, "--push", place.bare, status=1)
    assert f"the board has {folder} already" in again


def test_the_board_refuses_before_it_is_pushed(place: Place, tmp_path: Path) -> None:
    other = data_set(tmp_path / "other", views=5)
    runs = three_runs(tmp_path / "runs", other)
    out = tmp_path / "out"
    said = cli("submit", *runs, *WORDS, "--out", out, "--push", place.bare, status=1)
    assert "wrong-" in said
    assert "sie-ours" in [path.name for path in out.iterdir()]  # and can be looked at
    assert run_git("branch", "--list", "entry/*", at=place.bare) == ""
    again = ("--out", tmp_path / "again", "--board", place.clone)
    assert "wrong-" in cli("submit", *runs, *WORDS, *again, status=1)
    assert not (tmp_path / "again").exists()


def test_a_packed_entry_is_edited_and_pushed(place: Place, tmp_path: Path) -> None:
    cli("submit", *place.runs, *WORDS, "--out", tmp_path, "--id", "edited")
    files.put(tmp_path / "edited" / "card.md", b"# Mine\n")
    cli("submit", tmp_path / "edited", "--push", place.bare)
    names = run_git("ls-tree", "-r", "--name-only", "entry/edited", at=place.bare).splitlines()
    (card,) = [name for name in names if name.endswith("edited/card.md")]
    assert run_git("show", f"entry/edited:{card}", at=place.bare) == "# Mine"
    said = cli("submit", tmp_path / "edited", status=2)
    assert "is an entry already: --push" in said


def test_a_forged_number_is_refused_or_stale(place: Place, tmp_path: Path) -> None:
    cli("submit", *place.runs, *WORDS, "--out", tmp_path / "out", "--id", "forged")
    entry = tmp_path / "out" / "forged"
    cli("leaderboard", "verify", entry, "--board", place.clone)
    board = open_board(place.clone)
    assert current(entry, board) is not None
    body = json.loads((entry / "submission.json").read_bytes())
    files.put(entry / "submission.json", json.dumps({**body, "top1": 0.999}).encode())
    assert "top1" in cli("leaderboard", "check", entry, "--board", place.clone, status=1)
    body["selection"]["runs_started"] = 99
    files.put(entry / "submission.json", json.dumps(body).encode())
    assert current(entry, board) is None  # so no page shows its numbers


def test_more_than_an_entry_is_stopped_first(place: Place, tmp_path: Path) -> None:
    cli("submit", *place.runs, *WORDS, "--out", tmp_path / "out", "--push", place.bare)
    run_git("fetch", "--quiet", "origin", at=place.clone)
    run_git("checkout", "--quiet", "-b", "theirs", "origin/entry/sie-ours", at=place.clone)
    files.put(place.clone / "board.json", b"{}")
    files.put(place.clone / "sitecustomize.py", b"raise SystemExit('mine')")
    run_git("add", "--all", at=place.clone)
    run_git("commit", "--quiet", "-m", "x", at=place.clone)
    said = cli("leaderboard", "changes", place.clone, "origin/main..theirs", status=1)
    assert "board.json is changed" in said
    assert "sitecustomize.py lies outside" in said


def test_a_board_stays_as_it_is_when_made_again(place: Place) -> None:
    before = tree(place.clone)
    words = ("--data", place.data, "--title", "Other")
    said = cli("leaderboard", "init", place.clone, *words, status=2)
    assert "is a board already" in said
    assert tree(place.clone) == before
