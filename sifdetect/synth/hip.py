"""Hip bones and proximal femora: balls along skeleton curves and patches, joined.

Landmarks of the right-left symmetric mean pelvis, relative to the hip joint centre, in the pelvic
plane (anterior superior iliac spines and symphysis in one coronal plane): Tile 2003; hip centres
170 mm apart, bi-iliac width 275 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.spatial import cKDTree

from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array, Points

REACH_MM = 22.0
"""Beyond this distance from a surface the field is a constant."""
EXACT_MM = 9.0
WING = np.array(
    [
        [(46, -79, 60, 8), (44, -84, 73, 9), (43, -90, 86, 6)],
        [(61, -56, 50, 9), (62, -64, 85, 9), (66, -80, 118, 6)],
        [(73, -26, 38, 10), (87, -30, 85, 4), (97, -52, 137, 6)],
        [(87, 4, 34, 11), (108, -2, 85, 3), (127, -12, 142, 6)],
        [(95, 30, 42, 9), (119, 28, 82, 3.5), (137, 25, 122, 6)],
        [(99, 44, 44, 6), (109, 47, 65, 5), (122, 46, 86, 6)],
    ],
    dtype=np.float64,
)
"""Iliac wing: control points (lateral, anterior, cranial, radius), dorsal to ventral by caudal to
cranial: from the posterior spines to the anterior ones."""
CURVES = (
    ((86, 12, 30, 12), (74, 28, 2, 8), (45, 42, -6, 8), (12, 45, -8, 10)),
    ((10, 45, -12, 9), (10, 44, -26, 8)),
    ((12, 43, -30, 8), (30, 24, -52, 7), (50, -8, -82, 10)),
    ((84, -16, 4, 15), (76, -26, -25, 12), (62, -30, -62, 14), (56, -26, -86, 13)),
    ((72, -22, 26, 11), (62, -34, 4, 6), (54, -40, -6, 4)),
    ((85, 0, 34, 13), (86, -8, 24, 13)),
)
FEMUR = (
    ((85, 0, 0, 14), (108, -4, -16, 13), (126, -8, -34, 15)),
    ((132, -12, -12, 13), (134, -10, -40, 14), (124, -4, -90, 13), (118, 0, -170, 13)),
)
LEAST_RADIUS_MM = 2.6
HEAD_RADIUS_MM, SOCKET_RADIUS_MM = 23.5, 32.0


@dataclass(frozen=True)
class HipParams:
    """Size relative to the mean; ``tilt_deg`` is the pelvic tilt (hip axis to S1 end plate).

    Attributes:
        bridge_mm: half thickness of an osteophyte over the front of the right and the left
            sacroiliac joint, 0 for none; ``bridge_level`` is the sacral level of its middle.
    """

    scale: float
    width: float
    height: float
    thickness: float
    tilt_deg: float
    flare_mm: float
    bridge_mm: tuple[float, float]
    bridge_level: float

    @staticmethod
    def sample(rng: np.random.Generator, scale: float) -> HipParams:
        """Draw a shape; pelvic tilt 13 ± 5° (Vialle 2005); a bridge on one side in six."""
        return HipParams(
            scale=scale,
            width=float(np.clip(rng.normal(1.0, 0.04), 0.9, 1.1)),
            height=float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.12)),
            thickness=float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.35)),
            tilt_deg=float(np.clip(rng.normal(13, 4), 3, 24)),
            flare_mm=float(rng.normal(0, 6)),
            bridge_mm=(_bridge(rng), _bridge(rng)),
            bridge_level=float(rng.uniform(0.6, 2.2)),
        )

    @property
    def center_mm(self) -> NDArray[np.float64]:
        """(3,) hip joint centre of the left side in the pelvic frame."""
        tilt = np.radians(self.tilt_deg)
        reach = 105.0 * self.scale
        return np.array(
            [85.0 * self.scale * self.width, reach * np.sin(tilt), -reach * np.cos(tilt)]
        )

    @property
    def symphysis_mm(self) -> tuple[float, float]:
        """(y, z) of the centre of the pubic symphysis in the pelvic frame."""
        _, y, z = self.center_mm
        return float(y + 45.0 * self.scale), float(z - 15.0 * self.scale * self.height)

    @cached_property
    def _bone(self) -> tuple[cKDTree, Array]:
        points = [_patch(WING)] + [_curve(np.array(curve, dtype=np.float64)) for curve in CURVES]
        return self._tree(np.concatenate(points))

    @cached_property
    def _femur(self) -> tuple[cKDTree, Array]:
        return self._tree(np.concatenate([_curve(np.array(c, dtype=np.float64)) for c in FEMUR]))

    def _tree(self, balls: NDArray[np.float64]) -> tuple[cKDTree, Array]:
        place = balls[:, :3].copy()
        place[:, 0] += self.flare_mm * np.clip(place[:, 2] / 140, 0, 1) ** 2
        place *= np.array([self.width, 1.0, self.height]) * self.scale
        place[:, 1:] += self.center_mm[1:]
        radius = np.maximum(balls[:, 3] * self.scale * self.thickness, LEAST_RADIUS_MM)
        return cKDTree(place), radius.astype(np.float32)


@dataclass(frozen=True)
class HipField:
    """Hip bone, femur and the space between them; signed distances in mm, one side or both."""

    bone_mm: Array
    femur_mm: Array
    wing_mm: Array


def evaluate(params: HipParams, points: Points) -> HipField:
    """Both hip bones and femora at a set of points; they are mirror images of each other."""
    side = np.abs(points.x)
    halves = Points(side, points.y, points.z)
    bone = _near(params._bone, halves)
    x, y, z = params.center_mm.astype(np.float32)
    offset = [side - x, points.y - y, points.z - z]
    from_center = np.sqrt(sum(axis**2 for axis in offset)) / params.scale
    opening = (0.75 * offset[0] + 0.42 * offset[1] - 0.5 * offset[2]) / params.scale
    shell = np.maximum(from_center - SOCKET_RADIUS_MM, opening - 13)
    wing = bone
    bone = np.maximum(np.minimum(bone, shell), HEAD_RADIUS_MM + 3.5 - from_center)
    return HipField(bone.astype(np.float32), femur_mm(params, halves), wing.astype(np.float32))


def femur_mm(params: HipParams, points: Points) -> Array:
    """Signed distance to the left femur, mm, its head about ``center_mm``."""
    x, y, z = params.center_mm.astype(np.float32)
    offset = (points.x - x, points.y - y, points.z - z)
    head = np.sqrt(sum(axis**2 for axis in offset)) / params.scale - HEAD_RADIUS_MM
    return np.asarray(np.minimum(_near(params._femur, points), head), dtype=np.float32)


def _bridge(rng: np.random.Generator) -> float:
    present, half_mm = rng.random() < 1 / 6, float(rng.uniform(2.0, 4.5))
    return half_mm if present else 0.0


def _near(tree: tuple[cKDTree, Array], points: Points) -> Array:
    """The distance; far from a surface about every 8 mm, interpolated."""
    rough = Lattice(points, 8.0)
    values = rough.filled(_distance(tree, rough.points(points)))
    close = np.abs(values) < EXACT_MM
    values[close] = _distance(tree, Points(points.x[close], points.y[close], points.z[close]))
    return values


def _distance(tree: tuple[cKDTree, Array], at: Points) -> Array:
    balls, radius = tree
    points = np.stack([at.x, at.y, at.z], -1).reshape(-1, 3)
    reach = REACH_MM + float(radius.max())
    low, high = balls.mins - reach, balls.maxes + reach
    near = ((points > low) & (points < high)).all(axis=1)
    result = np.full(len(points), REACH_MM, dtype=np.float32)
    distance, nearest = balls.query(points[near], distance_upper_bound=reach, eps=0.05)
    found = np.isfinite(distance)
    values = np.full(len(distance), REACH_MM, dtype=np.float32)
    values[found] = distance[found] - radius[nearest[found]]
    result[near] = np.minimum(values, REACH_MM)
    return result.reshape(at.x.shape)


def _patch(control: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, columns = np.linspace(0, 1, control.shape[0]), np.linspace(0, 1, control.shape[1])
    u, w = np.linspace(0, 1, 56), np.linspace(0, 1, 36)
    axes = [RectBivariateSpline(rows, columns, control[..., k], kx=3, ky=2)(u, w) for k in range(4)]
    return np.stack(axes, -1).reshape(-1, 4)


def _curve(control: NDArray[np.float64]) -> NDArray[np.float64]:
    knots = np.linspace(0, 1, len(control))
    at = np.linspace(0, 1, 14 * (len(control) - 1) + 1)
    return np.stack([np.interp(at, knots, control[:, k]) for k in range(4)], -1)
