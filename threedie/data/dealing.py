"""Dealing objects into splits and shards, with their labels: for rendered and converted sets alike.

An object's place depends on the names of all objects and on the split rule, and on nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from threedie.data.shard import sample_key
from threedie.errors import ConfigError
from threedie.manifests.classes import class_name, find_class
from threedie.manifests.dataset import ClassEntry, canonical_json
from threedie.manifests.splits import SplitRule, canonical_class

_FIRST_OTHER_LABEL = 55


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One object of a source, before anything is read."""

    class_id: str
    """The folder's or archive's own name: a synset id, a class name, or any other name."""
    object_id: str

    @property
    def name(self) -> str:
        """`<class>/<object>`, the name in ledgers, latents files and messages."""
        return f"{self.class_id}/{self.object_id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedObject:
    """One object of a plan."""

    ref: ObjectRef
    key: str
    """Of its sample in the shard."""
    label: int
    split: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedShard:
    """One shard of a plan: its file name and its objects in order."""

    name: str
    split: str
    objects: tuple[PlannedObject, ...]


def deal(
    refs: Sequence[ObjectRef], rule: SplitRule, *, objects_per_shard: int
) -> tuple[PlannedShard, ...]:
    """Objects into splits and shards, in the order of a hash, so that every shard mixes classes."""
    labels = labels_of({ref.class_id for ref in refs})
    groups: dict[str, list[PlannedObject]] = {"train": [], "val": []}
    for ref in sorted(refs, key=_shuffled):
        split = rule(ref.class_id, ref.object_id)
        key = sample_key(ref.class_id, ref.object_id)
        groups[split].append(
            PlannedObject(ref=ref, key=key, label=labels[ref.class_id], split=split)
        )
    return tuple(
        PlannedShard(
            name=f"{split}-{number:06d}.tar",
            split=split,
            objects=tuple(group[start : start + objects_per_shard]),
        )
        for split, group in groups.items()
        for number, start in enumerate(range(0, len(group), objects_per_shard))
    )


def _shuffled(ref: ObjectRef) -> bytes:
    return hashlib.sha256(ref.name.encode("utf-8", "surrogatepass")).digest()


def labels_of(class_ids: Iterable[str]) -> dict[str, int]:
    """0–54 for the 55 classes, 55 and up for others in the order of their names."""
    ids = sorted(set(class_ids))
    others = (class_id for class_id in ids if find_class(class_id) is None)
    labels = {class_id: _FIRST_OTHER_LABEL + rank for rank, class_id in enumerate(others)}
    for class_id in ids:
        if known := find_class(class_id):
            labels[class_id] = known.label
    return labels


def class_entries(refs: Sequence[ObjectRef]) -> tuple[ClassEntry, ...]:
    """The manifest's classes, in the order of their labels."""
    labels = labels_of({ref.class_id for ref in refs})
    counts: dict[str, int] = dict.fromkeys(sorted(labels, key=lambda c: (labels[c], c)), 0)
    for ref in refs:
        counts[ref.class_id] += 1
    return tuple(
        ClassEntry(class_id=c, name=class_name(c), label=labels[c], objects=n)
        for c, n in counts.items()
    )


def refuse_twins(class_ids: Iterable[str], *, source: str, remedy: str) -> None:
    """Refuse a source that has one class under two names.

    Raises:
        ConfigError: names both; `remedy` says what to do.
    """
    first: dict[str, str] = {}
    for class_id in class_ids:
        twin = first.setdefault(canonical_class(class_id), class_id)
        if twin != class_id:
            raise ConfigError(
                f"{source} has '{twin}' and '{class_id}', which are the same class "
                f"({class_name(class_id)}); expected one folder or archive of it. {remedy}"
            )


def list_hash(shards: Iterable[PlannedShard]) -> str:
    """SHA-256 of the planned list: class, object, split, shard, in order."""
    digest = hashlib.sha256()
    for shard in shards:
        digest.update(canonical_json([shard.name, [[o.ref.name, o.label] for o in shard.objects]]))
    return digest.hexdigest()
