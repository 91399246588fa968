"""One scan of a sacrum over another: rigid, on the surface of the bone, whatever the contrast.

Images of CT, STIR and T1 share hardly an edge; the outline of the bone they do share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  # its own name for itself

from sifdetect.changes import Registration
from sifdetect.surface import REACH_MM, SOLID, Bone, Distance, applied, gaps_mm, inverse
from sifdetect.volume import Floats

MAX_RESIDUAL_MM = 3.0
"""Two sacral surfaces farther apart than this are not laid over each other: a fracture line is
0.3-3 mm wide, and an ala is 20 mm thick."""

MIN_SHARED_MM3 = 20_000.0
"""Less sacrum than this in both scans, about S1's half, does not fix a rigid position."""

SAME_FRAME = "same frame of reference"
"""The scanner knows where one series lies to another, as far as the patient held still."""

_MIN_PART_MM3 = 300.0
_SHARE = 0.1


@dataclass(frozen=True)
class Fit:
    """How one scan lies over another.

    Attributes:
        matrix: (4, 4), LPS mm of the moving scan to LPS mm of the fixed one.
        registration: how well.
    """

    matrix: Floats
    registration: Registration

    @property
    def place_known(self) -> bool:
        """True where something of one scan may be shown on the other."""
        return self.registration.accepted or self.registration.method == SAME_FRAME


def register(moving: Bone, fixed: Bone) -> Fit | None:
    """Lay the sacrum of ``moving`` over that of ``fixed``; None where they share too little.

    It starts from the two sacral frames, or from the places of the labelled parts, and goes on by
    gradient descent on the squared difference of the signed distances to the sacral surface
    (SimpleITK; Euler angles about the sacrum's centre).
    """
    start = _start(moving, fixed)
    if start is None or not (moving.mask.any() and fixed.mask.any()):
        return None
    if _shared_mm3(moving, fixed, start) < MIN_SHARED_MM3:
        return None
    refined = _refined(moving, fixed, start)
    # A fit on a cut sacrum can slide away; what it started from is kept where that lies closer.
    found = [(residual_mm(moving, fixed, matrix), matrix) for matrix in (refined, start)]
    residual, matrix = min(found, key=lambda one: one[0])
    if not np.isfinite(residual):
        return None
    return Fit(matrix, _described(matrix, fixed, residual))


def in_one_frame(moving: Bone, fixed: Bone) -> Fit:
    """Two scans of one frame of reference: nothing is moved, the residual tells what to think."""
    still = np.eye(4)
    residual = residual_mm(moving, fixed, still)
    known = Registration(
        method=SAME_FRAME,
        residual_mm=round(residual, 2) if np.isfinite(residual) else None,
        accepted=residual <= MAX_RESIDUAL_MM,
    )
    return Fit(still, known)


def residual_mm(moving: Bone, fixed: Bone, matrix: Floats) -> float:
    """How far the two surfaces lie apart where both scans have data, 90th percentile, mm.

    Of a shift it is about the shift itself, whichever way it goes: some of the surface faces that
    way. Infinite where the scans share too little.
    """
    found = gaps_mm(moving, fixed, matrix)
    return float(np.percentile(found, 90)) if len(found) else float("inf")


def _start(moving: Bone, fixed: Bone) -> Floats | None:
    if moving.frame is not None and fixed.frame is not None:
        matrix = np.eye(4)
        matrix[:3, :3] = fixed.frame.axes.T @ moving.frame.axes
        matrix[:3, 3] = fixed.frame.origin_lps_mm - matrix[:3, :3] @ moving.frame.origin_lps_mm
        return matrix
    return _by_parts(_parts(moving), _parts(fixed))


def _parts(bone: Bone) -> dict[int, Floats]:
    """Centroid (3,) of each labelled structure of enough size, LPS mm."""
    values, grid = bone.anatomy.values, bone.anatomy.grid
    size_mm3 = np.bincount(values.ravel(), minlength=256) * grid.voxel_volume_mm3
    found = {}
    for label in SOLID:
        centre = bone.anatomy.centroid_lps_mm(label)
        if size_mm3[label] >= _MIN_PART_MM3 and centre is not None:
            found[label] = centre
    return found


