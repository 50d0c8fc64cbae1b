"""`3die verify` and `3die view`: check a data set, look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from threedie.cli.program import DatasetFolder, Meshes, app, check_target, out, say
from threedie.errors import ConfigError


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
        say(f"[bold red]wrong:[/] {escape(problem)}")
    for note in report.notes:
        say(f"note: {escape(note)}")
    found = ((report.shards, "shard"), (report.samples, "object"), (report.pictures, "picture"))
    counts = ", ".join(plural(count, what) for count, what in found)
    verdict = "whole" if report.ok else plural(len(report.problems), "problem")
    say(f"{escape(str(folder))}: {verdict} ({counts}; {report.seconds:.1f} s)")
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
        check_target("--out", page, ".html")
    if sheet is not None:
        check_target("--sheet", sheet, ".png")
    if sheet is not None:
        from threedie.data.contact_sheet import write_contact_sheet

        write_contact_sheet(folder, sheet, classes=16, views=4, thumb=106)
    written = write_gallery(
        folder, page or folder / "gallery.html", per_class=per_class, views=views
    )
    say(f"open {escape(str(written.resolve()))}")
