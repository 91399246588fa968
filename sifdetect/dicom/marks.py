"""Places to point at: what was seen beside fractures has no outline, and a reader must find it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sifdetect.findings import StudyFindings
from sifdetect.measurements import UNCERTAIN
from sifdetect.volume import Floats, Grid

NOWHERE: Floats = np.zeros((0, 3))
_NEAR_MM = 6.0
"""A mark is drawn on planes this near: about the half width of what it stands for."""


def places(findings: StudyFindings) -> Floats:
    """(n, 3) LPS millimetres of the other findings: what may be a fracture first, large first."""
    told = sorted(findings.other_findings, key=lambda one: (one.kind != UNCERTAIN, -one.volume_mm3))
    return np.array([one.centroid_lps_mm for one in told], dtype=np.float64).reshape(-1, 3)


def ringed(marks: Floats, grid: Grid) -> tuple[tuple[float, float], ...]:
    """The marks near the plane of a grid (1, rows, columns) and inside it, as (x, y) in pixels."""
    _, height, width = grid.shape
    index = grid.mm_to_index(marks)
    depth_mm = np.abs(index[:, 0]) * grid.spacing_mm[0]
    inside = ((index[:, 1:] >= 0) & (index[:, 1:] <= (height - 1, width - 1))).all(axis=1)
    return tuple((float(x), float(y)) for _, y, x in index[inside & (depth_mm <= _NEAR_MM)])


def beside(marks: Floats, grids: Sequence[Grid]) -> Floats:
    """The marks that are drawn on none of the grids, in their order."""
    return np.array([one for one in marks if not any(ringed(one[None], grid) for grid in grids)])
