"""Latents out of a file (`--latents FILE.npz`): one array (V, 7 or 10) per `<class>/<object>`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from threedie import files
from threedie.errors import ConfigError
from threedie.manifests.latents import Array
from threedie.manifests.splits import BROKEN_ARRAY, canonical_class

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
        self._keys = self._by_object()
        if not self._keys:
            raise ConfigError(
                f"{path}: no arrays in it; one (V, {width}) per <class>/<object> was expected."
            )
        self._lengths = {len(self.of(name)) for name in self._keys}
        self.sha256 = files.sha256_file(path)

    def __contains__(self, name: str) -> bool:
        """Whether there is an array for `<class>/<object>`, by the class's name or its id."""
        return _canonical(name) in self._keys

    def of(self, name: str) -> Array:
        """(V, width) float64 of one object."""
        name = self._keys.get(_canonical(name), name)
        try:
            array = np.asarray(self._table[name])
        except (OSError, *BROKEN_ARRAY) as err:
            raise ConfigError(
                f"{self._path}: {name} is no plain array: {str(err)[:200]} ({type(err).__name__}); "
                f"finite floats of shape (views, {self._width}) were expected. Save it again."
            ) from err
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

    def check_names(self, present: Iterable[str], *, is_left_out: Callable[[str], bool]) -> None:
        """See that every array belongs to an object.

        Args:
            present: `<class>/<object>` of the classes that were looked at.
            is_left_out: whether a class is one that the options leave out.

        Raises:
            ConfigError: no array has an object, or some have none though nothing leaves them out.
        """
        present = list(present)
        names = {_canonical(name) for name in present}
        lost = [key for name, key in self._keys.items() if name not in names]
        unknown = [key for key in lost if not is_left_out(key.partition("/")[0])]
        if not unknown and len(lost) < len(self._keys):
            return
        first = (unknown or lost)[0]
        example = f", such as '{present[0]}'" if present else ""
        count = "none" if len(lost) == len(self._keys) else f"{len(unknown)}"
        fits = "fits an object" if count == "none" else "fit no object"
        found = f"{count} of {len(self._keys)} arrays {fits} of the mesh source"
        raise ConfigError(
            f"{self._path}: {found}, the first is '{first}'; "
            f"expected <class>/<object>{example}. Rename or remove the arrays, or choose other "
            "--classes."
        )

    def _by_object(self) -> dict[str, str]:
        keys: dict[str, str] = {}
        for key in self._table.files:
            twin = keys.setdefault(_canonical(key), key)
            if twin != key:
                raise ConfigError(
                    f"{self._path}: '{twin}' and '{key}' are the same object; expected one array "
                    "for it. Remove one."
                )
        return keys

    def _open(self) -> np.lib.npyio.NpzFile:
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                raise ConfigError(f"{self._path}: too large for a latents file.")
            table = np.load(self._path, allow_pickle=False)
        except OSError as err:
            raise ConfigError(f"cannot read the latents {self._path}: {err.strerror}.") from err
        except BROKEN_ARRAY as err:
            raise ConfigError(
                f"{self._path} is not an .npz of plain arrays: {str(err)[:200]} "
                f"({type(err).__name__}); save it again with numpy.savez."
            ) from err
        if not isinstance(table, np.lib.npyio.NpzFile):
            raise ConfigError(f"{self._path} is one array; an .npz of arrays was expected.")
        if sum(member.file_size for member in table.zip.infolist()) > _MAX_BYTES:
            raise ConfigError(f"{self._path}: too large for a latents file when unpacked.")
        return table


def _canonical(name: str) -> str:
    class_id, slash, object_id = name.partition("/")
    return f"{canonical_class(class_id)}{slash}{object_id}"
