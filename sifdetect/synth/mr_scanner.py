"""How a scanner turns magnetisation into an image: coil, slices, point spread, artefacts, noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.synth.blur import correlated
from sifdetect.synth.body import Tissue
from sifdetect.synth.lattice import Lattice
from sifdetect.synth.mr_tissue import Subject
from sifdetect.synth.noise import Array, Points, SmoothNoise

REACH = 7
"""Half the number of lattice points over which a point spread is kept, at most."""
NEGLIGIBLE = 0.004
"""Share of its peak below which the end of a point spread is left out."""
GAIN_MM = 8.0
"""Spacing at which the gain of the coil is evaluated."""


@dataclass(frozen=True)
class SliceStack:
    """Slices cut from a finer lattice along one of its axes.

    Attributes:
        step: lattice points from slice to slice.
        first: lattice index of the first slice's centre.
        thickness: of a slice, in lattice points; less than ``step`` leaves a gap.
    """

    axis: int
    step: int
    first: int
    thickness: float

    def centers(self, size: int) -> NDArray[np.intp]:
        """Lattice index of each slice's centre."""
        return np.arange(self.first, size, self.step)

    def profile(self, size: int) -> Array:
        """(slices, size) weight of each lattice point in each slice; each row sums to 1.

        A rectangle with sloping sides, as a windowed sinc pulse gives it (Bernstein 2004, ch. 8).
        """
        from_center = np.abs(np.arange(size)[None, :] - self.centers(size)[:, None])
        slope = max(0.3, 0.12 * self.thickness)
        weight = np.clip((self.thickness / 2 - from_center) / (2 * slope) + 0.5, 0, 1)
        weight += 1e-9 * (from_center == from_center.min(axis=1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float32)

    def cut(self, image: Array) -> Array:
        """The image as slices: mean over each slice's profile."""
        rows = self.profile(image.shape[self.axis])
        return np.moveaxis(np.tensordot(rows, image, axes=(1, self.axis)), 0, self.axis)

    def spread(self, slices: Array, size: int) -> Array:
        """The slices on the lattice again, linear between their centres."""
        at, where = self.centers(size), np.arange(size)
        rows = np.stack([np.interp(where, at, one) for one in np.eye(len(at))], axis=1)
        moved = np.tensordot(rows.astype(np.float32), slices, axes=(1, self.axis))
        return np.moveaxis(moved, 0, self.axis)

    def of(self, points: Points) -> Points:
        """The points in the middle of the slices."""
        at = self.centers(points.x.shape[self.axis])
        x, y, z = (np.take(c, at, axis=self.axis) for c in (points.x, points.y, points.z))
        return Points(x, y, z)


@dataclass(frozen=True)
class Acquisition:
    """How one series samples the lattice that it is rendered on.

    Attributes:
        read_axis, phase_axis: lattice axes in the slice; the third one is the slices'.
        pixel_mm: side of an acquired pixel; the image is interpolated from there.
        apodized: share of the sampled frequencies that a filter fades, 0 keeps Gibbs' ringing.
        shift_mm: of fat against water along ``read_axis``.
        ghost, ghost_mm: strength and distance of the first ghost of what moves.
        band: pelvic y (mm) in front of which a saturation band lies; infinite without one.
        stack: slices to cut; None where the lattice's points are the voxels.
        fold: lattice points at each end of the phase axis that lie beyond the field of view.
    """

    read_axis: int
    phase_axis: int
    pixel_mm: float
    apodized: float
    shift_mm: float
    ghost: float
    ghost_mm: float
    band: float
    stack: SliceStack | None = None
    fold: int = 0

    @staticmethod
    def sample(rng: np.random.Generator, slice_axis: int) -> Acquisition:
        """Draw a series; fat shifts by 0–3 acquired pixels, mostly about one."""
        inside = [axis for axis in range(3) if axis != slice_axis]
        read, phase = (int(axis) for axis in rng.permutation(inside))
        pixel = float(rng.uniform(0.6, 1.9))
        pixels = min(3.0, float(rng.gamma(2.0, 0.45))) * float(rng.choice([-1.0, 1.0]))
        return Acquisition(
            read_axis=read,
            phase_axis=phase,
            pixel_mm=pixel,
            apodized=float(rng.uniform(0.0, 0.7)),
            shift_mm=pixels * min(pixel, 1.1),
            ghost=float(rng.beta(1, 14)) if rng.random() < 0.4 else 0.0,
            ghost_mm=float(rng.uniform(15, 70)),
            band=float(rng.uniform(15, 55)) if rng.random() < 0.12 else float("inf"),
        )


@dataclass(frozen=True)
class Coil:
    """Reception of one examination.

    Attributes:
        bias: standard deviation of the smooth logarithmic sensitivity.
        fall_mm: depth from the back over which a spine coil's signal falls to 1/e; infinite else.
        normalised: True where the scanner evens out the fall, at the price of noise.
        noise: standard deviation in each channel, as a share of the brightest common tissue.
        amplified: logarithmic spread of the noise in space (parallel imaging).
    """

    bias: float
    fall_mm: float
    normalised: bool
    noise: float
    amplified: float
    field: SmoothNoise
    g_factor: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator) -> Coil:
        """Draw a coil: half of the examinations use a spine coil."""
        return Coil(
            bias=float(rng.uniform(0.03, 0.35)),
            fall_mm=float(rng.uniform(110, 350)) if rng.random() < 0.5 else float("inf"),
            normalised=bool(rng.random() < 0.5),
            noise=float(np.clip(rng.lognormal(np.log(0.013), 0.6), 0.003, 0.06)),
            amplified=float(rng.uniform(0, 0.45)),
            field=SmoothNoise.sample(rng, 170.0, 8),
            g_factor=SmoothNoise.sample(rng, 70.0, 12),
        )

    def gains(self, points: Points, back_y_mm: float) -> tuple[Array, Array]:
        """Gain of the signal and of the noise at points in the pelvic frame."""
        lattice = Lattice(points, GAIN_MM)
        signal, noise = self._gains(lattice.points(points), back_y_mm)
        return lattice.filled(signal), lattice.filled(noise)

    def _gains(self, points: Points, back_y_mm: float) -> tuple[Array, Array]:
        depth = np.clip(points.y - back_y_mm, 0, 260)
        near = np.exp((40.0 - depth) / self.fall_mm).astype(np.float32)
        signal: Array = np.exp(self.bias * self.field.at(points))
        noise: Array = np.exp(self.amplified * self.g_factor.at(points))
        evened = noise / np.clip(near, 0.25, 1.0)
        return (signal, evened) if self.normalised else (signal * near, noise)


