"""board.json: what a leaderboard ranks. One board, one protocol, one val split."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from threedie.manifests.dataset import Count, Model, Sha256
from threedie.manifests.entries import Date, Line, ProtocolRef, Url
from threedie.manifests.results import NumbersFile

FILE_NAME = "board.json"


class BoardData(Model):
    """The data set that entries were evaluated on."""

    name: Line
    recipe: Line | None
    train_hash: Sha256
    val_hash: Sha256
    train_objects: Count
    val_objects: Count
    views: Annotated[int, Field(ge=1)]
    classes: Count


class Board(NumbersFile):
    """board.json."""

    advice = "`3die leaderboard init BOARD --data DATASET` makes a board."
    foreign = "not a board of threedie"

    schema_version: Literal[1] = 1
    title: Line
    protocol: ProtocolRef
    data: BoardData
    list_sha256: Sha256
    created: Date
    address: Url | None = None
    """Of its git repository, for those who look at the pages."""
