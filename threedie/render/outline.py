"""The outline of a plan: what plan.json holds, enough to close a data set without its meshes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from threedie.manifests.dataset import ClassEntry, Count, FileName, Making, Model
from threedie.render.plan import Plan


class ShardOutline(Model):
    """One shard of a plan."""

    name: FileName
    split: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    objects: Count
    """Planned."""


class Outline(Model):
    """plan.json: written first, so that `3die merge` knows what there should be."""

    making: Making
    classes: tuple[ClassEntry, ...] = ()
    shards: tuple[ShardOutline, ...] = ()
    """Empty in folders that an earlier version has begun."""

    @classmethod
    def of(cls, plan: Plan) -> Outline:
        """The outline of a plan."""
        return cls(
            making=plan.making,
            classes=plan.classes,
            shards=tuple(
                ShardOutline(name=s.name, split=s.split, objects=len(s.objects))
                for s in plan.shards
            ),
        )
