"""How numbers are said to people."""

from __future__ import annotations


def plural(count: int, what: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
