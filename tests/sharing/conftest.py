"""Conversions of archives in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sharing.published import pieces
from threedie.sharing.convert import ConvertOutcome, convert_archive
from threedie.sharing.convert_plan import ConvertOptions
from threedie.sharing.progress import ConvertProgress

Convert = Callable[..., ConvertOutcome]


def convert(
    content: bytes,
    out: Path,
    *,
    name: str = "set.tar",
    progress: ConvertProgress | None = None,
    **options: object,
) -> ConvertOutcome:
    """Convert an archive, small shards unless told otherwise."""
    options = {"objects_per_shard": 3, **options}
    return convert_archive(
        pieces(content),
        name=name,
        size=len(content),
        out=out,
        options=ConvertOptions(**options),  # type: ignore[arg-type]
        progress=progress or ConvertProgress(),
    )


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the data set goes."""
    return tmp_path / "out"