def _by_parts(moving: dict[int, Floats], fixed: dict[int, Floats]) -> Floats | None:
    """Least squares rigid motion of the parts (Kabsch 1976, Acta Cryst. A32:922)."""
    common = sorted(set(moving) & set(fixed))
    if len(common) < 3:
        return None
    there, here = (np.array([parts[label] for label in common]) for parts in (moving, fixed))
    moment = (there - there.mean(axis=0)).T @ (here - here.mean(axis=0))
    u, spread, vt = np.linalg.svd(moment)
    if spread[1] < 1e-6:
        return None
    handed = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    matrix = np.eye(4)
    matrix[:3, :3] = (u @ handed @ vt).T
    matrix[:3, 3] = here.mean(axis=0) - matrix[:3, :3] @ there.mean(axis=0)
    return matrix


def _shared_mm3(moving: Bone, fixed: Bone, matrix: Floats) -> float:
    """Volume of the moving sacrum that lies where the fixed scan has data."""
    points = moving.anatomy.grid.index_to_mm(np.argwhere(moving.mask))
    inside = fixed.seen(applied(matrix, points))
    return float(inside.sum() * moving.anatomy.grid.voxel_volume_mm3)


def _refined(moving: Bone, fixed: Bone, start: Floats) -> Floats:
    # Both maps lie in the fixed scan's space, the moving one where the start has put it.
    here, here_seen = _images(fixed, np.eye(4), fixed.distance)
    there, there_seen = _images(moving, start, moving.placed(start))
    centre = fixed.centre_mm
    itk: Any = sitk  # SimpleITK has no types
    method = itk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricFixedMask(here_seen)
    method.SetMetricMovingMask(there_seen)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SHARE, seed=1)
    method.SetInterpolator(itk.sitkLinear)
    method.MetricUseFixedImageGradientFilterOff()  # distances are smooth as they are
    method.MetricUseMovingImageGradientFilterOff()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=60, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    turn = itk.Euler3DTransform()
    turn.SetCenter(centre.tolist())
    method.SetInitialTransform(turn, inPlace=True)
    method.SetGlobalDefaultNumberOfThreads(1)
    try:
        method.Execute(here, there)
    except RuntimeError:  # the masks have moved apart: there is nothing more to gain
        return start
    to_moving = np.eye(4)
    to_moving[:3, :3] = np.array(turn.GetMatrix()).reshape(3, 3)
    offset = centre + np.array(turn.GetTranslation())
    to_moving[:3, 3] = offset - to_moving[:3, :3] @ centre
    return np.asarray(inverse(to_moving) @ start, dtype=np.float64)


def _images(bone: Bone, matrix: Floats, placed: Distance) -> tuple[Any, Any]:
    """The distances as an image, and where they can be judged, of a bone put by ``matrix``."""
    grid = placed.grid
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    seen = bone.seen(applied(inverse(matrix), grid.index_to_mm(index)))
    near = (np.abs(placed.values) < REACH_MM) & seen
    images = []
    for values in (placed.values.astype(np.float32), near.astype(np.uint8)):
        image: Any = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
        image.SetOrigin(grid.affine_lps_mm[:3, 3].tolist())
        image.SetSpacing(grid.spacing_mm.tolist())
        images.append(image)
    return images[0], images[1]


def _described(matrix: Floats, fixed: Bone, residual: float) -> Registration:
    centre = fixed.centre_mm
    shift = centre - applied(inverse(matrix), centre)
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)
    return Registration(
        method="rigid, on the sacral surfaces",
        residual_mm=round(residual, 2),
        shift_mm=round(float(np.linalg.norm(shift)), 1),
        rotation_deg=round(float(np.degrees(np.arccos(cosine))), 1),
        accepted=residual <= MAX_RESIDUAL_MM,
    )
