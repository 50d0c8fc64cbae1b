"""Claim: bytes are said in the unit that says something, and never as nothing."""

from __future__ import annotations

import pytest

from threedie.words import room


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (104 * 1024, "104.0 KiB"),
        (13_526_630, "12.9 MiB"),
        (2**30, "1.0 GiB"),
        (2**60, "1,048,576.0 TiB"),
    ],
)
def test_room(count: int, said: str) -> None:
    assert room(count) == said
