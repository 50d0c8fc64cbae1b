"""What card, citation and metadata say of a data set, gathered once: counts, names, fields."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from threedie.data.dataset import check_size
from threedie.data.escape import plain
from threedie.data.index import read_index
from threedie.data.shard import Member, SampleMembers, scan_shard
from threedie.data.urls import shown
from threedie.errors import ManifestError
from threedie.manifests.classes import CLASSES
from threedie.manifests.dataset import (
    FILE_NAME,
    Converted,
    DatasetManifest,
    ShardEntry,
    parse_json,
)
from threedie.sharing.card.terms import Terms, terms_of

SPLIT_NAMES = {"val": "validation"}
"""What the hub calls our splits, where it is something else."""
HUB = "https://huggingface.co/datasets/"
_MOST_LABELS = 100_000
_CREDENTIALS = re.compile(r"//[^/@]*@")


@dataclass(frozen=True)
class Overview:
    """A finished data set, as its descriptions need it.

    Args:
        folder: holds dataset.json.
        manifest: of the folder.
        address: where the set is published, or None where that is not known yet.
    """

    folder: Path
    manifest: DatasetManifest
    address: str | None

    @classmethod
    def of(cls, folder: Path, address: str | None = None) -> Overview:
        """Read a folder's manifest.

        Raises:
            ManifestError: it is not a finished data set, or holds no object.
        """
        manifest = DatasetManifest.read(folder)
        if not any(manifest.splits.values()):
            raise ManifestError(
                f"{folder}: holds no object, all have failed; at least one was expected. "
                "Render it again with --retry-failed before it is published."
            )
        bare = None if address is None else _CREDENTIALS.sub("//", shown(address))
        return cls(folder, manifest, bare)

    @property
    def title(self) -> str:
        """A line that names the set."""
        making = self.manifest.making
        how = "converted by 3die" if isinstance(making, Converted) else "rendered by 3die"
        return f"3DIEBench, recipe {plain(making.recipe.name)}, {making.size} px ({how})"

    @property
    def summary(self) -> str:
        """One sentence with the counts."""
        making = self.manifest.making
        classes = sum(1 for c in self.manifest.classes if c.objects)
        return (
            f"{self.objects:,} objects of {classes} classes, {making.views} views of each "
            f"({self.objects * making.views:,} pictures of {making.size} × {making.size} pixels), "
            "with the rotation, floor colour and light of every view."
        )

    @property
    def splits(self) -> dict[str, int]:
        """Objects of each split that has any."""
        return {split: count for split, count in self.manifest.splits.items() if count}

    @property
    def objects(self) -> int:
        """In the shards."""
        return sum(self.splits.values())

    @property
    def terms(self) -> Terms:
        """How it may be used."""
        return terms_of(self.manifest)

    @property
    def repository(self) -> str | None:
        """`user/name` where the address is one of the hub."""
        match = re.match(r"hf://datasets/([^/]+/[^/@]+)", self.address or "")
        return plain(match[1]) if match else None

    @property
    def web(self) -> str | None:
        """A page or folder that people can open, if the address is one."""
        if self.repository:
            return f"{HUB}{self.repository}"
        return self.address if (self.address or "").startswith(("http://", "https://")) else None

    @property
    def version(self) -> str:
        """By content: the recipe hash stands in it."""
        return f"1.0.0+{self.manifest.recipe_hash[:12]}"

    @property
    def finished(self) -> datetime.date:
        """The day on which dataset.json was written here (UTC)."""
        written = (self.folder / FILE_NAME).stat().st_mtime
        return datetime.datetime.fromtimestamp(written, datetime.timezone.utc).date()

    def shards(self, split: str) -> list[ShardEntry]:
        """Of a split, in order."""
        return [entry for entry in self.manifest.shards if entry.split == split]

    @property
    def label_names(self) -> list[str]:
        """A name for every label from 0 to the highest: the hub wants no gaps and no doubles.

        Raises:
            ManifestError: a label that no data set of ours can have.
        """
        names = {known.label: known.name for known in CLASSES}
        names |= {entry.label: plain(entry.name) for entry in self.manifest.classes}
        highest = max(names)
        if highest > _MOST_LABELS:
            raise ManifestError(
                f"{self.folder / FILE_NAME}: label {highest} was found, at most {_MOST_LABELS} is "
                "expected. Fetch the data set anew."
            )
        listed = [names.get(label) or f"label {label}" for label in range(highest + 1)]
        seen = Counter(listed)
        return [n if seen[n] == 1 else f"{n} (label {i})" for i, n in enumerate(listed)]

    @cached_property
    def record(self) -> dict[str, Any]:
        """The json of the first sample: all samples have its fields.

        Raises:
            ManifestError: its shard is damaged.
        """
        entry = next(e for e in self.manifest.shards if e.samples)
        check_size(self.folder, entry)
        path = self.folder / entry.name
        first = next(iter(scan_shard(path)))
        return parse_json(_content(path, first), f"{path}: {first.key}.json")

    @cached_property
    def copies(self) -> int:
        """Object ids that stand in more than one split (under several classes)."""
        ids = [
            {str(name).partition("/")[2] for name in self.index_objects(split)}
            for split in self.splits
        ]
        return sum(1 for _, n in Counter(i for part in ids for i in part).items() if n > 1)

    def index_objects(self, split: str) -> list[str]:
        """`<class>/<object>` of every sample of a split."""
        objects: list[str] = read_index(self.folder, split, self.manifest.files).objects_N.tolist()
        return objects


def _content(path: Path, sample: SampleMembers) -> bytes:
    member: Member = sample.record
    with path.open("rb") as file:
        file.seek(member.offset)
        return file.read(member.size)
