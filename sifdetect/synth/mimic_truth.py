"""The truth of the mimics: what, where and how large, from the parameters that made them."""

from __future__ import annotations

import numpy as np

from sifdetect.anatomy import Side
from sifdetect.findings import OtherFinding
from sifdetect.synth.scene import CaseParams, mimics_at, points_of
from sifdetect.volume import Floats, Grid

WIDE_BOX_MM = ((-150.0, -110.0, -190.0), (150.0, 110.0, 110.0))
WIDE_SPACING_MM = 4.0
"""For what lies beside the sacrum's own box, as a hip prosthesis does."""
LEAST_MM3 = 10.0
"""Less than this has missed the bones and is not there."""
ONE_SIDE = 0.9
"""Share of a finding on one side from which it is that side's."""


def others(params: CaseParams, grid: Grid) -> tuple[OtherFinding, ...]:
    """One finding for each mimic, in the order of the parameters.

    Volume and centroid are those of its voxels on ``grid``; each voxel counts for one mimic.
    """
    lesions = params.confounders.lesions
    if not lesions:
        return ()
    wide = params.frame.grid(*WIDE_BOX_MM, WIDE_SPACING_MM)
    found = _voxels(params, grid)
    if set(found) != set(range(1, len(lesions) + 1)):
        found = _voxels(params, wide) | found
    return tuple(
        _finding(params, lesion.kind, *found[number])
        for number, lesion in enumerate(lesions, start=1)
        if number in found
    )


def _voxels(params: CaseParams, grid: Grid) -> dict[int, tuple[Floats, float]]:
    """(n, 3) LPS points and volume (mm³) of each mimic that has at least LEAST_MM3 in a grid."""
    spacing = float(grid.spacing_mm[0])
    owner = mimics_at(params, points_of(params, grid), spacing).owner
    found = {}
    for number in np.unique(owner[owner > 0]).tolist():
        index = np.argwhere(owner == number)
        volume = len(index) * spacing**3
        if volume >= LEAST_MM3:
            found[number] = (grid.index_to_mm(index), volume)
    return found


def _finding(params: CaseParams, kind: str, points: Floats, volume_mm3: float) -> OtherFinding:
    leftward = params.frame.to_frame_mm(points)[:, 0]
    left = float((leftward > 0).mean())
    side = Side.LEFT if left > 0.5 else Side.RIGHT
    center = points.mean(axis=0)
    return OtherFinding(
        kind=kind,
        side=side if max(left, 1 - left) >= ONE_SIDE else Side.MIDLINE,
        centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
        volume_mm3=volume_mm3,
    )
