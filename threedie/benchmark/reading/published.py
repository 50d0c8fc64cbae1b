"""The published layout of 3DIEBench: `SYNSET/OBJECT/image_0.jpg … , latent_0.npy …`.

The official files have R and B swapped (their generator hands RGB to cv2.imwrite), so they are read
as bgr unless told otherwise. The official mean and standard deviation are those of the files as
they are, so they are swapped too.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from threedie.benchmark.reading.encoded import EncodedSplit, Three
from threedie.benchmark.reading.memory import Cache, with_cache
from threedie.benchmark.reading.pictures import side_of
from threedie.benchmark.reading.published_index import PublishedIndex, read_published
from threedie.data.dataset import Verify
from threedie.data.dealing import labels_of
from threedie.data.published import FILE_MEAN, FILE_STD
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.classes import CLASSES
from threedie.manifests.splits import (
    BROKEN_ARRAY,
    canonical_class,
    read_object_list,
    split_rule,
)

ChannelOrder = Literal["bgr", "rgb"]


class PublishedSplit(EncodedSplit):
    """A split of a folder in the published layout.

    Which objects: the list `<split>_images.npy`; else all that are not in the other split's list;
    else, without lists, the rule `hash` of manifests.splits. A label is the rank of the synset id;
    `<split>_labels.npy`, where it is, must agree.

    Args:
        folder: holds the class folders.
        split: train or val.
        lists: folder of the official lists; None for `folder`.
        channel_order: of the files.
        verify: "always" scans all files anew; otherwise an earlier scan is believed.
        cache: "ram" keeps compressed pictures in memory from their first reading on.

    Raises:
        ConfigError: no such split, a list that can't be read, or too little memory.
        ManifestError: a missing or broken file; names the object.
    """

    def __init__(
        self,
        folder: Path,
        split: str,
        *,
        lists: Path | None = None,
        channel_order: ChannelOrder = "bgr",
        verify: Verify = "once",
        cache: Cache = "none",
    ) -> None:
        if split not in ("train", "val"):
            raise ConfigError(f"{folder} has no split '{split}'; it has train, val.")
        if channel_order not in get_args(ChannelOrder):
            raise ConfigError(f"the channel order is '{channel_order}'; it must be bgr or rgb.")
        labels, self.n_classes = class_labels(find_objects(folder))
        objects = choose_objects(folder, split, lists or folder, labels)
        index = read_published(folder, objects, remembered=verify != "always")
        self.name = split
        self.objects_N = np.array(objects, dtype=np.str_)
        self.labels_N = np.array([labels[o.partition("/")[0]] for o in objects], dtype=np.int64)
        self.latents_NVL, self._bgr = index.latents_NVL, channel_order == "bgr"
        self.pixel_mean, self.pixel_std = FILE_MEAN, FILE_STD
        if self._bgr:
            self.pixel_mean, self.pixel_std = _swapped(FILE_MEAN), _swapped(FILE_STD)
        self.data_hash = _hash(split, channel_order, objects, index)
        self._fetch = with_cache(_Files(folder, objects, index).read, index.lengths_NV, cache)
        try:
            self.picture_size = side_of(self.encoded(0, 0))
        except ManifestError as err:
            raise ManifestError(f"{folder / objects[0]}, view 0: {err}") from err


class _Files:
    """Pictures that are files."""

    def __init__(self, folder: Path, objects: list[str], index: PublishedIndex) -> None:
        self._folder, self._objects, self._index = folder, objects, index

    def read(self, row: int, view: int) -> bytes:
        """The encoded bytes of a picture."""
        path = f"{self._folder}/{self._objects[row]}/image_{view}.{self._index.suffix}"
        expected = int(self._index.lengths_NV[row, view])
        try:
            with open(path, "rb", buffering=0) as file:
                content = os.pread(file.fileno(), expected + 1, 0)
        except OSError as err:
            raise ManifestError(f"{path}: {err.strerror}. Fetch this object anew.") from err
        if len(content) != expected:
            raise ManifestError(
                f"{path}: its size is not the {expected} bytes that it had when the data set was "
                "scanned. Fetch it anew, or scan again with verify='always'."
            )
        return content


def _hash(split: str, order: str, objects: list[str], index: PublishedIndex) -> str:
    """SHA-256 of the sorted objects with the size of every picture, the latents, and the order."""
    digest = hashlib.sha256(f"published {split} {order}\n".encode())
    for name, lengths_V in zip(objects, index.lengths_NV, strict=True):
        digest.update(f"{name} {lengths_V.tolist()}\n".encode())
    digest.update(np.ascontiguousarray(index.latents_NVL, "<f8").tobytes())
    return digest.hexdigest()


def _swapped(values: Three) -> Three:
    return values[2], values[1], values[0]


def is_published(folder: Path) -> bool:
    """Whether some object's folder looks like the published layout."""
    return any((folder / name / "latent_0.npy").is_file() for name in find_objects(folder)[:20])


