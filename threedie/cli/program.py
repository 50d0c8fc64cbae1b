"""The program: common options, what verbs share, and how every error ends as one clear line."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
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


class _Steady(Console):
    """Where long work is told: a pipe or terminal that is gone is told nothing, and stops nothing.

    Ctrl-C ends the other side of `3die bench … | tee log` too, and what is trained must be saved.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError:
            self.quiet = True

    def on_broken_pipe(self) -> None:
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


out, err = Console(emoji=False), Console(stderr=True, emoji=False)
steady = _Steady(emoji=False)
_debug = False


_ADDRESS = re.compile(r"(https?|s3|gs|gcs|hf|az|abfs|file):/+", re.IGNORECASE)


def on_this_machine(paths: Any) -> Any:
    """Refuse addresses where a path is wanted: they would become a folder called `s3:`.

    Raises:
        ConfigError: an address.
    """
    for path in paths if isinstance(paths, list) else [paths]:
        if found := _ADDRESS.match(str(path)):
            raise ConfigError(
                f"a path on this machine is wanted here, not an address ({found[1]}://…). "
                "`3die download` fetches a data set, `3die publish` sends one."
            )
    return paths


DatasetFolder = Annotated[
    Path,
    typer.Argument(help="Folder of a data set (holds dataset.json).", callback=on_this_machine),
]
Meshes = Annotated[
    Path | None,
    typer.Option(
        help="A folder of meshes (ShapeNetCore.v2, or <class>/<object>.obj|glb|gltf|ply|stl|off),"
        " or a folder of ShapeNet's per-class zips. Without it: the built-in shapes."
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"threedie {__version__}")
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


@contextlib.contextmanager
def needs_torch() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as missing:
        raise MissingExtra(str(missing.name), "bench") from missing


def say(text: str) -> None:
    out.print(text, highlight=False, soft_wrap=True)


def check_target(option: str, path: Path, suffix: str) -> None:
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
            _check_empty(sys.argv[1:] if arguments is None else arguments)
            app(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()


def _check_empty(arguments: list[str]) -> None:
    """`--out "$FOLDER"` without a FOLDER would be the current folder, and fill it."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, value = argument.partition("=")
        if not argument or (name.startswith("--") and equals and not value):
            what = name or (before if before.startswith("-") else "an argument")
            raise ConfigError(f"{what} is empty: is a variable of the shell not set?")


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
