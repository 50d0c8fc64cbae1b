"""Claims proved here, on decoding.

- A picture comes out in true RGB whatever the file's channel order, JPEG and PNG; JPEG at full size
  is what Pillow decodes, and the official file with R and B swapped is the golden picture.
- At a smaller size it is close to the full picture averaged over blocks (a shift by a pixel, a
  swapped axis or plain subsampling is not); sizes that are no power of two work too.
- It is decoded into the given buffer and nowhere beside it.
- Damaged, foreign, too large and non-square files are one clear error, before memory is taken.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.data.builders import encode
from threedie.benchmark.reading.pictures import decode_into, halvings, side_of
from threedie.errors import ManifestError

Picture = NDArray[np.uint8]
VIEWS = "render/images/03001627/chair0"


@pytest.fixture(scope="module")
def chair() -> Picture:
    """A golden render: 256 × 256, with edges, textures and noise."""
    path = Path(__file__).parents[2] / "golden" / VIEWS / "view_0.png"
    return np.asarray(Image.open(path).convert("RGB"))


def decoded(content: bytes, size: int, side: int = 256, bgr: bool = False) -> Picture:
    out = np.zeros((size, size, 3), np.uint8)
    decode_into(content, out, side=side, bgr=bgr)
    return out


def block_means(picture: Picture, size: int) -> NDArray[np.float64]:
    """Float64 reference: every output pixel is the mean of its block."""
    k = len(picture) // size
    means: NDArray[np.float64] = (
        picture.astype(np.float64).reshape(size, k, size, k, 3).mean(axis=(1, 3))
    )
    return means


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_true_rgb_whatever_the_file_has(chair: Picture, kind: str, order: str) -> None:
    found = decoded(encode(chair, kind, order), 256, bgr=order == "bgr").astype(int)
    # Chroma is stored at half size, so that single pixels differ; a swap differs everywhere.
    assert np.abs(found - chair).mean() < (3 if kind == "jpg" else 1e-9)
    assert np.abs(found[:, :, ::-1] - chair).mean() > 10


def test_full_size_is_what_pillow_decodes(chair: Picture) -> None:
    content = encode(chair, "jpg")
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert np.abs(decoded(content, 256) - expected).max() <= 1


def test_the_official_file_is_bgr() -> None:
    golden = Path(__file__).parents[2] / "golden"
    official = (golden / "render/official_chair0_view_0.jpg").read_bytes()
    lossless = np.asarray(Image.open(golden / VIEWS / "view_0.png").convert("RGB")).astype(int)
    assert np.abs(decoded(official, 256, bgr=True) - lossless).mean() < 3
    assert np.abs(decoded(official, 256, bgr=False) - lossless).mean() > 10


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("size", [128, 64, 32])
def test_reduced_is_the_mean_of_blocks(chair: Picture, kind: str, size: int) -> None:
    content = encode(chair, kind)
    means = block_means(decoded(content, 256), size)
    found = decoded(content, size).astype(np.float64)
    error = np.abs(found - means).mean()
    assert error < 0.6
    assert np.abs(found - means).max() < 16
    # What would be wrong is far away: other pixels, other axes, no averaging.
    sparse = decoded(content, 256)[:: 256 // size, :: 256 // size]
    for wrong in (np.roll(found, 1, axis=1), found.transpose(1, 0, 2), sparse):
        assert np.abs(wrong - means).mean() > 1.8 * error


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("size", [224, 100, 96, 31, 1])
def test_any_smaller_size(chair: Picture, kind: str, size: int) -> None:
    content = encode(chair, kind)
    full = Image.fromarray(decoded(content, 256))
    expected = np.asarray(full.resize((size, size), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(decoded(content, size) - expected).mean() < 2.0


def test_a_constant_picture_stays_constant() -> None:
    pixels = np.full((48, 48, 3), (200, 100, 50), np.uint8)
    for size in (48, 40, 24, 23, 12, 7, 6, 3):
        assert (decoded(encode(pixels, "png"), size, 48) == (200, 100, 50)).all()
        found = decoded(encode(pixels, "jpg"), size, 48).astype(int)
        assert np.abs(found - (200, 100, 50)).max() <= 2


def test_halvings_by_hand() -> None:
    cases = {(256, 256): 1, (256, 129): 1, (256, 128): 2, (256, 65): 2, (256, 64): 4}
    cases |= {(256, 32): 8, (256, 8): 8, (100, 50): 2, (101, 51): 2, (101, 50): 2, (7, 1): 8}
    assert {case: halvings(*case) for case in cases} == cases


def test_only_the_given_buffer_is_written(chair: Picture) -> None:
    for size in (256, 128, 100):
        batch = np.full((3, size, size, 3), 7, np.uint8)
        decode_into(encode(chair, "jpg"), batch[1], side=256, bgr=False)
        assert (batch[[0, 2]] == 7).all()
        assert (batch[1] == decoded(encode(chair, "jpg"), size)).all()


def test_grey_files_have_three_equal_channels(chair: Picture) -> None:
    out = io.BytesIO()
    Image.fromarray(chair).convert("L").save(out, "JPEG")
    found = decoded(out.getvalue(), 256)
    assert (found[:, :, 0] == found[:, :, 1]).all()
    assert (found[:, :, 0] == found[:, :, 2]).all()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82"


def jpeg_of(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    content = bytearray(encode(np.zeros((16, 16, 3), np.uint8), "jpg"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def broken(chair: Picture) -> dict[str, bytes]:
    good = encode(chair, "jpg")
    return {
        "empty": b"",
        "text": b"<html>404</html>",
        "cut JPEG": good[: len(good) // 2],
        "head of a JPEG": good[:20],
        "cut PNG": encode(chair, "png")[:3000],
        "JPEG of 65500²": jpeg_of(65500, 65500),
        "PNG of 60000²": png_header(60000, 60000),
        "smaller JPEG": encode(chair[:128, :128], "jpg"),
        "JPEG with as many pixels": jpeg_of(512, 128),
        "smaller PNG": encode(chair[:128, :128], "png"),
        "GIF": b"GIF89a" + bytes(100),
    }


@pytest.mark.parametrize("size", [256, 128, 100])
def test_bad_files_are_one_error_and_take_no_memory(chair: Picture, size: int) -> None:
    for name, content in broken(chair).items():
        tracemalloc.start()
        with pytest.raises(ManifestError, match=f"a picture of {len(content)} bytes"):
            decoded(content, size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * 2**20, name


def test_another_size_says_both() -> None:
    with pytest.raises(ManifestError, match="32 × 32 pixels, 256 × 256 were expected"):
        decoded(encode(np.zeros((32, 32, 3), np.uint8), "jpg"), 256)


def test_side_is_read_from_the_header(chair: Picture) -> None:
    assert side_of(encode(chair, "jpg")) == side_of(encode(chair, "png")) == 256
    with pytest.raises(ManifestError, match="256 × 100"):
        side_of(encode(chair[:100], "png"))
    with pytest.raises(ManifestError, match="not a picture"):
        side_of(b"nothing")
