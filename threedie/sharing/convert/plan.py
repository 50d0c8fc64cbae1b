"""The plan of a conversion: which objects of a spool are whole, and which shard they go into.

It is a pure function of the spool and the options, so that a conversion that was killed goes on
with the same plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from threedie import __version__
from threedie.data.dealing import (
    ObjectRef,
    PlannedShard,
    class_entries,
    deal,
    list_hash,
    refuse_twins,
)
from threedie.data.published import TRAIN_LIST, VAL_LIST
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.dataset import ChannelEvidence, ClassEntry, Converted, Failure, Origin
from threedie.manifests.recipes import Recipe, find_recipe, latents_in_range
from threedie.manifests.splits import SplitRule, canonical_class, read_object_list, split_rule
from threedie.sharing.convert.channel_order import choose_order, weigh
from threedie.sharing.convert.examine import Examiner, FirstView
from threedie.sharing.convert.spool import Spool
from threedie.words import plural

AskedOrder = Literal["auto", "rgb", "bgr"]
_LOOKED_AT = 400
"""Pictures for the channel order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertOptions:
    """What a user asks for; the command line's options with the same names."""

    val_list: Path | None = None
    train_list: Path | None = None
    split: str | None = None
    """None: official where a val list is given or in the source, else hash."""
    recipe: str = "3diebench"
    views: int | None = None
    """None: as many as most objects have."""
    objects_per_shard: int = 256
    channel_order: AskedOrder = "auto"

    def __post_init__(self) -> None:
        for name, value in (("--views", self.views), ("--shard-size", self.objects_per_shard)):
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; it must be at least 1.")
        if self.channel_order not in get_args(AskedOrder):
            raise ConfigError(
                f"--channel-order is '{self.channel_order}'; it can be "
                f"{', '.join(get_args(AskedOrder))}."
            )
        if self.train_list and not self.val_list:
            raise ConfigError("--train-list was given without --val-list; give both.")
        find_recipe(self.recipe)
        if self.split is not None or self.val_list is not None:
            waits = self.split == "official" and self.val_list is None  # for the source's own list
            split_rule("hash" if waits else self.chosen_split(None), val_list=self.val_list)

    def chosen_split(self, own_list: Path | None) -> str:
        """The rule's name, given the list that the source holds itself."""
        return self.split or ("official" if self.val_list or own_list else "hash")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertPlan:
    """Everything that is to be made of a spool."""

    making: Converted
    classes: tuple[ClassEntry, ...]
    shards: tuple[PlannedShard, ...]
    numbers: dict[str, int]
    """Of the objects in the spool, by name."""
    examiner: Examiner
    first_views: dict[int, FirstView]
    """By number, of the objects that are whole."""
    failures: tuple[Failure, ...]
    """In the order of the plan."""
    notes: tuple[str, ...]

    @property
    def n_objects(self) -> int:
        """Objects that will be in the shards."""
        return len(self.first_views)


def make_plan(spool: Spool, options: ConvertOptions) -> ConvertPlan:
    """Plan a conversion.

    Raises:
        ManifestError: no object is whole, or nothing is of the layout.
        ConfigError: options that do not fit the source; a channel order that can't be found out.
    """
    recipe, sealed = find_recipe(options.recipe), spool.sealed
    examiner = Examiner(spool, views=options.views, latent_size=recipe.latent_size)
    refs = [ObjectRef(*name.split("/")) for name in spool.objects]
    classes = sorted({ref.class_id for ref in refs})
    refuse_twins(classes, source=sealed.name, remedy="Rename one, or merge them.")
    dealt = _Dealt(spool, options, refs)
    shards = deal(refs, dealt.rule, objects_per_shard=options.objects_per_shard)
    numbers = {name: number for number, name in enumerate(spool.objects)}
    faults, first_views = _examine(examiner, dealt, shards, numbers)
    good = [
        n for shard in shards for o in shard.objects if (n := numbers[o.ref.name]) in first_views
    ]
    if not good:
        name, (_, why) = next(iter(faults.items()))
        raise ManifestError(
            f"{sealed.name}: none of {plural(len(refs), 'object')} is whole; the first, {name}: "
            f"{why}. {' '.join(sealed.set_aside)}"
        )
    latents_sha256, strange = _latents(spool, examiner, good, recipe)
    evidence, looked_at = _evidence(spool, examiner, good)
    order, notes = _order(options.channel_order, evidence, looked_at, sealed.name)
    making = Converted(
        layout="published",
        recipe=recipe,
        size=examiner.side,
        views=examiner.views,
        image_format="jpg",
        channel_order=order,
        split=dealt.name,
        objects_per_shard=options.objects_per_shard,
        objects_sha256=list_hash(shards),
        latents_sha256=latents_sha256,
        threedie=__version__,
        origin=Origin(
            kind=sealed.kind,
            name=sealed.name,
            bytes=sealed.bytes,
            sha256=sealed.sha256,
            channel_evidence=evidence,
        ),
    )
    return ConvertPlan(
        making=making,
        classes=class_entries(refs),
        shards=shards,
        numbers=numbers,
        examiner=examiner,
        first_views=first_views,
        failures=tuple(
            Failure(object=name, stage=stage, error=f"{why}.", attempts=1)
            for name, (stage, why) in faults.items()
        ),
        notes=(*sealed.set_aside, *_extra(examiner), *dealt.notes, *strange, *notes),
    )


