"""Claims: bytes are said in the unit that says something; what rounds to nothing has no sign."""

from __future__ import annotations

import pytest

from threedie.words import fixed, room


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


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert [fixed(v, 3) for v in (-0.0004, -0.0, 0.0004, -0.0006)] == [
        "0.000",
        "0.000",
        "0.000",
        "-0.001",
    ]
