"""The sacral frame from points whose place in it is known, more or less."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.volume import Floats, SacralFrame, Segmentation

_ROUNDS = 6
_SOFT_MM = 6.0
_MIN_PART_MM3 = 500.0

MEAN_PLACE_MM = {
    AnatomyLabel.SACRAL_BODY: ((0.0, -3.0, 29.5), (0.0, -9.0, 1.0), (0.0, -5.5, -24.0)),
    AnatomyLabel.SACRAL_CORRIDOR_LEFT: (
        (23.5, -8.0, 31.0),
        (22.0, -10.0, 0.5),
        (20.0, -6.5, -24.5),
    ),
    AnatomyLabel.SACRAL_ALA_LEFT: ((41.0, -6.0, 26.0), (38.5, -8.0, 1.0), (34.5, -5.5, -23.0)),
}
"""Centroid of each part of S1, S2 and S3 in the sacral frame; the right side is the mirror image.

Means over the synthetic anatomy (93 cases; standard deviations 3 to 9 mm)."""

_MIRROR = {
    AnatomyLabel.SACRAL_CORRIDOR_LEFT: AnatomyLabel.SACRAL_CORRIDOR_RIGHT,
    AnatomyLabel.SACRAL_ALA_LEFT: AnatomyLabel.SACRAL_ALA_RIGHT,
}


def frame_of_parts(segmentation: Segmentation) -> tuple[SacralFrame, float] | None:
    """The frame that the parts of S1 to S3 speak for, and the residual in mm.

    None where too few parts are in view: at least two levels and one part beside the midline.
    Parts that the edge of the scan cuts off may be off their mean place; the fit is robust.
    """
    placed: list[tuple[float, float, float]] = []
    found: list[Floats] = []
    weight: list[float] = []
    levels: set[int] = set()
    for label, level, place in _expected():
        mine = (segmentation.anatomy.values == label) & segmentation.in_view
        mine &= (segmentation.level >= level) & (segmentation.level < level + 1)
        index = np.argwhere(mine)
        size_mm3 = len(index) * segmentation.grid.voxel_volume_mm3
        if size_mm3 < _MIN_PART_MM3:
            continue
        placed.append(place)
        found.append(segmentation.grid.index_to_mm(index.mean(axis=0)))
        weight.append(min(size_mm3, 4000.0))
        levels.add(level)
    lateral = sum(abs(x) > 1 for x, _, _ in placed)
    if len(levels) < 2 or lateral < 2:
        return None
    return fit_frame(np.array(placed), np.array(found), np.array(weight, dtype=np.float32))


def _expected() -> list[tuple[AnatomyLabel, int, tuple[float, float, float]]]:
    rows = []
    for label, places in MEAN_PLACE_MM.items():
        for level, (x, y, z) in enumerate(places):
            rows.append((label, level, (x, y, z)))
            if label in _MIRROR:
                rows.append((_MIRROR[label], level, (-x, y, z)))
    return rows


def fit_frame(
    frame_mm: Floats | NDArray[np.float32], lps_mm: Floats, weight: NDArray[np.float32]
) -> tuple[SacralFrame, float]:
    """The frame in which points (n, 3) at ``lps_mm`` lie at ``frame_mm``, and the residual in mm.

    Weighted rigid fit (Kabsch 1976, Acta Cryst. A32:922) with the frame's handedness, repeated with
    weights of Cauchy's loss so that voxels that are wrong about themselves do not turn the frame.
    The residual is the weighted median distance.
    """
    robust = np.ones(len(weight))
    for _ in range(_ROUNDS):
        frame = _rigid(np.asarray(frame_mm, np.float64), lps_mm, weight * robust)
        distance = np.linalg.norm(frame.to_frame_mm(lps_mm) - frame_mm, axis=1)
        robust = 1 / (1 + (distance / _SOFT_MM) ** 2)
    order = np.argsort(distance)
    share = np.cumsum(weight[order]) / weight.sum()
    middle = order[min(int(np.searchsorted(share, 0.5)), len(order) - 1)]
    return frame, float(distance[middle])


def _rigid(frame_mm: Floats, lps_mm: Floats, weight: NDArray[np.float64]) -> SacralFrame:
    share = (weight / weight.sum())[:, None]
    frame_mean = (share * frame_mm).sum(axis=0)
    lps_mean = (share * lps_mm).sum(axis=0)
    moment = (share * (frame_mm - frame_mean)).T @ (lps_mm - lps_mean)
    u, _, vt = np.linalg.svd(moment)
    handed = np.diag([1.0, 1.0, -np.sign(np.linalg.det(u @ vt))])
    axes = u @ handed @ vt
    return SacralFrame(lps_mean - frame_mean @ axes, axes)
