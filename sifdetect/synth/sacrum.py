"""The sacrum as an implicit surface in the coordinates of the spine curve.

Profiles are means of adult sacra by level; ``SacrumParams`` scales and bends them. Widths and
foramina: Arman 2009 (Eur Spine J), Mishra 2003; body sizes: Cheng and Song 2003.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.noise import Array
from sifdetect.synth.spine import SpineCurve

KNOT = np.array([0.0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.0])
"""Level coordinate of the profiles below: S1 end plate, centres of S1 … S5, lower end of S5."""
BODY_HALF_WIDTH_MM = np.array([25.0, 22.0, 16.5, 13.5, 11.5, 9.5, 7.5])
BODY_HALF_DEPTH_MM = np.array([16.0, 14.5, 10.5, 8.0, 6.5, 5.5, 4.5])
HALF_WIDTH_MM = np.array([49.0, 56.0, 51.0, 41.0, 32.0, 23.0, 12.0])
VENTRAL_MEDIAL_MM = np.array([8.0, 8.0, 5.5, 4.0, 3.5, 3.0, 2.5])
VENTRAL_LATERAL_MM = np.array([0.0, 0.0, -6.0, -5.0, -2.0, -1.0, 0.0])
DORSAL_MEDIAL_MM = np.array([-36.0, -35.0, -27.0, -20.0, -15.0, -9.0, -5.0])
DORSAL_LATERAL_MM = np.array([-26.0, -31.0, -26.0, -17.0, -11.0, -7.0, -4.0])
CANAL_HALF_WIDTH_MM = np.array([15.0, 14.5, 11.0, 8.0, 6.0, 4.5, 3.5])
CANAL_DEPTH_MM = np.array([15.0, 14.0, 10.5, 8.0, 5.5, 3.5, 2.0])
FORAMEN_MEDIAL_MM = np.array([17.0, 15.0, 13.5, 12.0])
FORAMEN_HALF_WIDTH_MM = np.array([6.0, 5.6, 4.9, 4.3])


@dataclass(frozen=True)
class SacrumParams:
    """Size and shape relative to the mean; one entry of ``foramen_*`` per foramen S1–S4."""

    width: float
    depth: float
    foramen_size: tuple[float, float, float, float]
    foramen_shift_mm: tuple[float, float, float, float]
    joint_slant: float
    asymmetry: float

    @staticmethod
    def sample(rng: np.random.Generator) -> SacrumParams:
        """Draw a shape; standard deviations are those of adults (width 5 %, foramina 12 %)."""
        size = np.clip(rng.normal(1.0, 0.13, 4), 0.7, 1.35)
        shift = rng.normal(0.0, 1.0, 4)
        return SacrumParams(
            width=float(np.clip(rng.normal(1.0, 0.05), 0.86, 1.14)),
            depth=float(np.clip(rng.normal(1.0, 0.07), 0.82, 1.2)),
            foramen_size=(float(size[0]), float(size[1]), float(size[2]), float(size[3])),
            foramen_shift_mm=(float(shift[0]), float(shift[1]), float(shift[2]), float(shift[3])),
            joint_slant=float(rng.uniform(0.25, 0.6)),
            asymmetry=float(rng.normal(0.0, 0.02)),
        )


@dataclass(frozen=True)
class SacrumField:
    """The sacrum at a set of points, all arrays of one shape.

    Attributes:
        bone_mm: signed distance to the bone surface, about; negative inside.
        foramen_mm, canal_mm: the same for the foramina and the canal.
        level: 0 at the S1 upper end plate … 5 at the lower end of S5, unclipped.
        lateral: 0 midline, ±1 medial and ±2 lateral border of the foramina, ±3 lateral surface;
            positive on the patient's left.
    """

    bone_mm: Array
    foramen_mm: Array
    canal_mm: Array
    level: Array
    lateral: Array


def evaluate(
    curve: SpineCurve, params: SacrumParams, x: Array, *, s: Array, v: Array
) -> SacrumField:
    """The sacrum at points given by lateral position, arc length and ventral offset, mm."""
    level = _level(curve, s)
    size = curve.scale
    side = np.where(x > 0, 1 + params.asymmetry, 1 - params.asymmetry).astype(np.float32)
    lateral_mm = np.abs(x) / (params.width * size) / side
    ventral_mm = v / (params.depth * size)
    canal = _canal(level, lateral_mm, ventral_mm)
    foramen = _foramina(level, lateral_mm, ventral_mm, params)
    solid = smooth_min(
        _bodies(level, lateral_mm, ventral_mm),
        _lateral_mass(level, lateral_mm, ventral_mm, params),
        4.0,
    )
    ends = np.maximum(-s, s - curve.level_bounds_mm[-1])
    solid = np.maximum(solid, ends)
    solid = smooth_min(solid, _articular_processes(level, lateral_mm, ventral_mm), 3.0)
    bone = np.maximum(solid, np.maximum(-canal, -foramen)) * np.float32(size)
    zone = _zone(level, lateral_mm, ventral_mm, params) * np.sign(x)
    return SacrumField(bone, np.maximum(foramen, solid - 2), np.maximum(canal, -s), level, zone)


def smooth_min(a: Array, b: Array, radius_mm: float) -> Array:
    """Union of two implicit surfaces with a fillet of ``radius_mm``."""
    blend = np.clip(0.5 + 0.5 * (b - a) / radius_mm, 0, 1)
    result: Array = b + (a - b) * blend - radius_mm * blend * (1 - blend)
    return result


def _profile(level: Array, values: NDArray[np.float64]) -> Array:
    fine = np.interp(np.linspace(-1, 6, 141), KNOT, values).astype(np.float32)
    index = np.clip((level + 1) * 20, 0, 140)
    low = np.minimum(index.astype(np.int32), 139)
    share = index - low
    result: Array = fine[low] * (1 - share) + fine[low + 1] * share
    return result


def _level(curve: SpineCurve, s: Array) -> Array:
    bounds = curve.level_bounds_mm
    extended = np.concatenate([[bounds[0] - 30], bounds, [bounds[-1] + 30]])
    return np.interp(s, extended, [-1.0, 0, 1, 2, 3, 4, 5, 7.0]).astype(np.float32)


def _bodies(level: Array, x: Array, v: Array) -> Array:
    waist = (1 - 0.07 * np.cos(2 * np.pi * level) * -1).astype(np.float32)
    width = _profile(level, BODY_HALF_WIDTH_MM)
    depth = _profile(level, BODY_HALF_DEPTH_MM) * waist
    radius = np.sqrt((x / width) ** 2 + (v / depth) ** 2)
    result: Array = (radius - 1) * depth
    return result


def _lateral_mass(level: Array, x: Array, v: Array, params: SacrumParams) -> Array:
    width = _profile(level, HALF_WIDTH_MM)
    share = np.clip(x / width, 0, 1.2)
    medial, lateral = (
        _profile(level, VENTRAL_MEDIAL_MM),
        _profile(level, VENTRAL_LATERAL_MM),
    )
    front = medial + (lateral - medial) * share**1.5
    inner, outer = _profile(level, DORSAL_MEDIAL_MM), _profile(level, DORSAL_LATERAL_MM)
    back = inner + (outer - inner) * np.minimum(share * 1.4, 1)
    crest = 7 * np.exp(-((x / 3.5) ** 2)) * (level < 3.6)
    slant = params.joint_slant * np.clip(front - v, 0, 35)
    side = (x - (width - slant)) * 0.9
    upper = -(level * 30 - 3 - 14 * np.clip(share - 0.5, 0, 1) - 5 * (v < -18))
    faces = np.maximum(np.maximum(v - front, back - crest - v), np.maximum(side, upper))
    return np.asarray(faces, dtype=np.float32)


def _articular_processes(level: Array, x: Array, v: Array) -> Array:
    along = (level * 30 + 3) / 12
    across = (x - 21) / 6.5
    deep = (v + 27) / 7
    result: Array = ((np.sqrt(along**2 + across**2 + deep**2) - 1) * 6.5).astype(np.float32)
    return result


def _canal(level: Array, x: Array, v: Array) -> Array:
    depth = _profile(level, CANAL_DEPTH_MM)
    half_width = _profile(level, CANAL_HALF_WIDTH_MM)
    centre = -_profile(level, BODY_HALF_DEPTH_MM) - depth * 0.5
    dorsal = np.clip((centre - v) / depth + 0.5, 0, 1)
    radius = np.sqrt(
        (x / (half_width * (1.1 - 0.55 * dorsal))) ** 2 + ((v - centre) / (depth * 0.5)) ** 2
    )
    result: Array = ((radius - 1) * depth * 0.5).astype(np.float32)
    return result


def _foramina(level: Array, x: Array, v: Array, params: SacrumParams) -> Array:
    nearest = np.full(level.shape, 50.0, dtype=np.float32)
    for index in range(4):
        bound = index + 1.0
        near = np.abs(level - bound) < 0.55
        if not near.any():
            continue
        nearest[near] = np.minimum(
            nearest[near], _foramen(index, level[near] - bound, x[near], v[near], params)
        )
    return nearest


def _foramen(index: int, from_bound: Array, x: Array, v: Array, params: SacrumParams) -> Array:
    """A tunnel from the canal, opening ventrally (wide) and dorsally (narrow)."""
    half_width = FORAMEN_HALF_WIDTH_MM[index] * params.foramen_size[index]
    height = (30.0, 25.0, 21.0, 18.0)[index]
    body = float(np.interp(index + 1.0, KNOT, BODY_HALF_DEPTH_MM))
    canal = -body - 5.0
    centre = FORAMEN_MEDIAL_MM[index] + half_width + 0.18 * np.clip(v - canal, -8, 25)
    along = from_bound * height - params.foramen_shift_mm[index] + 0.15 * (v - canal)
    opening = np.where(v > canal, 1.0, np.clip(1 + 0.04 * (v - canal), 0.55, 1.0))
    tunnel = np.sqrt((x - centre) ** 2 + (along * 1.15) ** 2) - half_width * opening
    root = np.sqrt((v - canal) ** 2 + (along * 1.1) ** 2) - half_width * 0.75
    root = np.maximum(root, np.maximum(x - centre, 4 - x))
    return np.asarray(np.minimum(tunnel, root), dtype=np.float32)


def _zone(level: Array, x: Array, v: Array, params: SacrumParams) -> Array:
    knots = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    medial_at = np.concatenate([[18.0], FORAMEN_MEDIAL_MM, [9.0, 6.0]])
    lateral_at = np.concatenate(
        [[31.5], FORAMEN_MEDIAL_MM + 2 * FORAMEN_HALF_WIDTH_MM + 2, [15.0, 9.0]]
    )
    clipped = np.clip(level, 0, 6)
    medial = np.interp(clipped, knots, medial_at).astype(np.float32)
    lateral = np.interp(clipped, knots, lateral_at).astype(np.float32)
    behind = np.clip(_profile(level, VENTRAL_LATERAL_MM) - v, 0, 35)
    outer = _profile(level, HALF_WIDTH_MM) - params.joint_slant * behind
    outer = np.maximum(outer, lateral + 3)
    inside = x / medial
    corridor = 1 + (x - medial) / (lateral - medial)
    beyond = 2 + (x - lateral) / (outer - lateral)
    return np.asarray(
        np.where(x < medial, inside, np.where(x < lateral, corridor, beyond)), dtype=np.float32
    )
