"""A coarse lattice among regular points: smooth fields are computed there, then filled in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.synth.noise import Array, Points, SmoothNoise


class Lattice:
    """Every n-th point of a regular grid (i, j, k), the last of each axis included.

    Points of any other shape are their own lattice.

    Attributes:
        every: step along each axis, in points.
    """

    def __init__(self, points: Points, spacing_mm: float) -> None:
        self._shape = points.x.shape
        steps = [step for step in points.steps_mm() if np.isfinite(step)]
        coarse = points.x.ndim == 3 and bool(steps)
        self.every = max(1, round(spacing_mm / max(steps))) if coarse else 1
        self._axes = [np.append(np.arange(0, n - 1, self.every), n - 1) for n in self._shape]

    def taken(self, values: NDArray[np.float32] | Array) -> Array:
        """Values on the lattice of an array of the points' shape."""
        return np.asarray(values if self.every == 1 else values[np.ix_(*self._axes)])

    def points(self, points: Points) -> Points:
        """The lattice's own points."""
        return Points(self.taken(points.x), self.taken(points.y), self.taken(points.z))

    def filled(self, values: Array) -> Array:
        """Trilinear interpolation of values on the lattice, of the points' shape."""
        if self.every == 1:
            return values
        for axis, (index, size) in enumerate(zip(self._axes, self._shape, strict=True)):
            if len(index) < 2:
                continue
            at = np.arange(size)
            low = np.clip(np.searchsorted(index, at, side="right") - 1, 0, len(index) - 2)
            share = ((at - index[low]) / (index[low + 1] - index[low])).astype(np.float32)
            share = share.reshape([-1 if a == axis else 1 for a in range(3)])
            start = np.take(values, low, axis=axis)
            step = np.take(np.diff(values, axis=axis), low, axis=axis)
            step *= share
            step += start
            values = step
        return values


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
