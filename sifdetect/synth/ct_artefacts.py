"""Artefacts of CT: beam hardening between bones, streaks from metal, a field that is too small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.synth.body import BodyParams
from sifdetect.synth.ct_scanner import AVERAGE_MM
from sifdetect.synth.noise import Array, Points, coarsely

METAL_HU = 8000.0
"""Titanium's CT number at 120 kV, about; the scale of most scanners ends at 3071."""
LOWEST_HU, HIGHEST_HU = -1024.0, 3071.0
"""Ends of a 12-bit scale; also the value outside the reconstructed circle as it is read."""
CELL_MM = 3.0
"""Spacing at which streaks are reconstructed."""
ANGLES = 180
"""Views of half a turn; fewer leave a fan of even rays."""


@dataclass(frozen=True)
class Artefacts:
    """Artefacts of one scan.

    Attributes:
        hardening_hu: darkening per mm of dense bone on both sides of a point.
        metal: strength of metal's streaks; 1 without any correction.
        field_mm: radius of the reconstructed circle, infinite where it holds the image's corners.
        field_center_mm: (x, y) of its centre in the pelvic frame.
    """

    hardening_hu: float
    metal: float
    field_mm: float
    field_center_mm: tuple[float, float]

    @staticmethod
    def sample(rng: np.random.Generator) -> Artefacts:
        """Draw artefacts (own estimates); every fourth scan shows its circle."""
        return Artefacts(
            hardening_hu=float(rng.uniform(0.0, 1.5)),
            metal=float(rng.uniform(0.15, 1.0)),
            field_mm=float(rng.uniform(180, 250)) if rng.random() < 0.25 else float("inf"),
            field_center_mm=(float(rng.normal(0, 10)), float(rng.normal(0, 12))),
        )

    def hardening(self, bone_hu: Array, spacing_mm: NDArray[np.float64]) -> Array:
        """HU to add: dark bands along the first axis, which is lateral, between dense bones.

        A low-order model: a beam that has crossed bone on either side of a point is harder there
        than water's calibration assumes, by the geometric mean of both paths (own estimate).
        """
        every = 4
        coarse = np.minimum(bone_hu[:, ::every, ::every], 1500.0) / 1000.0 * spacing_mm[0]
        before = np.cumsum(coarse, axis=0)
        after = before[-1:] - before
        dark = -self.hardening_hu * np.sqrt(np.maximum(before * after, 0))[::every]
        for axis, size in enumerate(bone_hu.shape):
            weights = _linear(dark.shape[axis], size, every)
            dark = np.moveaxis(np.tensordot(weights, dark, (1, axis)), 0, axis)
        return np.asarray(dark, dtype=np.float32)

    def metal_streaks(
        self, metal: NDArray[np.bool_], points: Points, body: BodyParams, rng: np.random.Generator
    ) -> Array:
        """HU to add, of the points' shape: streaks in the axial slices through metal.

        The error of the projections within metal's trace, beam hardening and photon starvation
        (Barrett and Keat 2004, RadioGraphics), is back projected on a coarse grid. Zeros without
        metal.
        """
        if not metal.any():
            return np.zeros(metal.shape, dtype=np.float32)
        low = np.array([float(c.min()) for c in (points.x, points.y, points.z)])
        high = np.array([float(c.max()) for c in (points.x, points.y, points.z)])
        count = np.ceil((high - low) / CELL_MM).astype(int) + 1
        held, seen = (_occupied(points, m, low, count) for m in (metal, np.ones_like(metal)))
        share = held / np.maximum(seen, 1)
        error = np.zeros(tuple(count), dtype=np.float32)
        slices = np.flatnonzero(share.any(axis=(0, 1)))
        middle = np.array([0.0, body.center_y_mm]) - (low + high)[:2] / 2
        weakened = partial(_weakened, body, middle)
        error[:, :, slices] = self._reconstructed(share[:, :, slices], weakened, rng)
        return _interpolated(error, points, low)

    def _reconstructed(
        self, share: Array, weakened: Callable[[float, Array], Array], rng: np.random.Generator
    ) -> Array:
        """Error image (x, y, slices) of metal that fills ``share`` of each cell.

        ``weakened`` has the noise of rays through the body alone, by angle and offset in mm.
        """
        x, y, level = np.nonzero(share)
        weight = share[x, y, level] * CELL_MM
        size = share.shape
        bins = 2 * int(np.ceil(np.hypot(size[0], size[1]) / 2)) + 4
        ramp = np.abs(np.fft.rfftfreq(2 * bins)) / CELL_MM
        across, down = (np.arange(n) - n / 2 for n in size[:2])
        offset = (np.arange(bins, dtype=np.float32) - bins / 2) * CELL_MM
        result = np.zeros(size, dtype=np.float32)
        for angle in np.pi * np.arange(ANGLES) / ANGLES:
            c, s = np.cos(angle), np.sin(angle)
            at = np.rint((x - size[0] / 2) * c + (y - size[1] / 2) * s + bins / 2).astype(int)
            flat = np.bincount(level * bins + at, weight, size[2] * bins)
            path = flat.reshape(size[2], bins).astype(np.float32)
            error = self._error(path, weakened(angle, offset), rng)
            filtered = np.fft.irfft(np.fft.rfft(error, 2 * bins) * ramp)[:, :bins]
            place = across[:, None] * c + down[None, :] * s + bins / 2
            below = place.astype(int)
            part = (place - below)[None]
            value = filtered[:, below] * (1 - part) + filtered[:, below + 1] * part
            result += np.moveaxis(value, 0, -1) * np.float32(np.pi / ANGLES)
        return result

    def _error(self, path_mm: Array, weakened: Array, rng: np.random.Generator) -> Array:
        """Error of projections, HU mm, where the beam crosses ``path_mm`` of metal."""
        hard = -0.25 * METAL_HU * path_mm * path_mm / (path_mm + 15.0)
        starved = 1500.0 * weakened * np.expm1(np.minimum(0.06 * path_mm, 3.0))
        noise = rng.standard_normal(path_mm.shape) * starved
        return np.asarray(self.metal * (hard + noise))

    def truncated(self, image: Array, points: Points, body: BodyParams) -> Array:
        """The image within its circle; brighter at the rim where the body reaches beyond it."""
        if not np.isfinite(self.field_mm):
            return image
        x, y = points.x - self.field_center_mm[0], points.y - self.field_center_mm[1]
        radius = np.hypot(x, y)
        within = self.field_mm - radius
        if float(within.min()) > 40:
            return image
        grown = self.field_mm / np.maximum(radius, 1)
        across = np.abs(x * grown + self.field_center_mm[0]) / body.half_width_mm
        depth = np.abs(y * grown + self.field_center_mm[1] - body.center_y_mm) / body.half_depth_mm
        cut = (across**2.5 + depth**2.5 < 1) & (within > 0)
        image = image + 120 * cut * np.exp(-np.maximum(within, 0) / 10)
        return np.asarray(np.where(within > 0, image, LOWEST_HU))


