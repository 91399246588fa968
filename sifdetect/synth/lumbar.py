"""Lumbar vertebrae with arches and processes, discs, coccyx: implicit surfaces along the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum import smooth_min
from sifdetect.synth.spine import SpineCurve

FAR_MM = np.float32(60.0)


@dataclass(frozen=True)
class LumbarParams:
    """Shape and wear of the lumbar spine.

    Attributes:
        concavity_mm: how far the middle of an end plate lies below its rim.
        disc_loss_mm: height that the discs L5/S1, L4/5 and L3/4 have lost; the vertebra above
            each is that much longer, so that the column keeps its length.
        spur_mm: osteophytes at the rims of the end plates.
        facet: size of the facet joints relative to the mean.
        gap_mm: width of the facet joints.
        transverse: height of the transverse process of L5 relative to the mean.
    """

    concavity_mm: float
    disc_loss_mm: tuple[float, float, float]
    spur_mm: float
    facet: float
    gap_mm: float
    transverse: float

    @staticmethod
    def sample(rng: np.random.Generator) -> LumbarParams:
        """Draw a spine of an elderly patient; two of five discs are low (own estimate)."""
        low = rng.random(3) < 0.4
        loss = rng.uniform(1.5, 5.5, 3) * low
        spur, has_spurs = float(rng.uniform(1.0, 6.0)), rng.random() < 0.45
        return LumbarParams(
            concavity_mm=float(rng.uniform(0.8, 3.2)),
            disc_loss_mm=(float(loss[0]), float(loss[1]), float(loss[2])),
            spur_mm=spur if has_spurs else 0.0,
            facet=float(np.clip(rng.normal(1.0, 0.15), 0.75, 1.5)),
            gap_mm=float(rng.uniform(0.6, 2.2)),
            transverse=float(rng.uniform(0.8, 1.7)),
        )


@dataclass(frozen=True)
class LumbarField:
    """The spine above the sacrum at a set of points.

    Attributes:
        l5_mm, upper_mm: signed distance to L5, and to the vertebrae above it (ribs included).
        disc_mm: to the discs, L5/S1 included.
        canal_mm: to the spinal canal.
        coccyx_mm: to the coccyx.
    """

    l5_mm: Array
    upper_mm: Array
    disc_mm: Array
    canal_mm: Array
    coccyx_mm: Array


@dataclass(frozen=True)
class _Vertebra:
    """One vertebra between its end plates, in coordinates divided by the pelvis' scale."""

    upper: float
    lower: float
    index: int
    params: LumbarParams


def evaluate(
    curve: SpineCurve, x: Array, s: Array, v: Array, *, params: LumbarParams
) -> LumbarField:
    """Lumbar spine and coccyx at points given by lateral position, arc length, ventral offset."""
    size = np.float32(curve.scale)
    across, along, ventral = x / size, s / size, v / size
    l5 = np.full(x.shape, FAR_MM, dtype=np.float32)
    upper = l5.copy()
    side = np.abs(across)
    for index, bound in enumerate(curve.vertebra_bounds_mm):
        low = params.disc_loss_mm[index] if index < len(params.disc_loss_mm) else 0.0
        one = _Vertebra(bound[0] / curve.scale, bound[1] / curve.scale + low, index, params)
        near = (along > one.upper - 26) & (along < one.lower + 26)
        near &= (ventral > -66) & (ventral < 30) & (side < (60 if index < 5 else 130))
        if near.any():
            target = upper if index else l5
            part = _vertebra(side[near], along[near], ventral[near], one) * size
            target[near] = np.minimum(target[near], part)
    canal = np.sqrt((across / 12.5) ** 2 + ((ventral + 25) / 9.0) ** 2) * 9.0 - 9.0
    column = np.sqrt((across / 25) ** 2 + (ventral / 17.5) ** 2) * 17.5 - 17.5
    solid = np.minimum(l5, upper)
    top = curve.vertebra_bounds_mm[-1][0]
    disc = np.maximum(np.maximum(column, -solid), np.maximum(s, top - s))
    return LumbarField(l5, upper, disc, canal.astype(np.float32), _coccyx(curve, across, s, v))


def _coccyx(curve: SpineCurve, across: Array, s: Array, v: Array) -> Array:
    """Three or four small segments, curved forward with the spine's curve; a free S5 on top."""
    end, result = curve.sacral_end_mm, np.full(s.shape, FAR_MM, dtype=np.float32)
    near = (s > end - 8) & (np.abs(across) < 30)
    side, s, ventral = across[near], s[near], v[near] / np.float32(curve.scale)
    length = 32 + float(curve.level_bounds_mm[-1]) - end
    below = np.clip((s - end) / length, 0, 1)
    waist = 1 - 0.3 * np.cos(np.pi * (length / 10 * below + 0.5)) ** 8
    # A free S5 is broader than what follows it.
    broad = 5.0 * np.clip(1 - (s - end) / 20, 0, 1) if curve.segments < 5 else 0.0
    width, deep = (9.5 - 6 * below + broad) * waist, (5 - 2 * below) * waist
    bone = (np.sqrt((side / width) ** 2 + ((ventral - 1) / deep) ** 2) - 1) * deep
    result[near] = np.maximum(bone, np.maximum(end + 2 - s, s - end - length))
    return result


