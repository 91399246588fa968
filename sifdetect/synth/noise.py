"""Smooth random fields over space, fixed by their lattice: any grid samples the same field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sifdetect.synth.lattice import Array, Lattice, Points, coarsely

__all__ = ["Array", "Deformation", "Points", "SmoothNoise", "coarsely", "rounded", "warped"]


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