def field_offset(subject: Subject, drift: SmoothNoise, spacing_mm: NDArray[np.float64]) -> Array:
    """Offset of the main field, about ±1: smooth drift, and more near skin and gas."""
    scene, points = subject.scene, subject.points
    airy = np.isin(scene.tissue, (Tissue.AIR, Tissue.GAS, Tissue.LUNG, Tissue.TABLE))
    every = [max(1, int(8 / step)) for step in spacing_mm]
    coarse = airy[:: every[0], :: every[1], :: every[2]].astype(np.float32)
    coarse = ndimage.gaussian_filter(coarse, 14 / (np.array(every) * spacing_mm), mode="nearest")
    index = [np.minimum(np.arange(n) / e, c - 1) for n, e, c in _thrice(airy, every, coarse)]
    near = _interpolated(coarse, index)
    return np.asarray(0.9 * drift.at(points) + 3.0 * near, dtype=np.float32)


def shifted(image: Array, axis: int, distance: float) -> Array:
    """The image moved by ``distance`` lattice points along an axis; what enters is the edge."""
    low = int(np.floor(distance))
    share = np.float32(distance - low)
    moved = _moved(image, axis, low)
    if share != 0:
        moved *= 1 - share
        further = _moved(image, axis, low + 1)
        further *= share
        moved += further
    return moved


def ghosts(moving: Array, axis: int, distance: float, strength: float) -> Array:
    """Copies of what moves, to both sides along the phase axis, folded back at the edges."""
    every = max(1, round(distance))
    result = np.zeros_like(moving)
    for order in (1, 2, 3):
        for side in (-1, 1):
            result += np.roll(moving, side * order * every, axis=axis) * (strength / order**1.5)
    return result


