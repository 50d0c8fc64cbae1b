"""Data sets on a local "hub": a folder with all that is published, read by the real `datasets`."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from threedie import files
from threedie.manifests.dataset import ChannelEvidence, Converted, DatasetManifest, Origin
from threedie.sharing.card.accompany import accompanying_files


def publish(folder: Path, *, address: str | None = None) -> Path:
    """Write beside the shards what goes with them."""
    for name, content in accompanying_files(folder, address=address).items():
        files.make_directory((folder / name).parent)
        files.put(folder / name, content)
    return folder


def load(target: Path, cache: Path, **options: Any) -> Any:
    """`load_dataset` of a folder with a card, or of a folder of tars without one."""
    import datasets

    datasets.disable_progress_bars()
    if (target / "README.md").is_file():
        return datasets.load_dataset(str(target), cache_dir=str(cache), **options)
    tars = {"train": str(target / "*.tar")}
    return datasets.load_dataset("webdataset", data_files=tars, cache_dir=str(cache), **options)


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], form: int = 0) -> Path:
    """A tar of these members, as plain as they come (format 0 is USTAR, 1 GNU, 2 PAX)."""
    files.make_directory(path.parent)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    files.put(path, out.getvalue())
    return path


def with_making(folder: Path, changes: Mapping[str, Any]) -> DatasetManifest:
    """Rewrite dataset.json with other decisions; the shards stay as they are."""
    manifest = DatasetManifest.read(folder)
    return _rewritten(folder, manifest, manifest.making.model_copy(update=dict(changes)))


def as_converted(folder: Path, *, name: str = "3DIEBench.tar.gz") -> DatasetManifest:
    """Rewrite dataset.json as if the pictures came from the published archive."""
    manifest = DatasetManifest.read(folder)
    making = manifest.making
    evidence = ChannelEvidence(pictures=400, rgb_error=0.247, bgr_error=0.013)
    made = Converted(
        layout="published",
        recipe=making.recipe,
        size=making.size,
        views=making.views,
        image_format="jpg",
        channel_order="bgr",
        split="official",
        objects_per_shard=making.objects_per_shard,
        objects_sha256=making.objects_sha256,
        latents_sha256="cd" * 32,
        threedie="0.1.0",
        origin=Origin(
            kind="archive", name=name, bytes=17_000, sha256="12" * 32, channel_evidence=evidence
        ),
    )
    return _rewritten(folder, manifest, made)


def _rewritten(folder: Path, manifest: DatasetManifest, made: Any) -> DatasetManifest:
    changed = manifest.model_copy(update={"making": made, "recipe_hash": made.recipe_hash})
    changed.write(folder)
    return changed
