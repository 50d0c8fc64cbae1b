"""Claims proved here, on the verbs.

- `3die convert` ends with 0, with 3 where objects were set aside, and says what it found out and
  what to do next; again it says that everything is there. `3die export` says what it wrote.
- Of a set as large as the official one, mean and deviation stand beside the published ones, in the
  files' order of channels.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sharing.conftest import convert
from tests.sharing.published import CHAIR, published, tar
from threedie.sharing.convert import command as convert_command

SET = published(order="bgr")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "threedie", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_convert_and_export_say_how_it_went(tmp_path: Path) -> None:
    archive, out, back = tmp_path / "set.tar", tmp_path / "out", tmp_path / "back.tar"
    archive.write_bytes(tar(SET))
    first = run("convert", archive, "--out", out)
    assert first.returncode == 0, first.stderr
    assert "channel order bgr: floor hue 0." in first.stdout
    assert "8 objects converted in " in first.stdout
    assert f"3die verify {out}" in first.stdout
    again = run("convert", archive, "--out", out)
    assert again.returncode == 0
    assert "nothing left to convert: everything is there." in again.stdout
    exported = run("export", out, "--out", back)
    assert exported.returncode == 0
    assert "8 of 8 objects written. Its pictures are bgr" in exported.stdout
    assert "all 8 objects are there" in run("export", out, "--out", back).stdout


def test_objects_that_are_set_aside_give_status_three(tmp_path: Path) -> None:
    archive, out = tmp_path / "set.tar", tmp_path / "out"
    archive.write_bytes(tar({**SET, f"{CHAIR}/a1/image_0.jpg": b"junk"}))
    for _ in range(2):
        done = run("convert", archive, "--out", out)
        assert done.returncode == 3
        assert "1 object set aside: see" in done.stdout


def test_a_damaged_archive_is_one_line(tmp_path: Path) -> None:
    archive = tmp_path / "set.tar"
    archive.write_bytes(tar(SET)[:20_000])
    done = run("convert", archive, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: set.tar: at byte ")


def test_the_official_set_is_compared(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = convert(tar(SET), out)
    mean = outcome.manifest.pixel_mean
    as_in_the_files = " ".join(f"{value:.4f}" for value in mean[::-1])
    (line,) = [x for x in convert_command.conclusion(outcome) if x.startswith("pixel mean")]
    assert line.startswith(f"pixel mean {as_in_the_files}, deviation ")
    assert "published" not in line
    monkeypatch.setattr(convert_command, "N_OBJECTS", 8)
    (line,) = [x for x in convert_command.conclusion(outcome) if x.startswith("pixel mean")]
    assert "published: 0.5016 0.5037 0.5060 and 0.1030 0.0999 0.0969" in line
    apart = max(abs(a - b) for a, b in zip(mean[::-1], (0.5016, 0.5037, 0.5060), strict=True))
    assert float(line.split()[-4]) >= round(apart, 4)
