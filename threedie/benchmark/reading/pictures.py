"""Encoded bytes to pixels: JPEG or PNG into a given buffer, in true RGB, at a wanted size.

A smaller size is made in two steps: halve while the result stays at least as large as wanted (JPEG
in libjpeg, which then decodes a part of the coefficients only, as accurate as averaging blocks;
PNG by averaging blocks), then Pillow's antialiased bilinear filter for the rest. Only powers of two
are left to libjpeg: for other factors it has no fast code.

Shape suffixes: H, W = pixels, 3 = channels.
"""

from __future__ import annotations

import io

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from threedie.errors import ManifestError

Picture = NDArray[np.uint8]
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def decode_into(content: bytes, out_HW3: Picture, *, side: int, bgr: bool) -> None:
    """Decode a picture into a buffer.

    Args:
        content: a JPEG or PNG file.
        out_HW3: square, C-contiguous; its side is the wanted size, at most `side`.
        side: of the picture in pixels. Another is an error, so that memory is bounded.
        bgr: R and B are swapped in the file.

    Raises:
        ManifestError: damaged, of another size, or no such file.
    """
    try:
        if content[:3] == _JPEG:
            _decode_jpeg(content, out_HW3, side, "BGR" if bgr else "RGB")
        elif content[:8] == _PNG:
            _decode_png(content, out_HW3, side, bgr)
        else:
            raise ValueError("neither JPEG nor PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise ManifestError(
            f"a picture of {len(content)} bytes does not decode: {str(err)[:200]}"
        ) from err


def side_of(content: bytes) -> int:
    """The side of a square picture, from its header.

    Raises:
        ManifestError: no picture, or not square.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise ManifestError(f"not a picture: {err}") from err
    if width != height:
        raise ManifestError(f"a picture is {width} × {height}; square ones are expected")
    return width


def halvings(side: int, size: int) -> int:
    """The largest 1, 2, 4 or 8 by which `side` can be divided and stay at least `size`."""
    return next(k for k in (8, 4, 2, 1) if k == 1 or -(-side // k) >= size)


def _decode_jpeg(content: bytes, out_HW3: Picture, side: int, order: str) -> None:
    size = len(out_HW3)
    if size == side:
        _exactly(simplejpeg.decode_jpeg(content, order, buffer=out_HW3), side)
        return
    height, width = simplejpeg.decode_jpeg_header(content)[:2]
    _check_side(width, height, side)
    reduced = -(-side // halvings(side, size))
    if reduced == size:
        simplejpeg.decode_jpeg(
            content, order, min_height=reduced, min_width=reduced, buffer=out_HW3
        )
        return
    pixels = simplejpeg.decode_jpeg(content, order, min_height=reduced, min_width=reduced)
    out_HW3[...] = _resized(Image.fromarray(pixels), size)


def _exactly(pixels: Picture, side: int) -> None:
    _check_side(pixels.shape[1], pixels.shape[0], side)


def _check_side(width: int, height: int, side: int) -> None:
    if (width, height) != (side, side):
        raise ValueError(f"it is {width} × {height} pixels, {side} × {side} were expected")


def _decode_png(content: bytes, out_HW3: Picture, side: int, bgr: bool) -> None:
    size = len(out_HW3)
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        _check_side(*image.size, side)
        rgb = image.convert("RGB")
    if size != side:
        rgb = _resized(rgb.reduce(halvings(side, size)), size)
    pixels = np.asarray(rgb)
    out_HW3[...] = pixels[:, :, ::-1] if bgr else pixels


def _resized(image: Image.Image, size: int) -> Image.Image:
    return image.resize((size, size), Image.Resampling.BILINEAR)
