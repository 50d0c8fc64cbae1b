"""Splits by object: which objects are train and which are val.

hash       a keyed hash of (class, object): about 80/20 in every class, and an object never changes
           sides when others are added. Numbered objects (`chair-0007`) are dealt in blocks of five,
           one of which is val, so that small sets are balanced too.
official   the published val list (facebookresearch/SIE, val_images.npy): what is in it is val.
leak-free  a hash of the object id alone: an id that sits in several classes stays on one side
           (in the published split, 423 ids have one copy in train and another in val).
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from threedie.errors import ConfigError
from threedie.manifests.classes import find_class

SPLITS = ("hash", "official", "leak-free")
SplitRule = Callable[[str, str], str]
"""(class id, object id) -> "train" or "val"."""
BROKEN_ARRAY = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, EOFError,
    RuntimeError, SyntaxError, tokenize.TokenError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy raises for a crafted .npy or .npz: it parses the header as Python text."""

_NUMBERED = re.compile(r"^(?P<stem>.*[-_])(?P<number>\d{1,6})$")
_BLOCK = 5  # one in five is val
_MAX_LIST_BYTES = 256 * 2**20


def split_rule(name: str, *, val_list: Path | None = None) -> SplitRule:
    """The rule with this name.

    Raises:
        ConfigError: unknown name, or `official` without its list, a list that can't be read,
            or a list that the rule would not use.
    """
    if name in SPLITS and name != "official" and val_list is not None:
        raise ConfigError(
            f"--val-list {val_list} was given, but --split is {name}, which uses no list; "
            "give --split official too, or leave --val-list out."
        )
    if name == "hash":
        return _by_hash
    if name == "leak-free":
        return lambda class_id, object_id: _val_if(_fraction("id", object_id) < 1 / _BLOCK)
    if name != "official":
        raise ConfigError(f"unknown split '{name}'. Known: {', '.join(SPLITS)}.")
    if val_list is None:
        raise ConfigError(
            "the official split needs the published val list: --val-list val_images.npy "
            "(facebookresearch/SIE, data/val_images.npy)."
        )
    listed = set(read_object_list(val_list))
    return lambda class_id, object_id: _val_if((canonical_class(class_id), object_id) in listed)


def _by_hash(class_id: str, object_id: str) -> str:
    family = canonical_class(class_id)
    if match := _NUMBERED.match(object_id):
        block, place = divmod(int(match["number"]), _BLOCK)
        return _val_if(int(_fraction(family, match["stem"], str(block)) * _BLOCK) == place)
    return _val_if(_fraction(family, object_id) < 1 / _BLOCK)


def _fraction(*names: str) -> float:
    digest = hashlib.sha256("\0".join(("threedie-split", *names)).encode()).digest()
    return float(int.from_bytes(digest[:6], "big") / 2**48)


def canonical_class(class_id: str) -> str:
    """The synset id of a known class, by its name or id; any other name as it is."""
    known = find_class(class_id)
    return known.synset if known else class_id


def _val_if(condition: bool) -> str:
    return "val" if condition else "train"


def read_object_list(path: Path) -> list[tuple[str, str]]:
    """Read a list of objects.

    Args:
        path: `.npy` of strings, (N, 2) as (class, object) or (N,) as "/class/object/", as in
            facebookresearch/SIE; or a text file with one `class/object` a line (# comments).

    Returns:
        (class, object) pairs; a known class as its synset id.

    Raises:
        ConfigError: unreadable, pickled, or not such a list; names the line or the shape.
    """
    try:
        size = path.stat().st_size
        if size > _MAX_LIST_BYTES:
            raise ConfigError(f"{path}: {size} bytes are too many for a list of objects.")
        content = path.read_bytes()
    except OSError as err:
        raise ConfigError(f"cannot read the object list {path}: {err.strerror}.") from err
    if content.startswith(b"\x93NUMPY"):
        return _from_npy(path, content)
    return _from_text(path, content)


def _from_npy(path: Path, content: bytes) -> list[tuple[str, str]]:
    try:
        rows = np.load(io.BytesIO(content), allow_pickle=False)
    except BROKEN_ARRAY as err:
        raise ConfigError(
            f"{path} is not a plain array of strings: {str(err)[:200]} ({type(err).__name__}); "
            "save the list again, or as text with one <class>/<object> a line."
        ) from err
    if rows.dtype.kind == "U" and rows.ndim == 2 and rows.shape[1] == 2:
        return [(canonical_class(str(c)), str(o)) for c, o in rows]
    if rows.dtype.kind == "U" and rows.ndim == 1:
        return [_pair(path, number, str(row)) for number, row in enumerate(rows, 1)]
    raise ConfigError(
        f"{path} holds {rows.dtype} of shape {rows.shape}; strings of shape (N, 2) or (N,) "
        "were expected."
    )


def _from_text(path: Path, content: bytes) -> list[tuple[str, str]]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as err:
        raise ConfigError(f"{path} is neither a .npy file nor UTF-8 text.") from err
    bare = ((number, line.split("#")[0].strip()) for number, line in enumerate(lines, 1))
    return [_pair(path, number, line) for number, line in bare if line]


def _pair(path: Path, number: int, text: str) -> tuple[str, str]:
    class_id, slash, object_id = text.strip("/").partition("/")
    if not (slash and class_id and object_id) or "/" in object_id:
        raise ConfigError(f"{path}, entry {number}: '{text[:80]}' is not <class>/<object>.")
    return canonical_class(class_id), object_id
