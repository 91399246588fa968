"""Fracture lines told apart: what belongs to each ala, and what runs across the bodies."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, LesionBit, Side
from sifdetect.components import Points, Sacrum, length_mm, lesion, plane_normal
from sifdetect.findings import Basis
from sifdetect.gaps import closer
from sifdetect.measurements import LEAVES, LEAVES_EDEMA, SIDES, TransverseLimb, VerticalLimb
from sifdetect.voxels import Mask, around, joined

MIN_LINE_MM3 = 80.0
"""A sheet one voxel of 1.5 mm thick and 7 mm square; nutrient channels are slimmer."""

MIN_LINE_MM = 8.0
"""Shorter lines cannot be told from a nutrient channel or the edge of a foramen."""

GAP_MM = 4.5
"""A line that fades for this long goes on: three voxels, or one slice of a thick stack."""

BODY_GAP_MM = 10.0
"""The same within the bodies, where discs and canal interrupt a transverse line."""

CROSSED_MM = 5.0
"""A line that reaches this far on both sides of the midline runs across it."""

TRANSVERSE_MM = 15.0
"""Least width of a transverse line: half of a sacral body."""

BAND_LEVELS = 0.3
"""Half the height, 6–9 mm, within which a line in an ala may be the end of a transverse one."""

MIN_LIMB_MM3 = 40.0
"""Half of the least line: what must lie LEAVES above or below the junction."""

STRUT_LEVELS = 0.9
"""Height of the edema around a transverse line, 20–25 mm."""

FRAGMENT_LEVELS, FRAGMENTED = 0.25, 0.15
"""With more than this share of a transverse line farther than 7 mm from its ends' level, other
fragments' lines hang together with it."""

SHEET_LEVELS = 0.1
"""Half the height, 2–3 mm, of a slice through a transverse line: what its area is told by."""

SWOLLEN_MM = 16.0
"""Edema this close to a transverse line is taken for that line's own (it reaches 5–15 mm)."""

_STEP_LEVELS, _COLUMN_MM = 0.05, 1.5
_FOREIGN = (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT, AnatomyLabel.L5, AnatomyLabel.LUMBAR)
_CORRIDORS = (AnatomyLabel.SACRAL_CORRIDOR_RIGHT, AnatomyLabel.SACRAL_CORRIDOR_LEFT)
_SAGITTAL = 0.7
_OUTER = 0.85
_WAVE_LEVELS = 0.2
_ENDS = (2.0, 98.0)
_EDEMA_ENDS = (10.0, 90.0)


@dataclass(frozen=True)
class Lines:
    """The fracture lines of a sacrum.

    Attributes:
        of: the voxels that belong to RIGHT, LEFT and MIDLINE; empty where there is no line.
        transverse: limbs that cross the bodies, cranial to caudal.
        midline_line: True where a line lies in the midline and does not run across.
    """

    of: dict[Side, Points]
    transverse: tuple[TransverseLimb, ...]
    midline_line: bool

    def without(self, sides: Collection[Side]) -> Lines:
        """The same but for the lines of some sides."""
        of = {s: p.only(np.full(len(p), s not in sides)) for s, p in self.of.items()}
        if Side.MIDLINE in sides:
            return Lines(of, (), False)
        return replace(self, of=of)


def sort_lines(sacrum: Sacrum) -> Lines:
    """The lines of each ala and of the midline.

    Components are joined across GAP_MM; those smaller than MIN_LINE_MM3 or shorter than MIN_LINE_MM
    are dropped. What crosses the bodies is the midline's, with its ends in corridor and ala; all
    else is the side's on which it lies. Crumbs go with the rest of their component.
    """
    points, component = _significant(sacrum)
    owner = np.where(points.left, 1, 0)
    limbs, central, vertical = _transverse(sacrum, points)
    owner[central] = 2
    least = MIN_LIMB_MM3 / sacrum.segmentation.grid.voxel_volume_mm3
    for limb in limbs:
        for number, side in enumerate(SIDES):
            owner[_ends(points, owner == number, limb.junction[side], least)] = 2
    _gather_crumbs(owner, component, least)
    of = {side: points.only(owner == number) for number, side in enumerate((*SIDES, Side.MIDLINE))}
    return Lines(of, limbs if len(of[Side.MIDLINE]) else (), vertical and not limbs)


def vertical_limb(points: Points, basis: Basis) -> VerticalLimb:
    """The reach of one ala's line or edema on the level scale.

    Ends are the 2nd and 98th percentile of a line, the 10th and 90th of edema, whose margin is
    ill-defined.
    """
    ends = _ENDS if basis in (Basis.LINE, Basis.LINE_AND_EDEMA) else _EDEMA_ENDS
    upper, lower = np.percentile(points.level, ends).tolist()
    return VerticalLimb(basis=basis, upper=upper, lower=lower)


