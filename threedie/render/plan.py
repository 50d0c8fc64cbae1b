"""The plan of a run: which objects, in which split and shard, and all that decides their bytes.

A plan is a pure function of the options, the source's listing and the versions; workers, machine
and order of work are not in it. Two runs with equal plans make equal shards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from threedie.data.dealing import (
    ObjectRef,
    PlannedObject,
    PlannedShard,
    class_entries,
    deal,
    list_hash,
    refuse_twins,
)
from threedie.errors import ConfigError
from threedie.manifests.classes import choose_classes, find_class
from threedie.manifests.dataset import ClassEntry, Making, Versions
from threedie.manifests.latents import Array
from threedie.manifests.recipes import find_quality, find_recipe
from threedie.manifests.splits import canonical_class, read_object_list, split_rule
from threedie.render.given_latents import GivenLatents
from threedie.render.meshes.sources import MeshSource, open_source
from threedie.render.sampler import sample_object

ImageFormat = Literal["jpg", "png"]
ChannelOrder = Literal["rgb", "bgr"]
MissingTexture = Literal["fail", "grey"]
_NUMBERED_SHAPES = 10_000  # of a built-in class, when a latents file chooses among them


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderOptions:
    """What a user asks for; the command line's options with the same names."""

    meshes: Path | None = None
    """A folder of meshes, a folder of ShapeNet's zips, or None for the built-in shapes."""
    classes: str = "all"
    limit: int | None = None
    """Objects per class; None: all (of the built-in shapes: 40)."""
    objects: Path | None = None
    """A list of objects to render instead of everything in the source."""
    recipe: str = "3diebench"
    quality: str = "standard"
    views: int | None = None
    """None: the recipe's (50)."""
    size: int = 256
    seed: int = 0
    image_format: ImageFormat = "jpg"
    channel_order: ChannelOrder = "rgb"
    split: str = "hash"
    val_list: Path | None = None
    latents: Path | None = None
    missing_texture: MissingTexture = "grey"
    objects_per_shard: int = 256

    def __post_init__(self) -> None:
        self._at_least("--limit", self.limit, 1)
        self._at_least("--views", self.views, 1)
        self._at_least("--seed", self.seed, 0)
        self._at_least("--shard-size", self.objects_per_shard, 1)
        self._at_least("--size", self.size, 8)
        if self.size > 8192:
            raise ConfigError(f"--size is {self.size}; a picture has at most 8192 pixels a side.")
        if self.views is not None and self.views > 9999:
            raise ConfigError(f"--views is {self.views}; an object has at most 9999 views.")
        for name, value, allowed in (
            ("--image-format", self.image_format, get_args(ImageFormat)),
            ("--channel-order", self.channel_order, get_args(ChannelOrder)),
            ("--missing-texture", self.missing_texture, get_args(MissingTexture)),
        ):
            if value not in allowed:
                raise ConfigError(f"{name} is '{value}'; it can be {' or '.join(allowed)}.")

    @staticmethod
    def _at_least(name: str, value: int | None, least: int) -> None:
        if value is not None and value < least:
            raise ConfigError(f"{name} is {value}; it must be at least {least}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything that is to be made."""

    making: Making
    classes: tuple[ClassEntry, ...]
    shards: tuple[PlannedShard, ...]
    source: MeshSource
    given_latents: GivenLatents | None

    @property
    def objects(self) -> Iterator[PlannedObject]:
        """All objects, shard by shard."""
        return (obj for shard in self.shards for obj in shard.objects)

    @property
    def n_objects(self) -> int:
        """How many objects are planned."""
        return sum(len(shard.objects) for shard in self.shards)

    @property
    def n_pictures(self) -> int:
        """How many pictures are planned."""
        return self.n_objects * self.making.views

    def latents(self, ref: ObjectRef) -> Array:
        """(V, 7 or 10) latents of an object: drawn, or out of the given file."""
        making = self.making
        if self.given_latents is not None:
            return self.given_latents.of(ref.name)[: making.views]
        return sample_object(
            making.recipe,
            seed=making.seed,
            class_id=ref.class_id,
            object_id=ref.object_id,
            views=making.views,
        )

    def share(self, part: Part) -> Share:
        """The shards of one part: equal runs of them, in order."""
        first, last = (len(self.shards) * k // part.of for k in (part.number, part.number + 1))
        return Share(f"{part.number}-of-{part.of}", self.shards[first:last])


@dataclass(frozen=True, slots=True)
class Part:
    """One of several machines' parts of a plan, as `--shard-range 3/16` names it."""

    number: int
    """From 0."""
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Read `k/n`.

        Raises:
            ConfigError: not that, or k is not below n.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if not match or int(match[1]) >= int(match[2]):
            raise ConfigError(
                f"--shard-range is '{text}'; give k/n with k from 0 to n−1: 0/16, 1/16 … 15/16."
            )
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True, slots=True)
class Share:
    """The shards that one run is to make."""

    name: str
    """For the lock of its folder; no two shares of a plan have the same."""
    shards: tuple[PlannedShard, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Maker:
    """What will make the pictures."""

    versions: Versions
    device: str
    """cpu, or a type of GPU."""


def make_plan(options: RenderOptions, *, maker: Callable[[], Maker]) -> Plan:
    """Plan a run.

    Args:
        options: what is asked for.
        maker: says what will make the pictures; asked last, because starting Blender takes a
            second and a mistyped class should not.

    Raises:
        ConfigError: an unknown name, a source or list that can't be read, nothing to render.
    """
    recipe, quality = find_recipe(options.recipe), find_quality(options.quality)
    n_builtin = _NUMBERED_SHAPES if options.latents else options.limit or 40
    source = open_source(options.meshes, objects_per_class=n_builtin)
    given = GivenLatents(options.latents, recipe.latent_size) if options.latents else None
    views = given.views(options.views) if given else options.views or recipe.views
    chosen = choose_classes(options.classes, source.list_classes())
    refuse_twins(
        chosen,
        source="the mesh source",
        remedy="Rename or merge one, or choose one with --classes.",
    )
    refs = _list_refs(source, chosen, options, given)
    if not refs:
        raise ConfigError("nothing to render: no object fits --classes, --objects and --latents.")
    shards, made_by = _deal(refs, options), maker()
    making = Making(
        recipe=recipe,
        quality=options.quality,
        quality_settings=quality,
        seed=options.seed,
        size=options.size,
        views=views,
        image_format=options.image_format,
        channel_order=options.channel_order,
        device=made_by.device,
        split=options.split,
        objects_per_shard=options.objects_per_shard,
        missing_texture=options.missing_texture,
        source=source.kind,
        objects_sha256=list_hash(shards),
        latents_sha256=given.sha256 if given else None,
        versions=made_by.versions,
    )
    classes = class_entries(refs)
    return Plan(
        making=making,
        classes=classes,
        shards=shards,
        source=source,
        given_latents=given,
    )


def _list_refs(
    source: MeshSource, classes: list[str], options: RenderOptions, given: GivenLatents | None
) -> list[ObjectRef]:
    """The objects of the plan, class by class, each once."""
    wanted = _wanted_objects(source, options)
    refs: list[ObjectRef] = []
    present: list[str] = []
    for class_id in classes:
        asked = None if wanted is None else wanted.get(canonical_class(class_id), {})
        if asked is not None and not asked:
            continue
        # Listed even when a list says what to render: a broken archive is told now, not later.
        listed = source.list_objects(class_id)
        present += [ref.name for ref in listed]
        if asked is not None:
            listed = [ObjectRef(class_id=class_id, object_id=object_id) for object_id in asked]
            present += [ref.name for ref in listed]
        kept = [ref for ref in listed if given is None or ref.name in given]
        refs += kept[: options.limit]
    if given is not None:
        fits = _left_out_or_there(source, options)
        chosen = {canonical_class(class_id) for class_id in classes}
        looked_at = chosen if wanted is None else chosen & wanted.keys()
        given.check_names(
            present, is_left_out=lambda c: canonical_class(c) not in looked_at and fits(c)
        )
    return refs


def _wanted_objects(
    source: MeshSource, options: RenderOptions
) -> dict[str, dict[str, None]] | None:
    """Class to objects in the order of the list; a class that can't be there is refused."""
    if options.objects is None:
        return None
    fits = _left_out_or_there(source, options)
    listed = read_object_list(options.objects)
    absent = {c for c in {class_id for class_id, _ in listed} if not fits(c)}
    lost = [f"{class_id}/{object_id}" for class_id, object_id in listed if class_id in absent]
    if lost:
        raise ConfigError(
            f"{options.objects}: {len(lost)} of {len(listed)} entries are of classes that the mesh "
            f"source does not have, the first is '{lost[0]}'; expected its classes "
            f"({', '.join(source.list_classes()[:8])}). Mend or remove these entries, or choose "
            "some of the source's classes with --classes."
        )
    wanted: dict[str, dict[str, None]] = {}
    for class_id, object_id in listed:
        wanted.setdefault(class_id, {})[object_id] = None
    return wanted


def _left_out_or_there(source: MeshSource, options: RenderOptions) -> Callable[[str], bool]:
    """Whether a class of a list is the source's, or one of the 55 when --classes chooses some."""
    there = {canonical_class(class_id) for class_id in source.list_classes()}
    chosen = options.classes.strip().lower() != "all"
    return lambda c: canonical_class(c) in there or (chosen and find_class(c) is not None)


def _deal(refs: list[ObjectRef], options: RenderOptions) -> tuple[PlannedShard, ...]:
    rule = split_rule(options.split, val_list=options.val_list)
    shards = deal(refs, rule, objects_per_shard=options.objects_per_shard)
    if options.split == "official" and not any(shard.split == "val" for shard in shards):
        raise ConfigError(
            f"none of {len(refs)} planned objects is in the val list {options.val_list}; the first "
            f"planned one is '{refs[0].name}'. Give the list of these "
            "meshes, or --split hash."
        )
    return shards
