"""Finding out whether pictures are RGB or BGR: the floor's colour against the latent that made it.

The floor's hue is a latent, h. In an RGB file the floor has the hue h; where R and B are swapped it
has (2/3 − h) mod 1. Filmic and the coloured light shift it a little: over renders of built-in
shapes, other meshes and the official generator's own pictures, at 64 to 256 pixels, the median
distance is 0.012 to 0.019 in the right order; in the wrong one, or to others' latents, about 0.23.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedie.errors import ConfigError
from threedie.manifests.dataset import ChannelEvidence

_STRIP = 0.06  # of the height, from the top: the camera sees nothing but floor there
_FITS = 0.05  # of the circle of hues
_APART = 0.02
_LEAST_SATURATION = 0.08  # rendered floors have 0.28; below this a hue is noise


def floor_hue(pixels_HWC: NDArray[np.uint8]) -> float | None:
    """The floor's hue in 0..1, None where it has no colour; the first channel is taken for red."""
    rows = max(2, round(len(pixels_HWC) * _STRIP))
    pixels = pixels_HWC[:rows].reshape(-1, 3).astype(np.float64)
    high, chroma = pixels.max(1), np.ptp(pixels, axis=1)
    saturation = chroma / np.maximum(high, 1.0)
    chosen = saturation >= max(float(np.median(saturation)), _LEAST_SATURATION)
    if np.median(saturation) < _LEAST_SATURATION:
        return None
    r, g, b = pixels[chosen].T
    d, top = chroma[chosen], high[chosen]
    sextant = np.select([top == r, top == g], [(g - b) / d, (b - r) / d + 2], (r - g) / d + 4)
    return _median_on_circle(sextant / 6)


def _median_on_circle(hues: NDArray[np.float64]) -> float:
    centre = np.angle(np.exp(2j * np.pi * hues).mean()) / (2 * np.pi)
    return float((centre + np.median((hues - centre + 0.5) % 1 - 0.5)) % 1)


def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of hues on their circle, 0..0.5."""
    apart: NDArray[np.float64] = np.abs(a - b) % 1
    return np.minimum(apart, 1 - apart)


def weigh(pictures: Iterable[tuple[bytes, float]]) -> ChannelEvidence:
    """Compare floors with their latents.

    Args:
        pictures: JPEG files with their latent h. Those that do not decode, and floors without
            colour, do not count.
    """
    seen, said = [], []
    for content, hue in pictures:
        with (
            contextlib.suppress(Exception),  # Pillow's decoders raise many kinds
            Image.open(io.BytesIO(content), formats=("JPEG",)) as image,
        ):
            found = floor_hue(np.asarray(image))
            if found is None:
                continue
            seen.append(found)
            said.append(hue)
    if not seen:
        return ChannelEvidence(pictures=0, rgb_error=0.5, bgr_error=0.5)
    floor_N, latent_N = np.array(seen), np.array(said)
    return ChannelEvidence(
        pictures=len(seen),
        rgb_error=round(float(np.median(distance(floor_N, latent_N))), 6),
        bgr_error=round(float(np.median(distance(floor_N, (2 / 3 - latent_N) % 1))), 6),
    )


def choose_order(evidence: ChannelEvidence, looked_at: int, where: str) -> Literal["rgb", "bgr"]:
    """Rgb or bgr, whichever the evidence is for.

    Args:
        evidence: of `weigh`.
        looked_at: pictures, with those that have no coloured floor.
        where: the source, for messages.

    Raises:
        ConfigError: it fits neither, or both; gives the numbers.
    """
    rgb, bgr = evidence.rgb_error, evidence.bgr_error
    numbers = (
        f"the floor's hue is {rgb:.3f} from the latent h as rgb and {bgr:.3f} as bgr (medians over "
        f"{evidence.pictures} pictures with a coloured floor, of {looked_at}; at most {_FITS} fits)"
    )
    force = "If you know the channel order of the files, say so: --channel-order rgb, or bgr."
    if evidence.pictures * 2 < looked_at or min(rgb, bgr) > _FITS:
        raise ConfigError(
            f"{where}: the channel order can't be found out: {numbers}. Either the latents are not "
            f"those of the pictures, or the floor is none of 3DIEBench's. {force}"
        )
    if abs(rgb - bgr) < _APART:
        raise ConfigError(
            f"{where}: the channel order can't be found out, both fit: {numbers}. The floors' hues "
            f"are too near 1/3 or 5/6, which are the same in both. {force}"
        )
    return "rgb" if rgb < bgr else "bgr"
