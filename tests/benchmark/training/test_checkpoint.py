"""Claims proved here, on checkpoints.

- What is saved is loaded, bit for bit; the hash beside it is sha256sum's form.
- The newest two whole ones are kept; an older one goes only when a newer one is whole.
- Killed before any operation of a save, a whole checkpoint is left, and the next save cleans up.
- A flipped bit anywhere, a cut, or a lost hash make the one before it the newest, with a note; when
  none is left that is an error.
- A pickle with code, another format and a compressed file are refused, and the code is not run.
- Weights of another method or encoder name the first differing keys and shapes, and change nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from threedie import files
from threedie.benchmark.training import checkpoint
from threedie.benchmark.training.checkpoint import load_weights, newest, parse, save
from threedie.errors import ConfigError, ManifestError


def state(step: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(step)
    weights = {"a": torch.randn(3, 4, generator=generator), "n": torch.tensor(step)}
    return {"method": weights, "optimizer": {"lr": 0.1, "list": [1, "x"]}, "probes": None}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def step_of(folder: Path) -> int:
    found = newest(folder)
    return -1 if found is None else found.checkpoint.step


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    saved = save(tmp_path, 7, state(7))
    found = newest(tmp_path)
    assert found is not None
    assert found.checkpoint == saved
    assert saved.path == tmp_path / "step-00000007.pt"
    assert torch.equal(found.state["method"]["a"], state(7)["method"]["a"])
    assert found.state["optimizer"] == {"lr": 0.1, "list": [1, "x"]}
    assert saved.sha256 == hashlib.sha256(saved.path.read_bytes()).hexdigest()
    check = ["sha256sum", "--check", "--quiet", f"{saved.path.name}.sha256"]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0


def test_memory_formats_and_shared_tensors_survive(tmp_path: Path) -> None:
    weight = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    save(tmp_path, 1, {"weight": weight, "part": weight[0]})
    found = newest(tmp_path)
    assert found is not None
    assert torch.equal(found.state["weight"], weight)
    assert found.state["weight"].stride() == weight.stride()


def test_equal_states_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert save(tmp_path / "a", 3, state(3)).sha256 == save(tmp_path / "b", 3, state(3)).sha256


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert newest(tmp_path / "absent") is None


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 5, 9, 100_000_000):
        save(tmp_path, step, state(step))
    kept = ["step-00000009.pt", "step-100000000.pt"]
    assert names(tmp_path) == sorted([*kept, *(f"{name}.sha256" for name in kept)])
    assert step_of(tmp_path) == 100_000_000


def test_an_older_one_stays_while_the_newer_is_damaged(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step, state(step))
    flip(tmp_path / "step-00000002.pt", 999)
    save(tmp_path, 3, state(3))
    assert [n for n in names(tmp_path) if n.endswith(".pt")] == [
        "step-00000001.pt",
        "step-00000003.pt",
    ]


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_any_operation_something_whole_is_left(
    torn: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writes (none of it, or half of it in a temporary file) and deletions."""
    for at in range(12):
        folder = tmp_path / str(at)
        folder.mkdir()
        for step in (1, 2):
            save(folder, step, state(step))
        with monkeypatch.context() as patch:
            reached = _kill_at(at, patch, torn=torn)
            with contextlib.suppress(Killed):
                save(folder, 3, state(3))
        assert step_of(folder) in (2, 3)
        assert step_of(folder) == (3 if reached() >= 2 else 2)
        save(folder, 4, state(4))
        assert len(names(folder)) == 4
        assert step_of(folder) == 4
        if reached() < at:
            return
    pytest.fail("a save has more operations than were tried")


