"""A data set goes out: to a store or a folder, in an order in which no reader meets half of it.

Shards first, then index and ledger, then what accompanies them, and dataset.json last. Before
anything is sent, every file is compared with the manifest. A second run sends what lacks: a file
counts as sent if its size there is right and a note in the user's cache says that this very content
went to this very name (or if the data set is there already, by its dataset.json).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.data.dataset import check_hash, check_size
from threedie.data.stores import FolderStore, Store, open_store
from threedie.data.urls import shown
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, MAX_BYTES, DatasetManifest
from threedie.sharing.transfer.sent import Sent
from threedie.sharing.transfer.transfer import (
    OnBytes,
    Transfer,
    TransferProgress,
    check_jobs,
    raise_wrong,
    run_all,
)

_OURS = re.compile(r"[a-z]{1,20}-\d{6}\.tar|index/[a-z]{1,20}\.(npz|latents\.npy)")
Accompany = Callable[..., Mapping[str, bytes]]
"""(folder, *, address) -> content by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    """A file of the data set on this disk."""

    name: str
    size: int
    sha256: str


def publish(
    folder: Path,
    destination: str,
    *,
    jobs: int = 4,
    replace: bool = False,
    accompany: Accompany | None = None,
    progress: TransferProgress | None = None,
) -> None:
    """Send a finished data set. The same call again sends what lacks.

    Args:
        folder: of the data set.
        destination: address of a store, or a folder.
        jobs: files at once.
        replace: another data set that is there is taken away: its dataset.json first, and at the
            end its shards and index files that the new one has not.
        accompany: what goes with the shards.
        progress: told how it goes.

    Raises:
        ManifestError: the data set is not what its manifest says; nothing was sent.
        ConfigError: another data set is there; the destination can't be written to.
        StorageError: the destination fails; what was sent stays, without a dataset.json.
    """
    jobs = 1 if destination.startswith("hf:") else check_jobs(jobs)  # a file there is a commit
    progress = progress or TransferProgress()
    manifest, content = DatasetManifest.read(folder), (folder / FILE_NAME).read_bytes()
    listed = _listed(manifest)
    store = open_store(destination)
    _refuse_inside(folder, store)
    there = store.read(FILE_NAME, MAX_BYTES)  # asked before hours of hashing: is it there at all?
    if there not in (None, content) and not replace:
        raise _another(store, there or b"", content)
    _check_here(folder, manifest, listed, progress)
    beside = dict(accompany(folder, address=destination)) if accompany else {}
    sent = Sent(store.address)
    if there not in (None, content):
        store.delete(FILE_NAME)  # from now on the other data set is none
        sent.forget()
    shards = [file for file in listed if file.name.endswith(".tar")]
    others = [file for file in listed if file not in shards]
    for part in filter(None, (shards, others)):
        _send(folder, store, part, sent, same=there == content, jobs=jobs, progress=progress)
    _send_beside(store, beside, sent)
    if there != content:
        _put(store, FILE_NAME, content)
    if replace:
        for name in _strays(store, {file.name for file in listed}):
            store.delete(name)


def _listed(manifest: DatasetManifest) -> list[_File]:
    shards = [_File(name=e.name, size=e.bytes, sha256=e.sha256) for e in manifest.shards]
    beside = [
        _File(name=name, size=entry.bytes, sha256=entry.sha256)
        for name, entry in manifest.files.items()
    ]
    return shards + beside


def _check_here(
    folder: Path, manifest: DatasetManifest, listed: Iterable[_File], progress: TransferProgress
) -> None:
    """Every file against the manifest: sizes of all first, for that is quick.

    Raises:
        ManifestError: one is another than it says, or is missing.
    """
    progress.say(f"checking {folder}")
    for entry in manifest.shards:
        check_size(folder, entry)
    for entry in manifest.shards:
        check_hash(folder, entry, remember=True)
    for file in listed:
        path = folder / file.name
        if file.name in manifest.files and (
            not path.is_file() or files.sha256_file(path) != file.sha256
        ):
            raise ManifestError(f"{path}: missing or changed; {FILE_NAME} lists it.")


