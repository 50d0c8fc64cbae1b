"""What a user of a data set has to know before trusting a number made with it."""

from __future__ import annotations

from collections.abc import Iterator

from threedie.manifests.dataset import Converted, DatasetManifest
from threedie.sharing.card.overview import Overview
from threedie.words import plural

_OFFICIAL_LISTED, _OFFICIAL_RENDERED = 52_491, 52_472


def caveats(overview: Overview) -> list[str]:
    """Plain sentences, most important first."""
    manifest = overview.manifest
    return [*_channels(manifest), *_splits(overview), *_objects(manifest), *_pictures(manifest)]


def _channels(manifest: DatasetManifest) -> Iterator[str]:
    if manifest.making.channel_order == "bgr":
        yield (
            "The picture files hold red and blue swapped, as the published 3DIEBench does. "
            "threedie's readers put them right; with any other reader, and in the hub's viewer, "
            "reverse the channels: pixels[..., ::-1]."
        )
    else:
        yield (
            "The picture files are true RGB. The published 3DIEBench files have red and blue "
            "swapped: an encoder trained on those as they are has seen other colours."
        )
    if isinstance(manifest.making, Converted):
        evidence = manifest.making.origin.channel_evidence
        yield (
            f"Evidence for this order, from {plural(evidence.pictures, 'picture')}: the "
            f"floor's hue is off its latent by {evidence.rgb_error:.3f} (median, of 0.5 at most) "
            f"if read as RGB, by {evidence.bgr_error:.3f} if read as BGR."
        )


def _splits(overview: Overview) -> Iterator[str]:
    making = overview.manifest.making
    if overview.copies:
        yield (
            f"{plural(overview.copies, 'object id')} stand in more than one split, under another "
            "class each time. Where ids name meshes, as in ShapeNet, the splits share these "
            "objects; --split leak-free makes splits that do not."
        )
    if making.split == "official":
        yield (
            f"The published list has {_OFFICIAL_LISTED:,} objects; 19 of its cars have no mesh in "
            f"ShapeNetCore.v2, so that {_OFFICIAL_RENDERED:,} are the data set of the paper."
        )


def _objects(manifest: DatasetManifest) -> Iterator[str]:
    planned = sum(entry.objects for entry in manifest.classes)
    if manifest.failures:
        yield (
            f"{manifest.failures:,} of {plural(planned, 'planned object')} are not in the shards; "
            "failures.jsonl names each with its reason."
        )
    yield (
        "Classes differ in size, and some objects look the same after a rotation (bottles, bowls), "
        "so that their rotation can't be told from a picture."
    )


def _pictures(manifest: DatasetManifest) -> Iterator[str]:
    making = manifest.making
    yield (
        "Hues are those of floor and lamp in the scene, not of pixels: shading and the view "
        "transform move them."
    )
    if isinstance(making, Converted):
        yield "pixel_sum in each json, and the mean and deviation here, are of first views only."
        return
    if making.device != "cpu":
        yield f"Rendered on {making.device}: another run differs in low bits; on a CPU it does not."
    if making.missing_texture == "grey" and making.source != "builtin":
        yield "Materials whose texture was missing are grey; notes in each json name them."
    if making.latents_sha256 is not None:
        yield "The latents were given in a file and not drawn by the recipe's law."
