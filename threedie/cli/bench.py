"""`3die bench`, `3die eval`, `3die compare`: train, measure, put side by side."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from threedie.cli.program import app, needs_torch, on_this_machine, out, steady


class Form(str, enum.Enum):
    """How `3die compare` prints."""

    table = "table"
    markdown = "markdown"
    csv = "csv"


@app.command()
def bench(
    method: Annotated[
        str, typer.Option(help="Names, sie,vicreg, or all: see `3die list methods`.")
    ],
    data: Annotated[
        str, typer.Option(help="Folder of a data set, or a URL of one, which is streamed.")
    ],
    preset: Annotated[
        str, typer.Option(help="Size, batch, budget: see `3die list presets`.")
    ] = "small",
    seeds: Annotated[str, typer.Option(help="0,1,2 or 0-4; a run for each.")] = "0",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of the run or of the method."
        ),
    ] = None,
    out_folder: Annotated[
        Path,
        typer.Option("--out", help="Where run folders are made.", callback=on_this_machine),
    ] = Path("runs"),
    name: Annotated[
        str | None, typer.Option(help="Name of the run folder, for one method and one seed.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    cache: Annotated[
        str | None, typer.Option(help="ram keeps the compressed pictures in memory.")
    ] = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="torch.compile the step; the first takes a minute.")
    ] = False,
    protocol: Annotated[
        str, typer.Option(help="How it is evaluated: see `3die list protocols`.")
    ] = "3die-v1",
    evaluate: Annotated[
        bool, typer.Option("--eval/--no-eval", help="Evaluate after training.")
    ] = True,
) -> None:
    """Train methods on a data set and evaluate them. The same command again goes on.

    torchrun and SLURM may start several of it: --set batch_size is over all of them.
    """
    from threedie.benchmark.requests import BenchRequest, parse_methods, parse_seeds

    given = {"device": device, "cache": cache, "compile": "true" if compile_ else None}
    request = BenchRequest(
        methods=parse_methods(method),
        data=data,
        preset=preset,
        seeds=parse_seeds(seeds),
        settings=(*(settings or ()), *(f"{k}={v}" for k, v in given.items() if v is not None)),
        out=out_folder,
        name=name,
        protocol=protocol,
        evaluate=evaluate,
    )
    with needs_torch():
        from threedie.benchmark.bench import bench as run

    run(request, console=steady)


@app.command("eval")
def eval_(
    data: Annotated[str, typer.Option(help="Folder of a data set.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A run folder, or a checkpoint of the official code (with --encoder)."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(help="resnet18, timm:NAME, torchvision:NAME, or my_module:build."),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Of an official model.pth, to load its predictor too."),
    ] = None,
    protocol: Annotated[str, typer.Option(help="See `3die list protocols`.")] = "3die-v1",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="With the weights that its library offers.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(help="Side of pictures in pixels. Default: as trained or stored.")
    ] = None,
    normalise: Annotated[
        str | None,
        typer.Option(help="dataset, imagenet, published or none. Default: as it was trained."),
    ] = None,
    result: Annotated[
        Path | None, typer.Option("--out", help="The results file. Default: in the run folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    batch_size: Annotated[int, typer.Option(help="Pictures at a time.")] = 256,
    probe_epochs: Annotated[
        int | None, typer.Option(help="Train probes for so long; recorded, for quick looks.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of probes and intervals.")] = 0,
) -> None:
    """Evaluate a trained run, an official checkpoint, or anybody's encoder."""
    with needs_torch():
        from threedie.benchmark.evaluate_run import EvalRequest, evaluate_any

    request = EvalRequest(
        data=data,
        checkpoint=checkpoint,
        encoder=encoder,
        method=method,
        protocol=protocol,
        pretrained=pretrained,
        size=size,
        normalise=normalise,
        out=result,
        device=device,
        batch_size=batch_size,
        probe_epochs=probe_epochs,
        seed=seed,
    )
    evaluate_any(request, console=steady)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders or results.json files.")],
    form: Annotated[Form, typer.Option("--format", help="What to print.")] = Form.table,
    target: Annotated[
        Path | None, typer.Option("--out", help="Write it there (.md or .csv) as well.")
    ] = None,
) -> None:
    """Put the results of several runs into one table; seeds become mean ± standard deviation."""
    from threedie.benchmark.compare import compare_runs

    compare_runs(runs, form=form.value, target=target, console=out)
