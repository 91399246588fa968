"""What a vertical line has let happen to its ala: shifted along it, or its anterior cortex bent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sifdetect.anatomy import Side
from sifdetect.components import Points, Sacrum
from sifdetect.volume import Floats
from sifdetect.voxels import Mask, nearest

BESIDE_MM = (2.5, 11.0)
"""Bone at this distance from the line tells how its two sides lie to each other."""

MIN_BONE = 150
"""Fewer voxels on one side of the line do not."""

MIN_HEIGHT_MM = 15.0
_FLANK_MM = 6.0
_MIN_ROWS = 6
_TERMS = 7


def limb_shift_mm(sacrum: Sacrum, line: Points, side: Side) -> float | None:
    """How far the bone lateral to a line lies above where it belongs, mm; negative: below.

    The level of the bone beside the line is fitted by a smooth function of place with one jump at
    the line; the jump over the slope along the sacrum is the shift. None where the line is too low
    or has too little bone beside it.

    Args:
        sacrum: the bone.
        line: voxels of one ala's line.
        side: of the patient.
    """
    if len(line) == 0 or np.ptp(line.frame_mm[:, 2]) < MIN_HEIGHT_MM:
        return None
    bone, across = _beside(sacrum, line, sacrum.halves[side])
    lateral = across[:, 0] * (1.0 if side is Side.LEFT else -1.0) > 0
    if min(lateral.sum(), (~lateral).sum()) < MIN_BONE:
        return None
    return _jump_mm(bone, lateral)


def _beside(sacrum: Sacrum, line: Points, bone: Points) -> tuple[Points, Floats]:
    """The bone beside a line, level with the voxel of it that is nearest, and (n, 3) mm from it."""
    margin = np.array([BESIDE_MM[1], BESIDE_MM[1], sacrum.voxel_mm])
    low, high = line.frame_mm.min(axis=0) - margin, line.frame_mm.max(axis=0) + margin
    place = zip(bone.frame_mm.T, low, high, strict=True)
    bone = bone.only(np.logical_and.reduce([(one >= a) & (one <= b) for one, a, b in place]))
    if len(bone) == 0:
        return bone, np.zeros((0, 3))
    across = bone.frame_mm - sacrum.frame_mm(
        nearest(bone.index, line.index, sacrum.segmentation.grid.spacing_mm)
    )
    gap = np.sqrt(np.einsum("ij,ij->i", across, across))
    beside = (gap >= BESIDE_MM[0]) & (gap <= BESIDE_MM[1])
    beside &= np.abs(across[:, 2]) <= sacrum.voxel_mm
    return bone.only(beside), across[beside]


def _jump_mm(bone: Points, lateral: Mask) -> float | None:
    x, y, z = ((bone.frame_mm - bone.frame_mm.mean(axis=0)) / 10).T
    terms = np.stack([np.ones_like(x), x, y, z, y * z, x * z, z * z, lateral], axis=1)
    fit = np.linalg.lstsq(terms, bone.level.astype(np.float64), rcond=None)[0]
    per_mm = -fit[3] / 10
    return float(fit[_TERMS] / per_mm) if per_mm > 1e-3 else None


def cortex_ridge_mm(sacrum: Sacrum, edema: Points, side: Side) -> float | None:
    """Height of a vertical ridge of the anterior cortex over edema, mm; None without a cortex.

    The anterior surface of the ala is a height over (x, z). Its mean over the height of the edema
    follows x; the ridge is what stands out of the straight line between its flanks.

    Args:
        sacrum: the bone.
        edema: voxels of one ala's edema, no line in it.
        side: of the patient.
    """
    half = sacrum.halves[side]
    if len(half) == 0 or len(edema) == 0:
        return None
    step = sacrum.voxel_mm
    low = half.frame_mm.min(axis=0)
    x, _, z = np.rint((half.frame_mm - low) / step).astype(int).T
    front = np.full((x.max() + 1, z.max() + 1), -np.inf)
    np.maximum.at(front, (x, z), half.frame_mm[:, 1])
    front[~np.isfinite(front)] = np.nan
    swollen = np.rint((edema.frame_mm[:, [0, 2]] - low[[0, 2]]) / step)
    (left, right), (bottom, top) = np.percentile(swollen, (15, 85), axis=0).astype(int).T
    rows = front[:, max(bottom, 0) : max(top, 1)]
    ridges = [_ridge(rows, place, step) for place in range(max(left, 0), right + 1)]
    known = [ridge for ridge in ridges if ridge is not None]
    return max(known) if known else None


def ridge_beyond_other_mm(sacrum: Sacrum, edema: Points, side: Side) -> float | None:
    """How much higher that ridge is than the one that the other ala has at the mirrored place, mm.

    The patient's own other ala tells its natural roundness, where nothing is broken there. None
    where one of both has no cortex in view.

    Args:
        sacrum: the bone.
        edema: voxels of one ala's edema, no line in it.
        side: of the patient.
    """
    mirrored = edema.frame_mm.copy()
    mirrored[:, 0] -= 2 * edema.offset_mm
    own = cortex_ridge_mm(sacrum, edema, side)
    other = cortex_ridge_mm(sacrum, replace(edema, frame_mm=mirrored), side.opposite)
    return None if own is None or other is None else own - other


def _ridge(rows: Floats, place: int, step: float) -> float | None:
    """Height of a column over the middle of those _FLANK_MM to both sides, mean over rows."""
    flank = round(_FLANK_MM / step)
    if place - flank < 0 or place + flank >= rows.shape[0]:
        return None
    stands_out = rows[place] - (rows[place - flank] + rows[place + flank]) / 2
    stands_out = stands_out[np.isfinite(stands_out)]
    return float(stands_out.mean()) if len(stands_out) >= _MIN_ROWS else None
