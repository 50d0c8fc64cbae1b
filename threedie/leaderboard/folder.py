"""An entry's folder, read as what it is: files from a stranger.

Known names only, plain files only, bounded; nothing is followed, nothing is waited for, nothing is
unpacked. What the files say is judged elsewhere (leaderboard.checks.check).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from threedie.benchmark.evaluation import items
from threedie.errors import EntryError, ManifestError
from threedie.manifests import entries, verification
from threedie.manifests.entries import Submission, parse_submission
from threedie.words import room

CARD, CONFIG, CITATION, STATUS = "card.md", "config.json", "cite.bib", "status.json"
MOST_BYTES = 5_000_000
"""Of all that a submitter gives."""
REQUIRED = (entries.FILE_NAME, CARD, CONFIG)
_SMALL = {
    entries.FILE_NAME: entries.MAX_BYTES,
    CARD: 64 * 2**10,
    CONFIG: 64 * 2**10,
    CITATION: 16 * 2**10,
    verification.FILE_NAME: 4 * 2**20,
    STATUS: 16 * 2**10,
}
_RUN = re.compile(r"runs/\d{1,9}")
_PREDICTIONS = re.compile(rf"runs/\d{{1,9}}/{re.escape(items.FILE_NAME)}")
_MOST_NAMES = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryFiles:
    """What an entry's folder holds."""

    path: Path
    submission: Submission
    contents: Mapping[str, bytes]
    """By path in the folder, with `/`; verification.json and status.json too, where they are."""
    sha256: str
    """`entry_sha256` of the contents."""


def read_entry(path: Path) -> EntryFiles:
    """Read an entry's folder.

    Args:
        path: the folder, not trusted.

    Raises:
        EntryError: a link, a device, a foreign or missing file, too much of anything, a
            submission.json of another form.
    """
    contents = read_folder(path)
    where = f"{path.name}/{entries.FILE_NAME}"
    try:
        submission = parse_submission(contents[entries.FILE_NAME], where)
    except ManifestError as err:
        raise EntryError("submission", str(err)) from err
    return EntryFiles(
        path=path, submission=submission, contents=contents, sha256=entry_sha256(contents)
    )


def read_folder(path: Path) -> dict[str, bytes]:
    """The files of an entry's folder, by path in it.

    Raises:
        EntryError: as `read_entry`, but for what submission.json says.
    """
    there = {name for name, _ in _listed(path, str(path))}
    if not there:
        raise EntryError("empty", f"{path}: the folder is empty. `3die submit` packs an entry.")
    if missing := [name for name in REQUIRED if name not in there]:
        raise EntryError("missing-file", f"{path}: {missing[0]} is missing.")
    contents = dict(_files(path))
    if not any(_PREDICTIONS.fullmatch(name) for name in contents):
        raise EntryError("missing-file", f"{path}: no run: runs/<seed>/{items.FILE_NAME}.")
    total = sum(len(contents[name]) for name in contents if is_submitted(name))
    if total > MOST_BYTES:
        raise EntryError(
            "too-large", f"{path}: {room(total)} in all; {room(MOST_BYTES)} at most are allowed."
        )
    return contents


def is_submitted(name: str) -> bool:
    """Whether a file of an entry is its submitter's, and not a maintainer's or the verifier's."""
    return name not in (verification.FILE_NAME, STATUS)


def entry_sha256(contents: Mapping[str, bytes]) -> str:
    """SHA-256 over names and contents of a submitter's files, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(filter(is_submitted, contents)):
        for part in (name.encode(), contents[name]):
            digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every file with its content; folders that an entry does not have are not entered."""
    waiting, seen = [""], 0
    while waiting:
        folder = waiting.pop()
        for name, mode in _listed(path / folder, f"{path.name}/{folder}".rstrip("/")):
            inside, seen = f"{folder}/{name}" if folder else name, seen + 1
            shown = f"{path.name}/{inside}"
            if seen > _MOST_NAMES:
                raise EntryError("too-large", f"{path}: more than {_MOST_NAMES} files and folders.")
            if stat.S_ISDIR(mode) and (inside == "runs" or _RUN.fullmatch(inside)):
                waiting.append(inside)
            elif (most := _most_bytes(inside)) is None:
                raise EntryError(
                    "foreign-file", f"{shown!r}: an entry has no such file. Remove it."
                )
            else:
                yield inside, read_plain(path / inside, most, shown)


def _listed(folder: Path, shown: str) -> list[tuple[str, int]]:
    """(name, mode) of what is in a folder, which must be one and no link."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise EntryError("no-folder", f"{shown!r}: a folder is expected, no link and no file.")
        found = []
        with os.scandir(folder) as scanned:
            for one in scanned:
                found.append((one.name, one.stat(follow_symlinks=False).st_mode))
                if len(found) > _MOST_NAMES:
                    break
    except OSError as err:
        raise EntryError("unreadable", f"{shown!r}: {err.strerror}.") from err
    return sorted(found)


def _most_bytes(name: str) -> int | None:
    """How large a file of this name can be; None: an entry has no such file."""
    if _PREDICTIONS.fullmatch(name):
        return items.MAX_BYTES
    return _SMALL.get(name)


def read_plain(path: Path, most: int, shown: str) -> bytes:
    """A plain file's content: no link is followed, no pipe waited for, no more than `most` read.

    Args:
        path: the file.
        most: bytes it can have.
        shown: its name, for messages.

    Raises:
        EntryError: anything else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as err:
        if path.is_symlink():
            raise EntryError(
                "link", f"{shown!r} is a link; an entry has plain files only."
            ) from err
        raise EntryError("unreadable", f"{shown!r}: {err.strerror}.") from err
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise EntryError("no-plain-file", f"{shown!r} is no plain file.")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(most + 1)
    except OSError as err:
        raise EntryError("unreadable", f"{shown!r}: {err.strerror}.") from err
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise EntryError("too-large", f"{shown!r}: larger than {room(most)}, which is the most.")
    return content
