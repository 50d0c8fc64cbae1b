"""Materials of glTF 2.0 as plain materials: base colour and its texture, alpha, roughness, metal.

Factors are baked into the texture, because our material has one or the other. The metallic-
roughness texture counts with its mean. Specular-glossiness, the older model, is read for its
colour and roughness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from threedie.errors import AssetError
from threedie.render.gltf_data import Buffers, Json, item, natural, real, reals, table
from threedie.render.limits import Limits
from threedie.render.mesh import Material
from threedie.render.object_files import HashedFiles, MissingFile, show
from threedie.render.textures import BadTexture, MissingTexture, Textures, decode
from threedie.render.triangles import Floats, linear_to_srgb, srgb_to_linear

_GREY = (0.8, 0.8, 0.8)
_SPECULAR = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True, slots=True)
class GltfMaterial:
    """A material and where its texture's coordinates come from."""

    material: Material
    factor_RGB: tuple[float, float, float]
    """Linear; vertex colours are multiplied with it."""
    uv_set: int = 0
    uv_transform: Floats | None = None
    """(2, 3) of KHR_texture_transform, in glTF's own coordinates (v down)."""


class GltfMaterials:
    """Materials of one glTF, each made once, under our own names."""

    def __init__(
        self,
        tree: Json,
        buffers: Buffers,
        textures: Textures,
        missing: MissingTexture,
        limits: Limits,
        files: HashedFiles,
    ) -> None:
        self._tree = tree
        self._buffers = buffers
        self._textures = textures
        self._missing = missing
        self._limits = limits
        self._label = files.label(files.main)
        self._made: dict[int | None, int] = {}
        self._pixels: dict[int, Image.Image | BadTexture] = {}
        self.materials: list[GltfMaterial] = []
        self.notes: list[str] = []

    def number(self, index: Any) -> int:
        """Our number of the glTF's material, or of the default one for None."""
        if index not in self._made:
            if len(self.materials) >= self._limits.materials:
                raise AssetError(
                    f"{self._label} uses more than {self._limits.materials} materials."
                )
            source = None if index is None else item(self._tree, "materials", index)
            name = f"m{len(self.materials)}"
            self._made[index] = len(self.materials)
            plain = GltfMaterial(Material(name=name), (1.0, 1.0, 1.0))
            self.materials.append(plain if source is None else self._make(source, name))
        return self._made[index]

    def _make(self, source: Json, name: str) -> GltfMaterial:
        old = table(source, "extensions").get(_SPECULAR)
        if isinstance(old, dict):
            factor = reals(old, "diffuseFactor", (1.0,) * 4)
            roughness, metallic = 1 - real(old, "glossinessFactor", 1.0), 0.0
            texture = table(old, "diffuseTexture")
        else:
            pbr = table(source, "pbrMetallicRoughness")
            factor = reals(pbr, "baseColorFactor", (1.0,) * 4)
            roughness, metallic = self._surface(pbr)
            texture = table(pbr, "baseColorTexture")
        factor = np.clip(factor, 0, 1)
        image = self._image(texture, "grey") if texture else None
        grey = bool(texture) and image is None
        red, green, blue = map(float, factor[:3])
        alpha = factor[3:] if image is None else factor[3:] * _alpha(image)
        edited = None if image is None else _baked(image, factor[:3], _visible(source, alpha))
        material = Material(
            name=name,
            base_color=_GREY if grey else (red, green, blue),
            alpha=float(_visible(source, factor[3:])[0]),
            roughness=float(np.clip(roughness, 0, 1)),
            metallic=float(np.clip(metallic, 0, 1)),
            texture=None if edited is None else self._textures.write(edited),
        )
        transform = table(table(texture, "extensions"), "KHR_texture_transform")
        uv_set = natural(transform, "texCoord", natural(texture, "texCoord", 0))
        return GltfMaterial(material, (red, green, blue), uv_set, _transform(transform))

    def _surface(self, pbr: Json) -> tuple[float, float]:
        roughness, metallic = real(pbr, "roughnessFactor", 1.0), real(pbr, "metallicFactor", 1.0)
        texture = table(pbr, "metallicRoughnessTexture")
        image = self._image(texture, "left out") if texture else None
        if image is not None:  # roughness in green, metal in blue
            means = np.asarray(image.convert("RGB"), dtype=np.float64).mean(axis=(0, 1)) / 255
            roughness, metallic = roughness * means[1], metallic * means[2]
        return roughness, metallic

    def _image(self, info: Json, otherwise: str) -> Image.Image | None:
        """The decoded picture of a texture, or None with a note (or an error, as asked)."""
        number = natural(item(self._tree, "textures", natural(info, "index")), "source")
        if number not in self._pixels:
            self._pixels[number] = self._decode(number)
        found = self._pixels[number]
        if isinstance(found, Image.Image):
            return found
        if self._missing == "fail":
            raise AssetError(
                f"{self._label}: {found}. Expected the image to be there; put it back, or allow "
                'a grey surface with missing_texture="grey".'
            )
        self.notes.append(f"{found}: {otherwise}")
        return None

    def _decode(self, number: int) -> Image.Image | BadTexture:
        source = item(self._tree, "images", number)
        name = show(source["uri"]) if self._is_file(source) else f"images[{number}]"
        try:
            if "bufferView" in source:
                data = bytes(self._buffers.view(source["bufferView"])[0])
            else:
                data = self._buffers.uri(source.get("uri"), self._limits.texture_bytes)
            return self._textures.counted(decode(data, self._limits))
        except MissingFile:
            return BadTexture(f"missing texture {name}")
        except BadTexture as err:
            return BadTexture(f"unreadable texture {name} ({err})")

    @staticmethod
    def _is_file(source: Json) -> bool:
        uri = source.get("uri")
        return isinstance(uri, str) and not uri.startswith("data:")


def _alpha(image: Image.Image) -> Floats:
    if image.mode != "RGBA":
        return np.ones(1)
    return np.asarray(image.getchannel("A"), dtype=np.float64) / 255


def _visible(source: Json, alpha: Floats) -> Floats:
    """Alpha by the material's mode: opaque surfaces ignore it, masks are all or nothing."""
    mode = source.get("alphaMode", "OPAQUE")
    if mode == "BLEND":
        return alpha
    if mode == "MASK":
        visible: Floats = (alpha >= real(source, "alphaCutoff", 0.5)).astype(np.float64)
        return visible
    return np.ones(1)


def _baked(image: Image.Image, factor_RGB: Floats, alpha: Floats) -> Image.Image:
    """The picture times the factor (in linear light), with this alpha."""
    rgb = image.convert("RGB")
    if np.any(factor_RGB != 1):
        levels = srgb_to_linear(np.arange(256) / 255)
        curves = [
            np.rint(linear_to_srgb(levels * f) * 255).astype(int).tolist() for f in factor_RGB
        ]
        rgb = rgb.point([level for curve in curves for level in curve])
    if np.all(alpha == 1):
        return rgb
    channel = np.broadcast_to(np.rint(alpha * 255).astype(np.uint8), (image.height, image.width))
    rgb.putalpha(Image.fromarray(channel.copy()))
    return rgb


def _transform(extension: Json) -> Floats | None:
    """Translation × rotation × scale, (2, 3)."""
    if not extension:
        return None
    (x, y), (sx, sy) = reals(extension, "offset", (0.0, 0.0)), reals(extension, "scale", (1.0, 1.0))
    angle = real(extension, "rotation", 0.0)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return np.array([[cos * sx, sin * sy, x], [-sin * sx, cos * sy, y]])


__all__ = ["GltfMaterial", "GltfMaterials"]
