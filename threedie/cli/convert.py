"""`3die convert` and `3die export`: the published layout into shards, and shards into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from threedie.cli.program import DatasetFolder, app, on_this_machine, out


@app.command()
def convert(
    source: Annotated[
        Path,
        typer.Argument(
            help="3DIEBench.tar.gz, another .tar or .tar.gz in the published layout, or a folder: "
            "[FOLDER/]SYNSET/OBJECT/image_0.jpg …, latent_0.npy …",
            callback=on_this_machine,
        ),
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder of the data set.", callback=on_this_machine)
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="official, hash, leak-free. Default: official with a val list, else hash."
        ),
    ] = None,
    val_list: Annotated[
        Path | None,
        typer.Option(help="The published val_images.npy. Default: the source's own, if any."),
    ] = None,
    train_list: Annotated[
        Path | None,
        typer.Option(help="What is in neither list goes to failures.jsonl. Default: the rest."),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Whose latents these are: see `3die list recipes`.")
    ] = "3diebench",
    views: Annotated[
        int | None, typer.Option(help="Views of an object. Default: as many as most have.")
    ] = None,
    shard_size: Annotated[int, typer.Option(help="Objects per shard.")] = 256,
    channel_order: Annotated[
        str, typer.Option(help="auto finds it out from the floor's colour; rgb, bgr.")
    ] = "auto",
) -> None:
    """Convert pictures in the published layout into shards. The same command again goes on.

    The source is read once, as a stream; pictures are passed on byte by byte.
    """
    from threedie.sharing.convert.command import convert_path
    from threedie.sharing.convert.plan import ConvertOptions

    options = ConvertOptions(
        val_list=val_list,
        train_list=train_list,
        split=split,
        recipe=recipe,
        views=views,
        objects_per_shard=shard_size,
        channel_order=channel_order,  # type: ignore[arg-type]  # checked there, with a message
    )
    raise typer.Exit(convert_path(source, out_folder, options, console=out))


@app.command()
def export(
    folder: DatasetFolder,
    target: Annotated[
        Path,
        typer.Option(
            "--out",
            help="A folder, or a .tar: millions of files hurt.",
            callback=on_this_machine,
        ),
    ],
    layout: Annotated[
        str, typer.Option(help="official: SYNSET/OBJECT/image_0.jpg …, latent_0.npy …")
    ] = "official",
) -> None:
    """Write a data set in another layout: the files as they are. The same command again goes on."""
    from threedie.sharing.convert.export import export_path

    export_path(folder, target, layout=layout, console=out)
