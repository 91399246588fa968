"""Pelves from bone surfaces: closed meshes to labelled voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from sifdetect.synth.bones import COCCYX, BoneField, BoneMeshes
from sifdetect.synth.rasterize import (
    MAX_DEPTH_MM,
    Mesh,
    axis_aligned_grid,
    depth_mm,
    filled,
    inside,
)
from sifdetect.synth.sacral_map import levels, sacral_map
from sifdetect.synth.warp import vary
from sifdetect.volume import FloatImage, Floats, Grid

__all__ = ["COCCYX", "BoneField", "BoneMeshes", "field_of", "midsagittal_plane", "vary"]

SPACING_MM = 1.5
JOINT_GAP_MM = 2.0
"""Least gap kept between bones; the sacroiliac joint space of adults is about 2–3 mm on CT."""
SYMPHYSIS_GAP_MM = 4.0
_FINE_MM = 1.0
_HIP_MM = 1.2
_MARGIN_MM = 12.0


def field_of(meshes: BoneMeshes, spacing_mm: float = SPACING_MM) -> BoneField:
    """Voxels of a pelvis, put upright on its own sacrum.

    The midsagittal plane of the sacrum becomes x = 0 and the centre of S2 the origin; the
    inclination in that plane stays as it is. Bones that touch are parted by JOINT_GAP_MM.

    Raises:
        ValueError: fewer than four body centres, or a sacrum without inside.
    """
    if len(meshes.body_centers_lps_mm) < 4:
        raise ValueError("body_centers_lps_mm must reach at least from S1 to S3 (four points)")
    meshes = _upright(meshes)
    grid = _box(_points(meshes), spacing_mm)
    bone, fine = _sacrum_depth(meshes)
    coordinates = sacral_map(bone > 0, fine, meshes.body_centers_lps_mm)
    sacrum = _placed(bone, fine, grid)
    if meshes.coccyx is not None:
        sacrum = np.maximum(sacrum, _hip_depth((meshes.coccyx,), grid))
    sacrum, hip, side = _parted(sacrum, *(_hip_depth(shells, grid) for shells in meshes.hips))
    cavity = ndimage.affine_transform(
        coordinates.cavity, *_matrix(fine, grid), output_shape=grid.shape, order=0
    )
    return BoneField(
        grid=grid,
        level=_placed(coordinates.level, fine, grid),
        lateral=_placed(coordinates.lateral, fine, grid),
        sacrum_depth_mm=sacrum,
        hip_depth_mm=hip,
        hip_side=side,
        cavity=_into_bone(cavity, sacrum),
        landmarks_lps_mm=_landmarks(meshes),
    )


def midsagittal_plane(vertices_lps_mm: Floats) -> tuple[Floats, Floats]:
    """Point and unit normal (towards the patient's left) of the plane of best mirror symmetry.

    Alternates between the nearest vertex of every mirrored vertex and the plane that fits those
    pairs best (Kabsch's solution restricted to reflections); the worst fifth of the pairs is
    left out.
    """
    vertices = np.asarray(vertices_lps_mm, dtype=np.float64)
    tree, some = cKDTree(vertices), vertices[:: max(1, len(vertices) // 4000)]
    point, normal = vertices.mean(axis=0), np.array([1.0, 0.0, 0.0])
    for _ in range(40):
        mirrored = some - 2 * ((some - point) @ normal)[:, None] * normal
        distance, nearest = tree.query(mirrored)
        good = distance <= np.quantile(distance, 0.8)
        a, b = some[good], vertices[nearest[good]]
        spread = (a - a.mean(axis=0)).T @ (b - b.mean(axis=0))
        _, vectors = np.linalg.eigh(spread + spread.T)
        normal = vectors[:, 0] * np.sign(vectors[0, 0])
        point = (a.mean(axis=0) + b.mean(axis=0)) / 2
    return point, normal


def _upright(meshes: BoneMeshes) -> BoneMeshes:
    point, normal = midsagittal_plane(meshes.sacrum.vertices_lps_mm)
    up = np.array([0.0, 0.0, 1.0]) - normal * normal[2]
    up /= np.linalg.norm(up)
    turn = np.stack([normal, np.cross(up, normal), up])
    centers = (meshes.body_centers_lps_mm - point) @ turn.T
    origin = np.array([0.0, *(centers[1, 1:] + centers[2, 1:]) / 2])
    return meshes.moved(turn, -turn @ point - origin)


def _points(meshes: BoneMeshes) -> Floats:
    shells = (meshes.sacrum, *meshes.hips[0], *meshes.hips[1], meshes.coccyx, meshes.tail)
    return np.concatenate([shell.vertices_lps_mm for shell in shells if shell is not None])


def _box(points_lps_mm: Floats, spacing_mm: float) -> Grid:
    low, high = points_lps_mm.min(axis=0), points_lps_mm.max(axis=0)
    return axis_aligned_grid(low - _MARGIN_MM, high + _MARGIN_MM, spacing_mm)


def _sacrum_depth(meshes: BoneMeshes) -> tuple[FloatImage, Grid]:
    shells = (meshes.sacrum,) if meshes.tail is None else (meshes.sacrum, meshes.tail)
    fine = _box(np.concatenate([shell.vertices_lps_mm for shell in shells]), _FINE_MM)
    masks = [inside(shell, fine) for shell in shells]
    if not masks[0].any():
        raise ValueError("the sacral mesh encloses no voxel")
    depth = depth_mm(masks[0], _FINE_MM)
    if meshes.tail is not None:
        start, stop = meshes.tail_blend
        level = levels(fine, meshes.body_centers_lps_mm)
        share = np.clip((level - start) / (stop - start), 0, 1)
        depth = depth * (1 - share) + depth_mm(masks[1], _FINE_MM) * share
    return depth, fine


def _hip_depth(shells: tuple[Mesh, ...], grid: Grid) -> FloatImage:
    if not shells:
        return np.full(grid.shape, -MAX_DEPTH_MM, dtype=np.float32)
    fine = _box(np.concatenate([shell.vertices_lps_mm for shell in shells]), _HIP_MM)
    mask = np.zeros(fine.shape, dtype=bool)
    for shell in shells:
        mask |= inside(shell, fine)
    return _placed(depth_mm(filled(mask), _HIP_MM), fine, grid)


def _matrix(source: Grid, target: Grid) -> tuple[Floats, Floats]:
    step = target.spacing_mm / source.spacing_mm
    return step, source.mm_to_index(target.index_to_mm(np.zeros(3)))


def _placed(values: FloatImage, source: Grid, target: Grid) -> FloatImage:
    """Values on a larger grid of the same directions; the border is carried outwards."""
    step, start = _matrix(source, target)
    return np.asarray(
        ndimage.affine_transform(
            values, step, start, output_shape=target.shape, order=1, mode="nearest"
        )
    )


def _parted(
    sacrum: FloatImage, right: FloatImage, left: FloatImage
) -> tuple[FloatImage, FloatImage, NDArray[np.int8]]:
    """Depths of sacrum and hips with gaps between them, and the side of the nearer hip."""
    right, left = _gap(right, left, SYMPHYSIS_GAP_MM)
    side = np.where(right >= left, -1, 1).astype(np.int8)
    hips = np.maximum(right, left)
    return *_gap(sacrum, hips, JOINT_GAP_MM), side


def _gap(a: FloatImage, b: FloatImage, gap_mm: float) -> tuple[FloatImage, FloatImage]:
    """Two depths cut back from the surface halfway between the bones, where they come close."""
    from_middle = (a - b) / 2
    return np.minimum(a, from_middle - gap_mm / 2), np.minimum(b, -from_middle - gap_mm / 2)


def _into_bone(cavity: NDArray[np.uint8], depth: FloatImage) -> NDArray[np.uint8]:
    """Cavity numbers carried on into the bone within two voxels, over a seam at its surface."""
    free = np.where(depth > 0, 0, cavity).astype(np.uint8)
    distance, nearest = ndimage.distance_transform_edt(free == 0, return_indices=True)
    reached = (distance <= 2.5) & (depth > 0) | (distance <= 1.5) & (depth > -1)
    return np.where(reached, free[tuple(nearest)], free).astype(np.uint8)


def _landmarks(meshes: BoneMeshes) -> Floats:
    across = np.array([[-15.0, 0.0, 0.0], [15.0, 0.0, 0.0]])
    middle = meshes.endplate_lps_mm.mean(axis=0)
    return np.concatenate([meshes.endplate_lps_mm, middle + across, meshes.body_centers_lps_mm])