def find_objects(folder: Path) -> list[str]:
    """`<class folder>/<object>` of all folders two levels down, sorted.

    Raises:
        ConfigError: the folder can't be read.
    """
    try:
        classes = _folders(folder)
        return sorted(f"{c}/{o}" for c in classes for o in _folders(folder / c))
    except OSError as err:
        raise ConfigError(f"cannot read {err.filename or folder}: {err.strerror}.") from err


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]


def class_labels(objects: list[str]) -> tuple[dict[str, int], int]:
    """The label of every class folder, and one more than the largest."""
    labels = labels_of(o.partition("/")[0] for o in objects)
    others = sum(label >= len(CLASSES) for label in labels.values())
    return labels, len(CLASSES) + others


def choose_objects(folder: Path, split: str, lists: Path, labels: dict[str, int]) -> list[str]:
    """The sorted objects of a split; see `PublishedSplit`.

    Raises:
        ConfigError: a list can't be read, or the split is empty.
        ManifestError: a listed object is not there, or its published label is another.
    """
    there = {(canonical_class(c), o): f"{c}/{o}" for c, _, o in _parts(find_objects(folder))}
    other = {"train": "val", "val": "train"}[split]
    if (path := lists / f"{split}_images.npy").exists():
        chosen = _listed(path, there, labels)
    elif (path := lists / f"{other}_images.npy").exists():
        taken = set(read_object_list(path))
        chosen = [name for key, name in there.items() if key not in taken]
    else:
        rule = split_rule("hash")
        chosen = [name for key, name in there.items() if rule(*key) == split]
    if not chosen:
        raise ConfigError(f"{folder} has no objects in split '{split}'.")
    return sorted(chosen)


def _parts(objects: list[str]) -> list[tuple[str, str, str]]:
    return [o.partition("/") for o in objects]


def _listed(path: Path, there: dict[tuple[str, str], str], labels: dict[str, int]) -> list[str]:
    keys = read_object_list(path)
    missing = [key for key in keys if key not in there]
    if missing or len(set(keys)) != len(keys):
        what = f"{'/'.join(missing[0])} has no folder" if missing else "an object is listed twice"
        raise ManifestError(
            f"{path}: {what} ({len(missing)} of {len(keys)} are missing). Fetch what is missing, "
            "or give the list of what is there."
        )
    names = [there[key] for key in keys]
    beside = path.with_name(path.name.replace("_images", "_labels"))
    if beside.exists():
        _check_labels(beside, names, labels)
    return names


def _check_labels(path: Path, names: list[str], labels: dict[str, int]) -> None:
    try:
        given = np.load(path, allow_pickle=False)
    except (*BROKEN_ARRAY, OSError) as err:
        raise ConfigError(f"{path} is not a plain array of labels: {str(err)[:200]}.") from err
    ours = np.array([labels[name.partition("/")[0]] for name in names])
    if getattr(given, "shape", None) != ours.shape or not np.array_equal(given, ours):
        raise ManifestError(
            f"{path}: not the rank of each object's synset id, in the order of the list of objects."
        )
