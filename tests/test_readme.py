"""The lines of the README, of docs and of the Makefile.

Claims: every command line of them is one that the program takes; those of the README's benchmark
that a laptop does in a minute run as they stand and leave what the README says; so do the parts of
docs/cluster.md. `make demo` ends with a report where the README says, that is no run of the next.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import click
import pytest
from typer.main import get_command

from tests.data.builders import Plan, build
from threedie.benchmark.requests import parse_methods, parse_seeds
from threedie.benchmark.training.config import make_config
from threedie.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def lines(page: Path = PAGES[0]) -> list[list[str]]:
    """Arguments of each `3die` line, without comments; lines with … stand for the one above."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    texts = [line.strip() for block in blocks for line in block.splitlines()]
    found = [shlex.split(t, comments=True) for t in texts if t.startswith(("3die ", "torchrun "))]
    kept = [words for words in found if "…" not in words]
    return [w[w.index("threedie") + 1 :] if w[0] == "torchrun" else w[1:] for w in kept]


def make_lines(*targets: str) -> list[list[str]]:
    """What `make` would run of the program, with its variables filled in."""
    if shutil.which("make") is None:
        return []
    usual = ["VENV=.venv", "RUNS=runs", "DEMO=data/demo"]  # whatever a `make test` around was given
    command = ["make", "--dry-run", "--directory", str(ROOT), *usual, *targets]
    bare = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=bare).stdout
    return [shlex.split(t)[1:] for t in said.splitlines() if t.startswith(".venv/bin/3die ")]


def all_lines() -> list[list[str]]:
    """Those of all pages and of the Makefile, each once."""
    found = [w for p in PAGES for w in lines(p)] + make_lines("demo", "ladder", "small")
    return [list(words) for words in dict.fromkeys(map(tuple, found))]


@pytest.mark.parametrize("arguments", all_lines(), ids=" ".join)
def test_every_line_is_taken(arguments: list[str]) -> None:
    verb, *rest = arguments
    command = get_command(app).commands[verb]  # type: ignore[attr-defined]
    with click.Context(command) as context:
        found = command.make_context(verb, list(rest), parent=context).params
    if verb == "bench":
        for seed in parse_seeds(found["seeds"]):
            for method in parse_methods(found["method"]):
                make_config(
                    method=method,
                    data=found["data"],
                    preset=found["preset"],
                    seed=seed,
                    settings=found["settings"] or (),
                )


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_the_demo_ends_with_a_report() -> None:
    *_, compare, report = make_lines("demo")
    page = PurePosixPath(report[report.index("--out") + 1])
    assert (compare[0], report[0], page.suffix) == ("compare", "report", ".html")
    assert report[1] == compare[1]  # the same runs, as a glob, and of them is no page
    assert not fnmatch(str(page), report[1])
    assert str(page) in PAGES[0].read_text(encoding="utf-8")


def run(words: list[str], cwd: Path) -> str:
    """What a line says; it must do well."""
    ended = subprocess.run(
        [sys.executable, "-m", "threedie", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # a busy machine makes two wait forever
        check=False,
    )
    assert ended.returncode == 0, f"3die {' '.join(words)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.mark.bpy
def test_parts_are_rendered_and_merged_as_docs_say(tmp_path: Path) -> None:
    small = ["--limit", "1", "--views", "2", "--size", "16", "--shard-size", "8", "--workers", "1"]
    section = [w for w in lines(ROOT / "docs" / "cluster.md") if "--engine" not in w]
    at_hand = [[w.replace("/shared", str(tmp_path)) for w in words] for words in section]
    done = [w for w in at_hand if not any(c in " ".join(w) for c in ("s3://", "ShapeNet"))]
    assert [w[0] for w in done] == ["render", "render", "merge"] * 2
    for words in done:
        run([*words, *(small if words[0] == "render" else [])], tmp_path)
    run(["render", "--out", "at-once", *small], tmp_path)
    for name in ("demo", "whole"):
        whole = sorted((tmp_path / "at-once").rglob("*.*"))
        assert [p.read_bytes() for p in whole if p.is_file()] == [
            (tmp_path / name / p.relative_to(tmp_path / "at-once")).read_bytes()
            for p in whole
            if p.is_file()
        ]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/demo in it: few pictures, as many objects as a batch needs."""
    folder = tmp_path_factory.mktemp("readme")
    objects = [f"o{i}" for i in range(12)]
    build(folder / "data" / "demo", Plan(objects=objects, views=4, size=64, image_format="jpg"))
    return folder


def quick() -> list[list[str]]:
    """The benchmark's lines that need nothing but data/demo and a minute."""
    local = [a for a in lines() if "://" not in " ".join(a)]
    wanted = [a for a in local if a[0] in ("bench", "eval", "compare")]
    return [a for a in wanted if "data/demo" not in a or {"smoke", "eval"} & set(a)]


def test_the_benchmark_runs_as_it_stands(workplace: Path) -> None:
    ran = []
    for arguments in quick():
        if "data/3diebench" in arguments:
            continue
        globbed = [p for w in arguments for p in (sorted(workplace.glob(w)) if "*" in w else [w])]
        ran.append((arguments[0], run([str(word) for word in globbed], workplace)))
    assert [verb for verb, _ in ran] == ["bench", "eval", "eval", "compare"]
    assert "chance" in ran[-1][1]
    folder = workplace / "runs" / "sie-demo-smoke-s0"
    made = {p.name for p in folder.iterdir()}
    assert {"config.json", "log.jsonl", "events", "checkpoints", "results.json"} <= made
    metrics = json.loads((folder / "results.json").read_text())["metrics"]
    assert {"all", "inv", "equi"} == set(metrics)
