"""Turns about one axis of the object's own frame, and how far a pose has been turned about it.

Poses are turned from the right: R becomes R·q, as inv(R1)·R2 says. Quaternions are xyzw.

Shape suffixes: K = steps, R = rows.
"""

from __future__ import annotations

import numpy as np

from threedie.benchmark.evaluation.metrics import Array
from threedie.manifests.analysis import AXES, Axis
from threedie.manifests.latents import (
    euler_to_quaternion_xyzw,
    quaternion_multiply_xyzw,
    quaternion_to_euler,
)

_STILL = 1e-6


def steps_deg(steps: int) -> Array:
    """(steps + 1,) from −180 to 180, both ends: one pose, reached by q and by −q."""
    return np.linspace(-180.0, 180.0, steps + 1)


def turns(axis: Axis, degrees_K: Array) -> Array:
    """(K, 4) unit quaternions about an axis; w >= 0 within ±180°."""
    half = np.radians(degrees_K) / 2
    q_K4 = np.zeros((len(half), 4))
    q_K4[:, AXES.index(axis)], q_K4[:, 3] = np.sin(half), np.cos(half)
    return q_K4


def with_signs_of_euler(q_R4: Array, source_R4: Array) -> Array:
    """The ones of ±q that training has for these moves: source·q has the sign of its Euler angles.

    Training multiplies quaternions that come from Euler angles (docs/metrics.md, "Which sign").
    """
    target_R4 = quaternion_multiply_xyzw(source_R4, q_R4)
    usual_R4 = euler_to_quaternion_xyzw(quaternion_to_euler(target_R4))
    same_R1 = (target_R4 * usual_R4).sum(axis=-1, keepdims=True) >= 0
    return np.where(same_R1, q_R4, -q_R4)


def twist_deg(q_R4: Array, axis: Axis) -> Array:
    """(…) how far rotations turn about the axis, in [−180, 180]: their twist (swing–twist)."""
    half = np.arctan2(q_R4[..., AXES.index(axis)], q_R4[..., 3])
    return np.asarray(np.degrees(np.angle(np.exp(2j * half))), dtype=np.float64)


def turned_axes(q_R4: Array) -> tuple[Axis, ...]:
    """The axes that any of the rotations turns about."""
    spread = np.abs(q_R4[..., :3]).reshape(-1, 3).max(axis=0, initial=0.0)
    return tuple(axis for axis, most in zip(AXES, spread, strict=True) if most > _STILL)
