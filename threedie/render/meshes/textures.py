"""Texture images: decoded here, with caps, and written again as plain PNGs of our own.

Blender never opens a foreign image. EXIF rotation and colour profiles are not applied, as Blender
does not apply them either; 16-bit channels become 8-bit; CMYK becomes RGB.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from threedie import files as disk
from threedie.errors import AssetError
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.object_files import HashedFiles, MissingFile, show

MissingTexture = Literal["grey", "fail"]
"""What a missing or unreadable texture does: a grey surface and a note, or an AssetError."""

_FORMATS = ("PNG", "JPEG", "GIF", "BMP")
_COMPRESSION = 1  # of zlib: these files live for seconds


class BadTexture(Exception):
    """An image that is missing or can't be used; the text says why."""


class Textures:
    """The textures of one object on their way into `scratch`, each file once."""

    def __init__(self, files: HashedFiles, scratch: Path, limits: Limits) -> None:
        self._files = files
        self._scratch = scratch
        self._limits = limits
        self._done: dict[str, str | BadTexture] = {}
        self._written = 0
        self._pixels = 0

    def add_file(self, name: str) -> str:
        """Read an image of the object and write it as PNG.

        Args:
            name: has passed `local_name`.

        Returns:
            Name of the PNG in scratch.

        Raises:
            BadTexture: missing or unreadable.
            AssetError: too many, or outside of the object.
        """
        if name not in self._done:
            self._done[name] = self._try(name)
        done = self._done[name]
        if isinstance(done, BadTexture):
            raise done
        return done

    def counted(self, image: Image.Image) -> Image.Image:
        """Count a decoded image against the cap on all pixels of an object."""
        self._pixels += image.width * image.height
        if self._pixels > self._limits.total_texture_pixels:
            raise AssetError(
                f"{self._files.label(self._files.main)}: its textures have more than "
                f"{self._limits.total_texture_pixels / 1e6:.0f} megapixels; scale them down."
            )
        return image

    def write(self, image: Image.Image) -> Path:
        """Write an image as PNG under the next free name in scratch."""
        if self._written >= self._limits.textures:
            raise AssetError(
                f"{self._files.label(self._files.main)} uses more than {self._limits.textures} "
                "textures; expected at most that. Leave the object out."
            )
        path = self._scratch / f"t{self._written}.png"
        self._written += 1
        disk.put(path, _png(image))
        return path

    def _try(self, name: str) -> str | BadTexture:
        try:
            data = self._files.read(name, self._limits.texture_bytes)
            image = decode(data, self._limits, tga=name.lower().endswith(".tga"))
            return self.write(self.counted(image)).name
        except MissingFile:
            return BadTexture(f"missing texture {show(name)}")
        except BadTexture as err:
            return BadTexture(f"unreadable texture {show(name)} ({err})")


def decode(data: bytes, limits: Limits, *, tga: bool = False) -> Image.Image:
    """Decode an image to 8-bit L, RGB or RGBA.

    Args:
        data: the file. PNG, JPEG, GIF (first picture) or BMP by its content.
        limits: `texture_pixels` is checked before pixels are decoded.
        tga: also try Targa, which has no mark of its own.

    Raises:
        BadTexture: another format, damaged, or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS + ("TGA",) * tga) as image:
                if not 0 < image.width * image.height <= limits.texture_pixels:
                    raise BadTexture(f"{image.width}×{image.height} pixels")
                image.load()
                return _eight_bit(image)
    except BadTexture:
        raise
    except Exception as err:  # Pillow raises a dozen types on damaged files
        raise BadTexture(show(str(err).split("<")[0].strip() or type(err).__name__)) from err


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion clips
        grey = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        return Image.fromarray(((grey * 255 + 32767) // 65535).astype(np.uint8))
    alpha = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBa", "RGBA")
    mode = "RGBA" if alpha else "L" if image.mode in ("1", "L") else "RGB"
    return image.convert(mode)


def _png(image: Image.Image) -> bytes:
    bare = Image.frombytes(image.mode, image.size, image.tobytes())  # no profiles, no comments
    buffer = io.BytesIO()
    bare.save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


__all__ = ["BadTexture", "MissingTexture", "Textures", "decode"]