class _Dealt:
    """The split rule over the objects that are there, and what is to be said of its lists."""

    def __init__(self, spool: Spool, options: ConvertOptions, refs: list[ObjectRef]) -> None:
        own = spool.list_path(VAL_LIST)
        self.name = options.chosen_split(own)
        self.notes: tuple[str, ...] = ()
        self.in_no_list: set[str] = set()
        val_list = options.val_list or (own if self.name == "official" else None)
        self.rule: SplitRule = split_rule(self.name, val_list=val_list)
        if self.name == "official" and val_list is not None:
            train_list = options.train_list
            if options.val_list is None:
                train_list = spool.list_path(TRAIN_LIST)
            self._compare(refs, val_list, train_list)

    def _compare(self, refs: list[ObjectRef], val_list: Path, train_list: Path | None) -> None:
        there = {(canonical_class(ref.class_id), ref.object_id): ref.name for ref in refs}
        val = set(read_object_list(val_list))
        listed = {
            "val": val,
            **({"train": set(read_object_list(train_list))} if train_list else {}),
        }
        if not val & there.keys():
            raise ConfigError(
                f"none of {plural(len(refs), 'object')} is in the val list {val_list}; the "
                f"first is '{refs[0].name}'. Give the list of these objects, or --split hash."
            )
        if train_list is not None:
            both = sorted(val & listed["train"])
            if both:
                raise ConfigError(
                    f"{plural(len(both), 'object')} stand both in {val_list.name} and in "
                    f"{train_list.name}, the first is '{'/'.join(both[0])}'. Mend one of the lists."
                )
            self.in_no_list = {n for k, n in there.items() if k not in val | listed["train"]}
        for split, keys in listed.items():
            if missing := len(keys - there.keys()):
                self.notes += (
                    f"{missing:,} of the {plural(len(keys), 'object')} in the {split} list are not "
                    "there.",
                )


def _examine(
    examiner: Examiner, dealt: _Dealt, shards: tuple[PlannedShard, ...], numbers: dict[str, int]
) -> tuple[dict[str, tuple[str, str]], dict[int, FirstView]]:
    """(stage, why) of what is not whole, in the plan's order; first views of the others."""
    found: dict[int, tuple[str, str]] = {}
    for name, number in numbers.items():
        if name in dealt.in_no_list:
            found[number] = "split", "it stands in none of the split lists"
        elif fault := examiner.fault(number):
            found[number] = "read", fault
    whole = [number for number in numbers.values() if number not in found]
    first_views = {}
    for number, view in examiner.first_views(whole):
        if view is None:
            found[number] = "decode", "image_0.jpg does not decode as an RGB JPEG"
        else:
            first_views[number] = view
    planned = (obj.ref.name for shard in shards for obj in shard.objects)
    return {name: found[n] for name in planned if (n := numbers[name]) in found}, first_views


def _evidence(spool: Spool, examiner: Examiner, good: list[int]) -> tuple[ChannelEvidence, int]:
    """Over many objects, and over different views of them; with the number of pictures."""
    total = min(_LOOKED_AT, len(good) * examiner.views)
    picks = [(i % len(good), (i // len(good) + i) % examiner.views) for i in range(total)]
    with spool.open_pictures() as pictures:

        def pairs() -> Iterator[tuple[bytes, float]]:
            for at, view in picks:
                images, latents = examiner.rows(good[at])
                hue = spool.latents_of(latents[view : view + 1])[0, 3]
                yield pictures.read(images[view : view + 1])[0], float(hue)

        return weigh(pairs()), total


def _order(
    asked: AskedOrder, evidence: ChannelEvidence, looked_at: int, where: str
) -> tuple[Literal["rgb", "bgr"], tuple[str, ...]]:
    numbers = (
        f"floor hue {evidence.rgb_error:.3f} from the latent as rgb, {evidence.bgr_error:.3f} as "
        f"bgr, over {plural(evidence.pictures, 'picture')}"
    )
    if asked == "auto":
        found = choose_order(evidence, looked_at, where)
        return found, (f"channel order {found}: {numbers}.",)
    return asked, (f"channel order {asked}, as asked for; found: {numbers}.",)


def _latents(
    spool: Spool, examiner: Examiner, good: list[int], recipe: Recipe
) -> tuple[str, tuple[str, ...]]:
    """The hash of all latents in the order of the shards, and whether they can be the recipe's."""
    digest, outside = hashlib.sha256(), 0
    for number in good:
        latents = spool.latents_of(examiner.rows(number)[1])
        digest.update(np.ascontiguousarray(latents, "<f8").tobytes())
        outside += int((~latents_in_range(recipe, latents)).sum())
    if not outside:
        return digest.hexdigest(), ()
    views = plural(len(good) * examiner.views, "view")
    note = (
        f"the latents of {outside:,} of {views} are outside the ranges of recipe '{recipe.name}'."
    )
    return digest.hexdigest(), (note,)


def _extra(examiner: Examiner) -> tuple[str, ...]:
    extra = examiner.extra_views()
    if not extra:
        return ()
    return (f"{plural(extra, 'picture')} beyond {plural(examiner.views, 'view')} were left out.",)
