"""The sacrum as an implicit surface in the coordinates of the spine curve.

The mean bone is a set of surfaces (sacrum_profiles.py); ``SacrumParams`` scales and bends them, in
sacrum_params.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sifdetect.synth import foramina
from sifdetect.synth import sacrum_profiles as mean
from sifdetect.synth.foramina import FAR_MM, SacralPlace
from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum_params import SacrumParams
from sifdetect.synth.spine import SpineCurve

__all__ = ["SacrumField", "SacrumParams", "evaluate", "smooth_min"]

_REACH_MM = (76.0, -62.0, 44.0)
EDGE_MM = 1.5
"""Radius of the edges of foramina and canal."""


@dataclass(frozen=True)
class SacrumField:
    """The sacrum at a set of points, all arrays of one shape.

    Every array is smooth, so that it may be computed on a coarse lattice and filled in between; the
    bone, thin between its cavities, is not among them and is taken from them at every point.

    Attributes:
        solid_mm: signed distance, about, to the surface of the bone if its cavities were filled;
            negative inside.
        hollow_mm: the same for the cavities together.
        foramen_mm, canal_mm: for the foramina and the canal, where they are in the bone.
        level: 0 at the S1 upper end plate … 5 at the lower end of S5, unclipped.
        lateral: 0 midline, ±1 medial and ±2 lateral border of the foramina, ±3 lateral surface;
            positive on the patient's left.
    """

    solid_mm: Array
    hollow_mm: Array
    foramen_mm: Array
    canal_mm: Array
    level: Array
    lateral: Array

    @cached_property
    def bone_mm(self) -> Array:
        """Signed distance to the surface of the bone, about; negative inside."""
        return _smooth_max(self.solid_mm, -self.hollow_mm, EDGE_MM)


def evaluate(
    curve: SpineCurve, params: SacrumParams, x: Array, *, s: Array, v: Array
) -> SacrumField:
    """The sacrum at points given by lateral position, arc length and ventral offset, mm."""
    level = _level(curve, s)
    size = np.float32(curve.scale)
    side = np.where(x > 0, np.float32(1 + params.asymmetry), np.float32(1 - params.asymmetry))
    taper = 1 + (params.taper - 1) * np.clip(level / 5, 0, 1).astype(np.float32)
    lateral_mm = np.abs(x) / (np.float32(params.width) * size * side * taper)
    ventral_mm = v / (np.float32(params.depth) * size)
    width, back, front = _REACH_MM
    near = (level > -1.1) & (level < max(curve.segments, 5) + 0.6) & (lateral_mm < width)
    near &= (ventral_mm > back) & (ventral_mm < front)
    form = _form_level(level[near], curve)
    at = SacralPlace(
        form, level[near], lateral_mm[near], ventral_mm[near], s[near] / size, np.sign(x[near])
    )
    fields = [np.full(level.shape, FAR_MM, dtype=np.float32) for _ in range(4)]
    for field, values in zip(fields, _surfaces(at, params, curve), strict=True):
        field[near] = values
    solid, hollow, foramen, canal = fields
    zone = np.full(level.shape, 4.0, dtype=np.float32)
    zone[near] = foramina.zone(at, params, curve.segments)
    return SacrumField(solid * size, hollow * size, foramen, canal, level, zone * np.sign(x))


def smooth_min(a: Array, b: Array, radius_mm: float) -> Array:
    """Union of two implicit surfaces with a fillet of ``radius_mm``."""
    overlap = np.maximum(radius_mm - np.abs(a - b), 0)
    result: Array = np.minimum(a, b) - overlap * overlap * np.float32(0.25 / radius_mm)
    return result


def _smooth_max(a: Array, b: Array, radius_mm: float) -> Array:
    return -smooth_min(-a, -b, radius_mm)


def _level(curve: SpineCurve, s: Array) -> Array:
    bounds = curve.level_bounds_mm
    extended = np.concatenate([[bounds[0] - 30], bounds, [bounds[-1] + 30]])
    return np.interp(s, extended, [-1.0, 0, 1, 2, 3, 4, 5, 7.0]).astype(np.float32)


def _form_level(level: Array, curve: SpineCurve) -> Array:
    """The level of the mean bone whose form a level has: four segments and six end as five do."""
    if curve.segments == 5:
        return level
    knots = [-2.0, 3.35, curve.segments, 8.0]
    result: Array = np.interp(level, knots, [-2.0, 3.35, 5.0, 9.0]).astype(np.float32)
    return result


def _surfaces(at: SacralPlace, params: SacrumParams, curve: SpineCurve) -> tuple[Array, ...]:
    """The filled bone, its cavities, foramina and canal."""
    lateral, ventral = _lateral(at, params), _ventral(at, params)
    solid = _smooth_max(lateral, ventral, 6.0)
    if any(params.joint_spur_mm):
        solid = smooth_min(solid, _joint_spur(at, params, lateral, ventral), 2.0)
    solid = _smooth_max(solid, _dorsal(at, params), 4.0)
    end = at.s - curve.sacral_end_mm / curve.scale
    solid = _smooth_max(solid, np.maximum(end, _top(at, params)), 3.0)
    solid = smooth_min(solid, _articular_processes(at), 3.0)
    if any(params.rim_spur_mm):
        solid = smooth_min(solid, _rim_spur(at, params), 2.0)
    canal = _canal(at, params)
    foramen = foramina.foramina(at, params, curve.segments - 1)
    hollow = np.minimum(np.minimum(canal, foramen), _open_roof(at, params))
    canal = np.maximum(canal, np.maximum(-at.s, 18 * (at.level - 4.3)))
    return solid, hollow, np.maximum(foramen, solid - 2), canal


def _ventral(at: SacralPlace, params: SacrumParams) -> Array:
    surface, cosine = mean.VENTRAL.at(at.level, at.x)
    swing = np.float32(params.ala_sweep - 1) * 0.45 * np.clip(at.x - 22, 0, 40)
    # Transverse ridges where the discs were.
    beat = (0.5 + 0.5 * np.cos(2 * np.pi * at.segment)) ** 6 * (at.level > 0.5)
    ridge = (1.2 * beat - 0.4) * np.clip((20 - at.x) / 8, 0, 1)
    result: Array = (at.v - surface - swing - ridge) * cosine
    return result


def _dorsal(at: SacralPlace, params: SacrumParams) -> Array:
    """The back with its median crest of tubercles, intermediate and lateral crests."""
    surface, cosine = mean.DORSAL.at(at.level, at.x)
    beat = np.cos(2 * np.pi * (at.segment - 0.5)).astype(np.float32)
    median = mean.by_level(at.level, mean.CREST_MM) * (0.95 + 0.4 * beat)
    fade = np.clip(4.6 - at.level, 0, 1) * np.clip(at.level + 0.4, 0, 1)
    ridges = median * np.exp(-((at.x / 4.0) ** 2))
    ridges += (1.6 - 1.2 * beat) * np.exp(-(((at.x - 12) / 3.5) ** 2)) * fade
    # The lateral crest's tubercles lie beside the foramina, further out in front than at the back.
    apart = 34 - 3.0 * np.clip(at.level, 0, 4)
    knobs = 0.5 - 0.5 * np.cos(2 * np.pi * (at.segment - 0.3))
    ridges += (0.8 + 5.5 * knobs) * np.exp(-(((at.x - apart) / 4.0) ** 2)) * fade
    # Between them and the auricular surface the ligaments' pits.
    ridges -= 3.5 * np.exp(-(((at.x - apart - 9) / 4.5) ** 2)) * knobs * fade
    back = np.float32(params.ala_back_mm) * np.clip((at.x - 15) / 15, 0, 1)
    result: Array = (surface - back - np.float32(params.crest) * ridges - at.v) * cosine
    return result


def _lateral(at: SacralPlace, params: SacrumParams) -> Array:
    surface, cosine = mean.SIDE.at(at.level, at.v)
    result: Array = (at.x - surface - np.float32(params.joint_slant) * (at.v - 5)) * cosine
    return result


def _top(at: SacralPlace, params: SacrumParams) -> Array:
    """Above the end plate within the body's outline, above the alar slope outside it."""
    body = np.sqrt((at.x / 27) ** 2 + ((at.v + 1) / 18) ** 2)
    outside = np.clip((body - 1) * 3.2, 0, 1)
    outside = outside * outside * (3 - 2 * outside)
    slope = 30 * params.ala_drop + np.float32(params.ala_skew_mm) * at.side
    slope = slope + np.float32(0.5 * params.ala_slope) * np.clip(at.v, -28, 40)
    dish = 1.2 * np.clip(1 - body * body, 0, 1)
    result: Array = (dish * (1 - outside) + slope * outside - at.s) * (1 - 0.12 * outside)
    return result


