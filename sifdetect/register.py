"""One scan of a sacrum over another: rigid, on the surface of the bone, whatever the contrast.

Images of CT, STIR and T1 share hardly an edge; the outline of the bone they do share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  # its own name for itself
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel
from sifdetect.changes import Registration
from sifdetect.volume import Floats, Grid, LabelMap, SacralFrame

MAX_RESIDUAL_MM = 3.0
"""Two sacral surfaces farther apart than this are not laid over each other: a fracture line is
0.3-3 mm wide, and an ala is 20 mm thick."""

SPACING_MM = 2.0
"""Of the distance maps; they are smooth, so that the fit is finer than their voxels."""

REACH_MM = 10.0
"""Distances are cut off here: what lies farther away tells nothing of the surface."""

MIN_SHARED_MM3 = 20_000.0
"""Less sacrum than this in both scans, about S1's half, does not fix a rigid position."""

_MARGIN_MM = 14.0
_MIN_PART_MM3 = 300.0
_SURFACE_POINTS = 6000
_SHARE = 0.1
_FAR = "the scans share too little of the sacrum"


@dataclass(frozen=True)
class Bone:
    """What is known of a sacrum in one scan.

    Attributes:
        anatomy: AnatomyLabel values.
        in_view: bool of the grid's shape, True where the scan has data; None for everywhere.
        frame: the sacral frame; None where it is not known.
    """

    anatomy: LabelMap
    in_view: NDArray[np.bool_] | None = None
    frame: SacralFrame | None = None

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Bool of the grid's shape: sacral bone, its foramina and canal filled."""
        return np.isin(self.anatomy.values, _SOLID)

    @cached_property
    def surface_mm(self) -> Floats:
        """(n, 3) points of the surface, LPS mm, without the faces that the field of view cuts."""
        seen = np.ones(self.mask.shape, np.bool_) if self.in_view is None else self.in_view
        whole = np.pad(self.mask | ~seen, 1, constant_values=True)
        eroded = ndimage.binary_erosion(whole)[1:-1, 1:-1, 1:-1]
        index = np.argwhere(self.mask & ~eroded)
        step = max(1, len(index) // _SURFACE_POINTS)
        return self.anatomy.grid.index_to_mm(index[::step])

    @property
    def centre_mm(self) -> Floats:
        """(3,) mean of the surface, LPS mm."""
        return np.asarray(self.surface_mm.mean(axis=0))


@dataclass(frozen=True)
class Fit:
    """How one scan lies over another.

    Attributes:
        matrix: (4, 4), LPS mm of the moving scan to LPS mm of the fixed one.
        registration: how well.
    """

    matrix: Floats
    registration: Registration


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


def moved(labels: LabelMap, matrix: Floats) -> LabelMap:
    """The same voxels in another place: LPS mm by ``matrix`` (4, 4)."""
    grid = Grid(labels.grid.shape, matrix @ labels.grid.affine_lps_mm)
    return LabelMap(labels.values, grid)


def applied(matrix: Floats, points_mm: Floats) -> Floats:
    """Points (…, 3) in LPS mm by ``matrix`` (4, 4)."""
    return np.asarray(points_mm @ matrix[:3, :3].T + matrix[:3, 3])


def residual_mm(moving: Bone, fixed: Bone, matrix: Floats) -> float:
    """Distance of the two sacral surfaces, 90th percentile both ways, where both scans have data.

    Infinite where they share no surface.
    """
    there, here = moving.surface_mm, fixed.surface_mm
    there_mm = applied(matrix, there)
    back = np.linalg.inv(matrix)
    one = _gaps(there_mm[_seen(fixed, there_mm)], here)
    other = _gaps(here[_seen(moving, applied(back, here))], there_mm)
    both = np.concatenate([one, other])
    if min(len(one), len(other)) < 50:
        return float("inf")
    return float(np.percentile(both, 90))


_SOLID = (
    *(int(label) for label in SACRUM_LABELS),
    int(AnatomyLabel.SACRAL_FORAMEN_RIGHT),
    int(AnatomyLabel.SACRAL_FORAMEN_LEFT),
    int(AnatomyLabel.SACRAL_CANAL),
)


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
    for label in _SOLID:
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
    inside = _seen(fixed, applied(matrix, points))
    return float(inside.sum() * moving.anatomy.grid.voxel_volume_mm3)


def _refined(moving: Bone, fixed: Bone, start: Floats) -> Floats:
    # Both maps lie in the fixed scan's space, the moving one where the start has put it.
    here, here_seen = _distances(fixed, np.eye(4))
    there, there_seen = _distances(moving, start)
    centre = fixed.centre_mm
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricFixedMask(here_seen)
    method.SetMetricMovingMask(there_seen)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SHARE, seed=1)
    method.SetInterpolator(sitk.sitkLinear)
    method.MetricUseFixedImageGradientFilterOff()  # distances are smooth as they are
    method.MetricUseMovingImageGradientFilterOff()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=60, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    turn = sitk.Euler3DTransform()
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
    return np.asarray(np.linalg.inv(to_moving) @ start)


