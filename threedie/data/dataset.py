"""Reading a data set: `open_dataset(path)` gives objects with lazily decoded views.

Size and sample count of every shard are checked on opening; its hash when it is first read (and
remembered, so that the next process need not hash it again). Pictures come out in true RGB,
whatever order is on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedie import files
from threedie.data.index import SplitIndex, read_index
from threedie.errors import ConfigError, ManifestError, StorageError
from threedie.manifests.dataset import FILE_NAME, DatasetManifest, ShardEntry
from threedie.manifests.latents import Array

Picture = NDArray[np.uint8]
Verify = Literal["once", "always", "never"]


class Views(Sequence[Picture]):
    """The pictures of one object; each is read and decoded when it is asked for."""

    def __init__(self, dataset: Dataset, split: str, row: int) -> None:
        self._dataset, self._split, self._row = dataset, split, row

    def __len__(self) -> int:
        return self._dataset.manifest.making.views

    @overload
    def __getitem__(self, view: int) -> Picture: ...
    @overload
    def __getitem__(self, view: slice) -> list[Picture]: ...
    def __getitem__(self, view: int | slice) -> Picture | list[Picture]:
        """(H, W, 3) uint8 in true RGB, the caller's own."""
        if isinstance(view, slice):
            return [self[i] for i in range(*view.indices(len(self)))]
        return self._dataset.decode(self.encoded(view))

    def encoded(self, view: int) -> bytes:
        """The picture's file as it stands in the shard (its channel order is the manifest's)."""
        if not -len(self) <= view < len(self):
            raise IndexError(f"view {view} of {len(self)}")
        return self._dataset.read_view(self._split, self._row, view % len(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One object."""

    object: str
    """`<class>/<object>`."""
    key: str
    views: Views
    latents: Array
    """(V, 7 or 10), in the manifest's latent_columns."""
    label: int
    split: str


class Dataset(Sequence[Sample]):
    """A finished folder of shards, as a sequence of objects: train first, then val.

    Args:
        folder: holds dataset.json.
        split: only this split, or None for all.
        verify: hash each shard "once" (remembered over processes), "always" or "never".

    Raises:
        ManifestError: dataset.json, an index or a shard's size is not as it must be.
        ConfigError: there is no such split, or no such way to verify.
    """

    def __init__(
        self,
        folder: Path,
        *,
        split: str | None = None,
        verify: Verify = "once",
    ) -> None:
        if verify not in get_args(Verify):
            known_ways = ", ".join(get_args(Verify))
            raise ConfigError(f"verify is {verify!r}; it must be one of {known_ways}.")
        self.folder = folder
        self.manifest = DatasetManifest.read(folder)
        known = self.manifest.splits
        if split is not None and split not in known:
            raise ConfigError(f"{folder} has no split '{split}'; it has {', '.join(known)}.")
        self._verify = verify
        self._checked: set[str] = set()
        self._shards = {s: [e for e in self.manifest.shards if e.split == s] for s in known}
        for entry in self.manifest.shards:
            check_size(folder, entry)
        wanted = [s for s in known if split in (None, s)]
        self.indices: dict[str, SplitIndex] = {s: self._index(s) for s in wanted}
        self._rows = [(s, row) for s in wanted for row in range(len(self.indices[s].keys_N))]

    def _index(self, split: str) -> SplitIndex:
        index = read_index(self.folder, split, self.manifest.files)
        counts = np.bincount(index.shards_N, minlength=len(self._shards[split])).tolist()
        if counts != [entry.samples for entry in self._shards[split]]:
            raise ManifestError(
                f"{self.folder}: the index of {split} counts {counts} samples per shard, "
                "the manifest says otherwise."
            )
        return index

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, i: int) -> Sample: ...
    @overload
    def __getitem__(self, i: slice) -> list[Sample]: ...
    def __getitem__(self, i: int | slice) -> Sample | list[Sample]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        split, row = self._rows[i]
        index = self.indices[split]
        return Sample(
            object=str(index.objects_N[row]),
            key=str(index.keys_N[row]),
            views=Views(self, split, row),
            latents=index.latents_NVD[row].copy(),
            label=int(index.labels_N[row]),
            split=split,
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))

    def read_view(self, split: str, row: int, view: int) -> bytes:
        """The encoded bytes of one picture, from a shard that is what the manifest says.

        Raises:
            ManifestError: the shard was changed, cut or replaced.
        """
        index = self.indices[split]
        path = self.checked_shard(split, int(index.shards_N[row]))
        length = int(index.lengths_NV[row, view])
        with path.open("rb", buffering=0) as file:
            content = os.pread(file.fileno(), length, int(index.offsets_NV[row, view]))
        if len(content) != length:
            raise ManifestError(f"{path}: cut off while it was being read.")
        return content

    def checked_shard(self, split: str, number: int) -> Path:
        """A shard's path, once it is known to be what the manifest says (see `verify`).

        Raises:
            ManifestError: the shard was changed, cut or replaced.
        """
        entry = self._shards[split][number]
        if entry.name not in self._checked:
            check_size(self.folder, entry)
            if self._verify != "never":
                check_hash(self.folder, entry, remember=self._verify == "once")
            self._checked.add(entry.name)
        return self.folder / entry.name

    def decode(self, content: bytes) -> Picture:
        """(H, W, 3) uint8 in true RGB from a picture's file."""
        return decode_picture(content, self.manifest.making.channel_order)