def _kill_at(at: int, patch: pytest.MonkeyPatch, *, torn: bool) -> Any:
    """Die before operation `at`; the count of those that were done."""
    done = 0

    def counted(operation: Any, tear: Any = None) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            if done == at:
                if torn and tear is not None:
                    tear(*args)
                raise Killed
            result = operation(*args, **kwargs)
            done += 1
            return result

        return wrapped

    def tear(path: Path, content: bytes) -> None:
        dead = f"{files._HOST}.{os.getpid()}.0123456789abcdef"  # our number, of an earlier life
        path.with_name(f".{path.name}.{dead}.tmp").write_bytes(content[:40])

    patch.setattr(files, "put", counted(files.put, tear))
    patch.setattr(Path, "unlink", counted(Path.unlink))
    return lambda: done


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    save(tmp_path, 1, state(1))
    path = save(tmp_path, 2, state(2)).path
    notes: list[str] = []
    for bit in range(0, path.stat().st_size * 8, 501):
        flip(path, bit)
        found = newest(tmp_path, note=notes.append)
        assert found is not None
        assert found.checkpoint.step == 1
        flip(path, bit)
    assert step_of(tmp_path) == 2
    assert "step-00000002.pt is damaged" in notes[0]
    assert "an older one is looked for" in notes[0]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "is damaged"),
        (lambda p: p.write_bytes(b""), "is damaged"),
        (lambda p: (p.parent / f"{p.name}.sha256").unlink(), r"no readable \.sha256"),
        (lambda p: (p.parent / f"{p.name}.sha256").write_bytes(b"\xff\xfe"), "no readable"),
        (lambda p: (p.unlink(), p.mkdir()), "can't be read"),
    ],
)
def test_the_last_one_damaged_is_an_error(harm: Any, said: str, tmp_path: Path) -> None:
    harm(save(tmp_path, 1, state(1)).path)
    with pytest.raises(ManifestError, match=rf"no whole checkpoint is left in .*{said}"):
        newest(tmp_path)


def test_a_hash_without_its_file_is_no_checkpoint(tmp_path: Path) -> None:
    """What a kill in the very first save leaves."""
    (tmp_path / "step-00000001.pt.sha256").write_text("0" * 64)
    assert newest(tmp_path) is None


def test_a_disk_that_lies_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1, state(1))
    put = files.put

    def lying(path: Path, content: bytes) -> Any:
        return put(path, content[:-1] + b"?" if path.suffix == ".pt" else content)

    monkeypatch.setattr(files, "put", lying)
    with pytest.raises(ManifestError, match="not what was written"):
        save(tmp_path, 2, state(2))
    assert step_of(tmp_path) == 1


class Exploit:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def bytes_of(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    content = bytes_of({"method": Exploit(evil)})
    with pytest.raises(ManifestError, match="it holds code"):
        parse(content, tmp_path / "step-00000001.pt")
    assert not evil.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "refused"),
        (b"PK\x03\x04 nonsense", "refused"),
        (b"\x80\x04N.", "refused"),
        (bytes_of(torch.zeros(3)), "holds a Tensor; a dict"),
        (bytes_of([1, 2]), "holds a list; a dict"),
        (bytes_of({"a": 1}, _use_new_zipfile_serialization=False), "refused"),
    ],
)
def test_other_files_are_refused(content: bytes, said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        parse(content, Path("x.pt"))


def test_a_compressed_file_is_refused() -> None:
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(bytes_of({"a": torch.zeros(1000)}))) as plain,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member))
    with pytest.raises(ManifestError, match="is compressed"):
        parse(out.getvalue(), Path("bomb.pt"))


def test_other_weights_are_named_and_change_nothing() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = {key: value.clone() for key, value in module.state_dict().items()}
    weights: dict[str, Any] = nn.Sequential(nn.Linear(3, 5), nn.Linear(4, 4)).state_dict()
    weights["2.extra"] = 7
    with pytest.raises(ConfigError, match="another method or encoder") as error:
        load_weights(module, weights, Path("x.pt"))
    for part in ("missing: 1.num_batches", "not expected: 2.extra", "0.weight (5, 3), expected"):
        assert part in str(error.value)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


def test_a_number_in_place_of_a_tensor_is_another_shape() -> None:
    module = nn.Linear(2, 2, bias=False)
    with pytest.raises(ConfigError, match=r"weight float, expected \(2, 2\)"):
        load_weights(module, {"weight": 1.0}, Path("x.pt"))


def test_the_number_kept_is_two() -> None:
    assert checkpoint.KEPT == 2
