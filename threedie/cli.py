"""The command line: a table of contents. Every verb parses, calls one function and prints.

Exit status: 0 all done · 1 stopped or damaged · 2 wrong usage · 3 finished, some objects failed ·
75 training stopped and saved.
Heavy imports stand inside the verbs, so that `3die --help` is instant.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from threedie import __version__
from threedie.errors import ConfigError, MissingExtra, ThreedieError


class _Stopped(Exception):
    """Ctrl-C or SIGTERM; by this name it passes typer, which has its own idea of Ctrl-C."""

    exit_code = 1


class _Verbs(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            stopped = _Stopped(*stop.args)
            stopped.exit_code = getattr(stop, "exit_code", 1)  # 75 where training was saved
            raise stopped from stop


app = typer.Typer(
    name="3die",
    cls=_Verbs,
    help="Render 3DIEBench into verified WebDataset shards, look at them, and measure what "
    "self-supervised methods learn from them.\n\n"
    "Exit status: 0 all done, 1 stopped or damaged, 2 wrong usage, 3 finished but some objects "
    "failed (failures.jsonl names them), 75 training was stopped and saved (the same command "
    "goes on).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
out, err = Console(emoji=False), Console(stderr=True, emoji=False)
_debug = False


class Listing(str, enum.Enum):
    """What `3die list` can list."""

    classes = "classes"
    methods = "methods"
    presets = "presets"
    protocols = "protocols"
    recipes = "recipes"
    shapes = "shapes"


class Form(str, enum.Enum):
    """How `3die compare` prints."""

    table = "table"
    markdown = "markdown"
    csv = "csv"


DatasetFolder = Annotated[Path, typer.Argument(help="Folder of a data set (holds dataset.json).")]
Meshes = Annotated[
    Path | None,
    typer.Option(
        help="A folder of meshes (ShapeNetCore.v2, or <class>/<object>.obj|glb|gltf|ply|stl|off),"
        " or a folder of ShapeNet's per-class zips. Without it: the built-in shapes."
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        _say(f"threedie {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Hold the options that every verb has."""
    global _debug
    _debug = debug


@app.command()
def render(
    meshes: Meshes = None,
    classes: Annotated[
        str, typer.Option(help="'all', or class names and synset ids: chair,03797390.")
    ] = "all",
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of the data set. Default: data/<source>-<recipe>."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Objects per class. Default: all; built-in shapes 40.")
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            help="Render only the objects of this list (.npy, or lines <class>/<object>)."
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="What is drawn and varied: see `3die list recipes`.")
    ] = "3diebench",
    quality: Annotated[
        str, typer.Option(help="'standard', or 'reference': the published settings, slow.")
    ] = "standard",
    views: Annotated[int | None, typer.Option(help="Views per object. Default: 50.")] = None,
    size: Annotated[int, typer.Option(help="Side of a picture in pixels.")] = 256,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    image_format: Annotated[str, typer.Option(help="jpg or png.")] = "jpg",
    channel_order: Annotated[
        str, typer.Option(help="rgb, or bgr as the published generator writes its files.")
    ] = "rgb",
    split: Annotated[str, typer.Option(help="hash, leak-free, or official.")] = "hash",
    val_list: Annotated[
        Path | None, typer.Option(help="The published val_images.npy, for --split official.")
    ] = None,
    latents: Annotated[
        Path | None,
        typer.Option(help="Render these latents: .npz, one (V, 7) array per <class>/<object>."),
    ] = None,
    missing_texture: Annotated[
        str, typer.Option(help="grey (and noted), or fail (the object goes to the ledger).")
    ] = "grey",
    shard_size: Annotated[int, typer.Option(help="Objects per shard.")] = 256,
    workers: Annotated[str, typer.Option(help="Processes: auto (one per core) or N.")] = "auto",
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, optix, hip, metal, oneapi.")
    ] = "auto",
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that one object may take. Default: generous.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="Keep what the worker processes print.")] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try the objects of failures.jsonl again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and how long; write nothing.")
    ] = False,
) -> None:
    """Render meshes into shards. The same command again goes on where it stopped."""
    from threedie.render import run
    from threedie.render.plan import RenderOptions

    options = RenderOptions(
        meshes=meshes,
        classes=classes,
        limit=limit,
        objects=objects,
        recipe=recipe,
        quality=quality,
        views=views,
        size=size,
        seed=seed,
        image_format=image_format,  # type: ignore[arg-type]  # checked there, with a message
        channel_order=channel_order,  # type: ignore[arg-type]
        split=split,
        val_list=val_list,
        latents=latents,
        missing_texture=missing_texture,  # type: ignore[arg-type]
        objects_per_shard=shard_size,
    )
    machine = run.Machine(
        workers=workers, device=device, timeout_s=timeout, log=log, retry_failed=retry_failed
    )
    folder = out_folder or run.default_folder(options)
    if dry_run:
        run.print_estimate(options, machine, folder, console=out)
    else:
        raise typer.Exit(run.render(options, machine, folder, console=out))


