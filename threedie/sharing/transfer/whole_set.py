"""A data set of shards comes here: whole, or the shards of some splits.

The manifest is read first and written last. Every shard is verified against it before it gets its
name; what is there already and verified is not asked for again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from threedie import files
from threedie.data import ledger, urls
from threedie.data.fetch import check_space, fetch
from threedie.data.finish import finish_dataset
from threedie.data.index import FOLDER, read_index
from threedie.errors import ManifestError
from threedie.manifests.dataset import FILE_NAME, ClassEntry, DatasetManifest
from threedie.sharing.transfer.target import Target
from threedie.sharing.transfer.transfer import (
    OnBytes,
    Transfer,
    TransferProgress,
    raise_wrong,
    run_all,
)

KEPT = "What is right is kept; the same command asks for these files alone."


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A data set that is published somewhere."""

    base: str
    """Address of its folder."""
    content: bytes
    """Of its dataset.json."""
    manifest: DatasetManifest
    token: bool
    """Whether THREEDIE_TOKEN may be sent there."""

    @classmethod
    def at(cls, address: str, *, token: bool = True) -> Published:
        """Read its manifest, and check that all names in it are those of a data set's files.

        Raises:
            ConfigError: an address that is refused.
            ManifestError: not a manifest, of a newer schema, or hostile.
            StorageError: it can't be reached.
        """
        base, content, manifest = urls.open_manifest(address)
        _check_names(manifest, urls.shown(urls.join(base, FILE_NAME)))
        return cls(base=base, content=content, manifest=manifest, token=token)

    def transfer(self, name: str, path: Path, size: int, sha256: str) -> Transfer:
        """One of its files, to become `path`."""
        address, token = urls.join(self.base, name), self.token

        def run(on_bytes: OnBytes) -> None:
            files.make_directory(path.parent)
            fetch(address, path, size=size, sha256=sha256, on_bytes=on_bytes, token=token)

        return Transfer(name=name, size=size, run=run)


def index_names(split: str) -> tuple[str, str]:
    """The index files of a split."""
    return f"{FOLDER}/{split}.npz", f"{FOLDER}/{split}.latents.npy"


def _check_names(manifest: DatasetManifest, where: str) -> None:
    """The schema keeps paths out of the names of shards; here the rest.

    Raises:
        ManifestError: a name that is not one of a data set's files, or one that comes twice.
    """
    known = {name for split in manifest.splits for name in index_names(split)}
    odd = sorted(set(manifest.files) - known - {ledger.FILE_NAME})
    odd += [entry.name for entry in manifest.shards if not entry.name.endswith(".tar")]
    names = Counter(entry.name.lower() for entry in manifest.shards)
    odd += [name for name, count in names.items() if count > 1]
    missing = sorted(known - set(manifest.files))
    if odd or missing:
        what = f"lists {odd[0]!r}" if odd else f"lists no {missing[0]}"
        raise ManifestError(f"{where}: {what}, as no data set of threedie does.")


def download_all(
    published: Published, target: Target, *, jobs: int, progress: TransferProgress
) -> None:
    """Bring a whole data set; dataset.json is the published one, byte for byte.

    Raises:
        ManifestError: files that are not what the manifest says, each named; the others are here.
        StorageError: the disk is full, or the server is gone.
    """
    lacking = shards_lacking(published, target) + _files_lacking(published, target)
    listed = len(published.manifest.shards) + len(published.manifest.files)
    bring(lacking, target, found=listed - len(lacking), jobs=jobs, progress=progress)
    files.put(target.folder / FILE_NAME, published.content)
    target.finish()


def download_splits(
    published: Published, target: Target, *, jobs: int, progress: TransferProgress
) -> None:
    """Bring the shards of the wanted splits, and write a manifest of them.

    Raises:
        ManifestError: files that are not what the manifest says, each named; the others are here.
        StorageError: the disk is full, or the server is gone.
    """
    splits = target.wanted.splits or ()
    lacking = shards_lacking(published, target)
    lacking += _files_lacking(published, target, splits)
    shards = [entry for entry in published.manifest.shards if entry.split in splits]
    found = len(shards) + 2 * len(splits) - len(lacking)
    bring(lacking, target, found=found, jobs=jobs, progress=progress)
    counts = Counter[str]()
    for split in splits:
        index = read_index(target.folder, split, published.manifest.files)
        counts.update(str(name).partition("/")[0] for name in index.objects_N)
    finish_dataset(
        target.folder,
        making=published.manifest.making,
        classes=part_of_classes(published.manifest, counts),
        shards=shards,
        failures=(),
        subset_of=target.wanted,
    )
    target.finish()


def shards_lacking(published: Published, target: Target) -> list[Transfer]:
    """The shards of the wanted splits that are not here, verified."""
    splits = target.wanted.splits
    return [
        published.transfer(entry.name, target.folder / entry.name, entry.bytes, entry.sha256)
        for entry in published.manifest.shards
        if (splits is None or entry.split in splits) and not target.has(entry)
    ]


def _files_lacking(
    published: Published, target: Target, splits: tuple[str, ...] | None = None
) -> list[Transfer]:
    """The index files of some splits, or all files beside the shards, that are not here."""
    listed = published.manifest.files
    names = list(listed) if splits is None else [n for s in splits for n in index_names(s)]
    return [
        published.transfer(name, target.folder / name, listed[name].bytes, listed[name].sha256)
        for name in names
        if not target.has_file(name, listed[name])
    ]


def bring(
    lacking: list[Transfer], target: Target, *, found: int, jobs: int, progress: TransferProgress
) -> None:
    """Check the room, and bring all that lacks.

    Raises:
        ManifestError: wrong files, each named.
        StorageError: no room, or the server is gone.
    """
    needed = sum(transfer.size for transfer in lacking)
    check_space(target.folder, needed)
    progress.start("download", lacking, found)
    raise_wrong(run_all(lacking, jobs=jobs, progress=progress), KEPT)


def part_of_classes(manifest: DatasetManifest, counts: Counter[str]) -> tuple[ClassEntry, ...]:
    """The classes that have objects, with how many; their labels stay."""
    return tuple(
        entry.model_copy(update={"objects": counts[entry.class_id]})
        for entry in manifest.classes
        if counts[entry.class_id]
    )