def _sided(at: SacralPlace, pair: tuple[float, float]) -> Array:
    """The value of a (right, left) pair at every point, smooth across the midline."""
    right, left = pair
    across = np.clip(at.x * at.side / 12, -1, 1)
    return np.asarray((left + right) / 2 + (left - right) / 2 * across, dtype=np.float32)


def _rim_spur(at: SacralPlace, params: SacrumParams) -> Array:
    """A lip along the front of the S1 end plate's rim, gone behind the middle of the body."""
    outward = (np.sqrt((at.x / 27) ** 2 + ((at.v + 1) / 18) ** 2) - 1) * 18
    front = np.clip((at.v + 6) / 10, 0, 1)
    thick = 0.6 * _sided(at, params.rim_spur_mm) * front
    return np.asarray(np.hypot(outward - 0.4 * thick, at.s - 2.2) - thick + 2 * (1 - front))


def _joint_spur(at: SacralPlace, params: SacrumParams, lateral: Array, ventral: Array) -> Array:
    """A lip along the edge of ventral and auricular surface, thickest at S2's upper end."""
    thick = _sided(at, params.joint_spur_mm) * np.exp(-(((at.level - 1.2) / 0.7) ** 2))
    return np.asarray(np.hypot(lateral + 2.0, ventral + 0.5) - thick, dtype=np.float32)


