"""`3die render` and `3die merge`: make a data set, on one machine or many."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from threedie.cli.program import Meshes, app, on_this_machine, out
from threedie.errors import ConfigError


class Engine(str, enum.Enum):
    """Where `3die render` renders."""

    local = "local"
    ray = "ray"


@app.command()
def render(
    meshes: Meshes = None,
    classes: Annotated[
        str, typer.Option(help="'all', or class names and synset ids: chair,03797390.")
    ] = "all",
    where: Annotated[
        str | None,
        typer.Option(
            "--out",
            help="Folder of the data set, or s3://, gs://, hf://datasets/…: finished shards go "
            "there one by one. Default: data/<source>-<recipe>.",
        ),
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
    shard_range: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Make part K of N (from 0) only; `3die merge` closes the data set when all are "
            "there. For SLURM arrays, Kubernetes, or by hand.",
        ),
    ] = None,
    engine: Annotated[
        Engine, typer.Option(help="Where: this machine, or a Ray cluster (a task is a shard).")
    ] = Engine.local,
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster: auto, or host:port. Default: one of this machine."),
    ] = None,
    cpus_per_shard: Annotated[
        float, typer.Option(help="Cores that a task of Ray asks for, a process each.")
    ] = 2,
    gpus_per_shard: Annotated[float, typer.Option(help="GPUs that a task of Ray asks for.")] = 0,
    staging: Annotated[
        Path | None,
        typer.Option(
            help="Local folder where shards are made that go elsewhere. Default: the cache."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and how long; write nothing.")
    ] = False,
) -> None:
    """Render meshes into shards. The same command again goes on where it stopped."""
    from threedie.render import run
    from threedie.render.cluster import Cluster
    from threedie.render.plan import Part, RenderOptions

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
    if address is not None and engine is not Engine.ray:
        raise ConfigError("--address is of a Ray cluster; give --engine ray too.")
    machine = run.Machine(
        workers=workers,
        device=device,
        timeout_s=timeout,
        log=log,
        retry_failed=retry_failed,
        part=Part.parse(shard_range) if shard_range is not None else None,
        staging=staging,
        cluster=Cluster(address=address, cpus=cpus_per_shard, gpus=gpus_per_shard)
        if engine is Engine.ray
        else None,
    )
    destination = str(run.default_folder(options)) if where is None else where
    if dry_run:
        run.print_estimate(options, machine, destination, console=out)
    else:
        raise typer.Exit(run.render(options, machine, destination, console=out))


@app.command()
def merge(
    target: Annotated[
        str, typer.Argument(help="Folder or store that the parts were rendered into.")
    ],
    parts: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folders of parts that were rendered apart; their shards are copied.",
            callback=on_this_machine,
        ),
    ] = None,
) -> None:
    """Close a data set that was rendered in parts (`3die render --shard-range`).

    Every part may have been made in the target itself, or in a folder of its own.
    """
    from threedie.render.merge import merge_parts

    raise typer.Exit(merge_parts(target, parts or [], console=out))
