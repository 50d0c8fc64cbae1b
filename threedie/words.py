"""How numbers are said to people."""

from __future__ import annotations


def plural(count: int, what: str) -> str:
    """`1 object`, `2 objects`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals; what rounds to nothing has no sign."""
    text = f"{value:.{digits}f}"
    return text if float(text) else text.lstrip("-")


def room(count: int) -> str:
    """Bytes in the unit that says something: `512 B`, `3.4 KiB`, `12.9 MiB`, `17.2 GiB`."""
    if count < 1024:
        return f"{count} B"
    power = min((count.bit_length() - 1) // 10, 4)
    return f"{count / 1024**power:,.1f} {' KMGT'[power]}iB"


def clock(seconds: float) -> str:
    """A duration as hours:minutes:seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
