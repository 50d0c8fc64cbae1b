"""The licence and terms of a data set's pictures: what its origin leaves its publisher.

Pictures of the built-in shapes hold nothing of anybody else. Pictures of ShapeNet's meshes are
under ShapeNet's terms, the published archive under its authors' licence besides. Of other people's
meshes nothing is known here, and the card says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from threedie.manifests.dataset import Converted, DatasetManifest

_SYNSET = re.compile(r"\d{8}")

_SHAPENET = (
    "The pictures are rendered from meshes of ShapeNet (Chang et al., 2015, https://shapenet.org). "
    "ShapeNet's terms of use allow research and education that is not commercial, and no passing "
    "on of the meshes; none is contained here. Whoever uses the pictures keeps to these terms."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """How a data set may be used."""

    hub: str
    """The hub's identifier of the licence."""
    name: str
    """For people; for the hub where its identifier is `other`."""
    spdx: str | None
    """SPDX identifier, if the whole of the terms is a licence that has one."""
    url: str | None
    """Of the licence's text."""
    text: str
    """In full sentences."""
    limited: bool
    """Not for commercial use."""


PUBLIC_DOMAIN = Terms(
    hub="cc0-1.0",
    name="CC0 1.0",
    spdx="CC0-1.0",
    url="https://creativecommons.org/publicdomain/zero/1.0/",
    text=(
        "The pictures show the built-in shapes of threedie and hold no material of anybody else. "
        "They are given to the public domain under CC0 1.0 "
        "(https://creativecommons.org/publicdomain/zero/1.0/). threedie itself is Apache-2.0."
    ),
    limited=False,
)
SHAPENET = Terms(
    hub="other",
    name="shapenet-terms",
    spdx=None,
    url="https://shapenet.org/terms",
    text=_SHAPENET,
    limited=True,
)
PUBLISHED = Terms(
    hub="cc-by-nc-4.0",
    name="CC BY-NC 4.0",
    spdx="CC-BY-NC-4.0",
    url="https://creativecommons.org/licenses/by-nc/4.0/",
    text=(
        "The pictures and latents come from files in the layout of 3DIEBench (Garrido, Najman "
        "and LeCun, 2023) and are passed on unchanged. 3DIEBench is under CC BY-NC 4.0 "
        f"(https://creativecommons.org/licenses/by-nc/4.0/). {_SHAPENET}"
    ),
    limited=True,
)
UNKNOWN = Terms(
    hub="other",
    name="terms-of-the-meshes",
    spdx=None,
    url=None,
    text=(
        "The pictures are made from other people's meshes, whose terms are not known to threedie. "
        "The terms of these meshes apply; whoever publishes the set states them here."
    ),
    limited=True,
)


def terms_of(manifest: DatasetManifest) -> Terms:
    """The terms that a data set's origin leaves: the strictest of what may be in it."""
    making = manifest.making
    from_shapenet = any(_SYNSET.fullmatch(entry.class_id) for entry in manifest.classes)
    if isinstance(making, Converted):
        return PUBLISHED if from_shapenet else UNKNOWN
    if making.source == "builtin":
        return PUBLIC_DOMAIN
    return SHAPENET if from_shapenet else UNKNOWN
