"""The command line as users see it.

Claims: the verbs and their options are exactly these; help names them all; wrong usage is one line
and exit status 2, with the nearest name for a typo; a refused folder shows the difference.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tests.data import builders
from threedie import __version__, cli, doctor, listings
from threedie.cli import app
from threedie.errors import MissingExtra
from threedie.render import machine

VERBS = {
    "analyze": {"run --data --objects --angles --axis --out --probes --device --seed"},
    "bench": {
        "--method --data --preset --seeds --set --out --name --device --cache --compile --protocol "
        "--eval"
    },
    "check": {"targets --hub"},
    "compare": {"runs --format --out"},
    "convert": {
        "source --out --split --val-list --train-list --recipe --views --shard-size --channel-order"
    },
    "doctor": set(),
    "download": {"what --out --split --classes --jobs --from --accept-license --offline"},
    "eval": {
        "--data --checkpoint --encoder --method --protocol --pretrained --size --normalise --out "
        "--device --batch-size --probe-epochs --seed"
    },
    "export": {"folder --out --layout"},
    "leaderboard": set(),
    "leaderboard build": {"board --out --recompute"},
    "leaderboard changes": {"board revisions"},
    "leaderboard init": {"board --data --title --name --address --untrained"},
    "leaderboard check": {"entry --board"},
    "leaderboard serve": {"site --port"},
    "leaderboard verify": {
        "entry --board --level --data --weights --features --secret-seed --meshes --objects "
        "--views --device --by"
    },
    "leaderboard features": {"run --data --out --device"},
    "list": {"what"},
    "publish": {"folder destination --jobs --replace --tables"},
    "render": {
        "--meshes --classes --out --limit --objects --recipe --quality --views --size --seed "
        "--image-format --channel-order --split --val-list --latents --missing-texture "
        "--shard-size --workers --device --timeout --log --retry-failed --shard-range --engine "
        "--address --cpus-per-shard --gpus-per-shard --staging --dry-run"
    },
    "merge": {"target parts"},
    "report": {"runs --data --out --figures --allow-large"},
    "submit": {
        "runs --out --name --variant --contact --code --commit --paper --family --track --id "
        "--runs-started --tuned-on --selection --pretrained-weights --external "
        "--val-objects-used --weights-url --affiliated --card --cite --board --push --force"
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
    below = {
        f"{name} {verb}": command
        for name, group in commands.items()
        for verb, command in getattr(group, "commands", {}).items()
    }
    found = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in {**commands, **below}.items()
    }
    pinned = {
        name: {o for line in options for o in line.split()} for name, options in VERBS.items()
    }
    assert found == pinned


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_explains_itself(verb: str) -> None:
    shown = run(*verb.split(), "--help")
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
        (["render", "--timeout", "nan"], "--timeout"),
        (["render", "--log", "no-such-folder/log"], "no-such-folder"),
        (["render", "--meshes", ".", "--out", "here"], "outside the meshes"),
        (["render", "--meshes", "."], "outside the meshes"),
        (["verify", "nothing", "--rerender", "-1"], "--rerender"),
        (["verify", "nothing", "--seed", "-5"], "--seed"),
        (["view", "nothing", "--sheet", ""], "--sheet is empty"),
        (["bench", "--method", "sie", "--data", "d", "--out="], "--out is empty"),
        (["eval", "--data", "d", "--encoder", ""], "--encoder is empty"),
        (["compare", ""], "an argument is empty"),
        (["view", "nothing", "--sheet", "no-such-folder/a.png"], "no-such-folder"),
        (["view", "nothing", "--out", "page.txt"], ".html"),
        (["render", "--no-such-option"], "No such option"),
        (["convert", "no-such.tar", "--out", "d"], "no-such.tar"),
        (["convert", ".", "--out", "here"], "outside of them"),
        (["convert", "a.tar", "--out", "d", "--channel-order", "grb"], "auto, rgb, bgr"),
        (["convert", "a.tar", "--out", "d", "--views", "0"], "--views"),
        (["convert", "a.tar", "--out", "d", "--shard-size", "0"], "--shard-size"),
        (["convert", "a.tar", "--out", "d", "--recipe", "yow"], "Did you mean 'yaw'"),
        (["convert", "a.tar", "--out", "d", "--split", "random"], "leak-free"),
        (["convert", "a.tar", "--out", "d", "--val-list", "no-such.npy"], "no-such.npy"),
        (["convert", "a.tar", "--out", "d", "--train-list", "t.npy"], "--val-list"),
        (["export", "nothing", "--out", "d", "--layout", "imagenet"], "Known: official"),
        (["export", "nothing", "--out", "a.tar.gz"], "give a .tar"),
        (["bench", "--method", "seie", "--data", "d"], "Did you mean 'sie'"),
        (["bench", "--method", ",", "--data", "d"], "--method is empty"),
        (["bench", "--method", "sie", "--data", "d", "--preset", "papier"], "'paper'"),
        (["bench", "--method", "sie", "--data", "d", "--protocol", "v1"], "3die-v1"),
        (["bench", "--method", "sie", "--data", "d", "--seeds", "1-"], "0,1,2 or 0-4"),
        (["bench", "--method", "sie", "--data", "d", "--seeds", "0-9999"], "0,1,2 or 0-4"),
        (["bench", "--method", "sie,vicreg", "--data", "d", "--name", "x"], "one method"),
        (["bench", "--method", "sie", "--data", "d", "--name", "a/b"], "name of a folder"),
        (["bench", "--method", "sie", "--data", "d", "--set", "epoch=1"], "epochs"),
        (["bench", "--method", "sie", "--data", "d", "--set", "epochs=x"], "epochs"),
        (["bench", "--method", "sie", "--data", "d", "--set", "seed=1"], "--seeds"),
        (["bench", "--method", "sie", "--data", "d", "--device", "tpu"], "cuda"),
        (["eval", "--data", "d"], "--checkpoint"),
        (["eval", "--data", "d", "--encoder", "resnet81"], "resnet18"),
        (["eval", "--data", "d", "--encoder", "resnet18", "--protocol", "x"], "sie-2023"),
        (["eval", "--data", "no-such-folder", "--encoder", "resnet18"], "no-such-folder"),
        (["analyze", "no-such-run", "--data", "d"], "no-such-run"),
        (["analyze", ".", "--data", "no-such-folder"], "no-such-folder"),
        (["analyze", ".", "--data", ".", "--axis", "x,w"], "x, y, z"),
        (["analyze", ".", "--data", ".", "--angles", "1"], "--angles"),
        (["compare", "no-such-run"], "no-such-run"),
        (["compare"], "Missing argument"),
        (["report", "no-such-run"], "no-such-run"),
        (["submit", "no-such-run", "--out", "entry"], "no-such-run"),
        (["submit", "no-such-run"], "--out is missing"),
        (["submit", "s3://bucket/run", "--out", "entry"], "not an address"),
        (["leaderboard", "init", "b", "--data", "no-such-data"], "--title"),
        (["leaderboard", "changes", ".", "main"], "BASE..HEAD"),
        (["report", "."], "3die bench"),
        (["report", ".", "--out", "page.txt"], ".html"),
        (["report", ".", "--out", "no-such-folder/a.html"], "no-such-folder"),
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
    nothing = str(tmp_path / "nothing")
    bench = ("bench", "--method", "sie", "--data", nothing, "--out", str(tmp_path / "runs"))
    for arguments in (("verify", nothing), ("view", nothing), bench):
        ended = run(*arguments)
        assert ended.returncode == 1
        assert "dataset.json" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("classes", "airplane"),
        ("recipes", "yaw"),
        ("shapes", "mug"),
        ("methods", "equimod-vicreg"),
        ("presets", "paper"),
        ("protocols", "sie-2023"),
    ],
)
def test_lists(what: str, says: str) -> None:
    shown = run("list", what)
    assert shown.returncode == 0
    assert says in shown.stdout


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    ended = run("--debug", "view", str(tmp_path / "nothing"))
    assert "Traceback" in ended.stderr
    assert ended.returncode == 1


def test_version() -> None:
    shown = run("--version")
    assert (shown.returncode, shown.stdout) == (0, f"threedie {__version__}\n")


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_every_verb_stops_with_status_1(
    which: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(listings, "print_classes", lambda _: signal.raise_signal(which))
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main(["list", "classes"])
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "stopped.\n"


def test_a_name_of_markup_is_a_name(tmp_path: Path) -> None:
    ended = run("verify", "[/x]", cwd=tmp_path)
    assert ended.returncode == 1
    assert "[/x]" in ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_or_narrow_stdout_is_no_traceback() -> None:
    command = [sys.executable, "-m", "threedie", "list", "classes"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ascii_only = subprocess.run(command, capture_output=True, env=env, check=False)
    assert (ascii_only.returncode, ascii_only.stderr) == (0, b"")


def test_a_current_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import shutil; shutil.rmtree({str(gone)!r}); from threedie import cli; cli.main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "render", "--meshes", "x"],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "current folder" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_doctor_fails_where_blender_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise MissingExtra("bpy", "render", why="libXi.so.6: cannot open shared object file")

    monkeypatch.setattr(machine, "probe_blender", broken)
    monkeypatch.setattr(doctor, "_version", lambda _: "1.0")
    with pytest.raises(SystemExit) as ended:
        cli.main(["doctor"])
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "libxi6" in said
    assert "3die doctor" not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("download", "set", "--out", "s3://bucket/set"),
        ("convert", "set.tar", "--out", "s3://bucket/set"),
        ("convert", "https://host/set.tar", "--out", "set"),
        ("export", "set", "--out", "gs://bucket/set"),
        ("publish", "s3://me:word@bucket/set", "other"),
        ("verify", "hf://datasets/me/set"),
        ("check", "set", "s3://bucket/set"),
        ("merge", "set", "s3://bucket/part"),
        ("bench", "--out", "s3://bucket/runs"),
        ("leaderboard", "check", "s3://bucket/entry"),
    ],
)
def test_an_address_is_no_folder(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`s3://bucket/set` as a path is a folder `s3:`, and the user would look in the bucket."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "a path on this machine is wanted here, not an address" in told
    assert "word" not in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish", "set", ""),
        ("publish", "set", "s3://"),
        ("download", "", "--out", "a"),
        ("download", "set", "--out", ""),
        ("convert", "set", "--out", ""),
        ("export", "set", "--out="),
        ("render", "--classes", "chair", "--out", ""),
        ("bench", "--data", "set", "--out="),
        ("analyze", "set", "--data", "set", "--out", ""),
        ("report", "set", "--out", ""),
    ],
)
def test_an_empty_address_is_none(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of an unset variable, say: nothing goes to the current folder."""
    builders.build(tmp_path / "set", builders.Plan(views=1))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(SystemExit) as ended:
        cli.main([a.replace("set", "../set") for a in arguments])
    assert ended.value.code == 2
    assert ("is empty" in (told := capsys.readouterr().err)) or "names no bucket" in told
    assert not list((tmp_path / "here").iterdir())
