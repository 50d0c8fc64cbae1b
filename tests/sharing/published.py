"""Small sets in the published layout, and archives of them: floors that have the latents' hue."""

from __future__ import annotations

import colorsys
import gzip
import io
import random
import tarfile
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from threedie.manifests.latents import Array
from threedie.manifests.recipes import find_recipe
from threedie.render.sampler import sample_object

CHAIR, MUG = "03001627", "03797390"
OBJECTS = [(c, o) for c in (CHAIR, MUG) for o in ("a1", "b2", "c3", "d4")]
VIEWS = 3
ROOT = "3DIEBench/"
Files = dict[str, bytes]
"""Content by name, `SYNSET/OBJECT/image_0.jpg`."""


def latents_of(
    class_id: str, object_id: str, views: int = VIEWS, recipe: str = "3diebench"
) -> Array:
    return sample_object(
        find_recipe(recipe), seed=3, class_id=class_id, object_id=object_id, views=views
    )


def picture(
    hue: float, mark: int, *, size: int = 32, order: str = "rgb", saturation: float = 0.3
) -> bytes:
    """A floor of this hue with an object on it, whose grey is the mark."""
    floor = 255 * np.array(colorsys.hsv_to_rgb(hue % 1, saturation, 0.7))
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[...] = floor.round().astype(np.uint8)
    pixels[size // 4 : -size // 4, size // 4 : -size // 4] = 30 + mark % 200
    return jpeg(pixels[:, :, ::-1] if order == "bgr" else pixels)


def jpeg(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def npy(array: object, **options: bool) -> bytes:
    out = io.BytesIO()
    np.save(out, np.asarray(array), **options)
    return out.getvalue()


def published(
    objects: Sequence[tuple[str, str]] = tuple(OBJECTS),
    *,
    views: int = VIEWS,
    size: int = 32,
    order: str = "rgb",
    recipe: str = "3diebench",
) -> Files:
    """A whole set."""
    found: Files = {}
    for number, (class_id, object_id) in enumerate(objects):
        rows = latents_of(class_id, object_id, views, recipe)
        for view, row in enumerate(rows):
            folder = f"{class_id}/{object_id}"
            mark = 40 * number + view
            found[f"{folder}/image_{view}.jpg"] = picture(row[3], mark, size=size, order=order)
            found[f"{folder}/latent_{view}.npy"] = npy(row)
    return found


def header(name: str, size: int, **fields: object) -> bytes:
    """A tar header, with fields of TarInfo's."""
    info = tarfile.TarInfo(name)
    info.size = size
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, content: bytes, **fields: object) -> bytes:
    return header(name, len(content), **fields) + content + bytes(-len(content) % 512)


END = bytes(1024)


def tar(files: Mapping[str, bytes], *, root: str = ROOT, form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive as Python's tarfile writes it, times and all."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for number, (name, content) in enumerate(files.items()):
            info = tarfile.TarInfo(f"{root}{name}")
            info.size, info.mtime = len(content), 1676543210.25 + number
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def tgz(files: Mapping[str, bytes]) -> bytes:
    return gzip.compress(tar(files), mtime=0)


def shuffled(files: Files, seed: int) -> Files:
    """The same files in another order: objects and views interleaved."""
    names = list(files)
    random.Random(seed).shuffle(names)
    return {name: files[name] for name in names}


def pieces(content: bytes, size: int = 10_000) -> list[bytes]:
    """As they arrive."""
    return [content[start : start + size] for start in range(0, len(content), size)]
