"""Closed triangle meshes to voxels: which voxel centres lie inside, and how deep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.volume import FloatImage, Floats, Grid

MAX_DEPTH_MM = 20.0
"""Depths are clipped to this distance from the surface on either side."""


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices_lps_mm: (n, 3) float.
        faces: (m, 3) int, vertex numbers; normals point outwards (counter-clockwise from outside).
    """

    vertices_lps_mm: Floats
    faces: NDArray[np.int64]

    def moved(self, matrix: Floats, offset_mm: Floats) -> Mesh:
        """The mesh with every vertex p at ``matrix @ p + offset_mm``; matrix (3, 3)."""
        return Mesh(self.vertices_lps_mm @ np.asarray(matrix).T + offset_mm, self.faces)


def axis_aligned_grid(low_lps_mm: Floats, high_lps_mm: Floats, spacing_mm: float) -> Grid:
    """A grid over a box: axis 0 right→left (+x), 1 posterior→anterior (−y), 2 caudal→cranial."""
    low, high = np.asarray(low_lps_mm), np.asarray(high_lps_mm)
    size = np.ceil((high - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm, -spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = [low[0], high[1], low[2]]
    return Grid((int(size[0]), int(size[1]), int(size[2])), affine)


def inside(mesh: Mesh, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of ``grid.shape`` whose centre has a winding number other than zero.

    Rays run along each array axis through every voxel centre; each triangle a ray crosses adds or
    takes one by the side it is crossed from, so that overlapping shells do not cancel out. Two of
    the three axes decide: a pinhole in the mesh spoils single rays only.
    """
    corner = grid.mm_to_index(mesh.vertices_lps_mm)[mesh.faces]
    votes = np.zeros(grid.shape, dtype=np.uint8)
    for axis in range(3):
        order = [axis, *(other for other in range(3) if other != axis)]
        turned = _crossed(corner[:, :, order], tuple(grid.shape[o] for o in order))
        votes += np.moveaxis(turned, 0, axis)
    return np.asarray(votes >= 2)


def filled(shell: NDArray[np.bool_], closing_voxels: int = 2) -> NDArray[np.bool_]:
    """A hollow shell with its inside; gaps up to twice ``closing_voxels`` wide are bridged."""
    width = closing_voxels + 1
    padded = np.pad(shell, width)
    outside_distance = ndimage.distance_transform_edt(~padded)
    thick = ndimage.binary_fill_holes(outside_distance <= closing_voxels)
    solid = ndimage.distance_transform_edt(thick) > closing_voxels
    core = tuple(slice(width, -width) for _ in range(3))
    return np.asarray(shell | solid[core])


def depth_mm(mask: NDArray[np.bool_], spacing_mm: float) -> FloatImage:
    """Distance to the mask's surface, positive inside, clipped to ±MAX_DEPTH_MM.

    Distances between voxel centres are taken back by half a voxel, so that the surface lies
    between the voxels, and smoothed by 0.7 voxels against the steps.
    """
    within = ndimage.distance_transform_edt(mask)
    beyond = ndimage.distance_transform_edt(~mask)
    depth = np.where(mask, within - 0.5, 0.5 - beyond).astype(np.float32)
    smooth = ndimage.gaussian_filter(depth, 0.7) * np.float32(spacing_mm)
    return np.asarray(np.clip(smooth, -MAX_DEPTH_MM, MAX_DEPTH_MM), dtype=np.float32)


def _crossed(corner: Floats, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Inside by rays along the first axis; ``corner`` (m, 3, 3) in array indices."""
    # Rays must not run through vertices: regular meshes have them exactly on voxel centres.
    corner = corner + np.array([0.0, 1.3e-5, 2.9e-5])
    triangle, j, k = _columns(corner, shape)
    a, b, c = corner[triangle, 0], corner[triangle, 1], corner[triangle, 2]
    weight = np.stack([_cross(b, c, j, k), _cross(c, a, j, k), _cross(a, b, j, k)])
    area = weight.sum(axis=0)
    sign = np.sign(area)
    hit = ((weight * sign) >= 0).all(axis=0) & (sign != 0)
    across = np.stack([a[hit, 0], b[hit, 0], c[hit, 0]])
    i = np.ceil((weight[:, hit] * across).sum(axis=0) / area[hit]).astype(int)
    count = np.zeros((shape[0] + 1, *shape[1:]), dtype=np.int8)
    np.add.at(count, (np.clip(i, 0, shape[0]), j[hit], k[hit]), sign[hit].astype(np.int8))
    return np.asarray(np.cumsum(count[:-1], axis=0, dtype=np.int8) != 0)


def _columns(
    corner: Floats, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Every pair of a triangle and a column in its bounding box: triangle, j, k."""
    low = np.ceil(corner[:, :, 1:].min(axis=1)).astype(int)
    high = np.floor(corner[:, :, 1:].max(axis=1)).astype(int)
    low = np.maximum(low, 0)
    high = np.minimum(high, np.array(shape[1:]) - 1)
    size = np.maximum(high - low + 1, 0)
    count = size[:, 0] * size[:, 1]
    triangle = np.repeat(np.arange(len(corner)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    j = low[triangle, 0] + step // np.maximum(size[triangle, 1], 1)
    k = low[triangle, 1] + step % np.maximum(size[triangle, 1], 1)
    return triangle, j, k


def _cross(p: Floats, q: Floats, j: NDArray[np.int64], k: NDArray[np.int64]) -> Floats:
    """Twice the area of the triangle p, q, (j, k) in the plane across the rays."""
    along = (q[:, 1] - p[:, 1]) * (k - p[:, 2])
    return np.asarray(along - (q[:, 2] - p[:, 2]) * (j - p[:, 1]))
