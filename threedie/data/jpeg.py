"""What a JPEG file says of itself, without decoding it."""

from __future__ import annotations

_START, _END = b"\xff\xd8", b"\xff\xd9"
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: what every decoder takes
_SCAN = 0xDA


def jpeg_size(content: bytes) -> tuple[int, int] | None:
    """(width, height) of a whole JPEG file of three 8-bit channels; None for anything else.

    Whole: it begins as one, names its size, has a scan, and its last bytes are the end marker. A
    damaged scan is for the decoder to find.
    """
    if not (content.startswith(_START) and content.endswith(_END)):
        return None
    at, size = 2, None
    while at + 4 <= len(content) and content[at] == 0xFF:
        kind = content[at + 1]
        if kind == _SCAN:
            return size
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if kind < 0xC0 or 0xD0 <= kind <= 0xD9 or length < 2:
            return None
        if kind in _FRAMES:
            frame = content[at + 4 : at + 10]
            if len(frame) < 6 or frame[0] != 8 or frame[5] != 3 or size is not None:
                return None
            size = int.from_bytes(frame[3:5], "big"), int.from_bytes(frame[1:3], "big")
        at += 2 + length
    return None
