"""`3die analyze`: look at how a trained predictor steers the latent space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from threedie.cli.program import app, needs_torch, out


@app.command()
def analyze(
    run: Annotated[Path, typer.Argument(help="A run folder that `3die bench` made.")],
    data: Annotated[str, typer.Option(help="Folder of a data set; its val objects are looked at.")],
    objects: Annotated[int, typer.Option(help="Objects to list views of, for pictures.")] = 8,
    angles: Annotated[int, typer.Option(help="Steps of a whole turn.")] = 24,
    axis: Annotated[
        str | None,
        typer.Option(
            help="x,y,z of the object's own frame. Default: those that the data set turns about."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Where analysis.json goes. Default: the run.")
    ] = None,
    probes: Annotated[
        bool,
        typer.Option(
            "--probes/--no-probes", help="Train the probes that results.json does not have."
        ),
    ] = True,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    seed: Annotated[int, typer.Option(help="Of whatever is drawn.")] = 0,
) -> None:
    """Look at how a trained predictor steers the latent space.

    Sweeps one latent at a time and finds the nearest real views; checks that q = identity does
    nothing, that moves compose and return; measures the predictor's matrices; scores which latent
    lives in which part. Writes analysis.json into the run; the same seed gives the same bytes.
    """
    from threedie.benchmark.requests import AnalyzeRequest, parse_axes

    request = AnalyzeRequest(
        run=run,
        data=data,
        objects=objects,
        angles=angles,
        axes=None if axis is None else parse_axes(axis),
        out=folder,
        probes=probes,
        device=device,
        seed=seed,
    )
    with needs_torch():
        from threedie.benchmark.analyze_run import analyze_run

    analyze_run(request, console=out)
