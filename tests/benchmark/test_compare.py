"""Several results as one table.

Claims: seeds become mean ± standard deviation; other data, protocols or settings never share a
table or a row; a run is counted once; a broken file costs itself only, and is not told within a
table for a file; cells can't be markup, formulas, table borders or codes of a terminal.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from threedie.benchmark.compare import compare, compare_runs, print_tables, to_csv, to_markdown
from threedie.benchmark.grouping import Entry, read_entries
from threedie.errors import ConfigError
from threedie.manifests.results import Results


def results(name: str = "sie", seed: int = 0, top1: float | None = 0.5, **changes: Any) -> Results:
    number = {"value": top1, "n": 7, "note": None if top1 is not None else "no labels"}
    body: dict[str, Any] = {
        "encoder": {
            "name": name,
            "config": {"lr": 0.001, "seed": seed},
            "checkpoint_sha256": None,
            "dim": 4,
            "parts": {"all": (0, 4)},
        },
        "protocol": {"name": "3die-v1", "version": 1, "settings": {}},
        "dataset": {
            "hash": "ab" * 32,
            "recipe": "yaw",
            "size": 64,
            "views": 20,
            "splits": {"val": {"objects": 7, "hash": "cd" * 32}},
            "classes": 3,
        },
        "seed": seed,
        "versions": {"threedie": "0", "torch": "0", "numpy": "0", "python": "3"},
        "device": "cpu",
        "finished": "2026-01-01T00:00:00Z",
        "seconds": {"total": 1.0},
        "metrics": {"all": {"top1": number}},
        "chance": {"top1": {"value": 0.25, "n": 7}},
        "references": {},
        "curves": {},
        "per_class": {},
    }
    for path, value in changes.items():
        target = body
        *parents, last = path.split("__")
        for key in parents:
            target = target[key]
        target[last] = value
    return Results.model_validate(body)


def entries(*found: Results) -> list[Entry]:
    return [Entry(Path(f"{i}.json"), r) for i, r in enumerate(found)]


def test_seeds_become_mean_and_spread() -> None:
    (table,) = compare(entries(results(seed=0, top1=0.4), results(seed=1, top1=0.6)))
    chance, row = table.rows
    assert (chance.name, row.name, row.seeds) == ("chance", "sie", [0, 1])
    text = to_markdown([table])
    assert "| sie | 2 | 0.500 ± 0.141 |" in text  # the standard deviation has n − 1 = 1 below it
    assert "| chance | – | 0.250 |" in text


def test_what_can_not_be_compared_stands_apart() -> None:
    others = [
        results(protocol__version=2),
        results(protocol__changed=("probe_epochs",)),
        results(dataset__hash="ef" * 32),
    ]
    assert len(compare(entries(results(), *others))) == 4


def test_other_settings_are_another_row() -> None:
    changed = results(seed=1, encoder__config={"lr": 0.1})
    (table,) = compare(entries(results(), changed))
    assert [row.name for row in table.rows] == ["chance", "sie (1)", "sie (2)"]
    assert [len(row.seeds) for row in table.rows[1:]] == [1, 1]


def test_an_undefined_number_is_a_dash() -> None:
    (table,) = compare(entries(results(top1=None), results("vicreg")))
    assert "| sie | 1 | – |" in to_markdown([table])


def test_cells_are_text() -> None:
    hostile = compare(entries(results("=cmd|'x'!A1<script>[red]\n| a")))
    markdown = to_markdown(hostile)
    assert "<script>" not in markdown
    assert len(markdown.splitlines()) == 6  # heading, blank, head, rule, chance, the one row
    rows = list(csv.reader(io.StringIO(to_csv(hostile))))
    assert all(not cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    out = Console(file=io.StringIO(), width=200)
    print_tables(hostile, out)
    assert "[red]" in out.file.getvalue()  # type: ignore[attr-defined]


def test_a_name_moves_no_cursor() -> None:
    (table,) = compare(entries(results("a\x1b[2Jb")))
    assert table.rows[1].name == "a?[2Jb"


def test_a_run_that_is_named_twice_is_one_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, found in (("a", results()), ("copy", results()), ("b", results(seed=1, top1=0.7))):
        (tmp_path / name).mkdir()
        found.write(tmp_path / name / "results.json")
    out = Console(file=io.StringIO(), width=200)
    runs = [tmp_path / name for name in ("a", "copy", "b", "a")]
    compare_runs(runs, form="csv", target=None, console=out)
    lines = csv.reader(io.StringIO(out.file.getvalue()))  # type: ignore[attr-defined]
    assert [line[2:6] for line in lines if line[1] == "sie"] == [["2", "all", "top1", "0.6"]]
    told = capsys.readouterr().err
    assert told.count("left out: ") == 2
    assert f"{tmp_path}/copy/results.json: the same method, settings and seed as" in told


def test_a_broken_file_costs_itself_only(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad):
        folder.mkdir()
    results().write(good / "results.json")
    (bad / "results.json").write_text("{")
    found, left_out = read_entries([bad, good, tmp_path / "gone"])
    assert [entry.path for entry in found] == [good / "results.json"]
    assert len(left_out) == 2
    with pytest.raises(ConfigError, match="there are no results"):
        read_entries([bad])


def test_written_where_asked(tmp_path: Path) -> None:
    results().write(tmp_path / "results.json")
    out = Console(file=io.StringIO(), width=100)
    for name in ("t.md", "t.csv"):
        compare_runs([tmp_path], form="table", target=tmp_path / name, console=out)
    assert "| sie | 1 | 0.500 |" in (tmp_path / "t.md").read_text()
    assert "sie,1,all,top1,0.5," in (tmp_path / "t.csv").read_text()
    with pytest.raises(ConfigError, match=r"\.md or \.csv"):
        compare_runs([tmp_path], form="table", target=tmp_path / "t.txt", console=out)
