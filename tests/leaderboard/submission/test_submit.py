"""Entries made of runs.

Claims proved here:

- What is packed is the runs' predictions byte for byte, under a submission that has no number of
  results.json in it; the same runs, declaration and day give the same bytes.
- Everything that is missing or wrong is named at once, each with what to do; nothing is written.
- Runs that are not seeds of one method, on one data set, by one protocol are refused with what
  differs; so are predictions of another evaluation, and unfinished runs.
- No path, host or token of whoever trained gets into the entry; a card that names one is noted.
- An entry appears whole: a stop at any write leaves no folder of its name, and the next try works;
  another entry or a foreign folder in its place is not touched without --force.
- Neither torch nor Blender is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.data.builders import tree
from tests.leaderboard.runs import TODAY, data_set, declared, made_run, three_runs
from threedie import files
from threedie.errors import ConfigError, ManifestError
from threedie.leaderboard.folder import entry_sha256
from threedie.leaderboard.submission.declared import slug_of
from threedie.leaderboard.submission.packed_texts import private_lines
from threedie.leaderboard.submission.submit import Packed, SubmitRequest, submit

NAMES = {"submission.json", "card.md", "config.json", "cite.bib"}
PREDICTIONS = {f"runs/{seed}/predictions.npz" for seed in (0, 1, 2)}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_set(tmp_path_factory.mktemp("board") / "demo")


@pytest.fixture
def runs(tmp_path: Path, data: Path) -> tuple[Path, ...]:
    return three_runs(tmp_path / "runs", data)


def pack(runs: tuple[Path, ...], out: Path | None, *, today: str = TODAY, **changes: Any) -> Packed:
    """Submit with a whole declaration, and changes to it or to the request."""
    own = {key: changes.pop(key) for key in ("card", "cite", "force") if key in changes}
    request = SubmitRequest(runs=runs, out=out, declared=declared(**changes), **own)
    return submit(request, today=today)


def test_an_entry_holds_the_predictions_and_no_result(
    runs: tuple[Path, ...], tmp_path: Path
) -> None:
    packed = pack(runs, tmp_path / "out")
    folder = tmp_path / "out" / "sie-ours"
    assert packed.entry.path == folder
    assert set(tree(folder)) == NAMES | PREDICTIONS
    for run, seed in zip(runs, (0, 1, 2), strict=True):
        there = (folder / f"runs/{seed}/predictions.npz").read_bytes()
        assert there == (run / "predictions.npz").read_bytes()
    entry = packed.entry.submission
    assert (entry.id, entry.submitted, entry.track) == ("sie-ours", TODAY, "closed")
    assert entry.method.family == "equivariant"  # threedie knows its own methods
    assert entry.submitter.name == "Jane Doe"
    assert entry.submitter.contact == "jane@example.org"
    assert entry.selection.how == "last-epoch"
    assert entry.compute.hours_per_run == 0.5
    assert [one.seed for one in entry.runs] == [0, 1, 2]
    assert entry.runs[1].weights is not None
    assert entry.runs[1].weights.url == "https://example.org/weights/1.pt"
    assert entry.reported is None
    assert "0.5" not in json.dumps(json.loads(entry.model_dump_json())["method"])
    assert packed.entry.sha256 == entry_sha256(tree(folder))


def test_the_order_of_runs_decides_nothing(runs: tuple[Path, ...], tmp_path: Path) -> None:
    first = pack(runs, tmp_path / "a")
    second = pack(runs[::-1], tmp_path / "b")
    assert tree(first.entry.path) == tree(second.entry.path)


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path, data: Path) -> None:
    whole = made_run(tmp_path / "runs" / "a", data, 0)
    bare = made_run(tmp_path / "runs" / "b", data, 1, predictions=False)
    with pytest.raises(ConfigError) as caught:
        pack(
            (whole, bare, tmp_path / "gone"),
            None,
            name=None,
            contact=None,
            code="ftp://example.org",
            commit="c0ffee",
            runs_started=None,
            tuned_on=None,
            paper="javascript:alert(1)",
            external=True,
            card=tmp_path / "no-card.md",
        )
    says = str(caught.value)
    for part in (
        "--name is missing",
        "--contact is missing",
        "--code is 'ftp://example.org'",
        "--commit is 'c0ffee'",
        "--runs-started is missing",
        "--tuned-on is missing: what settings were chosen on: nothing, train-holdout, other-data",
        "--paper is 'javascript:alert(1)'",
        "that is the open track",
        "no-card.md: No such file",
        f"{tmp_path / 'gone'}",
        "--out is missing",
        f"{bare / 'predictions.npz'} is missing",
        f"`3die eval --checkpoint {bare} --data {data}`",
    ):
        assert part in says, part
    assert says.count("--contact") == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"slug": "../../etc"}, "--id is '../../etc'"),
        ({"slug": "A"}, "--id is 'A'"),
        ({"name": "???"}, "no id can be made of --name '???'; give --id: 3 to 40 of a-z"),
        ({"name": "x" * 121}, "--name is 'xxx"),
        ({"name": "a\u202eb"}, "--name is"),
        ({"runs_started": 2}, "3 runs are submitted"),
        ({"tuned_on": "val"}, "--tuned-on is 'val'"),
        ({"track": "half-open"}, "--track is 'half-open'"),
        ({"family": "magic"}, "--family is 'magic'"),
        ({"selection": "two\nlines"}, "--selection is"),
        ({"pretrained_weights": "ImageNet"}, "that is the open track"),
        ({"val_objects_used": True}, "that is the open track"),
        ({"weights_url": "http://x.y/{seed}"}, "--weights-url is 'http://x.y/0'"),
    ],
)
def test_a_declaration_that_can_not_be_is_told_by_its_option(
    runs: tuple[Path, ...], tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match="no entry was written") as caught:
        pack(runs, tmp_path / "out", **changes)
    told = str(caught.value)
    assert says in told
    assert "1 thing to mend" in told  # once, and not of each run
    assert not any(word in told for word in ("Value error", "pattern", "String", "Input", "runs.0"))
    assert not (tmp_path / "out").exists()


def test_what_may_be_better_is_a_note(tmp_path: Path, data: Path) -> None:
    two = tuple(made_run(tmp_path / f"r{s}", data, s, weights=False) for s in (4, 9))
    packed = pack(two, tmp_path / "out", code=None, commit=None, weights_url=None)
    said = "\n".join(packed.notes)
    assert "2 seeds: it will be shown and not ranked" in said
    assert "no --code" in said
    assert "no checkpoint beside the results of seed 4, 9" in said


def test_a_place_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path}/nope: no run is there") as caught:
        pack((tmp_path / "nope",), tmp_path / "out")
    assert "compare" not in str(caught.value)


def test_the_cards_command_makes_all_seeds(runs: tuple[Path, ...], tmp_path: Path) -> None:
    card = (pack(runs, tmp_path / "out").entry.path / "card.md").read_text()
    assert "--seeds 0,1,2 " in card


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"config": {"lr": 0.1}}, "lr: 0.001 (sie-0), 0.1 (b)"),
        ({"encoder__name": "vicreg"}, "method: sie (sie-0), vicreg (b)"),
        ({"dataset__hash": "00" * 32}, "were not measured alike"),
        ({"protocol__version": 2}, "were not measured alike"),
        ({"protocol__changed": ["rotation"]}, "evaluated otherwise than 3die-v1 says (rotation)"),
        ({"encoder__config": {"seed": 7, "step": 40, "lr": 0.001}}, "trained for 40 of 100 steps"),
    ],
)
def test_runs_that_do_not_belong_together_are_told_apart(
    tmp_path: Path, data: Path, other: dict[str, Any], says: str
) -> None:
    runs = (
        made_run(tmp_path / "sie-0", data, 0),
        made_run(tmp_path / "b", data, 7, **other),
    )
    with pytest.raises(ConfigError) as caught:
        pack(runs, tmp_path / "out")
    assert says in str(caught.value)


def test_an_encoder_of_ones_own_goes_too(tmp_path: Path, data: Path) -> None:
    """What `3die eval --encoder` leaves: no config.json, and a name that threedie does not know."""
    own: dict[str, Any] = {
        "encoder__name": "mine:net",
        "encoder__config": {"encoder": "mine:net", "seed": 5},
    }
    run = made_run(tmp_path / "a", data, 5, recorded=False, weights=False, **own)
    with pytest.raises(ConfigError, match="--family is missing: one of equivariant, invariant"):
        pack((run,), tmp_path / "out")
    packed = pack((run,), tmp_path / "out", family="invariant")
    assert packed.entry.submission.model.backbone == "mine:net"
    config = json.loads((packed.entry.path / "config.json").read_bytes())
    assert config == {"schema_version": 1, "config": {"encoder": "mine:net", "seed": 5}}
    (run / "predictions.npz").unlink()
    with pytest.raises(ConfigError, match="`3die eval --encoder mine:net --checkpoint FILE"):
        pack((run,), tmp_path / "out")


def test_a_run_is_no_second_seed(runs: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the same method, settings and seed"):
        pack((*runs, runs[0]), tmp_path / "out")


def test_predictions_of_another_evaluation_are_refused(
    runs: tuple[Path, ...], tmp_path: Path
) -> None:
    files.put(runs[1] / "predictions.npz", (runs[0] / "predictions.npz").read_bytes())
    with pytest.raises(ConfigError) as caught:
        pack(runs, tmp_path / "out")
    assert "seed 0, not 1" in str(caught.value)
    files.put(runs[1] / "predictions.npz", b"PK\x03\x04 and no more")
    with pytest.raises(ConfigError, match="not a whole npz file"):
        pack(runs, tmp_path / "out")


def test_a_checkpoint_that_has_moved_on_is_refused(runs: tuple[Path, ...], tmp_path: Path) -> None:
    files.put(runs[2] / "checkpoints" / "step-00000100.pt", b"trained on")
    with pytest.raises(ConfigError, match="of a checkpoint that is not in"):
        pack(runs, tmp_path / "out")


def test_a_stopped_run_goes_with_a_rule(tmp_path: Path, data: Path) -> None:
    run = made_run(tmp_path / "a", data, 3, config={"step": 40})
    rule = "the step with the lowest training loss"
    packed = pack((run,), tmp_path / "out", selection=rule)
    assert packed.entry.submission.selection.how == "fixed-rule"
    assert packed.entry.submission.selection.rule == rule


def test_no_machine_of_the_submitter_is_in_the_entry(tmp_path: Path, data: Path) -> None:
    private = {
        "data": "/home/jane/secret-project/demo",
        "settings": {"teacher": "/mnt/cluster-7/teacher.pt", "hf_token": "hf_" + "a1" * 12},
        "note": "see https://jane:pw@build-host.lab.internal/x?token=abcdefgh",
    }
    run = made_run(tmp_path / "a", data, 0, config=private)
    packed = pack((run,), tmp_path / "out")
    everything = b"\n".join(tree(packed.entry.path).values())
    for word in ("/home/jane", "secret-project", "cluster-7", "hf_a1", "build-host", "pw@"):
        assert word.encode() not in everything, word
    config = json.loads((packed.entry.path / "config.json").read_bytes())
    assert config["config"]["data"] == "demo"  # and what was learnt from is still said
    assert config["config"]["batch_size"] == 32


def test_a_card_of_the_submitter_is_kept_and_looked_at(
    runs: tuple[Path, ...], tmp_path: Path
) -> None:
    card = tmp_path / "mine.md"
    card.write_bytes(b"# Ours\r\nsee https://example.org/a/b\r\nweights in /home/jane/w.pt\r\n")
    packed = pack(runs, tmp_path / "out", card=card)
    kept = (packed.entry.path / "card.md").read_bytes()
    assert kept == b"# Ours\nsee https://example.org/a/b\nweights in /home/jane/w.pt\n"
    assert any("card.md, line 3 names a place" in note for note in packed.notes)
    assert list(private_lines("token=abc\nfine\nC:\\Users\\me")) == [1, 3]


def test_a_template_takes_names_for_text(runs: tuple[Path, ...], tmp_path: Path) -> None:
    name = "<script>alert(1)</script> [x](javascript:1) }\\input{/etc/passwd}"
    folder = pack(runs, tmp_path / "out", name=name, slug="tricky").entry.path
    card, cite = (folder / "card.md").read_text(), (folder / "cite.bib").read_text()
    assert "<script>" not in card
    assert "[x](" not in card
    assert "\\input{" not in cite
    assert cite.count("{") - cite.count("\\{") == cite.count("}") - cite.count("\\}")


def stop_at(monkeypatch: pytest.MonkeyPatch, write: int, stop: Callable[[], None]) -> None:
    honest, seen = os.write, []

    def counted(descriptor: int, piece: bytes) -> int:
        seen.append(descriptor)
        if len(seen) > write:
            stop()
        return honest(descriptor, piece)

    monkeypatch.setattr(os, "write", counted)


def _interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("write", range(0, 14, 3))
def test_a_stop_at_any_write_leaves_no_half_entry(
    runs: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_at(patch, write, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            pack(runs, out)
    assert not out.exists() or not list(out.iterdir())
    assert set(tree(pack(runs, out).entry.path)) == NAMES | PREDICTIONS


KILLED = """
import os, sys, signal
from pathlib import Path
from tests.leaderboard.submission.test_submit import pack
honest, seen = os.write, []
def counted(descriptor, piece):
    seen.append(1)
    if len(seen) > 10:
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(descriptor, piece)
os.write = counted
pack(tuple(map(Path, sys.argv[2:])), Path(sys.argv[1]))
"""


def test_a_kill_leaves_no_half_entry(runs: tuple[Path, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(out), *map(str, runs)]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    assert subprocess.run(command, check=False, env=env).returncode == -9
    assert [p.name for p in out.iterdir() if not p.name.startswith(".")] == []
    assert len(list(out.iterdir())) == 1  # what it was writing
    pack(runs, out)
    assert [p.name for p in out.iterdir()] == ["sie-ours"]


def test_an_entry_in_the_way_is_kept_unless_asked(runs: tuple[Path, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = tree(pack(runs, out).entry.path)
    assert tree(pack(runs, out).entry.path) == before  # the same again is no harm
    with pytest.raises(ManifestError, match=r"another entry \(card.md, submission.json differ\)"):
        pack(runs, out, runs_started=9)
    assert tree(out / "sie-ours") == before
    packed = pack(runs, out, runs_started=9, force=True)
    assert packed.entry.submission.selection.runs_started == 9


def test_a_folder_that_is_no_entry_is_never_replaced(
    runs: tuple[Path, ...], tmp_path: Path
) -> None:
    theirs = tmp_path / "out" / "sie-ours" / "thesis.tex"
    files.make_directory(theirs.parent)
    files.put(theirs, b"years of work")
    with pytest.raises(ManifestError, match="is no entry"):
        pack(runs, tmp_path / "out", force=True)
    assert theirs.read_bytes() == b"years of work"


def test_slugs_are_made_of_names() -> None:
    made = {name: slug_of(name) for name in ("SIE (ours)", "Équi–Mod №2", "..", "a" * 60, "-/-")}
    assert made == {
        "SIE (ours)": "sie-ours",
        "Équi–Mod №2": "equi-mod-no2",
        "..": None,
        "a" * 60: "a" * 40,
        "-/-": None,
    }


def test_neither_torch_nor_blender_is_loaded() -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['bpy'] = None\n"
        "import threedie.leaderboard.submission.submit, threedie.leaderboard.submission.push\n"
        "import threedie.leaderboard.checks.check, threedie.leaderboard.selftests\n"
        "import threedie.leaderboard.init, threedie.cli.submit"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
