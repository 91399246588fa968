"""What surrounds the lines of a sacrum, and which lines and edema may be a fracture's."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sifdetect.anatomy import LesionBit, Modality, Side
from sifdetect.components import HALF, Points, Sacrum, lesion
from sifdetect.doubt import doubtful, told
from sifdetect.findings import OtherFinding
from sifdetect.limbs import Lines, edema_strut, large, sort_lines
from sifdetect.measurements import SIDES
from sifdetect.mimics import Mimics, sacroiliac_edema
from sifdetect.score import MIN_EDEMA_MM3

FAINT = 0.2
"""Probability of edema from which a band between two broken alae is the strut of an H (decision
0039)."""


@dataclass(frozen=True)
class Marrow:
    """What surrounds the lines.

    Attributes:
        edema, sclerosis: voxels of each half; None where the scan cannot show them.
        strut: edema that runs across the bodies; None where there is none.
        faint: such edema that is too faint to be outlined, where there is no other.
        set_aside: what is a joint's and no fracture's; its edema is in none of the halves.
    """

    edema: dict[Side, Points] | None
    sclerosis: dict[Side, Points] | None
    strut: Points | None
    faint: Points | None
    set_aside: tuple[OtherFinding, ...]

    @property
    def aside(self) -> set[Side]:
        """The sides of what is set aside."""
        return {one.side for one in self.set_aside}


def shown_by(fluid_sensitive: bool, modality: Modality) -> LesionBit:
    """What of edema and sclerosis the scan can show."""
    if modality is Modality.CT:
        return LesionBit.SCLEROSIS
    return LesionBit.EDEMA if fluid_sensitive else LesionBit(0)


def marrow_of(sacrum: Sacrum, mimics: Mimics, shown: LesionBit) -> Marrow:
    """Edema and sclerosis of each half, and the edema across the bodies.

    Args:
        sacrum: the bone.
        mimics: edema near a mass is the mass's.
        shown: what of edema and sclerosis the scan can show.
    """
    segmentation = sacrum.segmentation
    sclerosis = edema = strut = faint = None
    if LesionBit.SCLEROSIS in shown:
        dense = sacrum.points(lesion(segmentation, LesionBit.SCLEROSIS) & sacrum.mask)
        sclerosis = {side: dense.of(*HALF[side]) for side in SIDES}
    if LesionBit.EDEMA in shown:
        free = sacrum.mask & ~mimics.near_mass
        bright = sacrum.points(lesion(segmentation, LesionBit.EDEMA) & free)
        edema = {side: bright.of(*HALF[side]) for side in SIDES}
        strut = edema_strut(sacrum, bright, MIN_EDEMA_MM3)
        if strut is None:
            likely = segmentation.probability[list(LesionBit).index(LesionBit.EDEMA)]
            hint = sacrum.points((likely >= FAINT) & free)
            faint = edema_strut(sacrum, hint, MIN_EDEMA_MM3)
    return Marrow(edema, sclerosis, strut, faint, ())


def told_apart(sacrum: Sacrum, marrow: Marrow) -> tuple[Lines, Marrow, tuple[OtherFinding, ...]]:
    """Lines and edema that may be a fracture's, and the lines that are uncertain."""
    drawn = sort_lines(sacrum)
    unsure = doubtful(sacrum, drawn, _swollen(sacrum, marrow))
    lines = drawn.without(unsure)
    marrow = _joints_set_aside(sacrum, lines, marrow)
    lines = lines.without(marrow.aside)
    return lines, marrow, tuple(told(sacrum, drawn, unsure))


def _swollen(sacrum: Sacrum, marrow: Marrow) -> set[Side]:
    """The sides with edema enough for a finding."""
    edema = marrow.edema or {}
    sides = {side for side, own in edema.items() if large(sacrum, own, MIN_EDEMA_MM3) is not None}
    return sides if marrow.strut is None else {*sides, Side.MIDLINE}


def _joints_set_aside(sacrum: Sacrum, lines: Lines, marrow: Marrow) -> Marrow:
    """The same, without the edema of sacroiliac joints."""
    # Beside a line across the bodies edema is the fracture's.
    if marrow.edema is None or len(lines.of[Side.MIDLINE]):
        return marrow
    joints = [sacroiliac_edema(sacrum, marrow.edema[s], lines.of[s], s) for s in SIDES]
    aside = tuple(one for one in joints if one is not None)
    none = {one.side: marrow.edema[one.side].only(np.array([], dtype=np.int64)) for one in aside}
    return replace(marrow, edema={**marrow.edema, **none}, set_aside=aside)
