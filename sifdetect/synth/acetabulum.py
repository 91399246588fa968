"""Where the femoral heads sit in real hip bones: spheres fitted to the acetabula."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from sifdetect.anatomy import Side
from sifdetect.synth.bones import BoneField
from sifdetect.volume import Floats

EXPECTED_MM = (85.0, -24.0, -102.0)
"""Left, posterior and cranial place of the left hip joint from the S1 end plate (hip.py)."""
SEARCH_MM, AROUND_MM = (-16.0, 0.0, 16.0), 70.0
LEAST_MM, GREATEST_MM = 21.0, 31.0
"""Radius of an acetabulum; that of the bony socket is some 2 mm more than that of the head."""
CARTILAGE_MM = 2.5
_NEAR_MM = 2.5
_FACING = 0.75
_SOME = 5000


@dataclass(frozen=True)
class Socket:
    """A sphere in the acetabulum, in the coordinates of the bones that it was fitted to.

    Attributes:
        center_lps_mm: (3,) of the joint. radius_mm: to the bone.
    """

    center_lps_mm: Floats
    radius_mm: float

    @property
    def head_mm(self) -> float:
        """Radius of the femoral head, the cartilage left out."""
        return self.radius_mm - CARTILAGE_MM


def fit_socket(bones: BoneField, side: Side) -> Socket | None:
    """The sphere that most of the acetabulum's surface lies on; None where there is none.

    From 27 places about where a joint is expected, a sphere is fitted by least squares to the
    surface that faces its centre, and again to what lies near it.
    """
    sign = -1.0 if side is Side.RIGHT else 1.0
    expected = bones.endplate_center_lps_mm + np.array(EXPECTED_MM) * np.array([sign, 1.0, 1.0])
    points, outward = _surface(bones, side, expected)
    if len(points) < 100:
        return None
    best, held = None, 0
    for offset in product(SEARCH_MM, repeat=3):
        center, radius = expected + np.array(offset), 26.0
        near = np.zeros(len(points), dtype=bool)
        for reach in (14.0, 9.0, 6.0, 4.0, _NEAR_MM, _NEAR_MM):
            way = center - points
            distance = np.linalg.norm(way, axis=1)
            facing = (way * outward).sum(axis=1) > _FACING * distance
            near = facing & (np.abs(distance - radius) < reach)
            if near.sum() < 40:
                break
            center, radius = _sphere(points[near])
            radius = float(np.clip(radius, LEAST_MM, GREATEST_MM))
        if near.sum() > held and np.abs(center - expected).max() < 45:
            best, held = Socket(center, radius), int(near.sum())
    return best


def _surface(bones: BoneField, side: Side, center: Floats) -> tuple[Floats, Floats]:
    """(n, 3) points of a hip bone's surface around a place, some of them, and where they face."""
    spacing = float(bones.grid.spacing_mm[0])
    own = bones.hip_side < 0 if side is Side.RIGHT else bones.hip_side > 0
    index = np.argwhere(own & (np.abs(bones.hip_depth_mm) < 0.6 * spacing))
    near = np.abs(bones.grid.index_to_mm(index) - center).max(axis=1) < AROUND_MM
    index = index[near][:: max(1, int(near.sum()) // _SOME)]
    shape = np.array(bones.grid.shape) - 1
    gradient = np.empty(index.shape)
    for axis in range(3):
        step = np.eye(3, dtype=int)[axis]
        ahead, back = (tuple(np.clip(index + way * step, 0, shape).T) for way in (1, -1))
        gradient[:, axis] = bones.hip_depth_mm[ahead] - bones.hip_depth_mm[back]
    outward = -gradient @ (bones.grid.affine_lps_mm[:3, :3] / spacing).T
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-6)
    return bones.grid.index_to_mm(index), outward


def _sphere(points: Floats) -> tuple[Floats, float]:
    """Centre and radius of the sphere nearest to points, by linear least squares."""
    terms = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    found = np.linalg.lstsq(terms, (points**2).sum(axis=1), rcond=None)[0]
    return found[:3], float(np.sqrt(max(found[3] + found[:3] @ found[:3], 0.0)))
