"""`3die report`: runs to one HTML page, and to a folder of figures if asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from threedie import files
from threedie.benchmark.grouping import once, read_entries
from threedie.benchmark.report.facts import Fact
from threedie.benchmark.report.figures import all_figures
from threedie.benchmark.report.page import FULLNESS, Extras, Page
from threedie.benchmark.report.png import file_png
from threedie.benchmark.report.runs import GroupReport, Run, read_groups
from threedie.benchmark.report.svg import file_svg
from threedie.data.dataset import open_dataset
from threedie.data.gallery import facts
from threedie.errors import ConfigError, MissingExtra, ThreedieError
from threedie.manifests.dataset import FILE_NAME

if TYPE_CHECKING:
    from threedie.benchmark.report.gallery import Look

TARGET_BYTES, MOST_BYTES = 1_500_000, 5_000_000
MOST_LOOKS = 4
Progress = Callable[[str, int, int], None]


def write_report(
    paths: Sequence[Path],
    out: Path,
    *,
    data: str | None = None,
    figures: Path | None = None,
    allow_large: bool = False,
    on_progress: Progress = lambda stage, done, total: None,
) -> tuple[Path, list[str]]:
    """Write the page.

    Args:
        paths: run folders or results files.
        out: the HTML file.
        data: the data set that runs were evaluated on, for its card and the retrieval gallery.
        figures: a folder for an SVG and a PNG of each figure.
        allow_large: whole, however large.
        on_progress: is told (stage, done, of how many) while pictures are looked at.

    Returns:
        `out`, and a line per path that was left out: unreadable, or a run that stands twice.

    Raises:
        ConfigError: no results there, or the page can't be small enough.
        MissingExtra: figures without matplotlib, or data without torch.
        StorageError: a file can't be written.
    """
    entries, left_out = read_entries(paths)
    entries, again = once(entries)
    left_out += again
    reports = read_groups(entries)
    for path in paths:  # the page names no folder above the one that was given
        left_out = [line.replace(f"{path.parent}/", "") for line in left_out]
    page = Page(reports, _extras(reports, data, left_out, on_progress))
    if figures is not None:
        write_figures(reports, figures)
    files.put(out, _sized(page, allow_large))
    return out, left_out


def _sized(page: Page, allow_large: bool) -> bytes:
    """The fullest page below the target; else the leanest, if it is not too large."""
    for fullness in FULLNESS:
        content = page.render(fullness)
        if allow_large or len(content) <= TARGET_BYTES:
            return content
    if len(content) > MOST_BYTES:
        raise ConfigError(
            f"the report would have {len(content) / 1e6:.1f} MB, {MOST_BYTES / 1e6:g} MB are "
            "allowed. Give fewer runs, or --allow-large."
        )
    return content


def write_figures(reports: Sequence[GroupReport], folder: Path) -> list[Path]:
    """An SVG and a PNG of each figure.

    Raises:
        MissingExtra: matplotlib is not installed.
        StorageError: the folder can't be written.
    """
    files.make_directory(folder)
    written = []
    for drawing in all_figures(reports):
        for suffix, content in (("svg", file_svg(drawing)), ("png", file_png(drawing))):
            written.append(folder / f"{drawing.name}.{suffix}")
            files.put(written[-1], content)
    return written


def _extras(
    reports: Sequence[GroupReport], data: str | None, left_out: list[str], on_progress: Progress
) -> Extras:
    """The gallery of the first run of each method with a predictor, if there is data."""
    lookable = [
        method.runs[0]
        for report in reports
        for method in report.methods
        if _has_predictor(method.runs[0])
    ]
    if data is None:
        why = "Not looked at. `3die report RUNS --data DATASET` asks its predictor."
        return Extras(no_looks={run.anchor: why for run in lookable}, left_out=left_out)
    card = _card(data)
    looks, failed = {}, {}
    for place, run in enumerate(lookable):
        if place >= MOST_LOOKS:
            failed[run.anchor] = f"Not looked at: a page shows the first {MOST_LOOKS} methods."
            continue
        try:
            looks[run.anchor] = _look(run, data, on_progress)
        except MissingExtra:
            raise
        except ThreedieError as err:
            failed[run.anchor] = f"Not looked at: {str(err).replace(f'{run.folder}/', '')}"
    return Extras(looks=looks, no_looks=failed, data=card, left_out=left_out)


def _has_predictor(run: Run) -> bool:
    found = run.results.metrics.get("all", {}).get("mrr_val")
    return run.record is not None and found is not None and found.value is not None


def _look(run: Run, data: str, on_progress: Progress) -> Look:
    try:
        from threedie.benchmark.report.gallery import look
    except ModuleNotFoundError as missing:
        raise MissingExtra(str(missing.name), "bench") from missing
    return look(run, data, on_progress=on_progress)


def _card(data: str) -> list[Fact]:
    """What made the data set; nothing for a published folder, which does not say."""
    folder = Path(data)
    if not folder.is_dir():
        raise ConfigError(f"--data is '{data}'; there is no such folder.")
    if not (folder / FILE_NAME).is_file():
        return []
    return list(facts(open_dataset(folder).manifest))