def _refuse_inside(folder: Path, store: Store) -> None:
    if not isinstance(store, FolderStore):
        return
    here, there = folder.resolve(), store.folder.resolve()
    if here == there or here in there.parents:
        which = "is the data set itself" if here == there else f"is inside of {folder}"
        raise ConfigError(f"{store.address} {which}: give another place.")


def _another(store: Store, there: bytes, content: bytes) -> ConfigError:
    return ConfigError(
        f"{store.address}/{FILE_NAME}: another data set is there (sha256 "
        f"{hashlib.sha256(there).hexdigest()[:16]}… there, "
        f"{hashlib.sha256(content).hexdigest()[:16]}… here). --replace takes it away: whoever "
        "reads it meanwhile gets an error."
    )


def _strays(store: Store, listed: set[str]) -> list[str]:
    """Shards and index files there that are of another data set: a glob would find them."""
    return [name for name in store.list("") if _OURS.fullmatch(name) and name not in listed]


def _send(
    folder: Path,
    store: Store,
    listed: list[_File],
    sent: Sent,
    *,
    same: bool,
    jobs: int,
    progress: TransferProgress,
) -> None:
    """Send the files that are not there.

    Args:
        folder: of the data set.
        store: the destination.
        listed: the files.
        sent: the notes of what went there.
        same: whether this data set is there by its dataset.json: then sizes are compared alone.
        jobs: files at once.
        progress: told how it goes.
    """

    def transfer(file: _File) -> Transfer:
        def run(on_bytes: OnBytes) -> None:
            sent.withdraw(file.name)
            store.put_file(file.name, folder / file.name, on_bytes=on_bytes)
            sent.note(file.name, file.sha256)

        return Transfer(name=file.name, size=file.size, run=run)

    lacking = [
        transfer(file)
        for file in listed
        if not (same or sent.has(file.name, file.sha256)) or store.size(file.name) != file.size
    ]
    what = "shards" if listed[0].name.endswith(".tar") else "index and ledger"
    progress.start(f"publish {what}", lacking, len(listed) - len(lacking))
    raise_wrong(run_all(lacking, jobs=jobs, progress=progress), "The others were sent.")


def check_tables_place(tables: str, destination: str) -> None:
    """See that tables can go to a place of their own, before anything is sent anywhere.

    Raises:
        ConfigError: it can't be written to, or it is the data set's: the card there would be lost.
        MissingExtra: the store's package is not installed.
    """
    if open_store(tables).address.rstrip("/") == open_store(destination).address.rstrip("/"):
        raise ConfigError(
            f"--tables is '{shown(tables)}', where the data set goes: its card would be "
            "overwritten. Give a place of its own, or leave it out: tables/ goes along anyway."
        )


def publish_tables(tables: Mapping[str, bytes], destination: str) -> None:
    """Send the tables of a data set to a place of their own. The same call sends what lacks.

    Args:
        tables: content by name, see `accompany.table_files`.
        destination: address of a store, or a folder.

    Raises:
        ConfigError: the destination can't be written to.
        StorageError: it fails.
    """
    store = open_store(destination)
    _send_beside(store, tables, Sent(store.address))


def _send_beside(store: Store, beside: Mapping[str, bytes], sent: Sent) -> None:
    for name, content in beside.items():
        digest = hashlib.sha256(content).hexdigest()
        if not sent.has(name, digest) or store.size(name) != len(content):
            sent.withdraw(name)
            _put(store, name, content)
            sent.note(name, digest)


def _put(store: Store, name: str, content: bytes) -> None:
    """Write a small file, and see that it is there.

    Raises:
        StorageError: it has another size there.
    """
    store.put(name, content)
    found = store.size(name)
    if found != len(content):
        raise StorageError(
            f"{store.address}/{name}: {found} bytes arrived of {len(content)}. Run the same "
            "command again: it sends only what lacks."
        )
