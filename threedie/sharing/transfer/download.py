"""`3die download` as a function: what is asked for, and which way it comes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from threedie.data import urls
from threedie.data.dataset import check_size
from threedie.errors import ConfigError, ManifestError
from threedie.manifests.classes import choose_classes
from threedie.manifests.dataset import DatasetManifest, Subset
from threedie.manifests.releases import Release, releases
from threedie.names import find
from threedie.sharing.transfer.classes import download_classes
from threedie.sharing.transfer.licences import check_licence
from threedie.sharing.transfer.progress import ConsoleProgress
from threedie.sharing.transfer.release import download_archive, say
from threedie.sharing.transfer.target import Target, whole_of
from threedie.sharing.transfer.transfer import check_jobs
from threedie.sharing.transfer.whole_set import Published, download_all, download_splits
from threedie.words import plural


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadRequest:
    """What a user asks for; the command line's options with the same names."""

    what: str
    """A release's name, or the address of a data set: a URL or a folder."""
    out: Path
    source: str | None = None
    """Another place that the release is at: a mirror."""
    split: str | None = None
    """Names separated by commas; None: all."""
    classes: str | None = None
    """Names and ids separated by commas; None: all."""
    jobs: int = 4
    offline: bool = False
    accept_license: bool = False


def download(request: DownloadRequest, *, console: Console) -> None:
    """Bring a data set here. The same call again asks for what lacks.

    Args:
        request: what is asked for.
        console: where progress is told.

    Raises:
        ConfigError: an option that can't work; a folder that holds something else.
        ManifestError: files that are not what they should be, each named.
        StorageError: no room, or the server is gone.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    check_jobs(request.jobs)
    release = _release(request)
    address = request.source or (release.url if release else request.what)
    if request.offline and urls.is_url(address):
        _check_here(request, console)
        return
    if release:
        check_licence(release, accept=request.accept_license, console=console)
    progress = ConsoleProgress(console)
    try:
        if release and release.kind == "archive":
            _refuse_parts(request)
            download_archive(release, address, request.out, console=console)
        else:
            _download_set(request, release, address, progress)
            _conclude(request.out, console)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("The same command goes on.") from stop
    finally:
        progress.close()


def _release(request: DownloadRequest) -> Release | None:
    """The release of this name; None: it is an address."""
    what = request.what
    if not what:
        raise ConfigError("what to download is empty; give a release, an address or a folder.")
    if urls.is_url(what) or "/" in what or Path(what).exists():
        if request.source is not None:
            raise ConfigError(f"--from is for a release's mirror; '{urls.shown(what)}' is none.")
        return None
    return find("release", what, releases())


def _download_set(
    request: DownloadRequest, release: Release | None, address: str, progress: ConsoleProgress
) -> None:
    own = release is not None and address == release.url
    published = Published.at(address, token=not own)
    whole = whole_of(published.content)
    if release is not None and release.sha256 not in (None, whole.manifest_sha256):
        raise ManifestError(
            f"{urls.shown(address)}: sha256 of its dataset.json is {whole.manifest_sha256}, the "
            f"release '{release.name}' has {release.sha256}: it is another data set."
        )
    target = Target(request.out, _wanted(request, whole, published.manifest))
    target.prepare()
    bring = download_all
    if target.wanted.classes is not None:
        bring = download_classes
        progress.say(
            "Of shards only parts are taken, so that no published hash of them can be compared: "
            "index, latents and records are; `3die verify` decodes every picture."
        )
    elif target.wanted.splits is not None:
        bring = download_splits
    bring(published, target, jobs=request.jobs, progress=progress)


def _wanted(request: DownloadRequest, whole: Subset, manifest: DatasetManifest) -> Subset:
    """What of a data set is asked for.

    Raises:
        ConfigError: a split or class that it has not.
    """
    update: dict[str, tuple[str, ...]] = {}
    if request.split is not None:
        asked = [part.strip() for part in request.split.split(",") if part.strip()]
        for name in asked or [request.split]:
            find("split", name, manifest.splits)
        update["splits"] = tuple(name for name in manifest.splits if name in asked)
    if request.classes is not None and request.classes.strip().lower() != "all":
        ids = [entry.class_id for entry in manifest.classes]
        update["classes"] = tuple(choose_classes(request.classes, ids))
    return whole.model_copy(update=update)


def _refuse_parts(request: DownloadRequest) -> None:
    if request.split is not None or request.classes is not None:
        raise ConfigError(
            f"'{request.what}' is one archive, which can only be read from its start to its end: "
            "--split and --classes are for data sets of shards."
        )


def _check_here(request: DownloadRequest, console: Console) -> None:
    """--offline: all must be here.

    Raises:
        ConfigError: it is not.
    """
    try:
        manifest = DatasetManifest.read(request.out)
        for entry in manifest.shards:
            check_size(request.out, entry)
    except ManifestError as err:
        raise ConfigError(f"--offline was given, and not everything is here: {err}") from err
    _conclude(request.out, console)


def _conclude(out: Path, console: Console) -> None:
    manifest, quoted = DatasetManifest.read(out), shlex.quote(str(out))
    say(
        f"{out}: {plural(sum(manifest.splits.values()), 'object')} in "
        f"{plural(len(manifest.shards), 'shard')}. "
        f"Check every picture: 3die verify {quoted} · look at them: 3die view {quoted}",
        console,
    )
