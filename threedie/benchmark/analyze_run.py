"""`3die analyze`: load a run, look at its predictor, write analysis.json, say what came out."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from threedie import files
from threedie.benchmark.analysis.analyze import analyze
from threedie.benchmark.analysis.verdict import factor_lines, law_lines, sweep_lines, verdicts
from threedie.benchmark.evaluate_run import FEATURES, of_run
from threedie.benchmark.progress import stages
from threedie.benchmark.requests import AnalyzeRequest
from threedie.benchmark.training.devices import threads
from threedie.benchmark.training.run_folder import load_run
from threedie.manifests import results
from threedie.manifests.analysis import FILE_NAME, Analysis
from threedie.manifests.results import Results


def analyze_run(request: AnalyzeRequest, *, console: Console) -> Path:
    """Analyze a run; returns its analysis.json.

    Raises:
        ConfigError: an argument that can't be.
        ManifestError: a damaged run or data set, or a results.json that is none.
    """
    subject = of_run(load_run(request.run), request.run)
    folder = files.make_directory(request.out or request.run)
    known = request.run / results.FILE_NAME
    title = f"analyze {subject.about.name}"
    with stages(title, console) as progress, threads(subject.threads):
        found = analyze(
            subject.encoder,
            request.data,
            about=subject.about,
            known=Results.read(known) if known.exists() else None,
            axes=request.axes,
            angles=request.angles,
            shown=request.objects,
            probes=request.probes,
            device=request.device,
            seed=request.seed,
            size=subject.size,
            normalise=subject.normalise,
            cache=request.run / FEATURES,
            on_progress=progress,
        )
    found.write(folder / FILE_NAME)
    _print(found, subject.notes, console)
    console.print(
        f"{escape(str(folder / FILE_NAME))}: all numbers", highlight=False, soft_wrap=True
    )
    return folder / FILE_NAME


def _print(found: Analysis, notes: tuple[str, ...], console: Console) -> None:
    for note in (*notes, *found.notes):
        console.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)
    for lines in (law_lines(found), sweep_lines(found), factor_lines(found)):
        if len(lines) > 1:
            console.print(_table(lines))
    for sentence in verdicts(found):
        console.print(f"• {escape(sentence)}", highlight=False, soft_wrap=True)


def _table(lines: list[list[str]]) -> Table:
    """The first line is the head; the first column words, the others numbers."""
    table = Table()
    for i, title in enumerate(lines[0]):
        table.add_column(escape(title), justify="right" if i else "left", overflow="fold")
    for row in lines[1:]:
        table.add_row(*map(escape, row))
    return table
