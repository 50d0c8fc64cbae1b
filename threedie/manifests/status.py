"""status.json: what maintainers say of an entry. It stays in the board, whatever they say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from threedie.manifests.entries import Date
from threedie.manifests.results import NumbersFile


class Status(NumbersFile):
    """status.json."""

    advice = "Maintainers write one for an entry that is disputed or retracted."
    foreign = "not a status of threedie"

    schema_version: Literal[1] = 1
    state: Literal["disputed", "retracted"]
    on: Date
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
