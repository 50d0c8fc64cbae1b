"""Materials of glTF 2.0 as plain materials: base colour and its texture, alpha, roughness, metal.

Read here and not by trimesh, which rounds the linear colour factor to 8 bits and would open the
images itself. Factors are baked into the texture, as our material has one or the other; the
metallic-roughness texture counts with its mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from threedie.errors import AssetError
from threedie.render.meshes.gltf_buffers import content, view
from threedie.render.meshes.gltf_tree import Json, item, numbers
from threedie.render.meshes.limits import Limits
from threedie.render.meshes.mesh import Material
from threedie.render.meshes.object_files import HashedFiles, MissingFile, show
from threedie.render.meshes.textures import BadTexture, MissingTexture, Textures, decode
from threedie.render.meshes.triangles import Floats, linear_to_srgb, srgb_to_linear

_MARKS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # of PNG and JPEG


class Materials:
    """Makes the materials of one glTF; an image is read once."""

    def __init__(
        self,
        tree: Json,
        served: dict[str, bytes],
        files: HashedFiles,
        textures: Textures,
        missing: MissingTexture,
        limits: Limits,
    ) -> None:
        self._tree = tree
        self._served = served
        self._files = files
        self._textures = textures
        self._missing = missing
        self._limits = limits
        self._images: dict[int, Image.Image | BadTexture] = {}
        self.notes: list[str] = []

    def make(self, source: Json | None, name: str) -> Material:
        """One material of ours; the default one of None."""
        if source is None:
            return Material(name=name)
        pbr = _pbr(source)
        factor = np.clip(numbers(pbr, "baseColorFactor", (1, 1, 1, 1)), 0, 1)
        texture = pbr.get("baseColorTexture")
        image = self._image(texture, "grey") if texture else None
        roughness, metallic = self._surface(pbr)
        red, green, blue = (0.8, 0.8, 0.8) if texture and image is None else factor[:3]
        path = None
        if image is not None:
            alpha = _visible(source, factor[3:] * _alpha(image))
            path = self._textures.write(_baked(image, factor[:3], alpha))
        return Material(
            name=name,
            base_color=(float(red), float(green), float(blue)),
            alpha=float(_visible(source, factor[3:])[0]),
            roughness=float(np.clip(roughness, 0, 1)),
            metallic=float(np.clip(metallic, 0, 1)),
            texture=path,
        )

    def _surface(self, pbr: Json) -> tuple[float, float]:
        """Roughness and metallic: factors times the texture's means in green and blue."""
        [roughness] = numbers(pbr, "roughnessFactor", (1,))
        [metallic] = numbers(pbr, "metallicFactor", (1,))
        texture = pbr.get("metallicRoughnessTexture")
        image = self._image(texture, "left out") if texture else None
        if image is not None:
            means = np.asarray(image.convert("RGB")).mean(axis=(0, 1)) / 255
            roughness, metallic = roughness * means[1], metallic * means[2]
        return roughness, metallic

    def _image(self, info: Json, otherwise: str) -> Image.Image | None:
        """The decoded picture of a texture, or None with a note (or an error, as asked)."""
        number = item(self._tree, "textures", info.get("index")).get("source")
        source = item(self._tree, "images", number)
        if number not in self._images:
            self._images[number] = self._decode(source, f"images[{number}]")
        found = self._images[number]
        if isinstance(found, Image.Image):
            return found
        if self._missing == "fail":
            raise AssetError(
                f"{self._files.label(self._files.main)}: {found}. Expected the image to be there; "
                'put it back, or allow a grey surface with missing_texture="grey".'
            )
        self.notes.append(f"{found}: {otherwise}")
        return None

    def _decode(self, source: Json, name: str) -> Image.Image | BadTexture:
        uri = source.get("uri")
        if isinstance(uri, str) and not uri.startswith("data:"):
            name = show(uri)
        try:
            if "bufferView" in source:
                data = bytes(view(self._tree, source["bufferView"], self._served))
            else:
                data = content(uri, self._files, self._limits.texture_bytes)
            if not data.startswith(_MARKS):
                raise BadTexture("neither PNG nor JPEG")
            return self._textures.counted(decode(data, self._limits))
        except MissingFile:
            return BadTexture(f"missing texture {name}")
        except BadTexture as err:
            return BadTexture(f"unreadable texture {name} ({err})")


def base_texture(source: Json) -> Json:
    """What a material says about the texture of its colour; empty for none."""
    return _pbr(source).get("baseColorTexture") or {}


def _pbr(source: Json) -> Json:
    """The metallic-roughness part of a material, made from the older model where there is that."""
    old = source.get("extensions", {}).get("KHR_materials_pbrSpecularGlossiness")
    if old is None:
        return dict(source.get("pbrMetallicRoughness", {}))
    [glossiness] = numbers(old, "glossinessFactor", (1,))
    return {
        "baseColorFactor": old.get("diffuseFactor", (1, 1, 1, 1)),
        "baseColorTexture": old.get("diffuseTexture"),
        "metallicFactor": 0,
        "roughnessFactor": 1 - glossiness,
    }


def _alpha(image: Image.Image) -> Floats:
    if image.mode != "RGBA":
        return np.ones(1)
    return np.asarray(image.getchannel("A"), dtype=np.float64) / 255


def _visible(source: Json, alpha: Floats) -> Floats:
    """Alpha by the material's mode: opaque surfaces ignore it, masks are all or nothing."""
    mode: Any = source.get("alphaMode", "OPAQUE")
    if mode == "MASK":
        alpha = np.where(alpha >= numbers(source, "alphaCutoff", (0.5,)), 1.0, 0.0)
    return alpha if mode in ("BLEND", "MASK") else np.ones(1)


def _baked(image: Image.Image, factor_RGB: Floats, alpha: Floats) -> Image.Image:
    """The picture times the factor (in linear light), with this alpha."""
    rgb = image.convert("RGB")
    if np.any(factor_RGB != 1):
        levels = srgb_to_linear(np.arange(256) / 255)
        curves = [np.rint(linear_to_srgb(levels * f) * 255).astype(int) for f in factor_RGB]
        rgb = rgb.point(np.concatenate(curves).tolist())
    if np.all(alpha == 1):
        return rgb
    channel = np.broadcast_to(np.rint(alpha * 255).astype(np.uint8), (image.height, image.width))
    rgb.putalpha(Image.fromarray(channel.copy()))
    return rgb


__all__ = ["Materials", "base_texture"]
