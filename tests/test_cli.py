"""The command line as users see it.

Claims: the verbs and their options are exactly these; help names them all; wrong usage is one line
and exit status 2, with the nearest name for a typo; a refused folder shows the difference.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from threedie.cli import app

VERBS = {
    "doctor": set(),
    "list": {"what"},
    "render": {
        "--meshes --classes --out --limit --objects --recipe --quality --views --size --seed "
        "--image-format --channel-order --split --val-list --latents --missing-texture "
        "--shard-size --workers --device --timeout --log --dry-run"
    },
    "verify": {"folder --rerender --meshes --seed"},
    "view": {"folder --out --per-class --views --sheet"},
}


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "threedie", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_verbs_and_options_are_pinned() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    found = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in commands.items()
    }
    pinned = {
        name: {o for line in options for o in line.split()} for name, options in VERBS.items()
    }
    assert found == pinned


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str) -> None:
    shown = run(verb, "--help")
    assert shown.returncode == 0
    assert verb in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["render", "--classes", "chiar"], "chair"),
        (["render", "--recipe", "3diebnch"], "3diebench"),
        (["render", "--quality", "standrd"], "standard"),
        (["render", "--size", "4"], "--size"),
        (["render", "--views", "0"], "--views"),
        (["render", "--limit", "-1"], "--limit"),
        (["render", "--workers", "many"], "--workers"),
        (["render", "--device", "quantum"], "quantum"),
        (["render", "--image-format", "gif"], "jpg or png"),
        (["render", "--channel-order", "brg"], "rgb or bgr"),
        (["render", "--missing-texture", "pink"], "fail or grey"),
        (["render", "--split", "random"], "leak-free"),
        (["render", "--split", "official"], "--val-list"),
        (["render", "--meshes", "no-such-folder"], "no-such-folder"),
        (["render", "--latents", "no-such.npz"], "no-such.npz"),
        (["render", "--objects", "no-such.txt"], "no-such.txt"),
        (["render", "--timeout", "0"], "--timeout"),
        (["render", "--no-such-option"], "No such option"),
        (["list", "everything"], "classes"),
        (["no-such-verb"], "No such command"),
    ],
)
def test_wrong_usage_is_a_clear_line_and_status_2(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.iterdir())  # nothing was written


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path) -> None:
    for verb in ("verify", "view"):
        ended = run(verb, str(tmp_path / "nothing"))
        assert ended.returncode == 1
        assert "dataset.json" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("what", "says"), [("classes", "airplane"), ("recipes", "yaw"), ("shapes", "mug")]
)
def test_lists(what: str, says: str) -> None:
    shown = run("list", what)
    assert shown.returncode == 0
    assert says in shown.stdout


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ended = run("--debug", "view", str(tmp_path / "nothing"))
    assert "Traceback" in ended.stderr
    assert ended.returncode == 1
