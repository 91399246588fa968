"""The sacrum's surface in one scan: where it is, how far from it anything lies, what is in view."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel
from sifdetect.volume import Floats, Grid, LabelMap, SacralFrame

SPACING_MM = 2.0
"""Of the distance maps; they are smooth, so that what is read from them is finer than a voxel."""

REACH_MM = 10.0
"""Distances are cut off here: what lies farther away tells nothing of the surface."""

SOLID = (
    *(int(label) for label in SACRUM_LABELS),
    int(AnatomyLabel.SACRAL_FORAMEN_RIGHT),
    int(AnatomyLabel.SACRAL_FORAMEN_LEFT),
    int(AnatomyLabel.SACRAL_CANAL),
)
"""The bone with its foramina and its canal filled: they are drawn differently on CT and MR."""

_MARGIN_MM = 14.0
_POINTS = 6000
_MIN_POINTS = 100


@dataclass(frozen=True)
class Distance:
    """Signed distance to a sacral surface, positive outside, up to REACH_MM either way.

    Attributes:
        values: of the grid's shape, mm.
        grid: along LPS.
    """

    values: Floats
    grid: Grid

    def at(self, points_mm: Floats) -> Floats:
        """(n,) at points (n, 3) in LPS mm, trilinear."""
        index = self.grid.mm_to_index(points_mm).T
        found = ndimage.map_coordinates(self.values, index, order=1, mode="nearest")
        return np.asarray(found, dtype=np.float64)


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
        return np.isin(self.anatomy.values, SOLID)

    @cached_property
    def surface_mm(self) -> Floats:
        """(n, 3) points of the surface, LPS mm, without the faces that the field of view cuts."""
        seen = np.ones(self.mask.shape, np.bool_) if self.in_view is None else self.in_view
        whole = np.pad(self.mask | ~seen, 1, constant_values=True)
        eroded = ndimage.binary_erosion(whole)[1:-1, 1:-1, 1:-1]
        index = np.argwhere(self.mask & ~eroded)
        step = max(1, len(index) // _POINTS)
        return self.anatomy.grid.index_to_mm(index[::step])

    @property
    def centre_mm(self) -> Floats:
        """(3,) mean of the surface, LPS mm."""
        return np.asarray(self.surface_mm.mean(axis=0), dtype=np.float64)

    @cached_property
    def distance(self) -> Distance:
        """Signed distance to the surface, on a grid around it."""
        return self.placed(np.eye(4))

    def placed(self, matrix: Floats) -> Distance:
        """The same after a rigid motion ``matrix`` (4, 4) of LPS mm."""
        points = applied(matrix, self.surface_mm)
        low, high = points.min(axis=0) - _MARGIN_MM, points.max(axis=0) + _MARGIN_MM
        count = np.ceil((high - low) / SPACING_MM).astype(int) + 1
        affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
        affine[:3, 3] = low
        grid = Grid((int(count[0]), int(count[1]), int(count[2])), affine)
        solid = moved(LabelMap(self.mask.astype(np.uint8), self.anatomy.grid), matrix)
        return Distance(_signed_mm(solid.resampled(grid).values > 0), grid)

    def seen(self, points_mm: Floats) -> NDArray[np.bool_]:
        """(…,) True where a point (…, 3) in LPS mm lies in the field of view."""
        grid = self.anatomy.grid
        inside = grid.contains(points_mm)
        if self.in_view is None:
            return inside
        index = np.rint(grid.mm_to_index(points_mm)).astype(int)
        index = np.clip(index, 0, np.array(grid.shape) - 1)
        return np.asarray(inside & self.in_view[tuple(np.moveaxis(index, -1, 0))])


def applied(matrix: Floats, points_mm: Floats) -> Floats:
    """Points (…, 3) in LPS mm by ``matrix`` (4, 4)."""
    return np.asarray(points_mm @ matrix[:3, :3].T + matrix[:3, 3], dtype=np.float64)


def inverse(matrix: Floats) -> Floats:
    """The way back."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def moved(labels: LabelMap, matrix: Floats) -> LabelMap:
    """The same voxels in another place: LPS mm by ``matrix`` (4, 4)."""
    return LabelMap(labels.values, Grid(labels.grid.shape, matrix @ labels.grid.affine_lps_mm))


def gaps_mm(moving: Bone, fixed: Bone, matrix: Floats) -> Floats:
    """(n,) distance in mm of the two surfaces at points of either that both scans have data for.

    The difference of the two signed distances: slices of 4 mm have few points, and the nearest one
    may lie beside the true one. Empty where they share too little.
    """
    one = _differences(moving, fixed, matrix)
    other = _differences(fixed, moving, inverse(matrix))
    enough = min(len(one), len(other)) >= _MIN_POINTS
    return np.concatenate([one, other]) if enough else np.zeros(0)


def _differences(bone: Bone, other: Bone, to_other: Floats) -> Floats:
    there_mm = applied(to_other, bone.surface_mm)
    seen = other.seen(there_mm)
    own, theirs = bone.distance.at(bone.surface_mm[seen]), other.distance.at(there_mm[seen])
    return np.abs(own - theirs)


def _signed_mm(mask: NDArray[np.bool_]) -> Floats:
    """Zero half way between the voxels on both sides of the surface."""
    outside = ndimage.distance_transform_edt(~mask, sampling=SPACING_MM)
    inside = ndimage.distance_transform_edt(mask, sampling=SPACING_MM)
    signed = outside - inside
    signed -= np.sign(signed) * SPACING_MM / 2
    return np.asarray(np.clip(signed, -REACH_MM, REACH_MM), dtype=np.float64)
