"""Claims proved here, on finding the channel order out.

- The floor's hue is that of a painted floor, whatever stands on it and whatever its brightness, in
  all of the circle; a grey floor has none.
- Real renders (the official generator's and ours, lossless; the official JPEG) are told apart at
  once, in both orders.
- Evidence for neither or both is refused; so is a set of mostly grey floors.
"""

from __future__ import annotations

import colorsys
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.sharing.published import jpeg, picture
from threedie.errors import ConfigError
from threedie.manifests.dataset import ChannelEvidence
from threedie.sharing.convert.channel_order import choose_order, distance, floor_hue, weigh


@pytest.mark.parametrize("hue", np.arange(0, 1, 0.05).tolist())
@pytest.mark.parametrize("value", [0.2, 0.9])
def test_the_hue_of_a_painted_floor(hue: float, value: float) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[...] = 255 * np.array(colorsys.hsv_to_rgb(hue, 0.5, value))
    pixels[20:, 10:50] = np.random.default_rng(0).integers(0, 256, (44, 40, 3), np.uint8)
    found = floor_hue(pixels)
    assert found is not None
    assert distance(np.array(found), np.array(hue)) < 0.01
    swapped = floor_hue(pixels[:, :, ::-1])
    assert swapped is not None
    assert distance(np.array(swapped), np.array((2 / 3 - hue) % 1)) < 0.01


def test_a_grey_floor_has_no_hue() -> None:
    assert floor_hue(np.full((32, 32, 3), 90, np.uint8)) is None
    assert floor_hue(np.zeros((8, 8, 3), np.uint8)) is None


def test_distance_goes_around() -> None:
    assert distance(np.array([0.98, 0.25]), np.array([0.01, 0.75])).round(6).tolist() == [0.03, 0.5]


def test_the_golden_renders_are_told_apart(golden_dir: Path) -> None:
    images = golden_dir / "render" / "images"
    latents = np.load(images / "latents.npz", allow_pickle=False)
    pairs = []
    for name in latents.files:
        for view, row in enumerate(latents[name]):
            pixels = np.asarray(Image.open(images / name / f"view_{view}.png").convert("RGB"))
            pairs.append((pixels, float(row[3])))
    assert len(pairs) >= 16
    for order, step in (("rgb", 1), ("bgr", -1)):
        evidence = weigh((jpeg(pixels[:, :, ::step]), hue) for pixels, hue in pairs)
        assert choose_order(evidence, len(pairs), "x") == order
        right, wrong = sorted((evidence.rgb_error, evidence.bgr_error))
        assert right < 0.025
        assert wrong > 0.15


def test_the_official_jpeg_is_bgr(golden_dir: Path) -> None:
    official = golden_dir / "render" / "official_chair0_view_0.jpg"
    latents = np.load(golden_dir / "render" / "images" / "latents.npz", allow_pickle=False)
    hue = float(latents["03001627/chair0"][0, 3])
    assert choose_order(weigh([(official.read_bytes(), hue)]), 1, "x") == "bgr"


def test_pictures_that_do_not_decode_do_not_count() -> None:
    assert weigh([(b"junk", 0.5), (picture(0.5, 1), 0.5)]).pictures == 1
    nothing = weigh([])
    assert (nothing.pictures, nothing.rgb_error, nothing.bgr_error) == (0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("rgb", "bgr", "coloured", "told"),
    [
        (0.24, 0.26, 100, "the latents are not those"),
        (0.051, 0.2, 100, "0.051 from the latent h as rgb and 0.200 as bgr"),
        (0.01, 0.02, 100, "both fit"),
        (0.01, 0.25, 49, "medians over 49 pictures with a coloured floor, of 100"),
    ],
)
def test_weak_evidence_is_refused(rgb: float, bgr: float, coloured: int, told: str) -> None:
    evidence = ChannelEvidence(pictures=coloured, rgb_error=rgb, bgr_error=bgr)
    with pytest.raises(ConfigError, match=told):
        choose_order(evidence, 100, "set.tar")


def test_good_evidence_is_taken() -> None:
    for rgb, bgr, order in ((0.012, 0.23, "rgb"), (0.23, 0.019, "bgr"), (0.04, 0.07, "rgb")):
        evidence = ChannelEvidence(pictures=60, rgb_error=rgb, bgr_error=bgr)
        assert choose_order(evidence, 100, "x") == order


def test_the_test_pictures_are_jpegs() -> None:
    with Image.open(io.BytesIO(picture(0.3, 2))) as image:
        assert (image.format, image.size) == ("JPEG", (32, 32))
