"""Latents out of a file (`--latents FILE.npz`): one array (V, 7 or 10) per `<class>/<object>`."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from threedie import files
from threedie.errors import ConfigError
from threedie.manifests.latents import Array

_MAX_BYTES = 4 * 2**30


class GivenLatents:
    """A checked latents file.

    Args:
        path: an .npz without pickles.
        width: numbers per latent that the recipe asks for, 7 or 10.

    Raises:
        ConfigError: unreadable, empty, or an array of another type or shape, or not finite.
    """

    def __init__(self, path: Path, width: int) -> None:
        self._path, self._width = path, width
        self._table = self._open()
        self.names = set(self._table.files)
        """`<class>/<object>` of every array."""
        if not self.names:
            raise ConfigError(
                f"{path}: no arrays in it; one (V, {width}) per <class>/<object> was expected."
            )
        self._lengths = {len(self.of(name)) for name in self._table.files}
        self.sha256 = files.sha256_file(path)

    def of(self, name: str) -> Array:
        """(V, width) float64 of one object."""
        try:
            array = np.asarray(self._table[name])
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as err:
            raise ConfigError(f"{self._path}: {name}: {err}.") from err
        fits = array.ndim == 2 and array.shape[1] == self._width and len(array) > 0
        if not fits or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ConfigError(
                f"{self._path}: {name} is {array.dtype} of shape {array.shape}; finite floats of "
                f"shape (views, {self._width}) were expected."
            )
        return array.astype(np.float64)

    def views(self, asked: int | None) -> int:
        """The number of views to render.

        Raises:
            ConfigError: the objects have different numbers of views, or fewer than asked.
        """
        least, most = min(self._lengths), max(self._lengths)
        if (asked is None and least != most) or (asked or 0) > least:
            raise ConfigError(
                f"{self._path}: its objects have {least} to {most} views; "
                f"give --views {least} or fewer."
            )
        return asked or least

    def _open(self) -> np.lib.npyio.NpzFile:
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                raise ConfigError(f"{self._path}: too large for a latents file.")
            table = np.load(self._path, allow_pickle=False)
        except OSError as err:
            raise ConfigError(f"cannot read the latents {self._path}: {err.strerror}.") from err
        except (ValueError, EOFError, zipfile.BadZipFile) as err:
            raise ConfigError(f"{self._path} is not an .npz of plain arrays: {err}.") from err
        if not isinstance(table, np.lib.npyio.NpzFile):
            raise ConfigError(f"{self._path} is one array; an .npz of arrays was expected.")
        return table
