"""The sacroiliac joint: the auricular part of the ilium, the gap, and bridges of bone over it."""

from __future__ import annotations

import numpy as np

from sifdetect.synth.hip import HipParams
from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum import SacrumField, smooth_min

PLATE_MM = 11.0
MIDDLE_LEVEL, HALF_HEIGHT_LEVELS = 1.65, 1.45
_LEVELS = (0.0, 1.0, 2.0, 3.0)
MIDDLE_V_MM, HALF_DEPTH_MM = (-7.0, -7.0, -4.0, -1.0), (25.0, 24.0, 18.0, 14.0)
"""The auricular surface: S1 to the middle of S3, from the ventral edge to the tuberosity, after the
sacrum's side (SIDE in sacrum_profiles.py)."""
FILL_MM = 21.0
"""A wing that passes the sacrum at less than this has bone between, so that it makes no fork with
the plate."""
SYNOVIAL_V_MM = -24.0
"""Behind this the joint is ligament and fat (Egund and Jurik 2014, Semin Musculoskelet Radiol)."""


def with_joint(
    hip_mm: Array, bone: SacrumField, x: Array, v: Array, *, gap_mm: float, hips: HipParams
) -> Array:
    """Signed distance to a hip bone whose auricular surface follows the sacrum.

    Args:
        hip_mm: the hip bone without the joint, positive outside.
        x, v: lateral position and ventral offset of the points, mm.
        gap_mm: width of the synovial part; the ligamentous part widens dorsally.
    """
    size = np.float32(hips.scale)
    near = np.flatnonzero((np.abs(x) > 28.0 * size) & (np.abs(bone.bone_mm - 12) < 24))
    joined = np.maximum(hip_mm, gap_mm - bone.bone_mm)
    to_sacrum, level, lateral, x, v, hip_here = (
        values.ravel()[near] for values in (bone.bone_mm, bone.level, bone.lateral, x, v, hip_mm)
    )
    gap = gap_mm + 0.4 * np.clip(SYNOVIAL_V_MM + 3 - v, 0, 30)
    height = (level - MIDDLE_LEVEL) / HALF_HEIGHT_LEVELS
    middle, half = (
        np.interp(level, _LEVELS, t).astype(np.float32) for t in (MIDDLE_V_MM, HALF_DEPTH_MM)
    )
    depth = (v / size - middle) / half
    edge = height**2 + depth**2
    plate = to_sacrum - gap - PLATE_MM * (1 - edge)
    plate = np.maximum(plate, (edge - 1.05) * 12)
    # Between plate and wing there is bone wherever they come near each other.
    behind = (0.75 * height) ** 2 + ((v / size + 18) / 28) ** 2
    between = (to_sacrum - gap + 2 * np.maximum(hip_here, 0) - FILL_MM * (1 - behind**2)) / 3
    # The plate faces the sacrum's side and does not reach round its ventral and dorsal surfaces.
    round_mm = (2.85 - np.abs(lateral)) * 20
    plate = np.maximum(plate, round_mm)
    between = np.maximum(between, round_mm - 2 * np.clip(-6 - v / size, 0, 20))
    plate = np.maximum(smooth_min(plate, between, 4.0), 33.0 * size - np.abs(x))
    bone_mm = smooth_min(hip_here, plate.astype(np.float32), 8.0)
    bone_mm = np.maximum(bone_mm, gap - to_sacrum)
    for sign, bridge_mm in zip((-1, 1), hips.bridge_mm, strict=True):
        if bridge_mm > 0:
            along = np.abs(level - hips.bridge_level) * 25 - 9
            spur = np.hypot(to_sacrum - 1.5, bone_mm - 1.5) - bridge_mm
            spur = np.maximum(spur, np.maximum(along, -14 * size - v))
            spur = np.maximum(spur, np.maximum(-sign * x, 33.0 * size - np.abs(x)))
            bone_mm = np.minimum(bone_mm, np.maximum(spur, -to_sacrum))
    joined.reshape(-1)[near] = bone_mm
    return np.asarray(joined, dtype=np.float32)
