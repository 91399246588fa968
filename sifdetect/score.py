"""How suspicious a sacrum and its findings are: numbers from 0 to 1, to be calibrated."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, Side
from sifdetect.components import Points, Sacrum
from sifdetect.limbs import MIN_LINE_MM3
from sifdetect.measurements import SIDES
from sifdetect.mimics import Mimics
from sifdetect.volume import Floats

MIN_EDEMA_MM3 = 1000.0
"""One millilitre, a ball 12 mm across: an ala holds 20–30, and blur or a vessel makes less."""

LINE_MM3 = {Modality.CT: MIN_LINE_MM3, Modality.MR: 200.0}
"""A sheet 1.5 mm thick and 7 or 11 mm square: most of what is taken for a line by mistake is
smaller. CT's is to follow MR's (decision 0038)."""

SURE = 0.98
"""A probability from which a line counts however small it is, and in the bodies alone."""


def score(
    sacrum: Sacrum,
    mimics: Mimics,
    *,
    shown: dict[Side, Points] | None,
    aside: Collection[Side],
    modality: Modality,
) -> float:
    """The probability that the most suspicious LINE_MM3 of the sacrum reach for a line, or
    MIN_EDEMA_MM3 of one half for edema, whichever is more; joints and masses are left out.

    On MR a line in the bodies counts where it is SURE: these fractures run through an ala or a
    corridor, and what the bodies have by themselves is remnants of discs (decision 0038).

    Args:
        sacrum: the bone.
        mimics: what is set aside.
        shown: edema of each half; None where the scan cannot show it.
        aside: sides whose edema, and line if any, are those of a joint.
        modality: of the scan.
    """
    segmentation, voxel = sacrum.segmentation, sacrum.segmentation.grid.voxel_volume_mm3
    values = segmentation.probability
    line = values[list(LesionBit).index(LesionBit.FRACTURE_LINE)]
    bone = sacrum.mask.copy()
    for side in aside:
        bone[tuple(sacrum.halves[side].index.T)] = False
    if modality is Modality.MR:
        bone &= (segmentation.anatomy.values != AnatomyLabel.SACRAL_BODY) | (line >= SURE)
    scores = [_nth(line[bone], LINE_MM3[modality] / voxel)]
    if shown is not None:
        bright = values[list(LesionBit).index(LesionBit.EDEMA)]
        for side in SIDES:
            if side not in aside:
                half = tuple(sacrum.halves[side].index.T)
                free = bright[half][~mimics.near_mass[half]]
                scores.append(_nth(free, MIN_EDEMA_MM3 / voxel))
    return max(scores)


def likelihood(sacrum: Sacrum, bit: LesionBit, points: Points) -> float:
    """90th percentile of a lesion's probability: the part that is seen best, without outliers."""
    values = sacrum.segmentation.probability[list(LesionBit).index(bit)]
    return float(np.percentile(values[tuple(points.index.T)], 90))


def _nth(values: Floats, number: float) -> float:
    """The value that ``number`` values reach; 0 where there are fewer."""
    n = max(1, round(number))
    return float(np.partition(values, -n)[-n]) if len(values) >= n else 0.0