def _distances(bone: Bone, matrix: Floats) -> tuple[Any, Any]:
    """Signed distance to the sacral surface around it, and where that can be judged."""
    grid = _box(bone, matrix)
    placed = moved(LabelMap(bone.mask.astype(np.uint8), bone.anatomy.grid), matrix)
    mask = placed.resampled(grid).values > 0
    far = np.clip(_signed_mm(mask, grid.spacing_mm), -REACH_MM, REACH_MM)
    near = np.abs(far) < REACH_MM
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    back = np.linalg.inv(matrix)
    near &= _seen(bone, applied(back, grid.index_to_mm(index)))
    return _image(far.astype(np.float32), grid), _image(near.astype(np.uint8), grid)


def _signed_mm(mask: NDArray[np.bool_], spacing_mm: Floats) -> Floats:
    """Positive outside, zero half way between the voxels on both sides of the surface."""
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    return np.asarray(outside - inside - np.sign(outside - inside) * spacing_mm.mean() / 2)


def _box(bone: Bone, matrix: Floats) -> Grid:
    """A grid along LPS around the sacrum, moved by ``matrix``."""
    points = applied(matrix, bone.surface_mm)
    low, high = points.min(axis=0) - _MARGIN_MM, points.max(axis=0) + _MARGIN_MM
    count = np.ceil((high - low) / SPACING_MM).astype(int) + 1
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = low
    return Grid((int(count[0]), int(count[1]), int(count[2])), affine)


def _image(values: NDArray[Any], grid: Grid) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(values.transpose(2, 1, 0)))
    image.SetOrigin(grid.affine_lps_mm[:3, 3].tolist())
    image.SetSpacing(grid.spacing_mm.tolist())
    return image


def _seen(bone: Bone, points_mm: Floats) -> NDArray[np.bool_]:
    """(…,) True where a point (…, 3) lies in the field of view."""
    grid = bone.anatomy.grid
    inside = grid.contains(points_mm)
    if bone.in_view is None:
        return inside
    index = np.rint(grid.mm_to_index(points_mm)).astype(int)
    index = np.clip(index, 0, np.array(grid.shape) - 1)
    return np.asarray(inside & bone.in_view[tuple(np.moveaxis(index, -1, 0))])


def _gaps(points_mm: Floats, surface_mm: Floats) -> Floats:
    if len(points_mm) == 0 or len(surface_mm) == 0:
        return np.zeros(0)
    return np.asarray(cKDTree(surface_mm).query(points_mm)[0])


def _described(matrix: Floats, fixed: Bone, residual: float) -> Registration:
    centre = fixed.centre_mm
    shift = centre - applied(np.linalg.inv(matrix), centre)
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)
    return Registration(
        method="rigid, on the sacral surfaces",
        residual_mm=round(residual, 2),
        shift_mm=round(float(np.linalg.norm(shift)), 1),
        rotation_deg=round(float(np.degrees(np.arccos(cosine))), 1),
        accepted=residual <= MAX_RESIDUAL_MM,
    )
