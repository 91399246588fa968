"""A pelvis as meshes and as voxels: the types that pass between reading, building and varying."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import AnatomyLabel, SacralLevel
from sifdetect.synth.rasterize import Mesh
from sifdetect.volume import FloatImage, Floats, Grid, SacralFrame

COCCYX = 20
"""Label of coccygeal bone in a BoneField: bone, but not sacrum."""


@dataclass(frozen=True)
class BoneMeshes:
    """The bones of one pelvis.

    Attributes:
        sacrum: a closed surface; foramina and canal are left out of it.
        hips: (right, left), each of one or several closed surfaces, solid or hollow.
        coccyx: a closed surface or None.
        body_centers_lps_mm: (n, 3) centres of the upper end plate of S1, of the discs S1/S2,
            S2/S3 … and of the tip of S5 (n = 6), or as far down as the sacrum is there.
        endplate_lps_mm: (2, 3) front and back edge of the S1 end plate in the midline.
        tail: a second sacrum that takes over caudally, where the first one is cut; or None.
        tail_blend: levels between which it does.
    """

    sacrum: Mesh
    hips: tuple[tuple[Mesh, ...], tuple[Mesh, ...]]
    coccyx: Mesh | None
    body_centers_lps_mm: Floats
    endplate_lps_mm: Floats
    tail: Mesh | None = None
    tail_blend: tuple[float, float] = (2.5, 2.8)

    def moved(self, matrix: Floats, offset_mm: Floats) -> BoneMeshes:
        """The pelvis with every point p at ``matrix @ p + offset_mm``; matrix (3, 3)."""
        right, left = self.hips
        turned = np.asarray(matrix).T
        return BoneMeshes(
            sacrum=self.sacrum.moved(matrix, offset_mm),
            hips=(
                tuple(m.moved(matrix, offset_mm) for m in right),
                tuple(m.moved(matrix, offset_mm) for m in left),
            ),
            coccyx=None if self.coccyx is None else self.coccyx.moved(matrix, offset_mm),
            body_centers_lps_mm=self.body_centers_lps_mm @ turned + offset_mm,
            endplate_lps_mm=self.endplate_lps_mm @ turned + offset_mm,
            tail=None if self.tail is None else self.tail.moved(matrix, offset_mm),
            tail_blend=self.tail_blend,
        )


@dataclass(frozen=True)
class BoneField:
    """A pelvis as voxels; arrays of ``grid.shape``.

    Attributes:
        grid: isotropic; axis 0 right→left (+x), 1 posterior→anterior (−y), 2 caudal→cranial (+z).
        level: 0 at the S1 upper end plate … 5 at the tip of S5; meant for sacral voxels.
        lateral: 0 midline, ±1 medial and ±2 lateral border of the foramina, ±3 sacroiliac surface;
            positive on the patient's left.
        sacrum_depth_mm: distance inside the surface of sacrum and coccyx, negative outside; ±20.
        hip_depth_mm: the same for the hip bones.
        hip_side: int8, −1 in the half of the patient's right, +1 in that of the left.
        cavity: numbers of foramina and canal, reaching two voxels into the bone around them.
        landmarks_lps_mm: (n + 4, 3) front, back, right and left point of the S1 end plate, then the
            body centres as in BoneMeshes.
    """

    grid: Grid
    level: FloatImage
    lateral: FloatImage
    sacrum_depth_mm: FloatImage
    hip_depth_mm: FloatImage
    hip_side: NDArray[np.int8]
    cavity: NDArray[np.uint8]
    landmarks_lps_mm: Floats

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """AnatomyLabel numbers and COCCYX."""
        sacrum, hip = self.sacrum_depth_mm, self.hip_depth_mm
        result = self.cavity.copy()
        is_hip = (hip > 0) & (hip >= sacrum)
        result[is_hip & (self.hip_side < 0)] = AnatomyLabel.HIP_RIGHT
        result[is_hip & (self.hip_side > 0)] = AnatomyLabel.HIP_LEFT
        bone = (sacrum > 0) & ~is_hip
        zone = np.clip(np.abs(self.lateral[bone]), 0, 2).astype(np.uint8)
        right = np.array([_BODY, AnatomyLabel.SACRAL_CORRIDOR_RIGHT, AnatomyLabel.SACRAL_ALA_RIGHT])
        left = np.array([_BODY, AnatomyLabel.SACRAL_CORRIDOR_LEFT, AnatomyLabel.SACRAL_ALA_LEFT])
        part = np.where(self.lateral[bone] > 0, left[zone], right[zone])
        result[bone] = np.where(self.level[bone] > 5, COCCYX, part)
        return result

    @cached_property
    def depth_mm(self) -> FloatImage:
        """Distance inside the surface of the nearest bone, negative outside, within ±20 mm."""
        return np.asarray(np.maximum(self.sacrum_depth_mm, self.hip_depth_mm))

    @property
    def body_centers_lps_mm(self) -> Floats:
        """(n, 3) centres of the S1 end plate, of S1/S2 … and the tip of S5."""
        return self.landmarks_lps_mm[4:]

    @property
    def endplate_center_lps_mm(self) -> Floats:
        """(3,) centre of the upper end plate of S1."""
        return np.asarray(self.landmarks_lps_mm[:2].mean(axis=0))

    @property
    def endplate_normal_lps(self) -> Floats:
        """(3,) unit normal of the upper end plate of S1, pointing out of the sacrum."""
        front, back, right, left = self.landmarks_lps_mm[:4]
        normal = np.cross(left - right, front - back)
        upward = self.landmarks_lps_mm[4] - self.landmarks_lps_mm[5]
        return np.asarray(normal / np.linalg.norm(normal) * np.sign(normal @ upward))

    @cached_property
    def frame(self) -> SacralFrame:
        """Origin at the centre of the S2 body, cranial axis along the chord of S1 to S3."""
        centers = self.body_centers_lps_mm
        middle = (centers[1:] + centers[:-1]) / 2
        cranial = (middle[0] - middle[2]) / np.linalg.norm(middle[0] - middle[2])
        right, left = self.landmarks_lps_mm[2:4]
        leftward = left - right - ((left - right) @ cranial) * cranial
        leftward = leftward / np.linalg.norm(leftward)
        axes = np.stack([leftward, np.cross(leftward, cranial), cranial])
        there = len(centers) - 1
        coverage = {level: float(level <= there) for level in SacralLevel}
        return SacralFrame(middle[1], axes, coverage)

    def at(self, spacing_mm: float) -> BoneField:
        """The same pelvis on a grid of another spacing."""
        grid = self.grid.resized(spacing_mm)
        step = grid.spacing_mm / self.grid.spacing_mm
        axes = [(np.arange(n) + 0.5) * s - 0.5 for n, s in zip(grid.shape, step, strict=True)]
        index = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
        return sampled(self, grid, index, landmarks_lps_mm=self.landmarks_lps_mm)

    def mirrored(self) -> BoneField:
        """The pelvis with right and left exchanged, mirrored at x = 0."""
        affine = self.grid.affine_lps_mm.copy()
        affine[0, 3] = -self.grid.index_to_mm([self.grid.shape[0] - 1, 0, 0])[0]
        landmarks = self.landmarks_lps_mm * np.array([-1.0, 1.0, 1.0])
        landmarks[2:4] = landmarks[[3, 2]]
        return BoneField(
            grid=Grid(self.grid.shape, affine),
            level=self.level[::-1],
            lateral=-self.lateral[::-1],
            sacrum_depth_mm=self.sacrum_depth_mm[::-1],
            hip_depth_mm=self.hip_depth_mm[::-1],
            hip_side=-self.hip_side[::-1],
            cavity=_SWAPPED[self.cavity[::-1]],
            landmarks_lps_mm=landmarks,
        )


def sampled(
    field: BoneField, grid: Grid, index: FloatImage, *, landmarks_lps_mm: Floats
) -> BoneField:
    """A field on ``grid`` whose voxels lie at ``index`` (3, …grid.shape) of the field's array."""

    def at(values: NDArray[np.float32]) -> FloatImage:
        return np.asarray(ndimage.map_coordinates(values, index, order=1, mode="nearest"))

    nearest = [np.clip(np.rint(i), 0, n - 1) for i, n in zip(index, field.grid.shape, strict=True)]
    where = tuple(i.astype(np.intp) for i in nearest)
    return BoneField(
        grid=grid,
        level=at(field.level),
        lateral=at(field.lateral),
        sacrum_depth_mm=at(field.sacrum_depth_mm),
        hip_depth_mm=at(field.hip_depth_mm),
        hip_side=field.hip_side[where],
        cavity=field.cavity[where],
        landmarks_lps_mm=landmarks_lps_mm,
    )


_BODY = AnatomyLabel.SACRAL_BODY
_SWAPPED = np.arange(9, dtype=np.uint8)
_SWAPPED[[AnatomyLabel.SACRAL_FORAMEN_RIGHT, AnatomyLabel.SACRAL_FORAMEN_LEFT]] = [
    AnatomyLabel.SACRAL_FORAMEN_LEFT,
    AnatomyLabel.SACRAL_FORAMEN_RIGHT,
]
