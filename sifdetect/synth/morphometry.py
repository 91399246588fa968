"""Measures of a sacrum, the same for a procedural one, a voxelised mesh and a drawn shape.

A sacrum is sampled on a straightened lattice: across (x), along the curve through the centres of
its bodies (level), and ventral of that curve (v). Every measure is read off that lattice, so that
two bones differ in a measure only where they differ in shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import CubicSpline

from sifdetect.synth import bones as real
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.shape import ShapeParams
from sifdetect.volume import Floats

LEVELS = np.arange(-0.6, 5.01, 0.05)
X_MM = np.arange(-69.0, 69.1, 1.0)
V_MM = np.arange(-56.0, 33.1, 1.0)
SHEETS_MM = np.arange(6.0, -16.1, -1.0)
"""Ventral offsets of the coronal sheets that are searched for foramina, front to back."""


@dataclass(frozen=True)
class Straightened:
    """A sacrum on the lattice X_MM × V_MM × LEVELS.

    Attributes:
        depth_mm: (x, v, level) distance inside the surface, positive inside.
        centers_mm: (6, 2) ventral and cranial position (mm) of the end plate's centre, of S1/S2 …
            and of the lower end of S5 in the midsagittal plane.
        mm_per_level: (level,) length of one level along the curve.
        reach: last level that the bone itself, not another one's tail, has.
    """

    depth_mm: NDArray[np.float32]
    centers_mm: Floats
    mm_per_level: Floats
    reach: float


def of_shape(shape: ShapeParams) -> Straightened:
    """A procedural sacrum, with the bends that its parameters hold."""
    bounds = shape.curve.level_bounds_mm
    centers = np.stack([shape.curve.position_mm(float(s)) for s in bounds])[:, 1:]

    def depth(points: Points) -> Array:
        bones = shape.bones(points)
        return -bones.sacrum_mm

    return _straightened(centers, depth, 5.0)


def of_field(field: real.BoneField, reach: float = 5.0) -> Straightened:
    """A voxelised sacrum; ``reach`` is the level at which its own mesh ends."""
    centers = field.body_centers_lps_mm[:, 1:] * np.array([-1.0, 1.0])
    grid = field.grid

    def depth(points: Points) -> Array:
        lps = np.stack([points.x, -points.y, points.z], -1)
        index = np.moveaxis(grid.mm_to_index(lps), -1, 0)
        values = ndimage.map_coordinates(field.sacrum_depth_mm, index, order=1, mode="nearest")
        return np.asarray(values)

    return _straightened(centers, depth, reach)


def _straightened(
    centers: Floats, depth: Callable[[Points], Array], reach: float
) -> Straightened:
    spline = CubicSpline(np.arange(len(centers)), centers)
    place, tangent = spline(LEVELS), spline(LEVELS, 1)
    length = np.linalg.norm(tangent, axis=1)
    # Caudal is the tangent; ventral lies a quarter turn from it.
    ventral = np.stack([-tangent[:, 1], tangent[:, 0]], -1) / length[:, None]
    x, v, k = np.meshgrid(X_MM, V_MM, np.arange(len(LEVELS)), indexing="ij")
    y, z = (place[k, a] + v * ventral[k, a] for a in range(2))
    points = Points(*(axis.astype(np.float32) for axis in (x, y, z)))
    return Straightened(depth(points).astype(np.float32), centers, length, reach)
