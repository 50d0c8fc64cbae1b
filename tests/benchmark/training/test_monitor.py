"""Claims proved here, on what is said of a run.

- Not at a terminal: plain lines, at most every ten seconds and one at the end, with rate, ETA and
  losses; at a terminal a bar with the same.
- TensorBoard gets every number of a row, grouped; a resumed run replaces what was taken back.
- W&B is used when asked for, a resumed run is the same there, and its absence is one line.
- Events that can't be written any more are told once, and stop nothing.
- A collapse is told once. The log drops lines that were taken back, and a damaged one is an error.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from tests.benchmark.training.tiny import config_of
from threedie.benchmark.training.log import Log, read_log
from threedie.benchmark.training.monitor import Monitor
from threedie.errors import ConfigError, ManifestError

ROW = {
    "step": 4,
    "pairs": 32,
    "epoch": 0.8,
    "seconds": 3.0,
    "loss": 1.5,
    "variance": 0.25,
    "pairs_per_s": 77.0,
    "data_wait": 0.01,
    "online_top1": 0.5,
    "repr_std": 0.4,
    "repr_corr": 0.1,
    "repr_rank": 9.0,
}


def monitor(folder: Path, console: Console | None, **options: Any) -> Monitor:
    config = config_of("sie", **{"wandb": False, **options})
    return Monitor(console, config, folder / "events", steps=10, first=2)


def test_plain_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, out = [100.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    said = monitor(tmp_path, Console(file=out, width=60))
    for step, at in ((4, 104.0), (6, 112.0), (8, 116.0), (10, 117.0)):
        now[0] = at
        said.step(step)
        said.row({**ROW, "step": step})
    said.close()
    lines = out.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["sie s0: step 6/10", "sie s0: step 10/10"]
    assert "77 pairs/s, ETA 0:00:12, loss 1.5 · variance 0.25 · online_top1 0.5" in lines[0]


def test_a_bar_at_a_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    said = monitor(tmp_path, Console(file=out, force_terminal=True, width=160))
    said.step(4)
    said.row(ROW)
    said.note("[look] at this")
    said.close()
    for part in ("sie s0", "4/10", "77 pairs/s", "ETA", "loss 1.5", "[look] at this"):
        assert part in out.getvalue()


def test_nobody_is_told_without_a_console(tmp_path: Path, capsys: Any) -> None:
    said = monitor(tmp_path, None)
    said.row({**ROW, "step": 10})
    said.note("x")
    said.close()
    assert capsys.readouterr().out == ""


def test_tensorboard_gets_the_row(tmp_path: Path) -> None:
    said = monitor(tmp_path, None)
    said.row(ROW)
    said.close()
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    tags = set(events.Tags()["scalars"])
    assert {"train/loss", "train/variance", "train/data_wait", "online/top1", "repr/rank"} <= tags
    assert "train/step" not in tags
    [event] = events.Scalars("train/loss")
    assert (event.step, event.value) == (4, 1.5)


def test_tensorboard_forgets_what_was_taken_back(tmp_path: Path) -> None:
    for steps in ((2, 4, 6), (3, 5)):
        said = monitor(tmp_path, None)  # goes on after step 2
        for step in steps:
            said.row({**ROW, "step": step})
        said.close()
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [2, 3, 5]


def test_events_on_a_full_disk_stop_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    said = monitor(tmp_path, Console(file=out, width=300))
    said.row(ROW)

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        for step in (5, 6):
            said.row({**ROW, "step": step})
    said.close()
    assert out.getvalue().count("events are not logged from here on: no space left for") == 1
    events = EventAccumulator(str(tmp_path / "events")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [4]
    monkeypatch.setattr(os, "pwrite", full)
    monitor(tmp_path, None).close()  # full from the beginning


def test_wandb_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    names: list[Any] = []
    run = SimpleNamespace(
        log=lambda row, step: calls.append((step, row["loss"])), finish=lambda: calls.append("end")
    )

    def init(**options: Any) -> Any:
        calls.append(options["config"]["method"])
        names.append((options["name"], options["id"], options["resume"]))
        return run

    fake = SimpleNamespace(init=init)
    monkeypatch.setitem(sys.modules, "wandb", fake)
    for _ in range(2):
        said = monitor(tmp_path, None, wandb=True)
        said.row(ROW)
        said.close()
    assert calls == ["sie", (4, 1.5), "end"] * 2
    assert names[0] == names[1]
    assert names[0][::2] == (tmp_path.name, "allow")


def test_wandb_absent_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ConfigError, match="wandb is not installed: pip install wandb"):
        monitor(tmp_path, None, wandb=True)


def test_collapse_is_told_once(tmp_path: Path) -> None:
    out = io.StringIO()
    said = monitor(tmp_path, Console(file=out, width=200))
    for _ in range(3):
        said.warn_of_collapse({**ROW, "repr_std": 1e-5})
    said.close()
    assert out.getvalue().count("the representation is collapsing") == 1


def test_the_log_drops_what_was_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path, before_step=0)
    for step in (2, 4, 6):
        log.add({"step": step})
    log.write()
    again = Log(path, before_step=4)
    again.add({"step": 5})
    again.write()
    assert read_log(path) == [{"step": 2}, {"step": 4}, {"step": 5}]
    assert read_log(tmp_path / "none") == []


@pytest.mark.parametrize("content", [b'{"step": 1}\n{"st', b"[1]\n", b'{"a": 1}\n', b"\xff\n"])
def test_a_damaged_log_is_an_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(content)
    with pytest.raises(ManifestError, match=r"log\.jsonl is damaged"):
        read_log(tmp_path / "log.jsonl")
