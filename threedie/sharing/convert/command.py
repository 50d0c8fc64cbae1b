"""`3die convert` as a function: convert, and say how it ended."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from threedie.data import ledger
from threedie.data.published import FILE_MEAN, FILE_STD, N_OBJECTS
from threedie.manifests.dataset import DatasetManifest
from threedie.sharing.convert.convert import ConvertOutcome, convert_archive, convert_folder
from threedie.sharing.convert.plan import ConvertOptions
from threedie.sharing.convert.progress import ConsoleProgress
from threedie.sharing.convert.published_source import FolderSource, open_source
from threedie.words import plural

FINISHED_WITH_FAILURES = 3


def convert_path(source: Path, out: Path, options: ConvertOptions, *, console: Console) -> int:
    """Convert an archive or a folder.

    Returns:
        The exit status: 0, or 3 if objects failed.
    """
    opened, progress = open_source(source), ConsoleProgress(console)
    try:
        if isinstance(opened, FolderSource):
            outcome = convert_folder(source, out=out, options=options, progress=progress)
        else:
            outcome = convert_archive(
                opened.chunks,
                name=opened.name,
                size=opened.size,
                out=out,
                options=options,
                progress=progress,
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(
            "The same command goes on: with the next shard, once the source has been read."
        ) from stop
    finally:
        progress.close()
    for line in conclusion(outcome):
        console.print(escape(line), highlight=False, soft_wrap=True)
    return FINISHED_WITH_FAILURES if outcome.failures else 0


def conclusion(outcome: ConvertOutcome) -> list[str]:
    """What there is to say at the end, a line each."""
    lines, failed = [], len(outcome.failures)
    if outcome.converted:
        lines.append(
            f"{plural(outcome.objects, 'object')} converted in {outcome.seconds:.0f} s "
            f"({', '.join(f'{n:,} {s}' for s, n in outcome.manifest.splits.items())})."
        )
        lines += _against_published(outcome.manifest)
    else:
        lines.append("nothing left to convert: everything is there.")
    if failed:
        lines.append(
            f"{plural(failed, 'object')} set aside: see {outcome.folder / ledger.FILE_NAME}."
        )
    quoted = shlex.quote(str(outcome.folder))
    lines.append(
        f"{outcome.folder}: {plural(outcome.objects, 'object')}. "
        f"Look at them: 3die view {quoted} · check them: 3die verify {quoted}"
    )
    return lines


def _against_published(manifest: DatasetManifest) -> list[str]:
    """Mean and deviation as the files have them; beside the published ones for the official set."""
    step = -1 if manifest.making.channel_order == "bgr" else 1
    mean, std = manifest.pixel_mean[::step], manifest.pixel_std[::step]
    line = f"pixel mean {_row(mean)}, deviation {_row(std)} (first views, channels as in the files)"
    planned = sum(entry.objects for entry in manifest.classes)
    if planned != N_OBJECTS or manifest.making.recipe.name != "3diebench":
        return [f"{line}."]
    apart = max(abs(a - b) for a, b in zip((*mean, *std), (*FILE_MEAN, *FILE_STD), strict=True))
    return [
        f"{line}; published: {_row(FILE_MEAN)} and {_row(FILE_STD)}, {apart:.4f} apart at most."
    ]


def _row(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