def _weakened(
    body: BodyParams, middle_mm: NDArray[np.float64], angle: float, offset_mm: Array
) -> Array:
    """How much noisier rays are than those through an average body, by what they cross of it.

    Rays at ``angle`` from the depth axis, at offsets from a point ``-middle_mm`` from the body's
    axis; the body is an ellipse, with half of its attenuation made up for as in ``size_factor``.
    """
    c, s = np.cos(angle), np.sin(angle)
    wide, deep = body.half_width_mm, body.half_depth_mm
    square = (wide * c) ** 2 + (deep * s) ** 2
    past = offset_mm - (middle_mm[0] * c + middle_mm[1] * s)
    chord = 2 * wide * deep * np.sqrt(np.maximum(square - past**2, 0)) / square
    return np.asarray(np.exp(0.25 * 0.019 * (chord - AVERAGE_MM)), dtype=np.float32)


def noise_profile(points: Points, body: BodyParams) -> Array:
    """Factor of the noise at every point: greatest in the centre and between the hips."""

    def factor(at: Points) -> Array:
        across = at.x / body.half_width_mm
        depth = (at.y - body.center_y_mm) / body.half_depth_mm
        hips = 0.25 * np.exp(-(((at.z + 105) / 40) ** 2)) * np.exp(-((at.y / 45) ** 2))
        return np.asarray(0.7 + 0.4 * np.exp(-(across**2) - depth**2) + hips, dtype=np.float32)

    return coarsely(points, 12.0, factor)


def _linear(count: int, size: int, every: int) -> Array:
    """(size, count) matrix that interpolates every nth value of ``size`` values."""
    place = np.minimum(np.arange(size) / every, count - 1)
    weights = np.maximum(1 - np.abs(place[:, None] - np.arange(count)), 0)
    return np.asarray(weights, dtype=np.float32)


def _occupied(
    points: Points, mask: NDArray[np.bool_], low: NDArray[np.float64], count: NDArray[np.int64]
) -> Array:
    """How many of the points in a mask lie in each cell."""
    place = [
        np.rint((c[mask] - start) / CELL_MM).astype(int)
        for c, start in zip((points.x, points.y, points.z), low, strict=True)
    ]
    flat = np.ravel_multi_index(tuple(place), tuple(count))
    held = np.bincount(flat, minlength=int(np.prod(count))).reshape(tuple(count))
    return np.asarray(held, dtype=np.float32)


def _interpolated(values: Array, points: Points, low: NDArray[np.float64]) -> Array:
    place = [
        (c - start) / CELL_MM for c, start in zip((points.x, points.y, points.z), low, strict=True)
    ]
    return np.asarray(ndimage.map_coordinates(values, place, order=1), dtype=np.float32)