def folded(image: Array, axis: int, margin: int) -> Array:
    """The image without ``margin`` voxels at each end of an axis, which fold in from the far side.

    What lies beyond the field of view along the phase axis is taken for what lies a whole field
    away (Bernstein 2004, ch. 11).

    Raises:
        ValueError: the margins are wider than what is left.
    """
    if margin == 0:
        return image
    inside = cropped(image, axis, margin).shape[axis]
    if margin > inside:
        raise ValueError(f"margins of {margin} do not fold into {inside} voxels")
    result: Array = cropped(image, axis, margin).copy()
    first, last = np.moveaxis(image, axis, 0)[:margin], np.moveaxis(image, axis, 0)[-margin:]
    within = np.moveaxis(result, axis, 0)
    within[-margin:] += first
    within[:margin] += last
    return result


def cropped(image: NDArray[Any], axis: int, margin: int) -> NDArray[Any]:
    """The image without ``margin`` voxels at each end of an axis."""
    inside = slice(margin, image.shape[axis] - margin)
    result: NDArray[Any] = image[
        tuple(inside if a == axis else slice(None) for a in range(image.ndim))
    ]
    return result


def point_spread(pixel: float, apodized: float) -> Array:
    """Line spread of an acquired pixel of ``pixel`` lattice points, (2 REACH + 1,), sum 1.

    Frequencies up to 1 / (2 pixel) are sampled; the outer ``apodized`` share of them fades out.
    """
    return _point_spread(round(max(pixel, 1.0), 3), round(apodized, 3))


@cache
def _point_spread(pixel: float, apodized: float) -> Array:
    at = np.arange(-REACH, REACH + 1)
    frequency = np.linspace(0, 0.5 / pixel, 129)
    fade = np.clip((frequency * 2 * pixel - (1 - apodized)) / max(apodized, 1e-6), 0, 1)
    window = 0.5 + 0.5 * np.cos(np.pi * fade)
    window *= np.exp(-2 * (np.pi * 0.3 * frequency) ** 2)
    spread = (window * np.cos(2 * np.pi * at[:, None] * frequency)).sum(axis=1)
    spread *= np.cos(np.pi * at / (2 * REACH + 2)) ** 2
    reach = int(np.abs(at[np.abs(spread) > NEGLIGIBLE * spread.max()]).max())
    spread = spread[REACH - reach : REACH + reach + 1]
    return np.asarray(spread / spread.sum(), dtype=np.float32)


def blurred(image: Array, acquisition: Acquisition, spacing_mm: NDArray[np.float64]) -> Array:
    """The image as the acquired matrix resolves it, in the slice."""
    for axis in (acquisition.read_axis, acquisition.phase_axis):
        spread = point_spread(acquisition.pixel_mm / spacing_mm[axis], acquisition.apodized)
        image = correlated(image, spread, axis)
    return image


def noise_left(acquisition: Acquisition, spacing_mm: NDArray[np.float64]) -> float:
    """Standard deviation that unit white noise keeps after ``blurred``."""
    left = 1.0
    for axis in (acquisition.read_axis, acquisition.phase_axis):
        spread = point_spread(acquisition.pixel_mm / spacing_mm[axis], acquisition.apodized)
        left *= float(np.sqrt((spread**2).sum()))
    return left


def _moved(image: Array, axis: int, by: int) -> Array:
    size, result = image.shape[axis], np.empty_like(image)
    by = min(max(by, -size), size)
    old, new = np.moveaxis(image, axis, 0), np.moveaxis(result, axis, 0)
    if by >= 0:
        new[by:], new[:by] = old[: size - by], old[:1]
    else:
        new[:by], new[by:] = old[-by:], old[-1:]
    return result


def _thrice(fine: NDArray[np.bool_], every: list[int], coarse: Array) -> list[tuple[int, int, int]]:
    return list(zip(fine.shape, every, coarse.shape, strict=True))


def _interpolated(coarse: Array, index: list[NDArray[np.float64]]) -> Array:
    """Linear values at fractional indices along each axis in turn."""
    for axis, at in enumerate(index):
        low = np.minimum(at.astype(int), max(coarse.shape[axis] - 2, 0))
        high = np.minimum(low + 1, coarse.shape[axis] - 1)
        share = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        coarse = np.take(coarse, low, axis) * (1 - share) + np.take(coarse, high, axis) * share
    return coarse
