"""`3die check`: are shards safe for any reader, and what would the hub's builder lose of them?

Takes our data sets, and anybody's tars. Problems are told and counted; nothing is unpacked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest
from threedie.sharing.check.findings import Findings
from threedie.sharing.check.hub_rows import Rows
from threedie.sharing.check.hub_types import EXECUTED
from threedie.sharing.convert.tar_stream import BLOCK, TarStream
from threedie.words import plural

_CHUNK = 1 << 20
_HEAD = 64 * 1024  # of a card
_LATER = ("test", "val", "dev")  # the hub takes the types from its last split
_LONGEST_NAME = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """What `check_shards` has found."""

    problems: list[str]
    """A line for every kind of problem, with a count and the first example."""
    shards: int
    rows: int
    """As the hub would make them."""
    columns: int
    fails: str | None
    """Why the hub would load nothing."""

    @property
    def verdict(self) -> str:
        """What `load_dataset` would do."""
        if self.fails:
            return f"hub: would not load: {self.fails}"
        return f"hub: would load {plural(self.rows, 'row')}, {plural(self.columns, 'column')}"


def check_shards(
    targets: Sequence[Path], *, hub: bool = True, on_shard: Callable[[str], None] | None = None
) -> CheckReport:
    """Check shards of any origin.

    Args:
        targets: folders of a data set, folders of tars, or tars.
        hub: tell what the hub loses, too; else only what no reader should be given.
        on_shard: told the name of each shard that is looked at.

    Raises:
        ConfigError: there is no shard, or no such file.
        ManifestError: a dataset.json is there and is not one.
    """
    shards = sorted_shards(targets)
    unsafe, lost = Findings(), Findings()
    rows = Rows(lost, declared=any(_declares(target) for target in targets))
    for path in shards:
        if on_shard:
            on_shard(path.name)
        _check_shard(path, unsafe, rows)
    if not rows.count:
        lost.add("no sample at all: loading fails", str(targets[0]), fails=True)
    problems = unsafe.lines() + (lost.lines() if hub else [])
    return CheckReport(
        problems=problems,
        shards=len(shards),
        rows=rows.count,
        columns=rows.n_columns,
        fails=lost.fails,
    )


def sorted_shards(targets: Sequence[Path]) -> list[Path]:
    """The tars, those first that the hub takes the types from.

    Raises:
        ConfigError: there is none, or no such file.
        ManifestError: a dataset.json is there and is not one.
    """
    found = list(dict.fromkeys(path for target in targets for path in _shards_of(target)))
    if not found:
        raise ConfigError(f"{targets[0]}: there is no .tar in it; shards were expected.")
    return sorted(found, key=lambda path: (not path.name.startswith(_last(found)), path))


def _last(shards: list[Path]) -> str:
    prefixes = {re.split(r"[^a-z]", path.name.lower())[0] for path in shards}
    named = [p for word in _LATER for p in sorted(prefixes) if p.startswith(word)]
    return named[0] if named else ""


def _shards_of(target: Path) -> list[Path]:
    if (target / FILE_NAME).is_file():
        return [target / entry.name for entry in DatasetManifest.read(target).shards]
    if target.is_dir():
        return sorted(path for path in target.rglob("*.tar") if path.is_file())
    if not target.is_file():
        raise ConfigError(f"{target}: no such file; give a data set, a folder of tars, or tars.")
    return [target]


def _declares(target: Path) -> bool:
    """Whether types are declared: our sets get a card with them, others may have one."""
    if (target / FILE_NAME).is_file():
        return True
    card = target / "README.md"
    if not card.is_file():
        return False
    with card.open("rb") as file:
        head = file.read(_HEAD).partition(b"\n---")[0]
    return b"\ndataset_info:" in head and b"\n  features:" in head


def _check_shard(path: Path, unsafe: Findings, rows: Rows) -> None:
    try:
        with path.open("rb", buffering=0) as file:
            chunks = iter(lambda: file.read(_CHUNK), b"")
            for name, content in TarStream(_watched(chunks, path, unsafe), path.name, unsafe):
                text = name.decode("utf-8", "replace")
                for fault in name_faults(name, text):
                    unsafe.add(fault, text)
                rows.add(text, content)
    except ManifestError as err:
        unsafe.add("damaged: what comes after is lost, to most readers without a word", str(err))
    except OSError as err:
        unsafe.add("unreadable", f"{path}: {err.strerror}")
    rows.end_of_shard()


def _watched(chunks: Iterator[bytes], path: Path, unsafe: Findings) -> Iterator[bytes]:
    """Look at the first header on its way: who writes one of another kind writes all so."""
    for number, chunk in enumerate(chunks):
        if number == 0 and len(chunk) >= BLOCK and chunk[257:265] != b"ustar\x0000":
            what = "headers are not USTAR: strict readers refuse them"
            unsafe.add(what, path.name)
        elif number == 0 and chunk[156:157] in (b"x", b"g"):
            what = "headers are PAX: times or owners are in them, equal samples are not equal bytes"
            unsafe.add(what, path.name)
        yield chunk


def name_faults(name: bytes, text: str) -> Iterator[str]:
    """What is wrong with a member's name, whoever reads it."""
    if text.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", text):
        yield "an absolute name: unpacking would leave the folder"
    if ".." in re.split(r"[/\\]", text):
        yield "a name with '..': unpacking would leave the folder"
    if not text.isprintable() or not name.isascii() or "\\" in text:
        yield "a name with characters that are not safe everywhere"
    if len(name) > _LONGEST_NAME:
        yield f"a name of more than {_LONGEST_NAME} bytes: it needs headers that are not USTAR"
    if text.lower().rpartition(".")[2] in EXECUTED:
        yield "a pickle: readers run code of whoever has made it"
