"""Voxels as points in the sacral frame: neighbours, joined components, extents, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, SacralLevel, Side, side_of
from sifdetect.volume import Floats, Segmentation

Mask = NDArray[np.bool_]

JOINT_REACH_MM = 5.0
"""Sacrum closer than this to the hip bone is joint face: joint width 1–3 mm, two voxels of blur."""

ADJACENT_VOXELS = 1.5
"""Voxels with a common face or edge touch: their centres are at most 1.41 voxels apart."""

_HIPS = (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT)
_MIN_MIDLINE_VOXELS = 200
_MAX_MIDLINE_SHIFT_MM = 10.0
_MAX_MIDLINE_SLOPE = 0.15
_EIGHTH = 0.125


@dataclass(frozen=True)
class Points:
    """A set of voxels.

    Attributes:
        index: int (n, 3) array indices.
        frame_mm: (n, 3) in the sacral frame: right→left, posterior→anterior, caudal→cranial.
        offset_mm: (n,) distance from the midline, positive on the patient's left.
        label: (n,) AnatomyLabel of the voxel, or of the nearest sacral bone outside the sacrum.
        level: (n,) level scale of the same voxel.
    """

    index: NDArray[np.int64]
    frame_mm: Floats
    offset_mm: Floats
    label: NDArray[np.uint8]
    level: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.index)

    def only(self, chosen: Mask) -> Points:
        """The points where ``chosen`` (n,) is True."""
        return Points(
            self.index[chosen],
            self.frame_mm[chosen],
            self.offset_mm[chosen],
            self.label[chosen],
            self.level[chosen],
        )

    def of(self, *labels: AnatomyLabel) -> Points:
        """The points that carry one of the labels."""
        return self.only(np.isin(self.label, labels))

    @cached_property
    def left(self) -> Mask:
        """(n,) True on the patient's left: by the label, or the midline where that has no side."""
        sided = {label: side_of(AnatomyLabel(label)) for label in np.unique(self.label).tolist()}
        left = self.offset_mm > 0
        for label, side in sided.items():
            if side is not Side.MIDLINE:
                left[self.label == label] = side is Side.LEFT
        return np.asarray(left)

    def on(self, side: Side) -> Points:
        """The points on one side of the patient."""
        return self.only(self.left if side is Side.LEFT else ~self.left)


@dataclass(frozen=True)
class Sacrum:
    """The bone that lesions are measured against.

    Attributes:
        segmentation: where it comes from.
        mask: bool, the voxels of sacral bone.
        surface_index: int (n, 3) sacral voxels with a neighbour outside; ``surface`` is their tree
            in the sacral frame, mm.
        midline: (3,) frame x of the midline plane = a + b y + c z, mm.
    """

    segmentation: Segmentation
    mask: Mask
    surface_index: NDArray[np.int64]
    surface: cKDTree
    midline: Floats

    @property
    def voxel_mm(self) -> float:
        """Edge of a cube of one voxel's volume."""
        return float(self.segmentation.grid.voxel_volume_mm3 ** (1 / 3))

    def volume_mm3(self, points: Points | Mask) -> float:
        """Volume of a set of voxels."""
        count = len(points) if isinstance(points, Points) else int(points.sum())
        return count * self.segmentation.grid.voxel_volume_mm3

    def centroid_lps_mm(self, index: NDArray[np.int64]) -> tuple[float, float, float]:
        """Mean position of voxels (n, 3)."""
        x, y, z = self.segmentation.grid.index_to_mm(index.mean(axis=0)).tolist()
        return (x, y, z)

    def points(self, mask: Mask) -> Points:
        """The voxels of a mask; those outside the bone take label and level of the nearest bone."""
        index = np.argwhere(mask)
        frame_mm = _frame_mm(self.segmentation, index)
        bone = index.copy()
        stray = ~self.mask[tuple(index.T)]
        if stray.any() and len(self.surface_index):
            bone[stray] = self.surface_index[self.surface.query(frame_mm[stray])[1]]
        where = tuple(bone.T)
        a, b, c = self.midline
        offset = frame_mm[:, 0] - (a + b * frame_mm[:, 1] + c * frame_mm[:, 2])
        seg = self.segmentation
        return Points(index, frame_mm, offset, seg.anatomy.values[where], seg.level[where])

    @cached_property
    def canal_mm(self) -> Floats:
        """(n, 3) voxels of the sacral canal in the sacral frame."""
        canal = self.segmentation.anatomy.values == AnatomyLabel.SACRAL_CANAL
        return _frame_mm(self.segmentation, np.argwhere(canal))

    @cached_property
    def beside_canal(self) -> Mask:
        """Bool of the grid's shape: the canal and the voxels that share a face with it."""
        canal = self.segmentation.anatomy.values == AnatomyLabel.SACRAL_CANAL
        return np.asarray(ndimage.binary_dilation(canal))

    @cached_property
    def foramina_mm(self) -> dict[tuple[Side, SacralLevel], Floats]:
        """(n, 3) voxels of each foramen in the sacral frame.

        The S1 foramen lies between S1 and S2, around 1 on the level scale, and so on down to S4.
        That between S5 and a sixth segment, around 5, is none of them and left out.
        """
        found = {}
        for side, label in (
            (Side.RIGHT, AnatomyLabel.SACRAL_FORAMEN_RIGHT),
            (Side.LEFT, AnatomyLabel.SACRAL_FORAMEN_LEFT),
        ):
            points = self.points(self.segmentation.anatomy.values == label)
            nearest = np.maximum(np.rint(points.level), 1).astype(int)
            for level in np.unique(nearest[nearest <= SacralLevel.S4]).tolist():
                found[side, SacralLevel(level)] = points.frame_mm[nearest == level]
        return found

    @cached_property
    def joint_mm(self) -> dict[Side, Floats]:
        """(n, 3) surface of each ala that faces the hip bone, in the sacral frame."""
        seg = self.segmentation
        hip = np.isin(seg.anatomy.values, _HIPS)
        hip_mm = _frame_mm(seg, np.argwhere(hip & ~ndimage.binary_erosion(hip)))
        if len(hip_mm) == 0:
            return {Side.RIGHT: np.zeros((0, 3)), Side.LEFT: np.zeros((0, 3))}
        label = seg.anatomy.values[tuple(self.surface_index.T)]
        tree, result = cKDTree(hip_mm), {}
        for side, ala in (
            (Side.RIGHT, AnatomyLabel.SACRAL_ALA_RIGHT),
            (Side.LEFT, AnatomyLabel.SACRAL_ALA_LEFT),
        ):
            face = np.asarray(self.surface.data)[label == ala]
            gap = tree.query(face, distance_upper_bound=JOINT_REACH_MM)[0]
            result[side] = face[np.isfinite(gap)]
        return result


