"""The README's own lines.

Claims: every command line of the README is one that the program takes; those of the benchmark that
a laptop does in a minute run as they stand and leave what the README says.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from typer.main import get_command

from tests.data.builders import Plan, build
from threedie.benchmark.requests import parse_methods, parse_seeds
from threedie.benchmark.training.config import make_config
from threedie.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def lines() -> list[list[str]]:
    """Arguments of each `3die` line, without comments; lines with … stand for the one above."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    texts = [line for block in blocks for line in block.splitlines()]
    found = [shlex.split(t, comments=True) for t in texts if t.startswith(("3die ", "torchrun "))]
    kept = [words for words in found if "…" not in words]
    return [w[w.index("threedie") + 1 :] if w[0] == "torchrun" else w[1:] for w in kept]


@pytest.mark.parametrize("arguments", lines(), ids=" ".join)
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


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/demo in it: few pictures, as many objects as a batch needs."""
    folder = tmp_path_factory.mktemp("readme")
    objects = [f"o{i}" for i in range(12)]
    build(folder / "data" / "demo", Plan(objects=objects, views=4, size=64, image_format="jpg"))
    return folder


def quick() -> list[list[str]]:
    """The benchmark's lines that need nothing but data/demo and a minute."""
    wanted = [a for a in lines() if a[0] in ("bench", "eval", "compare")]
    return [a for a in wanted if "data/demo" not in a or {"smoke", "eval"} & set(a)]


def test_the_benchmark_runs_as_it_stands(workplace: Path) -> None:
    ran = []
    for arguments in quick():
        if "data/3diebench" in arguments:
            continue
        words = " ".join(arguments)
        globbed = [p for w in arguments for p in (sorted(workplace.glob(w)) if "*" in w else [w])]
        ended = subprocess.run(
            [sys.executable, "-m", "threedie", *map(str, globbed)],
            capture_output=True,
            text=True,
            cwd=workplace,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # a busy machine makes two wait forever
            check=False,
        )
        assert ended.returncode == 0, f"3die {words}\n{ended.stdout}\n{ended.stderr}"
        ran.append((arguments[0], ended.stdout))
    assert [verb for verb, _ in ran] == ["bench", "eval", "eval", "compare"]
    assert "chance" in ran[-1][1]
    run = workplace / "runs" / "sie-demo-smoke-s0"
    made = {p.name for p in run.iterdir()}
    assert {"config.json", "log.jsonl", "events", "checkpoints", "results.json"} <= made
    metrics = json.loads((run / "results.json").read_text())["metrics"]
    assert {"all", "inv", "equi"} == set(metrics)
