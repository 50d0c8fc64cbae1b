"""Claims proved here: the command in the page makes the same run; text in it can't become shell."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

from tests.benchmark.report.cases import body, changed, record, run_folder
from threedie.benchmark.grouping import read_entries
from threedie.benchmark.report.command import evaluation_command, training_command
from threedie.benchmark.report.runs import Run, read_groups
from threedie.benchmark.training.config import RunConfig, make_config


def run_of(folder: Path, config: dict[str, object] | None, **changes: object) -> Run:
    beside = None if config is None else {**record(), "config": config}
    run_folder(folder, changed(body(), **changes), config=beside)
    (group,) = read_groups(read_entries([folder])[0])
    return group.runs[0]


def config_of(words: list[str]) -> RunConfig:
    """What `3die bench` would make of the command."""
    options = dict(zip(words[2::2], words[3::2], strict=True))
    settings = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    return make_config(
        method=options["--method"],
        data="d",
        preset=options["--preset"],
        seed=int(options["--seeds"]),
        settings=[*settings, f"device={options['--device']}"],
    )


@pytest.mark.parametrize("preset", ["smoke", "small", "ladder", "paper"])
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["epochs=100"],
        ["pairs=640"],
        ["lr=0.01", "schedule=cosine", "projector=64,64", "equi_factor=0.9"],
        ["predictor=mlp", "predictor_hidden=32", "precision=bf16"],
    ],
)
def test_the_command_makes_the_same_run(tmp_path: Path, preset: str, settings: list[str]) -> None:
    made = make_config(method="sie", data="d", preset=preset, seed=3, settings=settings)
    run = run_of(tmp_path, json.loads(json.dumps(dataclasses.asdict(made))))
    again = config_of(shlex.split(str(training_command(run))))
    assert again.identity() == made.identity()


def test_evaluation(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", record()["config"])
    assert evaluation_command(run) == "3die eval --checkpoint RUN --data DATASET --seed 0"
    quick = run_of(
        tmp_path / "b",
        record()["config"],
        protocol__name="sie-2023",
        protocol__changed=["rotation"],
        protocol__settings={"rotation": {"epochs": 2}},
    )
    assert evaluation_command(quick).endswith("--protocol sie-2023 --seed 0 --probe-epochs 2")
    alone = run_of(tmp_path / "c", None, encoder__config={"encoder": "timm:x", "pretrained": True})
    assert training_command(alone) is None
    assert "--encoder timm:x --pretrained" in evaluation_command(alone)


def test_text_is_one_word(tmp_path: Path) -> None:
    config = {**record()["config"], "method": "a; rm -rf ~ $(x) `y` 'z'", "preset": "$HOME"}
    words = shlex.split(str(training_command(run_of(tmp_path, config))))
    assert words[3].startswith("a; rm -rf ~ $(x) `y` 'z'")
    assert words[7] == "$HOME"