@app.command()
def verify(
    folder: DatasetFolder,
    rerender: Annotated[
        int, typer.Option(help="Render this many views again and compare them with the shards.")
    ] = 0,
    meshes: Meshes = None,
    seed: Annotated[int, typer.Option(help="Chooses the views to render again.")] = 0,
) -> None:
    """Check a data set: every hash, every picture, every latent."""
    from threedie.data.verify import verify_dataset
    from threedie.words import plural

    for option, value in (("--rerender", rerender), ("--seed", seed)):
        if value < 0:
            raise ConfigError(f"{option} is {value}; it must be 0 or more.")
    with out.status(f"checking {escape(str(folder))}") as status:
        report = verify_dataset(
            folder, on_shard=lambda name: status.update(f"checked {escape(name)}")
        )
    for problem in report.problems:
        _say(f"[bold red]wrong:[/] {escape(problem)}")
    for note in report.notes:
        _say(f"note: {escape(note)}")
    found = ((report.shards, "shard"), (report.samples, "object"), (report.pictures, "picture"))
    counts = ", ".join(plural(count, what) for count, what in found)
    verdict = "whole" if report.ok else plural(len(report.problems), "problem")
    _say(f"{escape(str(folder))}: {verdict} ({counts}; {report.seconds:.1f} s)")
    good = report.ok
    if rerender and good:
        from threedie.render.rerender import print_comparison

        good = print_comparison(folder, meshes=meshes, views=rerender, seed=seed, console=out)
    raise typer.Exit(0 if good else 1)


@app.command()
def view(
    folder: DatasetFolder,
    page: Annotated[
        Path | None, typer.Option("--out", help="The page. Default: gallery.html in the folder.")
    ] = None,
    per_class: Annotated[int, typer.Option(help="Objects shown of each class.")] = 4,
    views: Annotated[int, typer.Option(help="Views shown of each object.")] = 6,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of the classes too (a .png).")
    ] = None,
) -> None:
    """Write a gallery of pictures and latents: one HTML file that opens from disk."""
    from threedie.data.gallery import write_gallery

    if page is not None:
        _check_target("--out", page, ".html")
    if sheet is not None:
        _check_target("--sheet", sheet, ".png")
    if sheet is not None:
        from threedie.data.contact_sheet import write_contact_sheet

        write_contact_sheet(folder, sheet, classes=16, views=4, thumb=106)
    written = write_gallery(
        folder, page or folder / "gallery.html", per_class=per_class, views=views
    )
    _say(f"open {escape(str(written.resolve()))}")


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
    out_folder: Annotated[Path, typer.Option("--out", help="Where run folders are made.")] = Path(
        "runs"
    ),
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
    with _needs_torch():
        from threedie.benchmark.bench import bench as run

    run(request, console=out)


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
    with _needs_torch():
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
    evaluate_any(request, console=out)


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


@app.command("list")
def list_(what: Annotated[Listing, typer.Argument(help="What to list.")]) -> None:
    """List what there is: classes, recipes, built-in shapes, methods, presets, protocols."""
    from threedie import listings

    getattr(listings, f"print_{what.value}")(out)


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing and how to get it, and what Cycles can render on."""
    from threedie.doctor import print_diagnosis

    raise typer.Exit(0 if print_diagnosis(out) else 1)


@contextlib.contextmanager
def _needs_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingExtra(str(missing.name), "bench") from missing


def _say(text: str) -> None:
    out.print(text, highlight=False, soft_wrap=True)


def _check_target(option: str, path: Path, suffix: str) -> None:
    if path.suffix.lower() != suffix:
        raise ConfigError(f"{option} is '{path}'; it must name a {suffix} file.")
    if path.is_dir() or not path.parent.is_dir():
        what = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise ConfigError(f"{option} is '{path}': {what}.")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; every error ends as one clear message and an exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal can't show becomes a ?
            stream.reconfigure(errors="replace")
    with _clear_errors():
        try:
            app(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()


@contextlib.contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        for number in (signal.SIGTERM, signal.SIGUSR1):  # USR1: SLURM, before a job's time is up
            signal.signal(number, _interrupt)
        yield
    except ThreedieError as error:
        if _debug:
            raise
        _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, _Stopped) as stop:
        _stop(stop)
    except SystemExit as ended:
        if isinstance(ended.__context__, KeyboardInterrupt) or ended.code == 130:
            _stop(ended)  # typer met the Ctrl-C before or after the verb
        raise
    except OSError as error:
        if _debug:
            raise
        if error.filename is None and error.errno in _LOST_OUTPUT:  # `3die … | head`, or it is full
            _quiet_exit()
        if isinstance(error, FileNotFoundError) and not _has_working_directory():
            _fail("the current folder does not exist any more: cd to one that does.", 1)
        raise


_LOST_OUTPUT = {errno.EPIPE, errno.ENOSPC, errno.EBADF, errno.EIO}


def _fail(message: str, status: int) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(status)


def _stop(stop: BaseException) -> NoReturn:
    how = stop.args if isinstance(stop, (KeyboardInterrupt, _Stopped)) else ()
    err.print(" ".join(["stopped.", *map(str, how)]), highlight=False, markup=False, soft_wrap=True)
    sys.exit(getattr(stop, "exit_code", 1))


def _quiet_exit() -> NoReturn:
    """Nothing more can be said; nor may Python try when it closes stdout."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)


def _has_working_directory() -> bool:
    try:
        return bool(os.getcwd())  # noqa: PTH109  # as Path.cwd(), but says what is asked
    except OSError:
        return False


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