def describe(segmentation: Segmentation) -> Sacrum:
    """The sacral bone of a segmentation, ready to be measured against."""
    mask = np.isin(segmentation.anatomy.values, SACRUM_LABELS)
    surface = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    tree = cKDTree(_frame_mm(segmentation, surface))
    return Sacrum(segmentation, mask, surface, tree, _midline(segmentation))


def lesion(segmentation: Segmentation, bit: LesionBit) -> Mask:
    """Bool of the grid's shape: True where the lesion map holds the bit."""
    return np.asarray((segmentation.lesions.values & bit.value) > 0)


def joined(index: NDArray[np.int64], spacing_mm: Floats, gap_mm: float) -> NDArray[np.int64]:
    """(n,) number, from 0, of the component of each voxel (n, 3).

    Two voxels belong together where the free space between them is at most ``gap_mm`` wide, to
    within one voxel; touching ones always do.
    """
    if len(index) == 0:
        return np.zeros(0, dtype=np.int64)
    radius = np.ceil(gap_mm / 2 / spacing_mm).astype(int)
    low = index.min(axis=0) - radius
    box = np.zeros(index.max(axis=0) - low + radius + 1, dtype=np.bool_)
    box[tuple((index - low).T)] = True
    near = ndimage.distance_transform_edt(~box, sampling=spacing_mm) <= gap_mm / 2
    components, _ = ndimage.label(near, structure=np.ones((3, 3, 3)))
    return np.asarray(components[tuple((index - low).T)] - 1, dtype=np.int64)


def length_mm(frame_mm: Floats, voxel_mm: float) -> float:
    """Extent of points (n, 3) along their first principal axis, voxel edges included."""
    if len(frame_mm) < 2:
        return voxel_mm * len(frame_mm)
    axis = np.linalg.eigh(np.cov(frame_mm.T))[1][:, -1]
    return float(np.ptp(frame_mm @ axis)) + voxel_mm


def plane_normal(frame_mm: Floats) -> Floats | None:
    """(3,) unit normal of the plane through points (n, 3); None where they make no plane.

    A plane is told by a smallest principal variance under an eighth of the middle one.
    """
    if len(frame_mm) < 20:
        return None
    variances, axes = np.linalg.eigh(np.cov(frame_mm.T))
    return np.asarray(axes[:, 0]) if variances[0] < _EIGHTH * variances[1] else None


def gap_mm(from_mm: Floats, to_mm: Floats, voxel_mm: float) -> float | None:
    """Smallest gap between two sets of voxels (n, 3), (m, 3); 0 where they touch; None if empty.

    The distance of the nearest centres less one voxel.
    """
    if len(from_mm) == 0 or len(to_mm) == 0:
        return None
    nearest = float(cKDTree(to_mm).query(from_mm)[0].min())
    return 0.0 if nearest <= ADJACENT_VOXELS * voxel_mm else nearest - voxel_mm


def _frame_mm(segmentation: Segmentation, index: NDArray[np.int64]) -> Floats:
    return segmentation.frame.to_frame_mm(segmentation.grid.index_to_mm(index.reshape(-1, 3)))


def _midline(segmentation: Segmentation) -> Floats:
    """Least squares over bodies and canal, kept near the frame's own midline, which stands in
    where too little of both is in view."""
    middle = np.isin(
        segmentation.anatomy.values, (AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_CANAL)
    )
    x, y, z = _frame_mm(segmentation, np.argwhere(middle)).T
    if len(x) < _MIN_MIDLINE_VOXELS:
        return np.zeros(3)
    terms = np.stack([np.ones_like(y), y, z], axis=1)
    limit = np.array([_MAX_MIDLINE_SHIFT_MM, _MAX_MIDLINE_SLOPE, _MAX_MIDLINE_SLOPE])
    return np.asarray(np.clip(np.linalg.lstsq(terms, x, rcond=None)[0], -limit, limit))
