"""What lies in the field of view: voxel by voxel, and level by level of the sacrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SacralLevel
from sifdetect.volume import Floats, Grid, SacralFrame

LEVEL_EXTENT_MM = {
    SacralLevel.S1: ((-48.0, -26.0, 13.0), (48.0, 11.0, 41.0)),
    SacralLevel.S2: ((-46.0, -26.0, -13.0), (46.0, 6.0, 13.0)),
    SacralLevel.S3: ((-38.0, -19.0, -34.0), (38.0, 7.0, -13.0)),
    SacralLevel.S4: ((-30.0, -7.0, -50.0), (30.0, 14.0, -34.0)),
    SacralLevel.S5: ((-22.0, 10.0, -61.0), (22.0, 23.0, -49.0)),
}
"""Box of each level's bone in an adult's sacral frame, mm: the low corner, then the high one.

x right→left, y posterior→anterior, z caudal→cranial; the means over the synthetic anatomy."""

_POINTS = (14, 6, 6)


def seen(source: Grid, target: Grid) -> NDArray[np.bool_]:
    """Bool of ``target.shape``: True where the voxel centre lies inside ``source``."""
    inside = np.empty(target.shape, dtype=np.bool_)
    plane = np.stack(np.meshgrid(*map(np.arange, target.shape[1:]), indexing="ij"), -1)
    for i in range(target.shape[0]):
        index = np.concatenate([np.full((*plane.shape[:2], 1), i), plane], axis=-1)
        inside[i] = source.contains(target.index_to_mm(index))
    return inside


def coverage(frame: SacralFrame, grid: Grid) -> dict[SacralLevel, float]:
    """Share, 0–1, of each level's expected extent that lies inside ``grid``."""
    return {
        level: float(grid.contains(frame.to_lps_mm(points)).mean())
        for level, points in _LEVEL_POINTS.items()
    }


def _level_points(low: tuple[float, ...], high: tuple[float, ...]) -> Floats:
    """(n, 3) points of an upright elliptic cylinder that fills the box, in the sacral frame, mm."""
    axes = [
        a + (np.arange(n) + 0.5) / n * (b - a) for a, b, n in zip(low, high, _POINTS, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    middle, half = (np.array(low) + high) / 2, (np.array(high) - low) / 2
    across = ((points - middle) / half)[:, :2]
    return np.asarray(points[(across**2).sum(axis=1) <= 1])


_LEVEL_POINTS = {level: _level_points(*extent) for level, extent in LEVEL_EXTENT_MM.items()}
