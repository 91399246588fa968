"""The sacral frame of a scan on which somebody outlined the sacrum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import SACRUM_LABELS, Modality
from sifdetect.bundle import region_spec
from sifdetect.findings import Morphology
from sifdetect.fit import fit_frame
from sifdetect.synth.scene import points_of, sample_case, scene_at
from sifdetect.view import coverage
from sifdetect.volume import Floats, Grid, LabelMap, SacralFrame

MIN_SACRUM_MM3 = 30000.0
"""Less bone than this (about a fifth of a sacrum) does not say how the frame lies."""
MAX_RESIDUAL_MM = 6.0
"""A bone that fits the template worse than this is not a sacrum, or is called what it is not."""

_SPACING_MM = 4.0
_TEMPLATE_SEED = 5
"""The middle one of three by the volume of its sacrum."""
_PITCH_DEG = (-30.0, -5.0, 20.0, 45.0)
_SCALES = (0.88, 1.0, 1.12)
_POINTS = 900
_ROUNDS = 12
_UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class FittedFrame:
    """A frame and how well the bone fits it.

    Attributes:
        residual_mm: mean distance between the outlined bone and the template's.
    """

    frame: SacralFrame
    residual_mm: float


def frame_of_sacrum(anatomy: LabelMap) -> FittedFrame | None:
    """The frame in which an outlined sacrum lies like the synthetic ones; None for too little bone.

    Points of the whole bone are laid over those of a template (a synthetic sacrum of middle size)
    by iterated closest points (Besl and McKay 1992, IEEE PAMI 14:239), from several pitches and
    sizes; the best by the mean distance in both directions wins. Bone of the template that would
    lie outside the scan does not count, so that a sacrum may be cut. On other synthetic pelves:
    origin within 4 mm, axes within 5°; on those cut below S2, 7 mm and 11°.

    Args:
        anatomy: AnatomyLabel values; the parts of the sacrum need not be told apart.
    """
    bone = np.isin(anatomy.values, SACRUM_LABELS)
    if bone.sum() * anatomy.grid.voxel_volume_mm3 < MIN_SACRUM_MM3:
        return None
    points = _thinned(anatomy.grid.index_to_mm(np.argwhere(_largest(bone))))
    fits = [
        _fitted(points, template_points() * scale, pitch, anatomy.grid)
        for pitch, scale in product(_PITCH_DEG, _SCALES)
    ]
    best = min(fits, key=lambda one: one.residual_mm)
    if best.residual_mm > MAX_RESIDUAL_MM:
        return None
    frame = best.frame
    seen = coverage(frame, anatomy.grid)
    return FittedFrame(SacralFrame(frame.origin_lps_mm, frame.axes, seen), best.residual_mm)


@cache
def template_points() -> Floats:
    """(n, 3) points of sacral bone in its frame, mm: of an unbroken synthetic sacrum."""
    case = sample_case(_TEMPLATE_SEED, morphology=Morphology.NONE)
    spec = region_spec(Modality.CT)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = case.frame.grid(spec.low_mm, spec.high_mm, _SPACING_MM)
    scene = scene_at(case, points_of(case, grid), _SPACING_MM)
    bone = np.isin(scene.anatomy(), SACRUM_LABELS)
    return _thinned(case.frame.to_frame_mm(grid.index_to_mm(np.argwhere(bone))))


def _fitted(points: Floats, template: Floats, pitch_deg: float, grid: Grid) -> FittedFrame:
    turn = Rotation.from_euler("x", pitch_deg, degrees=True).as_matrix()
    axes = _UPRIGHT @ turn
    frame = SacralFrame(points.mean(axis=0) - template.mean(axis=0) @ axes, axes)
    tree, weight = KDTree(template), np.ones(len(points), dtype=np.float32)
    for _ in range(_ROUNDS):
        _, nearest = tree.query(frame.to_frame_mm(points))
        frame, _ = fit_frame(template[nearest], points, weight)
    there = tree.query(frame.to_frame_mm(points))[0].mean()
    placed = frame.to_lps_mm(template)
    placed = placed[grid.contains(placed)]
    back = KDTree(points).query(placed)[0].mean() if len(placed) else np.inf
    return FittedFrame(frame, float(there + back) / 2)


def _thinned(points: Floats) -> Floats:
    """About ``_POINTS`` of the points, evenly along their order."""
    index = np.linspace(0, len(points) - 1, min(_POINTS, len(points))).astype(int)
    return np.asarray(points[index])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if count < 2:
        return mask
    return np.asarray(parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()))
