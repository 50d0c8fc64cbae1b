"""Licences: shown before the first download of a release, accepted once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from threedie import files
from threedie.errors import ConfigError
from threedie.manifests.dataset import canonical_json
from threedie.manifests.releases import Release


def check_licence(release: Release, *, accept: bool, console: Console) -> None:
    """Show a release's licence, unless this very text was accepted before.

    Args:
        release: what is to be downloaded.
        accept: whether it is accepted now; that is remembered in the user's cache.
        console: to show it on.

    Raises:
        ConfigError: it is not accepted yet.
    """
    note = _note(release)
    if note.is_file():
        return
    licence = release.licence
    for line in (f"{release.title}", f"Licence: {licence.name} ({licence.url})", licence.text):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if not accept:
        raise ConfigError(
            f"the licence of '{release.name}' is to be accepted once: run the same command with "
            "--accept-license."
        )
    files.make_directory(note.parent)
    files.put(note, f"{release.name}: {licence.name}\n".encode())


def _note(release: Release) -> Path:
    """Another text has another note."""
    said = canonical_json([release.name, release.licence.model_dump(mode="json")])
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "threedie" / "accepted" / hashlib.sha256(said).hexdigest()
