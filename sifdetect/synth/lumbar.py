"""Lumbar vertebrae with arches and processes, discs, coccyx: implicit surfaces along the curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum import smooth_min
from sifdetect.synth.spine import SpineCurve

FAR_MM = np.float32(60.0)


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


def evaluate(curve: SpineCurve, x: Array, s: Array, v: Array) -> LumbarField:
    """Lumbar spine and coccyx at points given by lateral position, arc length, ventral offset."""
    size = np.float32(curve.scale)
    across, ventral = x / size, v / size
    bounds = curve.vertebra_bounds_mm
    l5 = _vertebra(across, s, ventral, bounds[0], 0)
    upper = np.full(x.shape, FAR_MM, dtype=np.float32)
    for index, bound in enumerate(bounds[1:], start=1):
        near = (s > bound[0] - 30) & (s < bound[1] + 30)
        if near.any():
            part = _vertebra(across[near], s[near], ventral[near], bound, index)
            upper[near] = np.minimum(upper[near], part)
    canal = np.sqrt((across / 12.5) ** 2 + ((ventral + 25) / 9.0) ** 2) * 9.0 - 9.0
    column = np.sqrt((across / 25) ** 2 + (ventral / 17.5) ** 2) * 17.5 - 17.5
    solid = np.minimum(l5, upper)
    disc = np.maximum(np.maximum(column, -solid), np.maximum(s, bounds[-1][0] - s))
    end = curve.level_bounds_mm[-1]
    coccyx = np.sqrt((across / 9) ** 2 + ((ventral - 1) / 5) ** 2) * 5 - 5 + 0.08 * (s - end)
    coccyx = np.maximum(coccyx, np.maximum(end + 2 - s, s - end - 32))
    return LumbarField(l5, upper, disc, canal.astype(np.float32), coccyx.astype(np.float32))


def _vertebra(x: Array, s: Array, v: Array, bound: tuple[float, float], index: int) -> Array:
    """One vertebra between its end plates; ``index`` 0 is L5."""
    upper, lower = bound
    middle, half = (upper + lower) / 2, (lower - upper) / 2
    along = (s - middle) / half
    width, depth = 26.0 - 0.9 * index, 17.5 - 0.4 * index
    waist = 1 - 0.12 * (1 - np.clip(along, -1, 1) ** 2)
    body = np.sqrt((x / width / waist) ** 2 + (v / depth / waist) ** 2) * depth - depth
    body = np.maximum(body, np.abs(s - middle) - half)
    side = np.abs(x)
    pedicle = np.sqrt(((side - 16) / 5.0) ** 2 + ((along + 0.35) * half / 7) ** 2) * 5 - 5
    pedicle = np.maximum(pedicle, np.maximum(v + 8, -34 - v))
    roof = np.sqrt((x / 17) ** 2 + ((v + 26) / 14) ** 2) * 14 - 14
    lamina = np.maximum(np.maximum(roof, v + 22), np.abs(s - middle - 4) - 10)
    spinous = np.maximum(side - 3.5, np.maximum(v + 34, -62 - v))
    spinous = np.maximum(spinous, np.abs(s - middle - 8) - 9)
    facet = np.sqrt(((side - 20) / 7) ** 2 + ((v + 30) / 8) ** 2) * 7 - 7
    facet = np.maximum(facet, np.abs(s - middle - 3) - 17)
    reach = 44.0 if index < 5 else 120.0
    transverse = np.sqrt(((v + 22 + 0.1 * side) / 4) ** 2 + ((along + 0.3) * half / 6) ** 2) * 4 - 4
    transverse = np.maximum(transverse, np.maximum(side - reach, 14 - side))
    arch = np.minimum(np.minimum(lamina, spinous), np.minimum(facet, transverse))
    hollow = 9 - np.sqrt((x / 12.5) ** 2 + ((v + 25) / 9.0) ** 2) * 9
    result: Array = smooth_min(body, np.maximum(smooth_min(arch, pedicle, 2.5), hollow), 2.5)
    return result.astype(np.float32)
