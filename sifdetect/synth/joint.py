"""The sacroiliac joint: the auricular part of the ilium, the gap, and bridges of bone over it."""

from __future__ import annotations

import numpy as np

from sifdetect.synth.hip import HipParams
from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum import SacrumField, smooth_min

PLATE_MM = 11.0
MIDDLE_LEVEL, HALF_HEIGHT_LEVELS = 1.6, 1.55
MIDDLE_V_MM, HALF_DEPTH_MM = -13.0, 21.0
"""The auricular surface: S1 to the middle of S3, from the ventral edge to the tuberosity."""
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
    gap = gap_mm + 0.4 * np.clip(SYNOVIAL_V_MM + 3 - v, 0, 30)
    height = (bone.level - MIDDLE_LEVEL) / HALF_HEIGHT_LEVELS
    depth = (v / size - MIDDLE_V_MM) / HALF_DEPTH_MM
    edge = height**2 + depth**2
    plate = bone.bone_mm - gap - PLATE_MM * (1 - edge)
    plate = np.maximum(plate, np.maximum((edge - 1.05) * 12, 33.0 * size - np.abs(x)))
    # It faces the sacrum's side and does not reach round its ventral and dorsal surfaces.
    plate = np.maximum(plate, (2.85 - np.abs(bone.lateral)) * 20)
    joined = smooth_min(hip_mm, plate.astype(np.float32), 8.0)
    joined = np.maximum(joined, gap - bone.bone_mm)
    for sign, bridge_mm in zip((-1, 1), hips.bridge_mm, strict=True):
        if bridge_mm > 0:
            level = np.abs(bone.level - hips.bridge_level) * 25 - 9
            spur = np.hypot(bone.bone_mm - 1.5, joined - 1.5) - bridge_mm
            spur = np.maximum(spur, np.maximum(level, -14 * size - v))
            spur = np.maximum(spur, np.maximum(-sign * x, 33.0 * size - np.abs(x)))
            joined = np.minimum(joined, np.maximum(spur, -bone.bone_mm))
    return np.asarray(joined, dtype=np.float32)
