"""Claims proved here, on verifying an entry.

- verification.json holds what was recomputed, and nothing that the entry says; the same again is
  the same bytes; a refused entry gets none.
- A verification is of its files and its board: changed, it is stale, and its deeper levels go.
- A verification that contradicts itself, its entry or what its metrics can be is not shown.
- Whoever builds pages with `recompute` shows no number that the predictions do not give.
- The level is the highest passed for all runs with nothing failed below; steps are kept, and
  replaced by level.
- On the command line: a line for each check, a table, exit status 0, 1 or 2; torch is never loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data import builders
from tests.leaderboard import made
from threedie import cli
from threedie.errors import EntryError, ManifestError
from threedie.leaderboard.board import OpenBoard, open_board
from threedie.leaderboard.folder import read_entry
from threedie.leaderboard.selftests import write_selftests
from threedie.leaderboard.site.collect import collect
from threedie.leaderboard.verify import current, verify_entry, why_stale
from threedie.manifests.verification import LEVELS, Level, Step, Verification, highest

BY = "a test"


@pytest.fixture
def board(tmp_path: Path) -> OpenBoard:
    return made.make(tmp_path / "board")


def verified(folder: Path, board: OpenBoard, *steps: Step) -> Verification:
    found = verify_entry(folder, board, by=BY, today=made.TODAY, steps=steps)
    found.write(folder / "verification.json")
    return found


def step(level: Level, *, passed: bool = True, says: str = "done", runs: int = 3) -> Step:
    return Step(level=level, passed=passed, runs=runs, on=made.TODAY, says=says, checks=())


def test_it_holds_what_was_recomputed(board: OpenBoard) -> None:
    one = made.entry(board).set("reported", {"source": "T", "values": {"top1": 0.123454321}})
    found = verified(one.place(board), board)
    hits = [
        np.mean(
            made.predict(board, seed).top5["all"][:, 0]
            == board.truth.labels_N[board.truth.listed.object_M]
        )
        for seed in (0, 1, 2)
    ]
    assert found.metrics["all"]["top1"].per_seed == pytest.approx(hits, rel=1e-8)
    assert "0.123454321" not in found.model_dump_json()
    assert (found.id, found.level, found.by) == ("sie-ours", "recomputed", BY)
    assert found.seeds == (0, 1, 2)
    assert all(check.ok for check in found.checks)
    assert found.list_sha256 == board.truth.sha256


def test_a_forged_verification_is_written_over(board: OpenBoard) -> None:
    folder = made.entry(board).place(board)
    true = verified(folder, board).to_bytes()
    forged = json.loads(true)
    forged["metrics"]["all"]["top1"]["value"] = 0.99
    (folder / "verification.json").write_text(json.dumps(forged))
    assert verified(folder, board).to_bytes() == true
    (folder / "verification.json").write_bytes(b"\x80 no verification")
    assert current(folder, board) is None
    assert verified(folder, board).to_bytes() == true


FORGED = (
    ("value", lambda m: m.update(value=0.99)),
    ("high", lambda m: m.update(high=m["high"] + 0.001)),
    ("a seed", lambda m: m.update(per_seed=[0.99, *m["per_seed"][1:]])),
    ("nothing", lambda m: m.update(value=None, low=None, high=None, std=None, note="none")),
)


@pytest.mark.parametrize("forge", [f for _, f in FORGED], ids=[name for name, _ in FORGED])
def test_a_forged_number_is_not_shown_by_who_recomputes(
    board: OpenBoard, forge: Callable[[dict[str, Any]], None]
) -> None:
    folder = made.entry(board).place(board)
    verified(folder, board)
    assert [e.slug for e in collect(board.root, recompute=True).entries] == ["sie-ours"]
    forged = json.loads((folder / "verification.json").read_bytes())
    forge(forged["metrics"]["all"]["top1"])
    (folder / "verification.json").write_text(json.dumps(forged))
    assert collect(board.root).entries  # the board's own word
    stock = collect(board.root, recompute=True)
    assert stock.entries == ()
    assert [left.says for left in stock.left_out] == [
        "needs verification: all/top1 is not what the predictions give"
    ]


def _top1(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["metrics"]["all"]["top1"]
    return found


CONTRADICTIONS: tuple[tuple[str, Callable[[dict[str, Any]], None]], ...] = (
    ("level is 're-run', but its steps grant 're-probed'", lambda b: b.update(level="re-run")),
    ("level is 'retrained', but", lambda b: b.update(level="retrained")),
    ("level is 'reported', but", lambda b: b.update(level="reported")),
    ("its steps grant 'recomputed'", lambda b: b["steps"][0].update(runs=1)),
    ("its steps grant 'recomputed'", lambda b: b.update(steps=[])),
    ("each level can stand once", lambda b: b["steps"].append(b["steps"][0])),
    ("'recomputed' is no deeper", lambda b: b["steps"][0].update(level="recomputed")),
    (
        "'re-probed' is passed, but its check 'seen' is not",
        lambda b: b["steps"][0].update(checks=[{"name": "seen", "ok": False, "says": "no"}]),
    ),
    ("'files' is not ok", lambda b: b["checks"][0].update(ok=False)),
    ("its interval runs from", lambda b: _top1(b).update(low=0.9, high=0.8)),
    ("has 4 values for 3 seeds", lambda b: _top1(b)["per_seed"].append(0.5)),
    ("not in order, each once", lambda b: b.update(seeds=[0, 0, 1])),
    ("is of seeds [0, 1, 3]", lambda b: b.update(seeds=[0, 1, 3])),
    ("says all/top1 1.5, which can't be", lambda b: _top1(b).update(value=1.5)),
    ("says all/top1 -2, which can't be", lambda b: _top1(b).update(low=-2)),
    ("says all/top1 7, which can't be", lambda b: _top1(b).update(per_seed=[0.5, 7, 0.5])),
    ("NaN is not allowed", lambda b: _top1(b).update(value=float("nan"))),
)


@pytest.mark.parametrize(("says", "edit"), CONTRADICTIONS, ids=[says for says, _ in CONTRADICTIONS])
def test_an_edited_verification_contradicts_itself(
    board: OpenBoard, says: str, edit: Callable[[dict[str, Any]], None]
) -> None:
    folder = made.entry(board).place(board)
    verified(folder, board, step("re-probed"))
    assert collect(board.root).entries
    body = json.loads((folder / "verification.json").read_bytes())
    edit(body)
    (folder / "verification.json").write_text(json.dumps(body))
    stock = collect(board.root)
    assert stock.entries == ()
    (left,) = stock.left_out
    assert left.says.startswith("needs verification: ")
    assert says in left.says


@pytest.mark.parametrize("what", ["replicates", "metric", "part"])
def test_forged_replicates_and_foreign_metrics_are_not_shown_either(
    board: OpenBoard, what: str
) -> None:
    folder = made.entry(board).place(board)
    verified(folder, board)
    forged = json.loads((folder / "verification.json").read_bytes())
    if what == "replicates":
        forged["replicates"]["all/top1"][7] += 0.01
    elif what == "metric":
        forged["metrics"]["all"]["made_up"] = forged["metrics"]["all"]["top1"]
    else:
        del forged["metrics"]["equi"]
    (folder / "verification.json").write_text(json.dumps(forged))
    (left,) = collect(board.root, recompute=True).left_out
    assert left.says.startswith("needs verification: ")


def test_the_same_again_is_the_same_bytes(board: OpenBoard, tmp_path: Path) -> None:
    folder = made.entry(board).place(board)
    verified(folder, board)
    first = builders.tree(folder)
    verified(folder, board)
    assert builders.tree(folder) == first
    again = made.make(tmp_path / "again" / "board")
    elsewhere = made.entry(again).place(again)
    verified(elsewhere, again)
    assert builders.tree(elsewhere) == first


def test_self_tests_are_recomputed_too(board: OpenBoard) -> None:
    oracle = write_selftests(board, today=made.TODAY)[0]
    assert len(collect(board.root, recompute=True).selftests) == 3
    forged = json.loads((oracle / "verification.json").read_bytes())
    forged["metrics"]["all"]["top1"].update(value=0.5, low=0.5, high=0.5)
    (oracle / "verification.json").write_text(json.dumps(forged))
    assert len(collect(board.root).selftests) == 3
    stock = collect(board.root, recompute=True)
    assert [left.folder for left in stock.left_out] == ["selftests/oracle"]
    assert len(stock.selftests) == 2


def test_another_date_or_name_changes_only_these(board: OpenBoard) -> None:
    folder = made.entry(board).place(board)
    one = verify_entry(folder, board, by=BY, today="2026-03-04")
    two = verify_entry(folder, board, by="another", today="2027-01-01")
    assert two == one.model_copy(update={"by": "another", "verified": "2027-01-01"})


def test_a_refused_entry_is_not_verified(board: OpenBoard) -> None:
    one = made.entry(board).change(0, lambda i: replace(i, row_M=i.row_M[::-1]))
    with pytest.raises(EntryError, match="permuted-rows"):
        verify_entry(one.place(board), board, by=BY, today=made.TODAY)


@pytest.mark.parametrize("name", ["card.md", "submission.json", "cite.bib"])
def test_a_changed_entry_is_stale(board: OpenBoard, name: str) -> None:
    one = made.entry(board)
    folder = one.place(board)
    assert current(folder, board) is None  # nobody has verified it
    verified(folder, board)
    assert current(folder, board) is not None
    if name == "cite.bib":
        (folder / name).unlink()
    else:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b"\n")
    assert current(folder, board) is None
    verified(folder, board)
    assert current(folder, board) is not None


def test_a_verification_of_another_list_is_stale(board: OpenBoard, tmp_path: Path) -> None:
    folder = made.entry(board).place(board)
    found = verified(folder, board)
    entry = read_entry(folder)
    assert why_stale(entry, found, board) is None
    other = made.make(tmp_path / "other", made.truth(seed=4))
    assert "another protocol or list" in (why_stale(entry, found, other) or "")
    assert "has changed" in (why_stale(replace(entry, sha256="0" * 64), found, board) or "")


def test_deeper_steps_are_kept_while_the_entry_is_the_same(board: OpenBoard) -> None:
    folder = made.entry(board).place(board)
    assert verified(folder, board, step("re-probed")).level == "re-probed"
    found = verified(folder, board, step("re-run", says="first"))
    assert [s.level for s in found.steps] == ["re-probed", "re-run"]
    found = verified(folder, board, step("re-run", passed=False, says="again"))
    assert [(s.level, s.says) for s in found.steps] == [("re-probed", "done"), ("re-run", "again")]
    assert found.level == "re-probed"
    assert verified(folder, board) == found
    (folder / "card.md").write_text("# Another\n")
    found = verified(folder, board)
    assert (found.steps, found.level) == ((), "recomputed")


def test_the_level_is_the_highest_with_nothing_failed_below() -> None:
    assert highest((), 3) == "recomputed"
    assert highest([step("fresh-render")], 3) == "fresh-render"
    assert highest([step("fresh-render"), step("re-run", passed=False)], 3) == "recomputed"
    assert highest([step("re-probed"), step("re-run", passed=False)], 3) == "re-probed"
    assert LEVELS.index(highest([step("re-run"), step("re-probed")], 3)) == LEVELS.index("re-run")


def test_a_level_is_granted_for_all_runs_only(board: OpenBoard) -> None:
    folder = made.entry(board).place(board)  # of three runs
    found = verified(folder, board, step("re-run", runs=1))
    assert (found.level, [s.level for s in found.steps]) == ("recomputed", ["re-run"])
    assert highest([step("re-probed"), step("re-run", runs=2)], 3) == "re-probed"
    assert highest([step("re-run", runs=2), step("fresh-render")], 3) == "fresh-render"
    assert highest([step("re-run", runs=1, passed=False), step("fresh-render")], 3) == "recomputed"
    assert verified(folder, board, step("re-run")).level == "re-run"


def test_a_board_whose_files_disagree_is_refused(board: OpenBoard, tmp_path: Path) -> None:
    other = made.make(tmp_path / "other", made.truth(seed=4))
    (board.root / "truth.npz").write_bytes((other.root / "truth.npz").read_bytes())
    with pytest.raises(ManifestError, match="one of them was changed"):
        open_board(board.root)
    few = made.make(tmp_path / "few", made.truth(objects=3))
    (board.root / "truth.npz").write_bytes((few.root / "truth.npz").read_bytes())
    with pytest.raises(ManifestError, match="3 objects"):
        open_board(board.root)
    (board.root / "truth.npz").write_bytes(b"PK")
    with pytest.raises(ManifestError, match=r"not a whole truth\.npz"):
        open_board(board.root)
    (board.root / "truth.npz").unlink()
    with pytest.raises(ManifestError, match="leaderboard init"):
        open_board(board.root)


def ran(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["leaderboard", *map(str, arguments)])
    code = ended.value.code
    assert isinstance(code, int)
    return code


def test_check_says_a_line_for_each_thing(
    board: OpenBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = made.entry(board).place(board)
    assert ran("check", folder) == 0
    said = capsys.readouterr().out
    assert "rows: seed 2: 192 rows" in said
    assert "nothing wrong" in said
    assert not (folder / "verification.json").exists()
    made.entry(board).change(1, lambda i: replace(i, row_M=i.row_M[::-1])).write(folder)
    assert ran("check", folder, "--board", board.root) == 1
    said = capsys.readouterr().out
    assert "refused permuted-rows: runs/1/predictions.npz" in said.replace("\n", "")
    assert "refused: 1 problem" in said


def test_verify_writes_and_shows(
    board: OpenBoard, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    folder = made.entry(board, seeds=[0, 1]).place(board)
    assert ran("verify", folder, "--by", "me") == 0
    said = capsys.readouterr().out
    found = Verification.read(folder / "verification.json")
    assert found.by == "me"
    assert ran("verify", folder) == 0
    assert Verification.read(folder / "verification.json") == found  # its name too
    capsys.readouterr()
    assert f"{found.metrics['all']['top1'].value:.4f}" in said
    assert "Rotation R² unif., equi" in said
    assert "odd     few-seeds: 2 seeds" in said
    made.entry(board, seeds=[0, 1]).set("protocol.version", 9).write(folder)
    assert ran("verify", folder) == 1
    streams = capsys.readouterr()
    assert "refused wrong-protocol" in streams.out
    assert "error: wrong-protocol" in streams.err
    assert Verification.read(folder / "verification.json") == found  # and it is stale
    assert current(folder, board) is None


@pytest.mark.parametrize("seeds", [1, 3, 7])
def test_the_table_has_whole_lines(
    board: OpenBoard,
    seeds: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = made.entry(board, seeds=range(seeds)).place(board)
    assert ran("verify", folder) == 0
    said = capsys.readouterr().out
    rows = said[said.index("95 %") :].splitlines()[1:]
    metrics = Verification.read(folder / "verification.json").metrics
    known = [m for named in metrics.values() for m in named.values() if m.value is not None]
    assert [row for row in rows if row.startswith(("Light dir. R² unif. ", "MRR "))]
    assert len(known) == sum(" – " in row for row in rows)  # each of one line, with its interval
    assert "…" not in "".join(rows[: len(known)])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "."], "board.json"),
        (["check", ".", "--board", "s3://x/y"], "not an address"),
        (["verify", ".", "--level", "believed"], "recomputed"),
        (["verify", ".", "--by", "a\tb"], "--by"),
        (["verify", ".", "--by", "x" * 121], "--by"),
        (["check"], "Missing argument"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ran(*arguments) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_is_no_entry_is_told(
    board: OpenBoard, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran("verify", board.root / "entries", "--board", board.root) == 1
    assert "entries" in capsys.readouterr().err
    assert ran("check", board.root) == 1
    assert "submission.json is missing" in capsys.readouterr().out.replace("\n", " ")


def test_torch_and_blender_are_never_loaded(board: OpenBoard) -> None:
    folder = made.entry(board).place(board)
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'bpy', 'torchvision')))\n"
        "from threedie.cli import main\n"
        f"main(['leaderboard', 'verify', {str(folder)!r}])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert current(folder, board) is not None
