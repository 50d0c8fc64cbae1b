"""Which objects of a spool are whole: all views there, all alike. The others go to the ledger."""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from threedie.errors import ManifestError
from threedie.sharing.convert.spool import Members, PictureFile, Spool

_SMALLEST, _LARGEST = 8, 8192  # pixels a side, as dataset.json has it
_LEVELS = np.arange(256, dtype=np.int64)
_WINDOW, _THREADS = 16, 4
"""First views that are held, and decoded, at a time."""
_MOST_BYTES = 128 * 2**20
"""Of an object's pictures: a sample is held in memory while it is written."""


@dataclass(frozen=True, slots=True)
class FirstView:
    """Sums over the pixels of an object's first picture, in the file's order of channels."""

    total: tuple[int, ...]
    squares: tuple[int, ...]


class Examiner:
    """Looks at the objects of a spool.

    Args:
        spool: sealed.
        views: how many an object must have; None: what most objects have.
        latent_size: of the recipe.

    Raises:
        ManifestError: there is nothing of the layout in it, or its latents are another recipe's.
    """

    def __init__(self, spool: Spool, *, views: int | None, latent_size: int) -> None:
        self._spool, where = spool, spool.sealed.name
        pictures, latents = spool.pictures, spool.latents
        good_sides, widths = pictures.side[pictures.side > 0], latents.side[latents.side > 0]
        if not len(good_sides) or not len(widths):
            what = "picture (image_<v>.jpg)" if not len(good_sides) else "latent (latent_<v>.npy)"
            raise ManifestError(
                f"{where} holds no whole {what} of the published layout, "
                f"[FOLDER/]SYNSET/OBJECT/image_<v>.jpg and latent_<v>.npy. {_told(spool)}"
            )
        self.side, self.width = _most_common(good_sides), _most_common(widths)
        if not _SMALLEST <= self.side <= _LARGEST:
            raise ManifestError(
                f"{where}: its pictures have {self.side} pixels a side; {_SMALLEST} to {_LARGEST} "
                "are taken."
            )
        if self.width != latent_size:
            raise ManifestError(
                f"{where}: latents have {self.width} numbers, the recipe's have {latent_size}. "
                f"Give --recipe {'3diebench-t' if self.width == 10 else '3diebench'}, or another "
                "with as many."
            )
        self.views = views or _most_common(_views_per_object(pictures))
        self._kinds = (
            _Kind(pictures, spool, self.views, self.side, "image_{}.jpg", _picture_fault),
            _Kind(latents, spool, self.views, self.width, "latent_{}.npy", _latent_fault),
        )

    def rows(self, number: int) -> tuple[Sequence[int], Sequence[int]]:
        """Where an object's pictures and latents stand in the spool, in the order of views.

        Raises:
            _Incomplete: it is not whole; says why.
        """
        images, latents = self._kinds
        return images.rows(number), latents.rows(number)

    def fault(self, number: int) -> str | None:
        """What is wrong with an object, or None."""
        try:
            images, _ = self.rows(number)
        except _Incomplete as err:
            return str(err)
        size = int(self._spool.pictures.length[list(images)].sum(dtype=np.int64))
        if size > _MOST_BYTES:
            most = _MOST_BYTES // 2**20
            return f"its pictures have {size / 2**20:.0f} MiB, at most {most} are taken"
        return None

    def extra_views(self) -> int:
        """How many pictures are of views that are not taken."""
        return int((self._spool.pictures.view >= self.views).sum())

    def first_views(self, numbers: list[int]) -> Iterator[tuple[int, FirstView | None]]:
        """Decode the first picture of each of these objects; None where it does not decode."""
        with (
            self._spool.open_pictures() as pictures,
            ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool,
        ):
            for start in range(0, len(numbers), _WINDOW):
                chosen = numbers[start : start + _WINDOW]
                contents = [self._first(pictures, number) for number in chosen]
                yield from zip(chosen, pool.map(_sums, contents), strict=True)

    def _first(self, pictures: PictureFile, number: int) -> bytes:
        return pictures.read(self.rows(number)[0][:1])[0]


