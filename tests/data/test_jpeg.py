"""Claims proved here, on reading the head of a JPEG.

- Pillow's size, for baseline and progressive files of any shape, with comments and EXIF.
- None for anything that is not a whole JPEG of three 8-bit channels, and for every cut; no content
  makes it raise.
"""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from threedie.data.jpeg import jpeg_size


def encoded(size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 4), np.uint8)
    image = Image.fromarray(noise[:, :, :3]).convert(mode)
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (300, 7), (17, 256)])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"comment": b"x" * 500}, {"subsampling": "4:4:4", "quality": 100}],
)
def test_the_size_is_pillows(size: tuple[int, int], options: dict[str, Any]) -> None:
    assert jpeg_size(encoded(size, **options)) == size


def test_other_pictures_are_none() -> None:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    grey, cmyk = encoded((8, 8), "L"), encoded((8, 8), "CMYK")
    for content in (b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", out.getvalue(), grey, cmyk):
        assert jpeg_size(content) is None


def test_every_cut_is_none() -> None:
    whole = encoded((16, 16))
    assert [n for n in range(len(whole)) if jpeg_size(whole[:n]) is not None] == []


def test_no_content_makes_it_raise() -> None:
    whole, chance = encoded((16, 16)), random.Random(0)
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            content[chance.randrange(len(content) - 2)] = chance.randrange(256)
        found = jpeg_size(bytes(content))
        assert found is None or len(found) == 2