def open_dataset(
    path: str | os.PathLike[str],
    *,
    split: str | None = None,
    verify: Verify = "once",
) -> Dataset:
    """Open a finished data set; see `Dataset`.

    Example:
        >>> ds = open_dataset("data/demo")                  # doctest: +SKIP
        >>> ds[0].views[3].shape, ds[0].latents.shape       # doctest: +SKIP
        ((256, 256, 3), (50, 7))
    """
    return Dataset(Path(path), split=split, verify=verify)


def decode_picture(content: bytes, channel_order: str) -> Picture:
    """Decode a JPEG or PNG file; R and B are put in their places if it is written as bgr."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            pixels = np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise ManifestError(f"a picture of {len(content)} bytes does not decode: {err}.") from err
    return np.ascontiguousarray(pixels[:, :, ::-1]) if channel_order == "bgr" else pixels


def check_size(folder: Path, entry: ShardEntry) -> None:
    """Compare a shard's size with the manifest: free, so done always.

    Raises:
        ManifestError: missing, or another size.
    """
    path = folder / entry.name
    try:
        size = path.stat().st_size
    except OSError as err:
        raise ManifestError(f"{path}: {err.strerror}; {FILE_NAME} lists it. {_MEND}") from err
    if size != entry.bytes:
        raise ManifestError(f"{path}: {size} bytes, {FILE_NAME} says {entry.bytes}. {_MEND}")


def check_hash(folder: Path, entry: ShardEntry, *, remember: bool) -> None:
    """Compare a shard's content with the manifest.

    Args:
        folder: of the data set.
        entry: the shard.
        remember: leave a note in the user's cache, and believe an earlier one of the same file.

    Raises:
        ManifestError: another content.
    """
    path = folder / entry.name
    note = _note(path, entry) if remember else None
    if note is not None and note.is_file():
        return
    found = files.sha256_file(path)
    if found != entry.sha256:
        raise ManifestError(
            f"{path}: sha256 is {found[:16]}…, {FILE_NAME} says {entry.sha256[:16]}…: a byte of it "
            f"was changed. {_MEND}"
        )
    if note is not None:
        with contextlib.suppress(StorageError):  # a cache that can't be written is no cache
            files.make_directory(note.parent)
            files.put(note, b"")


_MEND = "Render again into the same folder (only what is missing is made), or fetch it anew."


def _note(path: Path, entry: ShardEntry) -> Path:
    """Name of the note that this very file has been hashed: any rewrite changes it."""
    stat = path.stat()
    identity = (str(path.resolve()), stat.st_ino, stat.st_size, stat.st_mtime_ns, entry.sha256)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "threedie" / "verified" / hashlib.sha256(repr(identity).encode()).hexdigest()