def edema_strut(sacrum: Sacrum, edema: Points, least_mm3: float) -> Points | None:
    """Edema of the bodies that runs from one side to the other; None where there is none.

    This is the strut of the H sign; it means a fracture only beside edema or a line in an ala.
    Edema along the upper end plate of S1 alone is taken for disc disease, and edema taller than
    STRUT_LEVELS for that of two vertical lines whose margins meet.
    """
    body = edema.of(AnatomyLabel.SACRAL_BODY)
    number = joined(body.index, sacrum.segmentation.grid.spacing_mm, 0.0)
    for n in np.unique(number):
        part = body.only(number == n)
        upper, lower = np.percentile(part.level, _EDEMA_ENDS)
        strut = np.median(part.level) > 0.5 and lower - upper <= STRUT_LEVELS
        if strut and sacrum.volume_mm3(part) >= least_mm3 and _crosses(part):
            return part
    return None


def own_edema(
    sacrum: Sacrum, edema: Points, lines: Lines, side: Side, *, least_mm3: float
) -> Points:
    """The edema that is an ala's own and not that of a line across the bodies.

    It is farther than SWOLLEN_MM from the line, and some of it goes on beyond the line's height: a
    fracture of the ala follows the load, upwards or down (Linstrom 2009, Spine 34:309).
    """
    across = lines.of[Side.MIDLINE]
    if len(edema) == 0 or len(across) == 0:
        return edema
    own = edema.only(~closer(edema.frame_mm, across.frame_mm, SWOLLEN_MM))
    for limb in lines.transverse:
        beyond = own.only(np.abs(own.level - limb.junction[side]) > LEAVES_EDEMA)
        if large(sacrum, beyond, least_mm3) is None:
            return own.only(np.zeros(len(own), dtype=np.bool_))
    return own


def large(sacrum: Sacrum, points: Points, least_mm3: float) -> Points | None:
    """The connected parts of at least ``least_mm3``; None where there is none."""
    number = joined(points.index, sacrum.segmentation.grid.spacing_mm, 0.0)
    size_mm3 = np.bincount(number) * sacrum.segmentation.grid.voxel_volume_mm3
    kept = np.isin(number, np.flatnonzero(size_mm3 >= least_mm3))
    return points.only(kept) if kept.any() else None


def as_transverse(points: Points, basis: Basis, line: Points | None = None) -> TransverseLimb:
    """Where points that cross the bodies meet the midline and leave the bodies.

    Where S1 is comminuted, further fragments' lines hang together with the limb; it is told from
    them as the sheet that takes up most of the cross-section of the sacrum. Fragments end in the
    body of S1; the limb that parts the sacrum goes on to where it ends or meets vertical lines.

    Args:
        points: in the bodies.
        basis: what they are.
        line: all lines of the sacrum, of which ``points`` are a part; None for the points alone.
    """
    junction = _junction(points)
    ends = sum(junction.values()) / len(junction)
    around = points if line is None else line
    if basis in (Basis.LINE, Basis.LINE_AND_EDEMA):
        beyond = np.abs(points.level - ends) > FRAGMENT_LEVELS
        if beyond.mean() > FRAGMENTED:
            points = _fullest_sheet(points, around)
            junction = _junction(points)
            ends = sum(junction.values()) / len(junction)
    middle = points.level[np.abs(points.offset_mm) <= CROSSED_MM]
    right, left = np.percentile(points.offset_mm, _ENDS).tolist()
    middle = middle[np.abs(middle - ends) <= _WAVE_LEVELS]
    return TransverseLimb(
        basis=basis,
        level=float(np.median(middle)) if len(middle) else ends,
        junction=junction,
        width_mm=left - right,
        area_mm2=_columns(around, ends) * _COLUMN_MM**2,
    )


def _junction(points: Points) -> dict[Side, float]:
    """Median level of the outermost points of each side."""
    junction = {}
    for side in SIDES:
        offset = points.offset_mm * (1 if side is Side.LEFT else -1)
        outer = offset >= _OUTER * np.percentile(offset, _ENDS[1])
        junction[side] = float(np.median(points.level[outer]))
    return junction


