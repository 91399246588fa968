"""Voxels as points in the sacral frame, the bone that they are measured against, and extents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, SacralLevel, Side, side_of
from sifdetect.gaps import closer
from sifdetect.volume import Floats, Segmentation
from sifdetect.voxels import Mask, beside, indices, shell

JOINT_REACH_MM = 5.0
"""Sacrum closer than this to the hip bone is joint face: joint width 1–3 mm, two voxels of blur."""

HALF = {
    Side.RIGHT: (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_CORRIDOR_RIGHT),
    Side.LEFT: (AnatomyLabel.SACRAL_ALA_LEFT, AnatomyLabel.SACRAL_CORRIDOR_LEFT),
}
"""Ala and foraminal corridor of each side."""

_HIPS = (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT)
_MIN_MIDLINE_VOXELS = 200
_MAX_MIDLINE_SHIFT_MM = 10.0
_MAX_MIDLINE_SLOPE = 0.15
_EIGHTH = 0.125
_SIDED = np.array([side_of(label) is not Side.MIDLINE for label in AnatomyLabel])
_LEFT = np.array([side_of(label) is Side.LEFT for label in AnatomyLabel])


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

    def only(self, chosen: Mask | NDArray[np.int64]) -> Points:
        """The points where ``chosen`` (n,) is True, or those of the numbers ``chosen`` (m,)."""
        kept = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        return Points(
            self.index.take(kept, axis=0),
            self.frame_mm.take(kept, axis=0),
            self.offset_mm.take(kept),
            self.label.take(kept),
            self.level.take(kept),
        )

    def of(self, *labels: AnatomyLabel) -> Points:
        """The points that carry one of the labels."""
        return self.only(np.isin(self.label, labels))

    @cached_property
    def left(self) -> Mask:
        """(n,) True on the patient's left: by the label, or the midline where that has no side."""
        return np.where(_SIDED[self.label], _LEFT[self.label], self.offset_mm > 0)

    def on(self, side: Side) -> Points:
        """The points on one side of the patient."""
        return self.only(self.left if side is Side.LEFT else ~self.left)


@dataclass(frozen=True)
class Sacrum:
    """The bone that lesions are measured against.

    Attributes:
        segmentation: where it comes from.
        mask: bool, the voxels of sacral bone.
        midline: (3,) frame x of the midline plane = a + b y + c z, mm.
    """

    segmentation: Segmentation
    mask: Mask
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

    def frame_mm(self, index: NDArray[np.int64]) -> Floats:
        """(n, 3) places of voxels (n, 3) in the sacral frame."""
        return _frame_mm(self.segmentation, index)

    def points(self, mask: Mask) -> Points:
        """The voxels of a mask; those outside the bone take label and level of the nearest bone."""
        index = indices(mask)
        frame_mm = self.frame_mm(index)
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
    def surface_index(self) -> NDArray[np.int64]:
        """(n, 3) sacral voxels with a neighbour outside."""
        return indices(shell(self.mask))

    @cached_property
    def surface(self) -> cKDTree:
        """Their tree in the sacral frame, mm."""
        return cKDTree(self.frame_mm(self.surface_index))

    @cached_property
    def bone(self) -> Points:
        """All of it."""
        return self.points(self.mask)

    @cached_property
    def bodies(self) -> Points:
        """The bone of the bodies."""
        return self.bone.of(AnatomyLabel.SACRAL_BODY)

    @cached_property
    def halves(self) -> dict[Side, Points]:
        """The bone of ala and foraminal corridor of each side."""
        return {side: self.bone.of(*labels) for side, labels in HALF.items()}

    @cached_property
    def canal_mm(self) -> Floats:
        """(n, 3) voxels of the sacral canal in the sacral frame."""
        canal = self.segmentation.anatomy.values == AnatomyLabel.SACRAL_CANAL
        return self.frame_mm(indices(canal))

    @cached_property
    def beside_canal(self) -> Mask:
        """Bool of the grid's shape: the canal and the voxels that share a face with it."""
        return beside(self.segmentation.anatomy.values == AnatomyLabel.SACRAL_CANAL)

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
        hip_mm = self.frame_mm(indices(shell(hip)))
        label = seg.anatomy.values[tuple(self.surface_index.T)]
        surface_mm, result = np.asarray(self.surface.data), {}
        for side, (ala, _) in HALF.items():
            face = surface_mm[label == ala]
            result[side] = face[closer(face, hip_mm, JOINT_REACH_MM)]
        return result


def describe(segmentation: Segmentation) -> Sacrum:
    """The sacral bone of a segmentation, ready to be measured against."""
    mask = np.isin(segmentation.anatomy.values, SACRUM_LABELS)
    return Sacrum(segmentation, mask, _midline(segmentation))


def lesion(segmentation: Segmentation, bit: LesionBit) -> Mask:
    """Bool of the grid's shape: True where the lesion map holds the bit."""
    return np.asarray((segmentation.lesions.values & bit.value) > 0)


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


def _frame_mm(segmentation: Segmentation, index: NDArray[np.int64]) -> Floats:
    return segmentation.frame.to_frame_mm(segmentation.grid.index_to_mm(index.reshape(-1, 3)))


def _midline(segmentation: Segmentation) -> Floats:
    """Least squares over bodies and canal, kept near the frame's own midline, which stands in
    where too little of both is in view."""
    middle = np.isin(
        segmentation.anatomy.values, (AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_CANAL)
    )
    x, y, z = _frame_mm(segmentation, indices(middle)).T
    if len(x) < _MIN_MIDLINE_VOXELS:
        return np.zeros(3)
    terms = np.stack([np.ones_like(y), y, z], axis=1)
    limit = np.array([_MAX_MIDLINE_SHIFT_MM, _MAX_MIDLINE_SLOPE, _MAX_MIDLINE_SLOPE])
    return np.asarray(np.clip(np.linalg.lstsq(terms, x, rcond=None)[0], -limit, limit))
