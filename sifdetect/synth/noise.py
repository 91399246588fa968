"""Smooth random fields over space, fixed by their lattice: any grid samples the same field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Points:
    """Positions in the pelvic frame, as three float32 arrays of one shape, millimetres.

    The pelvic frame has its origin at the centre of the S1 upper end plate: x to the patient's
    left, y anterior, z cranial.
    """

    x: Array
    y: Array
    z: Array

    def stacked(self) -> NDArray[np.float64]:
        """The points as one array (…, 3)."""
        return np.stack([self.x, self.y, self.z], axis=-1).astype(np.float64)

    def steps_mm(self) -> tuple[float, ...]:
        """Mean distance of neighbouring points along each array axis; infinite along one point."""
        steps = []
        for axis, size in enumerate(self.x.shape):
            if size < 2:
                steps.append(float("inf"))
                continue
            moves = [c.take(1, axis) - c.take(0, axis) for c in (self.x, self.y, self.z)]
            steps.append(float(np.sqrt(sum(float(np.abs(m).mean()) ** 2 for m in moves))))
        return tuple(steps)


def coarsely(points: Points, spacing_mm: float, function: Callable[[Points], Array]) -> Array:
    """A smooth function of the points, evaluated about every ``spacing_mm`` and interpolated.

    The points must be those of a regular grid, of shape (i, j, k), possibly slightly bent. Along an
    axis whose points are farther apart than that, every one is evaluated.
    """
    if points.x.ndim != 3:
        return function(points)
    every = [max(1, round(spacing_mm / step)) for step in points.steps_mm()]
    if max(every) < 2:
        return function(points)
    axes = [
        np.unique(np.append(np.arange(0, size, each), size - 1))
        for size, each in zip(points.x.shape, every, strict=True)
    ]
    chosen = np.ix_(*axes)
    values = function(Points(points.x[chosen], points.y[chosen], points.z[chosen]))
    for axis, (index, size) in enumerate(zip(axes, points.x.shape, strict=True)):
        if len(index) == size:
            continue
        low = np.clip(np.searchsorted(index, np.arange(size), side="right") - 1, 0, len(index) - 2)
        share = (np.arange(size) - index[low]) / (index[low + 1] - index[low])
        share = share.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        start, stop = np.take(values, low, axis=axis), np.take(values, low + 1, axis=axis)
        values = start + (stop - start) * share
    return values


@dataclass(frozen=True)
class SmoothNoise:
    """Band-limited noise of unit variance at its lattice points, periodic outside them.

    Attributes:
        lattice: (n, n, n) independent normal values.
        wavelength_mm: distance of neighbouring lattice points.
    """

    lattice: Array
    wavelength_mm: float

    @staticmethod
    def sample(rng: np.random.Generator, wavelength_mm: float, size: int = 24) -> SmoothNoise:
        """Draw a field; it repeats after ``size * wavelength_mm``."""
        lattice = rng.standard_normal((size, size, size)).astype(np.float32)
        return SmoothNoise(lattice, wavelength_mm)

    def at(self, points: Points) -> Array:
        """Trilinear value at every point, of the points' shape."""
        return coarsely(points, self.wavelength_mm / 2.5, self._sampled)

    def _sampled(self, points: Points) -> Array:
        index = [axis / self.wavelength_mm for axis in (points.x, points.y, points.z)]
        values = ndimage.map_coordinates(self.lattice, index, order=1, mode="grid-wrap")
        return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Deformation:
    """A smooth displacement of space, one noise field per axis.

    Attributes:
        fields: displacement along x, y and z.
        sd_mm: standard deviation at the lattice points.
    """

    fields: tuple[SmoothNoise, SmoothNoise, SmoothNoise]
    sd_mm: float

    @staticmethod
    def sample(rng: np.random.Generator, wavelength_mm: float, sd_mm: float) -> Deformation:
        """Draw a displacement; ``sd_mm`` well below ``wavelength_mm`` / 6 keeps space unfolded."""
        first, second, third = (SmoothNoise.sample(rng, wavelength_mm, 12) for _ in range(3))
        return Deformation((first, second, third), sd_mm)

    def apply(self, points: Points) -> Points:
        """The points, displaced."""
        dx, dy, dz = (field.at(points) * np.float32(self.sd_mm) for field in self.fields)
        return Points(points.x + dx, points.y + dy, points.z + dz)
