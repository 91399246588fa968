"""The posterior wall of the bodies: its step and angle where a fracture or a disc crosses it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SacralLevel, Side
from sifdetect.components import Points, Sacrum
from sifdetect.findings import Fracture
from sifdetect.measurements import WallBreak
from sifdetect.volume import Floats

MIDDLE_MM = 6.0
"""Half the width of the strip of bone that tells how a fragment lies."""

SPARED_LEVELS, REACH_LEVELS = 0.06, 0.4
"""Bone from 1.5 to 10 mm from the break tells how each fragment lies: nearer, the break's waves mix
the fragments; the end plate of S1, farther off, is tilted against the rest of its body."""

WALL_MIDDLE_MM = 12.0
"""Half the width of the strip of wall: where it bends forward on both sides its voxels end in
several rows of the grid, which tells its place to less than a voxel."""

WALL_SPARED_LEVELS, WALL_LEVELS = 0.03, 0.5
"""Wall from half a voxel to 12 mm from the break: the nearer, the less is carried over."""

ROWS = 8.0
"""Rows of voxels in that height: those that lie side by side in a row tell the same."""

GRID_MM, SLOPE = 0.43, 0.06
"""What the grid puts a row of wall off by (a voxel of 1.5 mm over the root of 12), and what a
patient's wall leans against the planes of equal level beyond the mean sacrum's, as a tangent."""

MIN_WALL = 6
MIN_BONE = 60
"""Fewer points of wall, or voxels of body, of a fragment do not tell how it lies."""

LEVEL_NOISE = 0.05
"""Scatter of the level scale about the fit, 1.2 mm (true labels: 0.2): with more, a fragment
does not tell how it lies."""

WALL_NOISE_MM, MOST_OF_WALL = 1.2, 0.7
"""Scatter of the wall about the fit, outliers left out (true labels: 0.23 to 0.44 mm; one that
jumps by up to three voxels: 1.4 to 1.9), and the share of it that must lie within."""

_ROUNDING_MM = 1e-6
FITS, WALL_FITS = 6, 4
"""Rounds of fitting; the angle stands still to a hundredth of a degree after four."""

OUTLYING, LEAST_MM, WALL_LEAST_MM = 4.4, 0.3, 1.5
"""Three standard deviations as told by the median deviation; a fifth of a voxel is none, of a wall,
which ends at a voxel's face, a whole one."""

MOST_OF_IT = 0.9
"""With fewer voxels in line there is more than one fragment; true labels keep 0.93 and more."""

TURN_DEG = 30.0
"""What the planes of equal level of one fragment may turn from its middle to the break, 7 mm."""

MOST_DEG = 60.0
"""No fracture bends the wall by more; such an angle is one of the segmentation."""

_LEVEL = np.array([-0.4, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0])
_DEPTH_MM = np.array([15.5, 15.5, 16, 16, 14.5, 11, 10, 7.5, 6.5, 5.5, 5, 4.5, 4])
"""Depth of the wall behind the axis of the bodies in the mean sacrum (docs/synth-shape.md)."""


@dataclass(frozen=True)
class _Middle:
    """Bone of the bodies near the midline, and what of it borders on the canal."""

    bone: Points
    wall: Points


@dataclass(frozen=True)
class _Fragment:
    """One side of a break in the midsagittal plane, (posterior→anterior, caudal→cranial) mm.

    Attributes:
        angle: direction in which the levels rise at the break, rad, from −cranial towards anterior.
        turn: of that direction for each mm downwards, rad.
        wall: (n, 2) points of the posterior wall.
        offset_mm: (n,) their distance from the midline.
        depth: (n,) depth of the mean sacrum's wall at their level, mm.
    """

    angle: float
    turn: float
    wall: Floats
    offset_mm: Floats
    depth: Floats


def wall_break(sacrum: Sacrum, level: float) -> WallBreak | None:
    """Step and angle of the posterior wall at a place on the level scale.

    The bodies above and below are told apart by the level scale. Angle: that between the planes of
    equal level (they lie as end plates do) of the two fragments, each carried on to the break by
    its own slope, so that the natural curve of this patient's sacrum counts for nothing. Step: the
    gap at the break between the walls of the two fragments along the mean normal of both, each
    carried on to the break at a right angle to its own planes, less the mean sacrum's bends;
    positive where the upper one lies ventral. It is the posterior-wall offset of spondylolisthesis,
    in mm.

    Args:
        sacrum: the bone.
        level: of the break, e.g. of a transverse limb, or 1 for the boundary S1/S2.

    Returns:
        None where too little of the bodies or of the wall is there on one side, or where level
        scale or wall are too rough, as those of a network may be, to tell how a fragment lies.
    """
    return _break(sacrum, _middle(sacrum), level)


