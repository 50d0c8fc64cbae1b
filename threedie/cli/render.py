"""`3die render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from threedie.cli.program import Meshes, app, out


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
