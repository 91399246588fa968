"""How a line runs through its ala: against foramina and canal, joint, and anterior cortex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import Side
from sifdetect.components import HALF, Points, Sacrum
from sifdetect.gaps import median_mm, touching
from sifdetect.measurements import Course
from sifdetect.volume import Floats

MIN_ALA_MM = 8.0
"""Rows in which the ala is narrower than this tell nothing about the course of a line in it."""

MIN_ROWS = 12
"""Fewer rows of a line than this have no course."""

JOINT_SIDE_MM = 3.0
"""A line this close, two voxels, to the lateral surface of the ala runs in the joint face; one that
only ends at the ala's ventral or dorsal surface, around which the hip bone reaches, does not."""

_SLAB_MM = 6.0


def course_of(sacrum: Sacrum, line: Points, side: Side) -> Course:
    """The course of a line.

    Contact is counted in voxels of the line whose centre is at most ADJACENT_VOXELS from one of the
    other structure, each with the face of a voxel: a sheet that runs into a wall end on has a
    contact as wide as the sheet, one that runs along it as large as the common surface.

    Args:
        sacrum: the bone.
        line: the voxels of this side's line, without what belongs to a transverse limb.
        side: of the patient.
    """
    ala = line.of(*HALF[side][:1])
    face = sacrum.joint_mm[side]
    in_joint = touching(ala.frame_mm, face, sacrum.voxel_mm)
    rows = _Rows.of(sacrum, side)
    front = rows.depth_mm(ala, side)
    return Course(
        foramen_contact_mm2={
            level: _area_mm2(line.frame_mm, foramen_mm, sacrum.voxel_mm)
            for (where, level), foramen_mm in sorted(
                sacrum.foramina_mm.items(), key=lambda item: item[0][1]
            )
            if where is side
        },
        canal_contact_mm2=_area_mm2(line.frame_mm, sacrum.canal_mm, sacrum.voxel_mm),
        joint_contact_mm=_height_mm(ala.frame_mm[in_joint], sacrum.voxel_mm),
        joint_contact_share=_share(in_joint & (rows.beside_mm(ala, side) <= JOINT_SIDE_MM)),
        lean_deg=_lean_deg(rows, ala, side),
        depth_mm=float(np.nanpercentile(front, 90)) if np.isfinite(front).any() else None,
        anterior_contact_mm=_height_mm(ala.frame_mm[front <= sacrum.voxel_mm], sacrum.voxel_mm),
        joint_depth_mm=median_mm(ala.frame_mm, face),
    )


@dataclass(frozen=True)
class _Rows:
    """The extent of an ala in rows of voxels.

    Attributes:
        step_mm: edge of a voxel. low: (3,) frame mm of the first bin.
        inner, outer: by (y, z) bin, the medial and lateral end of the ala, mm from the midline.
        front: by (x, z) bin, frame y of the anterior cortex.
        NaN where there is no ala.
    """

    step_mm: float
    low: Floats
    inner: Floats
    outer: Floats
    front: Floats

    @staticmethod
    def of(sacrum: Sacrum, side: Side) -> _Rows:
        """The rows of one ala."""
        ala = sacrum.halves[side].of(*HALF[side][:1])
        step = sacrum.voxel_mm
        if len(ala) == 0:
            nothing = np.full((1, 1), np.nan)
            return _Rows(step, np.zeros(3), nothing, nothing, nothing)
        low = np.array([place.min() for place in ala.frame_mm.T])
        x, y, z = (
            np.rint((place - first) / step).astype(int)
            for place, first in zip(ala.frame_mm.T, low, strict=True)
        )
        width, depth, height = (int(number.max()) + 1 for number in (x, y, z))
        away = ala.offset_mm * _sign(side)
        inner, outer = np.full((depth, height), np.inf), np.full((depth, height), -np.inf)
        front = np.full((width, height), -np.inf)
        np.minimum.at(inner, (y, z), away)
        np.maximum.at(outer, (y, z), away)
        np.maximum.at(front, (x, z), ala.frame_mm[:, 1])
        tables = (np.where(np.isfinite(t), t, np.nan) for t in (inner, outer, front))
        return _Rows(step, low, *tables)

    def place(self, points: Points, side: Side) -> tuple[Floats, Floats]:
        """(n,) share, 0–1, of the ala's width at which points lie, and that width in mm."""
        _, y, z = self._bins(points).T
        inner, outer = self.inner[y, z], self.outer[y, z]
        width = outer - inner + self.step_mm
        width = np.where(width >= MIN_ALA_MM, width, np.nan)
        return (points.offset_mm * _sign(side) - inner + self.step_mm / 2) / width, width

    def beside_mm(self, points: Points, side: Side) -> Floats:
        """(n,) distance from the lateral surface of the ala; NaN where there is none."""
        _, y, z = self._bins(points).T
        return np.asarray(self.outer[y, z] - points.offset_mm * _sign(side))

    def depth_mm(self, points: Points, side: Side) -> Floats:
        """(n,) distance behind the anterior cortex of the ala; NaN where there is none."""
        x, _, z = self._bins(points).T
        return np.asarray(self.front[x, z] - points.frame_mm[:, 1])

    def _bins(self, points: Points) -> NDArray[np.int64]:
        bins = np.rint((points.frame_mm - self.low) / self.step_mm).astype(np.int64)
        shape = np.array([self.front.shape[0], *self.inner.shape])
        return np.clip(bins, 0, shape - 1)


def _lean_deg(rows: _Rows, line: Points, side: Side) -> float | None:
    """Slope of the line's place in the ala against depth, in slabs of one height each."""
    share, width = rows.place(line, side)
    known = np.isfinite(share)
    if known.sum() < MIN_ROWS:
        return None
    across = share[known] * np.median(width[known])
    depth = line.frame_mm[known, 1]
    slab = np.floor(line.frame_mm[known, 2] / _SLAB_MM).astype(int)
    slab -= slab.min()
    count = np.maximum(np.bincount(slab), 1)
    across = across - (np.bincount(slab, across) / count)[slab]
    depth = depth - (np.bincount(slab, depth) / count)[slab]
    spread = float((depth**2).sum())
    if spread < MIN_ROWS * MIN_ALA_MM:
        return None
    return float(np.degrees(np.arctan(-(across * depth).sum() / spread)))


def _share(chosen: NDArray[np.bool_]) -> float:
    return float(chosen.mean()) if len(chosen) else 0.0


def _area_mm2(line_mm: Floats, wall_mm: Floats, voxel_mm: float) -> float:
    return float(touching(line_mm, wall_mm, voxel_mm).sum()) * voxel_mm**2


def _height_mm(frame_mm: Floats, voxel_mm: float) -> float:
    """Height that points take up, gaps left out."""
    if len(frame_mm) == 0:
        return 0.0
    # From a voxel's own centre on: between two of them rounding would be a matter of noise.
    rows = np.rint((frame_mm[:, 2] - frame_mm[:, 2].min()) / voxel_mm)
    return len(np.unique(rows)) * voxel_mm


def _sign(side: Side) -> float:
    return 1.0 if side is Side.LEFT else -1.0