def _break(sacrum: Sacrum, middle: _Middle, level: float) -> WallBreak | None:
    """The same from what lies near the midline."""
    upper = _fragment(sacrum, middle, level, -1)
    lower = _fragment(sacrum, middle, level, 1)
    if upper is None or lower is None:
        return None
    between = (upper.angle + lower.angle) / 2
    angle, step = float(np.degrees(lower.angle - upper.angle)), _wall_mm(upper, lower, between)
    if step is None or abs(angle) > MOST_DEG:
        return None
    return WallBreak(
        level=level,
        step_mm=step,
        angle_deg=angle,
        body_depth_mm=_depth_mm(middle.bone, level, between),
    )


def with_break(fractures: tuple[Fracture, ...], wall: WallBreak | None) -> tuple[Fracture, ...]:
    """The fractures, the midline's line with the size of its step and its angle (not below 0)."""
    if wall is None:
        return fractures
    step, angle = abs(wall.step_mm), max(wall.angle_deg, 0.0)
    return tuple(
        replace(one, step_mm=step, angle_deg=angle) if one.side is Side.MIDLINE else one
        for one in fractures
    )


def boundary_breaks(sacrum: Sacrum) -> dict[SacralLevel, WallBreak]:
    """Step and angle at S1/S2, S2/S3 and S3/S4, by the upper segment; without what is not seen."""
    middle = _middle(sacrum)
    found = {level: _break(sacrum, middle, float(level)) for level in tuple(SacralLevel)[:3]}
    return {level: one for level, one in found.items() if one is not None}


def _middle(sacrum: Sacrum) -> _Middle:
    """The bodies' bone near the midline, ventral to the canal, and their wall."""
    near = sacrum.bodies.only(np.abs(sacrum.bodies.offset_mm) <= WALL_MIDDLE_MM)
    bone = near.only(np.abs(near.offset_mm) <= MIDDLE_MM)
    wall = near.only(sacrum.beside_canal[tuple(near.index.T)])
    return _Middle(*(part.only(_ventral(sacrum, part)) for part in (bone, wall)))


def _ventral(sacrum: Sacrum, body: Points) -> NDArray[np.bool_]:
    """True ventral to the middle of the canal at the same height."""
    canal = sacrum.canal_mm
    if len(canal) == 0:
        return np.ones(len(body), dtype=np.bool_)
    step = sacrum.voxel_mm
    low = canal[:, 2].min()
    bins = np.rint((canal[:, 2] - low) / step).astype(int)
    count = np.bincount(bins)
    middle = np.bincount(bins, canal[:, 1]) / np.maximum(count, 1)
    known = np.flatnonzero(count)
    height = (body.frame_mm[:, 2] - low) / step
    # Beside the canal bone may lie just at its middle: rounding must not tell it apart.
    return np.asarray(body.frame_mm[:, 1] > np.interp(height, known, middle[known]) + _ROUNDING_MM)


def _fragment(sacrum: Sacrum, middle: _Middle, level: float, below: int) -> _Fragment | None:
    """What lies above (−1) or below (+1) a break."""
    away = (middle.bone.level - level) * below
    part = middle.bone.only((away > SPARED_LEVELS) & (away < REACH_LEVELS))
    carried = _carried_angle(part, level) if len(part) >= MIN_BONE else None
    if carried is None:
        return None
    away = (middle.wall.level - level) * below
    wall = _last(sacrum, middle.wall.only((away > WALL_SPARED_LEVELS) & (away < WALL_LEVELS)))
    if len(wall) < MIN_WALL:
        return None
    # Bone ends half a voxel behind its last voxel's centre.
    place = wall.frame_mm[:, 1:] - np.array([sacrum.voxel_mm / 2, 0.0])
    depth = np.interp(wall.level.astype(np.float64), _LEVEL, _DEPTH_MM)
    return _Fragment(*carried, place, wall.offset_mm, depth)


