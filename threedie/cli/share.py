"""`3die download` and `3die publish`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from threedie.cli.program import DatasetFolder, app, on_this_machine, out, say

Jobs = Annotated[int, typer.Option(help="Files at once.")]


@app.command()
def download(
    what: Annotated[
        str,
        typer.Argument(
            help="A release (see `3die list releases`), or the address of a data set: "
            "https://host/path, hf://datasets/user/name, s3://bucket/path, or a folder."
        ),
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", help="Folder of the data set.", callback=on_this_machine)
    ],
    split: Annotated[
        str | None, typer.Option(help="Only the shards of these splits: val, or train,val.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Only the objects of these classes: chair,03797390. Others don't come."),
    ] = None,
    jobs: Jobs = 4,
    source: Annotated[
        str | None, typer.Option("--from", help="Another place that the release is at: a mirror.")
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="Accept a release's licence; asked once.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no server: an error if something lacks.")
    ] = False,
) -> None:
    """Download a data set, verified against its manifest. The same command again goes on.

    A published archive is converted into shards while it comes. THREEDIE_TOKEN is sent as a bearer
    token to the host of a given URL, HF_TOKEN to the hub; AWS_* and HTTPS_PROXY work as everywhere.
    """
    from threedie.sharing.transfer.download import DownloadRequest
    from threedie.sharing.transfer.download import download as run

    request = DownloadRequest(
        what=what,
        out=out_folder,
        source=source,
        split=split,
        classes=classes,
        jobs=jobs,
        offline=offline,
        accept_license=accept_license,
    )
    run(request, console=out)


@app.command()
def publish(
    folder: DatasetFolder,
    destination: Annotated[
        str,
        typer.Argument(
            metavar="DEST",
            help="s3://bucket/path, gs://bucket/path, hf://datasets/user/name, or a folder.",
        ),
    ],
    jobs: Jobs = 4,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take another data set away that is there.")
    ] = False,
    tables: Annotated[
        str | None,
        typer.Option(metavar="DEST", help="Send the tables alone to a place of their own as well."),
    ] = None,
) -> None:
    """Publish a data set: shards first, its manifest last. The same command again goes on.

    A card, licence, citation, Croissant metadata and tables of all views go with it.

    Endpoint, region and credentials come from the environment: AWS_ENDPOINT_URL, AWS_PROFILE,
    HF_TOKEN.
    """
    from threedie.data.urls import is_url, shown
    from threedie.sharing.card.accompany import accompanying_files, table_files
    from threedie.sharing.transfer.progress import ConsoleProgress
    from threedie.sharing.transfer.publish import check_tables_place, publish_tables
    from threedie.sharing.transfer.publish import publish as run

    if tables is not None:
        check_tables_place(tables, destination)
    progress = ConsoleProgress(out)
    try:
        run(
            folder,
            destination,
            jobs=jobs,
            replace=replace,
            accompany=accompanying_files,
            progress=progress,
        )
        if tables is not None:
            publish_tables(table_files(folder, address=destination), tables)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("The same command sends what lacks.") from stop
    finally:
        progress.close()
    where = shown(destination) if is_url(destination) else destination
    say(f"published: {escape(where)}. Read it: 3die download, or 3die bench --data.")
