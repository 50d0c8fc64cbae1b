"""Latents: what was done to an object in a view, and the conversions between its forms.

The one place for: column names and units, the published array order, Euler angles to quaternions,
relative rotations. Conventions are SciPy's: quaternions are xyzw; (rx, ry, rz) are extrinsic xyz
angles, R = Rz·Ry·Rx (which Blender calls Euler 'XYZ').

Shape suffixes: V = views or any batch (leading axes are free), the last axis is the value.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from threedie.errors import ManifestError

Array = NDArray[np.float64]

COLUMNS = ("rx", "ry", "rz", "floor_hue", "spot_theta", "spot_phi", "spot_hue")
"""The published order of a latent file (facebookresearch/SIE): radians, hues in 0..1."""
TRANSLATION_COLUMNS = ("tx", "ty", "tz")
"""What 3DIEBench-T (EquiCaps) appends: a shift in the object's own frame, before its rotation."""

LATENT_GROUPS = {"rotation": 4, "rotation+color": 6, "color": 2}
"""What can move a representation, and how many numbers say it: the relative quaternion xyzw,
then the differences of the floor's and the light's hue (SIE, section 4)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Latents:
    """One view. The field order is the published array order."""

    rotation_x_rad: float
    rotation_y_rad: float
    rotation_z_rad: float
    floor_hue: float
    """HSV hue in 0..1; saturation and value are the recipe's."""
    spot_theta_rad: float
    """Angle of the spot light from the vertical."""
    spot_phi_rad: float
    """Azimuth of the spot light from +x towards +y."""
    spot_hue: float
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Scene units, in the object's frame (3DIEBench-T); zero elsewhere."""

    def to_array(self) -> Array:
        """(7,) in the published order, or (10,) where there is a translation."""
        *head, shift = astuple(self)
        return np.array([*head, *shift] if any(shift) else head, dtype=np.float64)

    @classmethod
    def from_array(cls, row: Array) -> Latents:
        """The inverse of `to_array`; takes (7,) or (10,).

        Raises:
            ManifestError: another shape.
        """
        if row.shape not in ((7,), (10,)):
            raise ManifestError(f"a latent has 7 or 10 numbers {COLUMNS}, found shape {row.shape}.")
        values = [float(x) for x in row]
        names = list(cls.__dataclass_fields__)[:7]
        shift = (values[7], values[8], values[9]) if len(values) == 10 else (0.0, 0.0, 0.0)
        return cls(**dict(zip(names, values[:7], strict=True)), translation=shift)


def euler_to_quaternion_xyzw(euler_V3: Array) -> Array:
    """Extrinsic xyz angles in radians (…, 3) to unit quaternions xyzw (…, 4), SciPy's signs."""
    half = np.asarray(euler_V3, dtype=np.float64) / 2
    c, s = np.cos(half), np.sin(half)
    cx, cy, cz = c[..., 0], c[..., 1], c[..., 2]
    sx, sy, sz = s[..., 0], s[..., 1], s[..., 2]
    return np.stack(
        [
            sx * cy * cz - cx * sy * sz,
            cx * sy * cz + sx * cy * sz,
            cx * cy * sz - sx * sy * cz,
            cx * cy * cz + sx * sy * sz,
        ],
        axis=-1,
    )


def quaternion_multiply_xyzw(a_V4: Array, b_V4: Array) -> Array:
    """Hamilton product a·b: the rotation b followed by a."""
    ax, ay, az, aw = np.moveaxis(np.asarray(a_V4, dtype=np.float64), -1, 0)
    bx, by, bz, bw = np.moveaxis(np.asarray(b_V4, dtype=np.float64), -1, 0)
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def quaternion_conjugate_xyzw(q_V4: Array) -> Array:
    """The inverse rotation of unit quaternions."""
    conjugate: Array = np.asarray(q_V4, dtype=np.float64) * np.array([-1.0, -1.0, -1.0, 1.0])
    return conjugate


def relative_rotation_xyzw(from_V3: Array, to_V3: Array) -> Array:
    """inv(R1)·R2 for two sets of Euler angles: what SIE's predictor is given (paper, section 4)."""
    first = euler_to_quaternion_xyzw(from_V3)
    return quaternion_multiply_xyzw(
        quaternion_conjugate_xyzw(first), euler_to_quaternion_xyzw(to_V3)
    )


def quaternion_to_euler(q_V4: Array) -> Array:
    """Unit quaternions xyzw to extrinsic xyz angles: x and z in (−π, π], y in [−π/2, π/2]."""
    x, y, z, w = np.moveaxis(np.asarray(q_V4, dtype=np.float64), -1, 0)
    rx = np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    ry = np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
    rz = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
    return np.stack([rx, ry, rz], axis=-1)
