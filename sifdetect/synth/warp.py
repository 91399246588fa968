"""Smooth random variants of a pelvis: size, form, side and position."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from sifdetect.synth.bones import BoneField, sampled
from sifdetect.synth.rasterize import MAX_DEPTH_MM, axis_aligned_grid
from sifdetect.volume import FloatImage, Floats, Grid

REACH_MM = 280.0
"""Half the edge of the cube in which the displacement is defined, around the S2 body."""
_LEAST_STRETCH = 0.35
_MARGIN_MM = 10.0


@dataclass(frozen=True)
class Warp:
    """Where each point of a variant comes from: ``inverse @ (q + u(q))`` is a point of the base.

    Attributes:
        inverse: (3, 3), takes rotation and scaling back.
        control_mm: (n, n, n, 3) coefficients of the cubic B-spline u over ±REACH_MM.
        mirrored: right and left of the base are exchanged first.
    """

    inverse: Floats
    control_mm: Floats
    mirrored: bool

    @staticmethod
    def sample(rng: np.random.Generator) -> Warp:
        """Draw a variant: scaling ±12 %, tilt ±12°, bending with an sd of 2–5 mm."""
        scale = 1 + np.clip(rng.normal(0, 0.05, 3) + rng.normal(0, 0.03), -0.12, 0.12)
        angles = np.clip(rng.normal(0, [6.0, 2.5, 2.5]), [-12, -6, -6], [12, 6, 6])
        turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        knots = round(2 * REACH_MM / rng.uniform(30, 42)) + 3
        control = _nearly_symmetric(rng, knots) * rng.uniform(2.0, 5.0)
        warp = Warp(np.linalg.inv(turn @ np.diag(scale)), control, bool(rng.integers(2)))
        return warp._unfolded()

    def displacement_mm(self, x: Floats, y: Floats, z: Floats) -> FloatImage:
        """(3, n1, n2, n3) u on the lattice of the coordinates x (n1,), y (n2,) and z (n3,)."""
        control = np.moveaxis(self.control_mm, -1, 0)
        count = len(self.control_mm)
        rows = np.einsum("ia,dabc->dibc", _basis(x, count), control)
        plane = np.einsum("jb,dibc->dijc", _basis(y, count), rows).astype(np.float32)
        return np.asarray(plane @ _basis(z, count).T.astype(np.float32))

    def moved(self, points_lps_mm: Floats) -> Floats:
        """(n, 3) points of the (mirrored) base to their places in the variant."""
        straight = points_lps_mm @ np.linalg.inv(self.inverse).T
        place = straight
        for _ in range(20):
            place = straight - self._at(place)
        return place

    def _at(self, points: Floats) -> Floats:
        count = len(self.control_mm)
        x, y, z = (_basis(points[:, axis], count) for axis in range(3))
        rows = np.einsum("na,abcd->nbcd", x, self.control_mm)
        return np.asarray(np.einsum("nc,ncd->nd", z, np.einsum("nb,nbcd->ncd", y, rows)))

    def _unfolded(self) -> Warp:
        """The warp with less bending, until no volume shrinks below _LEAST_STRETCH."""
        axis = np.arange(-170.0, 171.0, 10.0)
        u = self.displacement_mm(axis, axis, axis)
        gradient = np.stack([np.stack(np.gradient(part, 10.0)) for part in u])
        gradient = np.moveaxis(gradient.reshape(3, 3, -1), -1, 0)
        share = 1.0
        while np.linalg.det(np.eye(3) + share * gradient).min() < _LEAST_STRETCH:
            share *= 0.85
        return replace(self, control_mm=self.control_mm * share)


def vary(base: BoneField, rng: np.random.Generator, *, spacing_mm: float = 1.5) -> BoneField:
    """A random variant of a pelvis: bent, scaled, perhaps mirrored, tilted about its S2 body."""
    return applied(Warp.sample(rng), base, spacing_mm=spacing_mm)


def applied(warp: Warp, base: BoneField, *, spacing_mm: float) -> BoneField:
    """The variant of ``base`` that ``warp`` describes, on a grid around all of its bone."""
    source = base.mirrored() if warp.mirrored else base
    surface = np.argwhere(source.depth_mm[::4, ::4, ::4] > -2) * 4
    bone = warp.moved(source.grid.index_to_mm(surface[::40]))
    margin = _MARGIN_MM
    grid = axis_aligned_grid(bone.min(axis=0) - margin, bone.max(axis=0) + margin, spacing_mm)
    field = sampled(
        source,
        grid,
        _index_in(source.grid, grid, warp),
        landmarks_lps_mm=warp.moved(source.landmarks_lps_mm),
    )
    stretch = np.float32(np.linalg.det(warp.inverse) ** (-1 / 3))
    return replace(
        field,
        sacrum_depth_mm=np.clip(field.sacrum_depth_mm * stretch, -MAX_DEPTH_MM, MAX_DEPTH_MM),
        hip_depth_mm=np.clip(field.hip_depth_mm * stretch, -MAX_DEPTH_MM, MAX_DEPTH_MM),
    )


def _index_in(source: Grid, grid: Grid, warp: Warp) -> FloatImage:
    """(3, …grid.shape) where the voxels of ``grid`` lie in the array of ``source``."""
    axes = [
        grid.index_to_mm(np.eye(3)[a] * np.arange(n)[:, None])[:, a]
        for a, n in enumerate(grid.shape)
    ]
    place = warp.displacement_mm(axes[0], axes[1], axes[2])
    for part, axis in enumerate(axes):
        shape = [1, 1, 1]
        shape[part] = -1
        place[part] += axis.reshape(shape).astype(np.float32)
    to_index = np.linalg.inv(source.affine_lps_mm[:3, :3])
    matrix = (to_index @ warp.inverse).astype(np.float32)
    offset = (-to_index @ source.affine_lps_mm[:3, 3]).astype(np.float32)
    return np.asarray(np.tensordot(matrix, place, 1) + offset[:, None, None, None])


def _basis(coordinate_mm: Floats, count: int) -> Floats:
    """(n, count) uniform cubic B-spline weights of ``count`` coefficients over ±REACH_MM."""
    place = (np.clip(coordinate_mm, -REACH_MM, REACH_MM) + REACH_MM) / (2 * REACH_MM)
    place = place * (count - 3) + 1
    distance = np.abs(place[:, None] - np.arange(count))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - np.clip(distance, 0, 2)) ** 3 / 6
    return np.asarray(np.where(distance < 1, near, far))


def _nearly_symmetric(rng: np.random.Generator, count: int) -> Floats:
    """Spline coefficients whose field has an sd of about 1 mm and is mostly mirror symmetric.

    A spline of independent coefficients of sd 1 has an sd of 0.33 (0.479 to the power 3/2).
    """
    shape = (count, count, count, 3)
    free = rng.normal(size=shape)
    even = (free + free[::-1] * np.array([-1.0, 1.0, 1.0])) / np.sqrt(2)
    return np.asarray((0.9 * even + 0.4 * rng.normal(size=shape)) / 0.33)