def _vertebra(side: Array, s: Array, v: Array, one: _Vertebra) -> Array:
    """Signed distance to one vertebra; ``side`` is the distance from the midline."""
    body = _body(side, s, v, one)
    arch = _arch(side, s, v, one)
    hollow = 9 - np.sqrt((side / 12.5) ** 2 + ((v + 25) / 9.0) ** 2) * 9
    result: Array = smooth_min(body, np.maximum(arch, hollow), 3.0)
    return result.astype(np.float32)


def _body(side: Array, s: Array, v: Array, one: _Vertebra) -> Array:
    """A waisted body with concave end plates and, in some, spurs at their rims."""
    middle, half = (one.upper + one.lower) / 2, (one.lower - one.upper) / 2
    along = np.clip((s - middle) / half, -1, 1)
    width, depth = 26.0 - 0.9 * one.index, 17.5 - 0.4 * one.index
    rim = one.params.spur_mm * np.clip((np.abs(along) - 0.55) / 0.45, 0, 1) ** 2
    waist = 1 - 0.14 * (1 - along**2)
    # The back of the body is flat or slightly hollow towards the canal.
    back = np.where(v < 0, 0.92, 1.0)
    radius = np.sqrt((side / width) ** 2 + (v / depth / back) ** 2) / waist
    wall = (radius - 1) * depth * waist - rim * np.where(v > -0.6 * depth, 1.0, 0.3)
    hollow = one.params.concavity_mm * np.clip(1 - radius**2, 0, 1)
    ends = smooth_min(-np.abs(s - middle) + half - hollow, -wall, 2.0)
    result: Array = -ends
    return result


def _arch(side: Array, s: Array, v: Array, one: _Vertebra) -> Array:
    """Pedicles, laminae, spinous, transverse and articular processes with their joints."""
    middle, half = (one.upper + one.lower) / 2, (one.lower - one.upper) / 2
    from_middle = s - middle
    pedicle = np.hypot((side - 16) / 5.5, (from_middle + 0.35 * half) / 8) * 5.5 - 5.5
    pedicle = np.maximum(pedicle, np.maximum(v + 9, -31 - v))
    # A lamina slopes from the pedicle down and back to the spinous process.
    slope = from_middle - 3 - 0.35 * (-v - 24)
    lamina = np.abs(np.hypot(side / 15, (v + 25) / 12) - 1) * 12 - 3.2
    lamina = smooth_min(-np.maximum(lamina, v + 20), 10.5 - np.abs(slope), 2.0) * -1
    spinous = np.hypot(side / 3.4, np.maximum(np.abs(slope - 3) - 7, 0) / 3) * 3.4 - 3.4
    spinous = np.maximum(spinous, np.maximum(v + 33, -60 - v))
    large = one.params.facet
    half_gap = 0.5 * one.params.gap_mm
    # Above: processes of this vertebra, lateral; below: its inferior ones, medial of the next.
    above = _ball(side - 21, from_middle + half + 1, v + 27, (5.5 * large, 11.0, 6.5 * large))
    above = np.maximum(above, half_gap - (side - 17.5 + 0.35 * (v + 27)))
    if one.index == 0:
        # L5's fill the hollow facets of S1 (sacrum.py), which cut the joint space out of them.
        below = _ball(side - 14.5, from_middle - half - 2, v + 36, (9.8, 15.0, 9.8))
        thick = 0.64 * (side - 13) + 0.77 * (v + 39) + 3 * large - 1
        below = -smooth_min(-below, thick, 3.0)
    else:
        below = _ball(side - 15, from_middle - half - 5, v + 32, (5.5 * large, 12.0, 5.5 * large))
        below = np.maximum(below, half_gap + (side - 17.5 + 0.35 * (v + 27)))
    parts = smooth_min(np.minimum(lamina, spinous), np.minimum(above, below), 2.0)
    parts = smooth_min(parts, pedicle, 3.0)
    result: Array = smooth_min(parts, _transverse(side, from_middle, v, one), 3.0)
    return result


def _transverse(side: Array, from_middle: Array, v: Array, one: _Vertebra) -> Array:
    """Costal process; that of L5 is short and broad, those of thoracic vertebrae are ribs."""
    half = (one.lower - one.upper) / 2
    reach = 120.0 if one.index >= 5 else 46.0 - 2.0 * (one.index == 0)
    taper = np.clip(1 - 0.4 * (side - 20) / 25, 0.4, 1) if one.index < 5 else 1.0
    broad = 8.5 * one.params.transverse if one.index == 0 else 6.0
    deep = v + 20 + 0.12 * side
    process = np.hypot(deep / (4 * taper), (from_middle + 0.3 * half) / (broad * taper))
    ends = np.maximum(side - reach, 14 - side)
    return np.asarray(np.maximum((process - 1) * 4 * taper, ends), dtype=np.float32)


def _ball(x: Array, y: Array, z: Array, radii: tuple[float, float, float]) -> Array:
    radius = np.sqrt((x / radii[0]) ** 2 + (y / radii[1]) ** 2 + (z / radii[2]) ** 2)
    return np.asarray((radius - 1) * min(radii), dtype=np.float32)
