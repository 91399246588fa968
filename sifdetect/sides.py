"""One half of the sacrum: zones, foramina, canal and joint seen from its fracture line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sifdetect.anatomy import AnatomyLabel, DenisZone, SacralLevel, Side
from sifdetect.components import HALF, Points, Sacrum, plane_normal
from sifdetect.course import course_of
from sifdetect.findings import Basis
from sifdetect.gaps import gap_mm, touching
from sifdetect.limbs import vertical_limb
from sifdetect.measurements import SideMeasurements, TransverseLimb
from sifdetect.shift import cortex_ridge_mm, limb_shift_mm, ridge_beyond_other_mm
from sifdetect.volume import Floats

END_LEVELS = 0.4
"""Half the height, 8–12 mm, within which the end of a transverse line meets a vertical one."""

_ZONE = {
    DenisZone.ALAR: (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT),
    DenisZone.FORAMINAL: (AnatomyLabel.SACRAL_CORRIDOR_RIGHT, AnatomyLabel.SACRAL_CORRIDOR_LEFT),
    DenisZone.CENTRAL: (AnatomyLabel.SACRAL_BODY,),
}
_ALA_LOW_MM = np.array([18.0, -28.0, -30.0])
_ALA_HIGH_MM = np.array([48.0, 12.0, 42.0])
_LINES = (Basis.LINE, Basis.LINE_AND_EDEMA)


def measure_side(
    sacrum: Sacrum,
    side: Side,
    *,
    points: Points | None,
    basis: Basis | None,
    transverse: tuple[TransverseLimb, ...] = (),
    other_whole: bool = False,
) -> SideMeasurements:
    """What is known of one half from the voxels of its finding (None where it has none).

    Where a transverse limb leaves the bodies, its ends lie in the corridors; they count neither for
    the zones nor for the contacts of the vertical line. Where the other half has edema without a
    line its cortex may be bent itself; else (``other_whole``) this one's is compared with it.
    """
    in_view = _in_view(sacrum, side)
    if points is None or basis is None:
        return SideMeasurements(in_view=in_view)
    limb = vertical_limb(points, basis)
    points = _without_ends(points, transverse, side)
    zones = {zone: sacrum.volume_mm3(points.of(*labels)) for zone, labels in _ZONE.items()}
    if basis not in _LINES:
        return replace(
            _cortex(sacrum, side, points, basis, other_whole=other_whole),
            zone_mm3=zones,
            limb=limb,
            in_view=in_view,
        )
    line_mm, ala_mm = points.frame_mm, points.of(*HALF[side][:1]).frame_mm
    gaps = foramen_gaps(sacrum, line_mm, side)
    touched = tuple(level for level, gap in gaps.items() if gap == 0)
    return SideMeasurements(
        basis=basis,
        line_mm3=sacrum.volume_mm3(points),
        zone_mm3=zones,
        foramen_distance_mm=gaps,
        touched_foramina=touched,
        crossed_foramina=tuple(lv for lv in touched if _crossed(sacrum, line_mm, side, lv)),
        canal_distance_mm=gap_mm(line_mm, sacrum.canal_mm, sacrum.voxel_mm),
        joint_distance_mm=gap_mm(ala_mm, sacrum.joint_mm[side], sacrum.voxel_mm),
        joint_angle_deg=_angle_deg(ala_mm, sacrum.joint_mm[side]),
        course=course_of(sacrum, points, side),
        shift_mm=limb_shift_mm(sacrum, points, side),
        limb=limb,
        in_view=in_view,
    )


def _cortex(
    sacrum: Sacrum, side: Side, points: Points, basis: Basis, *, other_whole: bool
) -> SideMeasurements:
    """The anterior cortex over edema without a line; nothing of it over other findings."""
    if basis is not Basis.EDEMA:
        return SideMeasurements(basis=basis)
    bent = ridge_beyond_other_mm(sacrum, points, side) if other_whole else None
    ridge = cortex_ridge_mm(sacrum, points, side)
    return SideMeasurements(basis=basis, cortex_ridge_mm=ridge, cortex_bent_mm=bent)


def _without_ends(points: Points, limbs: tuple[TransverseLimb, ...], side: Side) -> Points:
    """All but what lies medial to the ala at the height of a transverse limb; all where that is
    half of the points, as in a vertical line through the foramina."""
    medial = ~np.isin(points.label, HALF[side][:1])
    ends = np.zeros(len(points), dtype=np.bool_)
    for limb in limbs:
        ends |= medial & (np.abs(points.level - limb.junction[side]) <= END_LEVELS)
    return points.only(~ends) if 2 * (medial & ~ends).sum() < (~ends).sum() else points


def foramen_gaps(sacrum: Sacrum, line_mm: Floats, side: Side) -> dict[SacralLevel, float]:
    """Gap between a line (n, 3), frame mm, and each foramen of a side; of both for MIDLINE."""
    gaps: dict[SacralLevel, float] = {}
    for (where, level), foramen_mm in sorted(
        sacrum.foramina_mm.items(), key=lambda item: item[0][1]
    ):
        if side not in (where, Side.MIDLINE):
            continue
        gap = gap_mm(line_mm, foramen_mm, sacrum.voxel_mm)
        if gap is not None:
            gaps[level] = min(gap, gaps.get(level, gap))
    return gaps


def _crossed(sacrum: Sacrum, line_mm: Floats, side: Side, level: SacralLevel) -> bool:
    """True where the line touches opposite walls of a foramen: lateral and medial, or upper and
    lower, each within the middle of the wall."""
    foramen_mm = sacrum.foramina_mm[side, level]
    near = touching(line_mm, foramen_mm, sacrum.voxel_mm)
    low, high = np.percentile(foramen_mm[:, [0, 2]], (2, 98), axis=0)
    place = (line_mm[near][:, [0, 2]] - (low + high) / 2) / ((high - low) / 2 + sacrum.voxel_mm)
    for across, along in ((0, 1), (1, 0)):
        wall = place[np.abs(place[:, along]) < 0.7, across]
        if len(wall) and wall.min() < -0.7 and wall.max() > 0.7:
            return True
    return False


def _angle_deg(ala_mm: Floats, joint_mm: Floats) -> float | None:
    line, joint = plane_normal(ala_mm), plane_normal(joint_mm)
    if line is None or joint is None:
        return None
    return float(np.degrees(np.arccos(np.clip(abs(line @ joint), 0.0, 1.0))))


def _in_view(sacrum: Sacrum, side: Side) -> float:
    """Share of a box in the sacral frame that holds an adult's ala, S1 to S3."""
    segmentation = sacrum.segmentation
    sign = 1.0 if side is Side.LEFT else -1.0
    axes = [np.linspace(a, b, 8) for a, b in zip(_ALA_LOW_MM, _ALA_HIGH_MM, strict=True)]
    box = np.stack(np.meshgrid(axes[0] * sign, axes[1], axes[2], indexing="ij"), -1).reshape(-1, 3)
    index = np.rint(segmentation.grid.mm_to_index(segmentation.frame.to_lps_mm(box))).astype(int)
    inside = ((index >= 0) & (index < segmentation.grid.shape)).all(axis=1)
    seen = segmentation.in_view[tuple(index[inside].T)]
    return float(seen.sum() / len(box))
