"""What a vertical line has let happen to its ala: shifted along it, or its anterior cortex bent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import Side
from sifdetect.components import Points, Sacrum
from sifdetect.gaps import ROUNDING_MM
from sifdetect.volume import Floats
from sifdetect.voxels import Mask, nearest

BESIDE_MM = (2.5, 11.0)
"""Bone at this distance from the line tells how its two sides lie to each other."""

MIN_BONE = 150
"""Fewer voxels on one side of the line do not."""

MIN_HEIGHT_MM = 15.0
_FLANK_MM, _UNDER_MM = 6.0, 12.0
_BESIDE_MIDDLE_MM = (-3.0, -1.5, 0.0, 1.5, 3.0)
_EDEMA_HEIGHT = (15.0, 85.0)
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
    bone, across = _beside(sacrum, line, side)
    lateral = across[:, 0] * (1.0 if side is Side.LEFT else -1.0) > 0
    if min(lateral.sum(), (~lateral).sum()) < MIN_BONE:
        return None
    return _jump_mm(bone, lateral)


def _beside(sacrum: Sacrum, line: Points, side: Side) -> tuple[Points, Floats]:
    """The bone beside a line, level with the voxel of it that is nearest, and (n, 3) mm from it."""
    bone = sacrum.halves[side]
    margin = np.array([BESIDE_MM[1], BESIDE_MM[1], sacrum.voxel_mm]) + ROUNDING_MM
    low, high = line.frame_mm.min(axis=0) - margin, line.frame_mm.max(axis=0) + margin
    place = zip(bone.frame_mm.T, low, high, strict=True)
    bone = bone.only(np.logical_and.reduce([(one >= a) & (one <= b) for one, a, b in place]))
    if len(bone) == 0:
        return bone, np.zeros((0, 3))
    across = bone.frame_mm - sacrum.frame_mm(_nearest(sacrum, bone, line, side))
    gap = np.sqrt(np.einsum("ij,ij->i", across, across))
    beside = (gap >= BESIDE_MM[0] - ROUNDING_MM) & (gap <= BESIDE_MM[1] + ROUNDING_MM)
    beside &= np.abs(across[:, 2]) <= sacrum.voxel_mm + ROUNDING_MM
    return bone.only(beside), across[beside]


def _nearest(sacrum: Sacrum, bone: Points, line: Points, side: Side) -> NDArray[np.int64]:
    """(n, 3) the voxel of a line that is nearest to each of some bone.

    Of several that are equally near the order in the array decides, which is the patient's
    (``patient_order``); outwards on both sides, so that a mirrored patient reads the same.
    """
    outwards = np.array([1 if side is Side.LEFT else -1, 1, 1])
    index, among = (points.index * outwards for points in (bone, line))
    spacing = sacrum.segmentation.grid.spacing_mm
    return np.asarray(nearest(index, among, spacing) * outwards)


def _jump_mm(bone: Points, lateral: Mask) -> float | None:
    x, y, z = ((bone.frame_mm - bone.frame_mm.mean(axis=0)) / 10).T
    terms = np.stack([np.ones_like(x), x, y, z, y * z, x * z, z * z, lateral], axis=1)
    fit = np.linalg.lstsq(terms, bone.level.astype(np.float64), rcond=None)[0]
    per_mm = -fit[3] / 10
    return float(fit[_TERMS] / per_mm) if per_mm > 1e-3 else None


def cortex_ridge_mm(sacrum: Sacrum, edema: Points, side: Side) -> float | None:
    """Height of a ridge of the anterior cortex over the middle of edema, mm; None without a cortex.

    The anterior surface of the ala is a height over (x, z). A bruise surrounds what bent the
    cortex: in each row the surface is read at and beside the middle of the edema under it, which
    runs down the ala as a straight line, and the mean over the rows is what stands out of the
    straight line between the flanks on both sides.

    Args:
        sacrum: the bone.
        edema: voxels of one ala's edema, no line in it.
        side: of the patient.
    """
    return _highest(_ridge(sacrum, edema.frame_mm, side))


def ridge_beyond_other_mm(sacrum: Sacrum, edema: Points, side: Side) -> float | None:
    """How much higher that ridge is than the other ala is at the mirrored place, mm.

    The patient's own other ala tells its natural roundness, where nothing is bent there. None
    where one of both has no cortex in view.

    Args:
        sacrum: the bone.
        edema: voxels of one ala's edema, no line in it.
        side: of the patient.
    """
    mirrored = edema.frame_mm.copy()
    mirrored[:, 0] -= 2 * edema.offset_mm
    own = _ridge(sacrum, edema.frame_mm, side)
    other = _ridge(sacrum, mirrored, side.opposite)
    return None if own is None or other is None else _highest(own - other[::-1])


def _highest(ridge: Floats | None) -> float | None:
    known = None if ridge is None else ridge[np.isfinite(ridge)]
    return None if known is None or len(known) == 0 else float(known.max())


def _ridge(sacrum: Sacrum, edema_mm: Floats, side: Side) -> Floats | None:
    """(5,) height over its flanks of the surface at _BESIDE_MIDDLE_MM from the middle of edema,
    from right to left; NaN where there is none."""
    half, step = sacrum.halves[side], sacrum.voxel_mm
    if len(half) == 0 or len(edema_mm) == 0:
        return None
    low = half.frame_mm.min(axis=0)
    x, _, z = np.rint((half.frame_mm - low) / step).astype(int).T
    front = np.full((x.max() + 1, z.max() + 1), -np.inf)
    np.maximum.at(front, (x, z), half.frame_mm[:, 1])
    front[~np.isfinite(front)] = np.nan
    middle = _middle(front, (edema_mm - low * [1, 0, 1]) / [step, 1, step])
    if middle is None:
        return None
    rows, center = middle
    place = center + np.array(_BESIDE_MIDDLE_MM)[:, None] / step
    flank = _FLANK_MM / step
    out = _at(front, place, rows)
    out -= (_at(front, place - flank, rows) + _at(front, place + flank, rows)) / 2
    known = np.isfinite(out)
    return np.where(
        known.sum(axis=1) >= _MIN_ROWS,
        np.where(known, out, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1),
        np.nan,
    )


def _middle(front: Floats, edema: Floats) -> tuple[NDArray[np.int64], Floats] | None:
    """Rows of a surface (x, z) in the middle of edema's height, and where in x its middle lies in
    each; edema (n, 3) in bins of the surface, mm of its y. None where too little is under it."""
    x, row = (np.rint(edema[:, axis]).astype(int) for axis in (0, 2))
    first, last = np.percentile(row, _EDEMA_HEIGHT).astype(int)
    inside = (row >= 0) & (row < front.shape[1])
    x, row = np.clip(x, 0, front.shape[0] - 1), np.clip(row, 0, front.shape[1] - 1)
    under = inside & (front[x, row] - edema[:, 1] < _UNDER_MM)
    count = np.bincount(row[under], minlength=front.shape[1])
    rows = np.flatnonzero(count >= 2)
    rows = rows[(rows >= first) & (rows <= last)]
    if len(rows) < _MIN_ROWS:
        return None
    mean = np.bincount(row[under], edema[under, 0], minlength=front.shape[1])[rows] / count[rows]
    return rows, np.polyval(np.polyfit(rows, mean, 1), rows)


def _at(front: Floats, place: Floats, rows: NDArray[np.int64]) -> Floats:
    """Height of a surface at places (k, r) between its bins in x, in its rows (r,); NaN outside."""
    left = np.floor(place).astype(int)
    inside = (left >= 0) & (left + 1 < front.shape[0])
    left = np.clip(left, 0, front.shape[0] - 2)
    share = place - left
    between = front[left, rows] * (1 - share) + front[left + 1, rows] * share
    return np.where(inside, between, np.nan)
