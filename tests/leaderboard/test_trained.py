"""From training to the pages, with nothing made up.

Claim: bench → report → analyze → submit --push → changes → check → verify (also by running the
weights again) → merge → build works by the command line alone on a data set of a few pictures; the
page prints the number that the verifier computed, which is the one that the evaluation measured.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.builders import Plan, build
from tests.leaderboard.repositories import run_git
from tests.leaderboard.test_whole_way import WORDS, cli
from threedie.manifests.results import Results
from threedie.manifests.verification import FILE_NAME, Verification

pytest.importorskip("torch")
PLAN = Plan(classes=("03001627", "03797390"), objects=("a", "b", "c", "d"), views=4, size=16)
TINY = ("--set", "size=16", "--set", "pairs=16", "--set", "batch_size=4", "--set", "projector=32")


def test_from_training_to_the_pages(tmp_path: Path) -> None:
    data, board, bare = tmp_path / "demo", tmp_path / "board", tmp_path / "board.git"
    build(data, PLAN)
    bench = ("bench", "--method", "sie", "--data", data, "--preset", "smoke", "--device", "cpu")
    cli(*bench, *TINY, "--seeds", "0-2", "--out", tmp_path / "runs")
    runs = sorted((tmp_path / "runs").iterdir())
    assert len(runs) == 3
    cli("report", *runs, "--out", tmp_path / "report.html")
    cli("analyze", runs[0], "--data", data, "--objects", 2, "--angles", 3, "--no-probes")
    cli("leaderboard", "init", board, "--data", data, "--title", "Demo")
    run_git("clone", "--quiet", "--bare", str(board), str(bare))
    cli("submit", *runs, *WORDS, "--out", tmp_path / "mine", "--push", bare)
    clone = tmp_path / "clone"
    run_git("clone", "--quiet", str(bare), str(clone))
    branch = "origin/entry/sie-ours"
    entry = clone / cli("leaderboard", "changes", clone, f"main...{branch}").strip()
    run_git("merge", "--quiet", branch, at=clone)
    cli("leaderboard", "check", entry)
    cli("leaderboard", "verify", entry)
    again = ("--level", "re-run", "--data", data, "--device", "cpu")
    said = cli("leaderboard", "verify", entry, *again, "--weights", runs[1])
    assert "1 of 3 runs: the level is not granted" in " ".join(said.split())
    assert Verification.read(entry / FILE_NAME).level == "recomputed"
    weights = [word for run in runs for word in ("--weights", run)]
    assert "re-run: passed" in cli("leaderboard", "verify", entry, *again, *weights)
    found = Verification.read(entry / FILE_NAME)
    assert found.level == "re-run"
    for name in ("top1", "mrr_val"):  # of rotations the evaluation judges more pairs than the list
        measured = [Results.read(run / "results.json").metrics["all"][name].value for run in runs]
        assert found.metrics["all"][name].per_seed == pytest.approx(measured, abs=1e-6)
    cli("leaderboard", "build", clone, "--out", tmp_path / "site")
    page = (tmp_path / "site" / "index.html").read_text()
    assert "SIE (ours)" in page
    top1 = found.metrics["all"]["top1"].value
    assert top1 is not None
    assert f"{top1:.3f}" in page