Fault = Callable[[int, int, int], str]
"""(view, what was found, what was expected) -> what is wrong."""


class _Incomplete(Exception):
    """An object is not whole."""


def _most_common(values: NDArray[np.int64] | NDArray[np.uint16]) -> int:
    """Of equally common ones the largest."""
    counts = Counter(values.tolist())
    return int(max(counts, key=lambda value: (counts[value], value)))


def _views_per_object(pictures: Members) -> NDArray[np.int64]:
    pairs = np.unique(pictures.object.astype(np.int64) << 16 | pictures.view)
    counts: NDArray[np.int64] = np.unique(pairs >> 16, return_counts=True)[1]
    return counts


class _Kind:
    """The pictures, or the latents: where those of an object are."""

    def __init__(
        self, table: Members, spool: Spool, views: int, side: int, name: str, fault: Fault
    ) -> None:
        self._table, self._views, self._side, self._name = table, views, side, name
        self._fault = fault
        self._starts = table.starts(len(spool.objects))
        # Nearly all objects are plain: a row for each view, in order, and nothing wrong with any.
        expected = np.arange(len(table.view)) - np.repeat(self._starts[:-1], np.diff(self._starts))
        strange = table.object[(table.view != expected) | (table.side != side)]
        self._plain = np.diff(self._starts) == views
        self._plain[strange] = False

    def rows(self, number: int) -> Sequence[int]:
        """In the order of views.

        Raises:
            _Incomplete: not all are there and good; says which.
        """
        start, stop = int(self._starts[number]), int(self._starts[number + 1])
        if self._plain[number]:
            return range(start, stop)
        rows = self._first_rows(range(start, stop))
        sides = self._table.side[rows]
        wrong = np.flatnonzero(sides != self._side)
        if len(wrong):
            more = f" ({len(wrong) - 1} more like it)" if len(wrong) > 1 else ""
            told = self._fault(int(wrong[0]), int(sides[wrong[0]]), self._side)
            raise _Incomplete(f"{told}{more}")
        return rows

    def _first_rows(self, found: range) -> list[int]:
        table, views = self._table, self._views
        first: dict[int, int] = {}
        for row in found:
            view = int(table.view[row])
            other = first.setdefault(view, row)
            same = (table.crc[row], table.length[row]) == (table.crc[other], table.length[other])
            if view < views and not same:
                raise _Incomplete(f"{self._name.format(view)} is there twice, and not the same")
        missing = [view for view in range(views) if view not in first]
        if missing:
            raise _Incomplete(
                f"{self._name.format(missing[0])} is missing ({len(missing)} of {views} are), or "
                "was set aside"
            )
        return [first[view] for view in range(views)]


def _picture_fault(view: int, side: int, expected: int) -> str:
    if not side:
        return f"image_{view}.jpg is not a whole, square JPEG of three 8-bit channels"
    return f"image_{view}.jpg has {side} pixels a side, the set's pictures have {expected}"


def _latent_fault(view: int, width: int, expected: int) -> str:
    if not width:
        return (
            f"latent_{view}.npy is not 7 or 10 finite float64 numbers in a plain .npy file "
            "(pickles are never read)"
        )
    return f"latent_{view}.npy has {width} numbers, the set's latents have {expected}"


def _sums(content: bytes) -> FirstView | None:
    """Exact, by way of the picture's histogram."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if image.mode != "RGB":
                return None
            counts = np.array(image.histogram(), dtype=np.int64).reshape(3, 256)
    except Exception:  # Pillow's decoders raise many kinds, struct.error among them
        return None
    return FirstView(
        total=tuple((counts @ _LEVELS).tolist()), squares=tuple((counts @ _LEVELS**2).tolist())
    )


def _told(spool: Spool) -> str:
    return " ".join(spool.sealed.set_aside) or "It holds no other files either."
