"""Smooth random fields over space, fixed by their lattice: any grid samples the same field."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from sifdetect.synth.lattice import Array, Lattice, Points, coarsely

__all__ = ["Array", "Deformation", "Points", "SmoothNoise", "coarsely", "rounded", "warped"]

AT_ONCE = 16_384
"""Points sampled at a time, so that what is computed on the way stays in the processor's cache."""


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
        x, y, z = (
            np.asarray(c, dtype=np.float32).reshape(-1) for c in (points.x, points.y, points.z)
        )
        values = np.empty(x.shape, dtype=np.float32)
        for start in range(0, len(x), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            values[part] = self._trilinear((x[part], y[part], z[part]))
        return values.reshape(points.x.shape)

    @cached_property
    def _wrapped(self) -> tuple[Array, int]:
        """The lattice with its first two planes again behind the last, flat, and its new size."""
        wide = np.pad(self.lattice, (0, 2), mode="wrap")
        return wide.reshape(-1), wide.shape[0]

    def _trilinear(self, at_mm: tuple[Array, Array, Array]) -> Array:
        """As scipy's map_coordinates, in float32 and six times as fast; few points at a time."""
        values, size = self._wrapped
        period = self.lattice.shape[0]
        first = np.zeros(at_mm[0].shape, dtype=np.int32)
        shares = []
        for axis in at_mm:
            place = axis * np.float32(1 / (self.wavelength_mm * period))
            place -= np.floor(place)
            place *= np.float32(period)
            low = place.astype(np.int32)
            place -= low.astype(np.float32)
            shares.append(place)
            first *= size
            first += low
        corner = first.astype(np.intp)

        def between(axis: int, start: int) -> Array:
            if axis == 3:
                return values[start:].take(corner, mode="clip")
            low, high = (between(axis + 1, start + k * size ** (2 - axis)) for k in range(2))
            high -= low
            high *= shares[axis]
            high += low
            return high

        return between(0, 0)


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


def rounded(noise: SmoothNoise, points: Points, shift_mm: float = 0.0) -> Array:
    """A noise field as a cubic spline: level sets without the edges of trilinear cells.

    Args:
        shift_mm: moves the field along all axes; far apart shifts give independent fields.
    """
    lattice = Lattice(points, noise.wavelength_mm / 3)
    at = lattice.points(points)
    index = [(axis + shift_mm) / noise.wavelength_mm for axis in (at.x, at.y, at.z)]
    values = ndimage.map_coordinates(noise.lattice, index, order=3, mode="grid-wrap")
    return lattice.filled(values.astype(np.float32))


def warped(noise: SmoothNoise, points: Points, sd_mm: float) -> Points:
    """The points, displaced by about ``sd_mm`` along each axis by shifted copies of one field."""
    period = noise.wavelength_mm * noise.lattice.shape[0]
    moved = [
        axis + np.float32(1.5 * sd_mm) * rounded(noise, points, period * part)
        for axis, part in ((points.x, 0.21), (points.y, 0.47), (points.z, 0.73))
    ]
    return Points(moved[0], moved[1], moved[2])
