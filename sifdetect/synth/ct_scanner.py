"""How a CT scanner turns HU into an image: point spread, slice profile, correlated noise.

All of it is done in the frequency domain of the lattice, so that slices may lie obliquely in it:
a region in the sacral frame is about 60° away from the scanner's axial plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from sifdetect.synth.body import BodyParams
from sifdetect.synth.noise import Array, Points

REFERENCE_MM = 3.0
"""Slice thickness for which a noise level is given."""
REFERENCE_SPREAD_MM = 0.6
"""Point spread of the soft-tissue kernel for which a noise level is given."""
AVERAGE_MM = 286.0
"""Diameter of the circle with the cross-section of an average body (BodyParams' means)."""
SLAB_FREQUENCIES = 200_000
"""Frequencies at which a transfer is evaluated at a time: they stay in the processor's cache."""
ALIGNED = 0.97
"""Cosine above which a lattice is a stack of the scanner's own slices, as the patient lies in it
turned by a few degrees."""


@dataclass(frozen=True)
class Kernel:
    """A reconstruction kernel as a difference of two Gaussians in the slice.

    Attributes:
        spread_mm: standard deviation of the narrow Gaussian; 0.55-0.75 is a soft-tissue kernel
            (50 % modulation at 2.5-3.4 line pairs per cm), 0.25-0.4 a bone kernel.
        edge: weight of the wide Gaussian taken away; 0 has no overshoot.
    """

    spread_mm: float
    edge: float

    @staticmethod
    def sample(rng: np.random.Generator) -> Kernel:
        """Draw a soft-tissue, a medium or a bone kernel (own estimate of their shares)."""
        kind, u = rng.random(), rng.random()
        if kind < 0.55:
            return Kernel(0.5 + 0.35 * u, 0.0)
        if kind < 0.75:
            return Kernel(0.4 + 0.15 * u, 0.25 * u)
        return Kernel(0.26 + 0.14 * u, 0.3 + 0.7 * u)

    def transfer(self, squared: Array) -> Array:
        """Modulation transfer at squared frequencies, mm⁻²; 1 at 0, above 1 where edges gain."""
        narrow = np.exp(-2 * np.pi**2 * self.spread_mm**2 * squared)
        if self.edge == 0:
            return np.asarray(narrow)
        wide = np.exp(-2 * np.pi**2 * (2.2 * self.spread_mm) ** 2 * squared)
        return np.asarray((1 + self.edge) * narrow - self.edge * wide)


@dataclass(frozen=True)
class Lattice:
    """The frequencies of a lattice that is somehow turned in the body.

    Attributes:
        shape: number of points along the array axes.
        spacing_mm: (3,).
        axes: (3, 3), row k is the unit vector of array axis k in the pelvic frame.
        rows: of the first axis' frequencies, those that are looked at.
    """

    shape: tuple[int, ...]
    spacing_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    rows: slice = field(default_factory=lambda: slice(None))

    @staticmethod
    def of(points: Points, spacing_mm: NDArray[np.float64]) -> Lattice:
        """The lattice of points (i, j, k) in the pelvic frame."""
        axes = np.eye(3)
        for axis, size in enumerate(points.x.shape):
            if size > 1:
                last = tuple(size - 1 if a == axis else 0 for a in range(3))
                along = [float(c[last] - c[0, 0, 0]) for c in (points.x, points.y, points.z)]
                axes[axis] = np.array(along) / max(float(np.linalg.norm(along)), 1e-6)
        return Lattice(points.x.shape, spacing_mm, axes)

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) normal of the scanner's slices along the array axes: the body's axis."""
        cosines = self.axes[:, 2]
        return np.array([0.0, 0.0, 1.0]) if abs(cosines[2]) > ALIGNED else np.asarray(cosines)

    def padded(self, margin_mm: float) -> Lattice:
        """A lattice with at least that margin on each side and a size that transforms fast."""
        margin = [int(np.ceil(margin_mm / step)) for step in self.spacing_mm]
        shape = tuple(
            fft.next_fast_len(n + 2 * m, real=True) if n > 1 else 1
            for n, m in zip(self.shape, margin, strict=True)
        )
        return Lattice(shape, self.spacing_mm, self.axes)

    def slabs(self) -> Iterator[Lattice]:
        """The frequencies in parts along the first axis that stay in the processor's cache."""
        each = max(1, SLAB_FREQUENCIES * self.shape[0] // int(np.prod(self.shape)))
        for start in range(0, self.shape[0], each):
            yield replace(self, rows=slice(start, start + each))

    @cached_property
    def _frequency(self) -> list[Array]:
        """Open grids of the frequency along each array axis, mm⁻¹; the last one is halved."""
        grids = []
        for axis, (size, step) in enumerate(zip(self.shape, self.spacing_mm, strict=True)):
            values = fft.rfftfreq(size, step) if axis == 2 else fft.fftfreq(size, step)
            shape = [-1 if a == axis else 1 for a in range(3)]
            grid = values.astype(np.float32).reshape(shape)
            grids.append(grid[self.rows] if axis == 0 else grid)
        return grids

    def along(self, direction: NDArray[np.float64]) -> Array:
        """Frequency along a unit vector given along the array axes, mm⁻¹."""
        parts = (np.float32(d) * f for d, f in zip(direction, self._frequency, strict=True))
        return np.asarray(sum(parts))

    @cached_property
    def through(self) -> Array:
        """Frequency through the slice, mm⁻¹."""
        return self.along(self.normal)

    @cached_property
    def in_plane(self) -> Array:
        """Squared frequency in the slice, mm⁻²."""
        squared = sum(f * f for f in self._frequency) - self.through**2
        return np.asarray(np.maximum(squared, 0))

    def spread(self) -> tuple[Array, Array]:
        """Squared frequency in the slice and through it, mm⁻², of differences between neighbours.

        They are periodic and smooth where frequencies end, so that a point spread narrower than a
        voxel does not ring; a Gaussian keeps its variance.
        """
        steps = [np.float32(step) for step in self.spacing_mm]
        pairs = list(zip(self._frequency, steps, strict=True))
        half = [np.sin(np.pi * f * step) / (np.pi * step) for f, step in pairs]
        full = [np.sin(2 * np.pi * f * step) / (2 * np.pi * step) for f, step in pairs]
        parts = list(zip(self.normal.astype(np.float32), half, full, strict=True))
        through = sum(n * n * (h * h - c * c) for n, h, c in parts)
        through = through + sum(n * c for n, _, c in parts) ** 2
        every = sum(h * h for h in half)
        return np.asarray(np.maximum(every - through, 0)), np.asarray(through)


@dataclass(frozen=True)
class Scanner:
    """What a scanner does to every image.

    Attributes:
        kernel: point spread in the slice.
        slice_mm: slice thickness; the slices may lie closer (overlap) or farther apart.
        noise_hu: standard deviation of a 3 mm slice of an average body with a soft-tissue kernel.
        streak: how much more of the noise runs from side to side, where bodies are widest.
        smoothing: 0 filtered back projection; to 1 an iterative reconstruction, which takes noise,
            most of all the fine one.
    """

    kernel: Kernel
    slice_mm: float
    noise_hu: float
    streak: float
    smoothing: float

    @staticmethod
    def sample(rng: np.random.Generator) -> Scanner:
        """Draw a scanner; its noise spans 4-35 HU, as 7 and 18 HU in two real scans of docs."""
        return Scanner(
            kernel=Kernel.sample(rng),
            slice_mm=float(rng.choice([0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0])),
            noise_hu=float(np.clip(rng.lognormal(np.log(9.0), 0.5), 3.5, 35)),
            streak=float(rng.uniform(0.2, 2.5)),
            smoothing=float(rng.uniform(0.2, 1.0)) if rng.random() < 0.5 else 0.0,
        )

    def blurred(self, hu: Array, lattice: Lattice) -> Array:
        """HU (i, j, k) as the kernel and the slice profile spread them."""
        wide = lattice.padded(4 * max(self.kernel.spread_mm, 0.35 * self.slice_mm))
        before = [(n - m) // 2 for n, m in zip(wide.shape, lattice.shape, strict=True)]
        after = [n - m - b for n, m, b in zip(wide.shape, lattice.shape, before, strict=True)]
        margins = list(zip(before, after, strict=True))
        spectrum = fft.rfftn(np.pad(hu.astype(np.float32), margins, mode="edge"))
        for part in wide.slabs():
            in_plane, through = part.spread()
            spectrum[part.rows] *= self.kernel.transfer(in_plane) * self._profile(through)
        image = fft.irfftn(spectrum, s=wide.shape)
        core = tuple(slice(b, b + m) for b, m in zip(before, lattice.shape, strict=True))
        return np.asarray(image[core], dtype=np.float32)

    def noise(self, lattice: Lattice, body: BodyParams, rng: np.random.Generator) -> Array:
        """Noise (i, j, k), HU, before it varies over the body.

        Its power in the slice is a ramp times the squared transfer of the kernel, as filtered back
        projection gives it (Riederer, Pelc and Chesler 1978, Phys Med Biol); its variance falls
        with the slice thickness.
        """
        wide = lattice.padded(0.0)
        spectrum = fft.rfftn(rng.standard_normal(wide.shape, dtype=np.float32))
        for part in wide.slabs():
            density = self._density(part) / float(np.prod(lattice.spacing_mm))
            spectrum[part.rows] *= np.sqrt(density)
        image = fft.irfftn(spectrum, s=wide.shape)
        core = tuple(slice(0, n) for n in lattice.shape)
        return np.asarray(image[core] * np.float32(size_factor(body)), dtype=np.float32)

    def _density(self, lattice: Lattice) -> Array:
        """Power of the noise at each frequency of a lattice, HU² mm³."""
        squared, profile = lattice.in_plane, self._profile(lattice.through**2) ** 2
        power = self._power(squared)
        lateral = lattice.along(lattice.axes[:, 0]) ** 2
        across = np.clip(1 - lateral / np.maximum(squared, np.float32(1e-6)), 0, 1) ** 2
        power = power * (1 + np.float32(self.streak) * across) / (1 + 0.375 * self.streak)
        thickness = 1.0 / (2 * np.sqrt(np.pi) * 0.35)  # ∫ profile² df = thickness / slice_mm
        scale = self.noise_hu**2 * REFERENCE_MM / thickness / _REFERENCE_POWER
        return np.asarray(power * profile * np.float32(scale), dtype=np.float32)

    def _power(self, squared: Array) -> Array:
        ramp = np.sqrt(squared) + np.float32(0.02)
        damped = np.exp(-squared * np.float32(6.0 * self.smoothing)) * (1 - 0.3 * self.smoothing)
        return np.asarray(ramp * (self.kernel.transfer(squared) * damped) ** 2)

    def _profile(self, squared: Array) -> Array:
        """Transfer of the slice profile, between a box and a triangle of its width."""
        return np.asarray(np.exp(-2 * np.pi**2 * (0.35 * self.slice_mm) ** 2 * squared))


def size_factor(body: BodyParams) -> float:
    """How much noisier a body is than an average one.

    Attenuation of water at 120 kV is 0.19 per cm; automatic exposure control makes up for half.
    """
    diameter_mm = 2 * np.sqrt(body.half_width_mm * body.half_depth_mm)
    return float(np.exp(0.5 * 0.5 * 0.019 * (diameter_mm - AVERAGE_MM)))


def _integral(kernel: Kernel) -> float:
    """Power of the noise of a kernel over the plane of frequencies."""
    frequency = np.linspace(0, 3.0 / kernel.spread_mm, 2000)
    power = (frequency + 0.02) * kernel.transfer(frequency**2) ** 2
    return float(np.sum(2 * np.pi * frequency * power) * (frequency[1] - frequency[0]))


_REFERENCE_POWER = _integral(Kernel(REFERENCE_SPREAD_MM, 0.0))