def _articular_processes(at: SacralPlace) -> Array:
    """Lips beside the canal whose facets face backwards and inwards, slightly hollow."""
    along = (at.s - 4) / 13
    across = (at.x - 23 + 0.35 * (at.v + 28)) / 6.0
    deep = (at.v + 27) / 9
    body = (np.sqrt(along**2 + across**2 + deep**2) - 1) * 6.0
    facet = np.sqrt((at.x - 13) ** 2 + (at.v + 39) ** 2 + (0.5 * (at.s + 3)) ** 2) - 10.5
    return np.asarray(_smooth_max(body, -facet, 1.5))


def _canal(at: SacralPlace, params: SacrumParams) -> Array:
    """A triangle with its base towards the bodies, its corners rounded."""
    size = np.float32(params.canal)
    front = mean.by_level(at.level, mean.CANAL_FRONT_MM)
    depth = (front - mean.by_level(at.level, mean.CANAL_BACK_MM)) * size
    half = mean.by_level(at.level, mean.CANAL_HALF_WIDTH_MM) * size**0.3
    dorsal = np.clip((front - at.v) / depth, 0, 1)
    centre = front - 0.5 * depth
    radius = np.sqrt(
        (at.x / (half * (1.1 - 0.6 * dorsal))) ** 2 + ((at.v - centre) / (depth * 0.5)) ** 2
    )
    result: Array = (radius - 1) * depth * 0.5
    return result


def _open_roof(at: SacralPlace, params: SacrumParams) -> Array:
    """The gaps of the roof: the interlaminar one above S1's arch, and the sacral hiatus."""
    front = mean.by_level(at.level, mean.CANAL_FRONT_MM)
    above = (at.level - 0.95 + 0.0035 * at.x**2) * 26
    upper = _smooth_max(above, at.x - 17.5, 4.0)
    lower = np.maximum((np.float32(params.hiatus) - at.level) * 18 + 0.6 * at.x, at.x - 7.5)
    return _smooth_max(np.minimum(upper, lower), at.v - front, 2.0)
