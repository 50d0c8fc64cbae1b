"""The outline of a plan: what plan.json holds, enough to close a data set without its meshes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from threedie.errors import ConfigError
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


def refuse_other(where: str, there: Making, asked: Making) -> None:
    """Refuse to mix two data sets in one place.

    Raises:
        ConfigError: `there` was made otherwise; every difference is in the message.
    """
    old, new = _flat(there.model_dump(mode="json")), _flat(asked.model_dump(mode="json"))
    differences = "\n".join(
        f"  {name}: {old.get(name)} there, {new.get(name)} asked for"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )
    if differences:
        raise ConfigError(
            f"{where} holds a data set made otherwise:\n{differences}\n"
            "Repeat its options to go on with it, or give another --out."
        )


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {
        k: v
        for name in value
        for k, v in _flat(value[name], f"{prefix}.{name}".lstrip(".")).items()
    }