def _fullest_sheet(points: Points, line: Points) -> Points:
    """The points near the level at which the line has its largest cross-section, of those at which
    they reach CROSSED_MM to both sides; all of them where no level has such a sheet."""
    levels = np.arange(points.level.min(), points.level.max() + _STEP_LEVELS, _STEP_LEVELS)
    sheets = {level: points.only(np.abs(points.level - level) <= _WAVE_LEVELS) for level in levels}
    across = [level for level, sheet in sheets.items() if _reaches_across(sheet)]
    best = max(across, key=lambda level: _columns(line, level), default=None)
    return points if best is None else sheets[best]


def _reaches_across(points: Points) -> bool:
    offset = points.offset_mm
    return len(points) > 0 and bool(offset.min() <= -CROSSED_MM and offset.max() >= CROSSED_MM)


def _columns(line: Points, level: float) -> int:
    """Number of columns along the sacrum that hold a voxel of a line near a level."""
    near = np.abs(line.level - level) <= SHEET_LEVELS
    # Rounded twice: a place halfway between two columns is a matter of its last digit.
    column = np.rint(np.round(line.frame_mm[near, :2] / _COLUMN_MM, 6)).astype(int)
    return len(np.unique(column, axis=0))


def _significant(sacrum: Sacrum) -> tuple[Points, NDArray[np.int64]]:
    """The line voxels in and around the sacrum that are large enough, and their components."""
    segmentation = sacrum.segmentation
    mask = lesion(segmentation, LesionBit.FRACTURE_LINE) & around(sacrum.mask)
    points = sacrum.points(mask & ~np.isin(segmentation.anatomy.values, _FOREIGN))
    component = joined(points.index, segmentation.grid.spacing_mm, GAP_MM)
    kept = np.zeros(len(points), dtype=np.bool_)
    for n in np.unique(component):
        part = component == n
        large = part.sum() * segmentation.grid.voxel_volume_mm3 >= MIN_LINE_MM3
        kept |= part & (large and length_mm(points.frame_mm[part], sacrum.voxel_mm) >= MIN_LINE_MM)
    return points.only(kept), component[kept]


def _transverse(sacrum: Sacrum, points: Points) -> tuple[tuple[TransverseLimb, ...], Mask, bool]:
    """Transverse limbs, the voxels in the bodies that are the midline's, and True where some of
    these do not run across."""
    body = np.flatnonzero(points.label == AnatomyLabel.SACRAL_BODY)
    number = joined(points.index[body], sacrum.segmentation.grid.spacing_mm, BODY_GAP_MM)
    central = np.zeros(len(points), dtype=np.bool_)
    limbs, vertical = [], False
    for n in np.unique(number):
        chosen = body[number == n]
        part = points.only(chosen)
        if sacrum.volume_mm3(part) < MIN_LINE_MM3:
            continue
        if _crosses(part):
            limbs.append(as_transverse(part, Basis.LINE, points))
            central[chosen] = True
        elif _astride(part):
            vertical = True
            central[chosen] = True
    return tuple(sorted(limbs, key=lambda limb: limb.level)), central, vertical


def _crosses(part: Points) -> bool:
    right, left = np.percentile(part.offset_mm, _ENDS)
    normal = plane_normal(part.frame_mm)
    sagittal = normal is not None and abs(normal[0]) >= _SAGITTAL
    reaches = right <= -CROSSED_MM and left >= CROSSED_MM and left - right >= TRANSVERSE_MM
    return bool(reaches and not sagittal)


def _astride(part: Points) -> bool:
    """True where at least a fifth of the part lies on each side of the midline."""
    return bool(0.2 <= (part.offset_mm > 0).mean() <= 0.8)


def _ends(points: Points, own: Mask, junction: float, least: float) -> Mask:
    """What a transverse limb takes of one side's own points.

    All around the junction where fewer than ``least`` points lie beyond it, so that the side has no
    limb of its own; else what lies in a corridor that the side's limb does not run through.
    """
    from_junction = np.abs(points.level - junction)
    beyond = own & (from_junction > LEAVES)
    if beyond.sum() < least:
        return np.asarray(own & ~beyond)
    medial = np.isin(points.label, (*_CORRIDORS, AnatomyLabel.SACRAL_BODY))
    if medial[beyond].mean() >= 0.5:
        return np.zeros(len(points), dtype=np.bool_)
    return np.asarray(own & medial & (from_junction <= BAND_LEVELS))


def _gather_crumbs(owner: NDArray[np.int64], component: NDArray[np.int64], least: float) -> None:
    """Give owners of fewer than ``least`` voxels of a component to its main owner, in place."""
    for n in np.unique(component):
        part = component == n
        counts = np.bincount(owner[part], minlength=3)
        for small in np.flatnonzero((counts > 0) & (counts < least)):
            owner[part & (owner == small)] = int(counts.argmax())