def _carried_angle(part: Points, level: float) -> tuple[float, float] | None:
    """Angle of the planes of equal level at the break, rad, and their turn on each mm downwards.

    The planes of one fragment turn evenly along it: the height of a voxel over the plane through
    the break is a function of second order of its level, and of its depth times how far the planes
    have turned on the way. Voxels that this does not explain, the other fragment's between the
    waves of the break, are left out (OUTLYING) and the rest is fitted again.
    """
    place = part.frame_mm[:, 1:] - part.frame_mm[:, 1:].mean(axis=0)
    away = part.level.astype(np.float64) - level
    angle = middle = _mean_angle(place, away)
    kept = np.ones(len(part), dtype=np.bool_)
    for _ in range(FITS):
        height = place @ np.array([np.sin(angle), -np.cos(angle)])
        depth = place @ np.array([np.cos(angle), np.sin(angle)])
        terms = np.stack([depth, away * depth, np.ones_like(away), away, away**2], axis=1)
        fit = np.linalg.lstsq(terms[kept], height[kept], rcond=None)[0]
        off = np.abs(height - terms @ fit)
        kept = off <= max(OUTLYING * float(np.median(off)), LEAST_MM)
        angle -= float(np.arctan(fit[0]))
    per_mm = 1 / max(abs(float(fit[3])), 1.0)
    turn = float(-np.arctan(fit[1])) * per_mm
    turned = abs(np.degrees(np.arctan2(np.sin(angle - middle), np.cos(angle - middle))))
    rough = float(np.std(off[kept])) * per_mm > LEVEL_NOISE or kept.mean() < MOST_OF_IT
    return None if rough or turned > TURN_DEG else (angle, turn)


def _mean_angle(place: Floats, level: Floats) -> float:
    """Angle of the planes of equal level in the middle of a fragment, rad."""
    terms = np.column_stack([np.ones(len(place)), place])
    fit = np.linalg.lstsq(terms, level, rcond=None)[0]
    return float(np.arctan2(fit[1], -fit[2]))


def _last(sacrum: Sacrum, wall: Points) -> Points:
    """Of each row of voxels from front to back the last one."""
    if len(wall) == 0:
        return wall
    across = wall.frame_mm[:, [0, 2]]
    # From a voxel's own centre on: between two of them rounding would be a matter of noise.
    x, z = np.rint((across - across[0]) / sacrum.voxel_mm).astype(int).T
    column = (x - x.min(), z - z.min())
    last = np.full((column[0].max() + 1, column[1].max() + 1), np.inf)
    np.minimum.at(last, column, wall.frame_mm[:, 1])
    return wall.only(wall.frame_mm[:, 1] == last[column])


def _wall_mm(upper: _Fragment, lower: _Fragment, between: float) -> float | None:
    """Offset of the upper wall to the lower one at the middle of the gap, along the normal; None
    where the wall is too rough.

    One fit to both walls, each straightened by how its planes lie: two places, one slope, which is
    small (SLOPE), and one bend from side to side. Voxels of the other fragment between the waves of
    the break are left out by their deviation.
    """
    along = np.array([np.sin(between), -np.cos(between)])
    ends = ((upper.wall @ along).max() + (lower.wall @ along).min()) / 2
    place, height = (
        np.concatenate(parts)
        for parts in zip(
            *(_straightened(one, between, ends) for one in (upper, lower)), strict=True
        )
    )
    offset = np.concatenate([upper.offset_mm, lower.offset_mm]) / WALL_MIDDLE_MM
    above = np.arange(len(place)) < len(upper.wall)
    terms = np.stack([above, ~above, place, offset**2], axis=1).astype(np.float64)
    # A row tells the wall's place to GRID_MM, its slope is 0 to SLOPE.
    held = np.diag([0.0, 0.0, (GRID_MM / SLOPE) ** 2, 0.0])
    kept = np.ones(len(place), dtype=np.bool_)
    for _ in range(WALL_FITS):
        count = np.where(above, (kept & above).sum(), (kept & ~above).sum())
        weighted = terms.T * np.where(kept, ROWS / np.maximum(count, 1), 0.0)
        fit = np.linalg.lstsq(weighted @ terms + held, weighted @ height, rcond=None)[0]
        off = np.abs(height - terms @ fit)
        kept = off <= max(OUTLYING * float(np.median(off)), WALL_LEAST_MM)
    rough = float(np.std(off[kept])) > WALL_NOISE_MM or kept.mean() < MOST_OF_WALL
    return None if rough else float(fit[0] - fit[1])


def _straightened(part: _Fragment, between: float, ends: float) -> tuple[Floats, Floats]:
    """(n,) place of the wall, mm below the break along the mean of both fragments, and (n,) its
    height over the mean sacrum's wall, which runs at a right angle to the fragment's planes."""
    place = part.wall @ np.array([np.sin(between), -np.cos(between)]) - ends
    height = part.wall @ np.array([np.cos(between), np.sin(between)]) + part.depth
    return place, height - np.tan(part.angle - between) * place - part.turn * place**2 / 2


def _depth_mm(bodies: Points, level: float, between: float) -> float:
    """Depth of the body just below a break, from ventral to posterior wall."""
    part = bodies.only(np.abs(bodies.level - level - SPARED_LEVELS - 0.2) < 0.2)
    if len(part) == 0:
        return float("inf")
    normal = np.array([np.cos(between), np.sin(between)])
    low, high = np.percentile(part.frame_mm[:, 1:] @ normal, (2, 98))
    return float(high - low)
