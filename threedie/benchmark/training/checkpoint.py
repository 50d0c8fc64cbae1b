"""Checkpoints: written whole, checked by their own hash, the newest two whole ones kept.

torch.load does not check its file: a flipped bit loads as other weights. So each
`step-00001234.pt` has a `.sha256` beside it (as sha256sum writes it), written *before* it: what was
killed in between is no checkpoint, and a checkpoint without its hash was damaged later.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from threedie import files
from threedie.errors import ConfigError, ManifestError

KEPT = 2
_NAME = re.compile(r"step-(\d{8,})\.pt")
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that was found whole."""

    path: Path
    step: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Its content too."""

    checkpoint: Checkpoint
    state: State


def save(folder: Path, step: int, state: Mapping[str, Any]) -> Checkpoint:
    """Write a checkpoint, look at it, and only then delete what is older than the newest two.

    Args:
        folder: the run's checkpoints; it must exist.
        step: global steps done.
        state: tensors, numbers, strings, and dicts and lists of them.

    Raises:
        StorageError: the disk is full or failing; the older ones are untouched.
        ManifestError: what is on disk is not what was written.
    """
    buffer = io.BytesIO()
    torch.save(_on_cpu(dict(state)), buffer)
    path, content = folder / f"step-{step:08d}.pt", buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    files.put(_hash_file(path), f"{digest}  {path.name}\n".encode())
    files.put(path, content)
    if files.sha256_file(path) != digest:
        raise ManifestError(f"{path} is not what was written: the disk or its memory is failing.")
    prune(folder)
    return Checkpoint(path, step, digest)


def newest(folder: Path, *, note: Callable[[str], None] = lambda text: None) -> Loaded | None:
    """The newest whole checkpoint; None where there is none at all.

    Args:
        folder: the run's checkpoints.
        note: told of every damaged one that is passed over.

    Raises:
        ManifestError: there are some, and all are damaged; or the newest whole one is none of ours.
    """
    damaged = []
    for path in _found(folder):
        content, wrong = _verified(path)
        if wrong is None:
            checkpoint = Checkpoint(path, _step(path), hashlib.sha256(content).hexdigest())
            return Loaded(checkpoint, parse(content, path))
        damaged.append(f"{path.name} {wrong}")
        note(f"{path} {wrong}; an older one is looked for.")
    if damaged:
        raise ManifestError(
            f"no whole checkpoint is left in {folder}: {'; '.join(damaged)}. Delete the run's "
            "folder to start anew, or fetch the files again."
        )
    return None


def parse(content: bytes, where: Path) -> State:
    """What a file of torch.save holds, without running code that it may hold.

    Raises:
        ManifestError: anything else: a pickle with code, another format, a compressed bomb.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
        if any(m.compress_type for m in members) or sum(m.file_size for m in members) > len(
            content
        ):
            raise ManifestError(f"{where} is compressed; a file of torch.save is not.")
        buffer = io.BytesIO(content)
        state = torch.load(buffer, map_location="cpu", weights_only=True)
    except ManifestError:
        raise
    except Exception as err:  # the unpickler raises whatever the bytes make it raise
        code = "Weights only load failed" in str(err)
        why = "it holds code (a pickle), which is never run" if code else str(err).split("\n")[0]
        raise ManifestError(f"{where} is refused: {why}. Expected: tensors by torch.save.") from err
    if not isinstance(state, dict):
        raise ManifestError(f"{where} holds a {type(state).__name__}; a dict was expected.")
    return state


def load_weights(module: nn.Module, weights: Mapping[str, Any], where: Path) -> None:
    """Fill a module, if every key and shape is its own.

    Raises:
        ConfigError: names the first differing keys or shapes; the module is untouched.
    """
    own = module.state_dict()
    kinds = {
        "missing": sorted(own.keys() - weights.keys()),
        "not expected": sorted(weights.keys() - own.keys()),
        "another shape": [
            f"{key} {_shape(weights[key])}, expected {_shape(own[key])}"
            for key in own
            if key in weights and _shape(own[key]) != _shape(weights[key])
        ],
    }
    wrong = [f"{kind}: {', '.join(keys[:3])}" for kind, keys in kinds.items() if keys]
    if wrong:
        raise ConfigError(
            f"{where} is a checkpoint of another method or encoder ({'; '.join(wrong)})."
        )
    module.load_state_dict(dict(weights))


def prune(folder: Path) -> None:
    """Delete all but the newest whole ones, if there is one."""
    paths, kept = _found(folder), set[str]()
    for path in paths:
        if len(kept) < KEPT and _verified(path)[1] is None:
            kept.add(path.name)
    for path in paths if kept else ():
        if path.name not in kept:
            path.unlink(missing_ok=True)
    for hashed in folder.glob("step-*.pt.sha256") if kept else ():
        if hashed.name.removesuffix(".sha256") not in kept:
            hashed.unlink(missing_ok=True)
    files.sweep(folder)


def _found(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(paths, key=_step, reverse=True)


def _step(path: Path) -> int:
    match = _NAME.fullmatch(path.name)
    return int(match[1]) if match else -1


def _hash_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _verified(path: Path) -> tuple[bytes, str | None]:
    """Its content, and what is wrong with it."""
    claimed = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        claimed = _hash_file(path).read_bytes()[:64].decode("ascii")
    if not re.fullmatch(r"[0-9a-f]{64}", claimed):
        return b"", "has no readable .sha256 beside it"
    try:
        content = path.read_bytes()
    except OSError as err:
        return b"", f"can't be read ({err.strerror})"
    if hashlib.sha256(content).hexdigest() != claimed:
        return b"", "is damaged (its SHA-256 is not the one beside it)"
    return content, None


def _shape(value: Any) -> tuple[int, ...] | str:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {key: _on_cpu(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_cpu(item) for item in value)
    return value
