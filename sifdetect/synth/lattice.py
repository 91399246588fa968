"""Points in space, and a coarse lattice among them where smooth fields are computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
STEPS_SEEN = 16
"""Of the steps along an axis, how many rows along each other axis are looked at, about."""


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
        return self._steps_mm

    @cached_property
    def _steps_mm(self) -> tuple[float, ...]:
        steps = []
        some = tuple(slice(None, None, max(1, n // STEPS_SEEN)) for n in self.x.shape)
        for axis, size in enumerate(self.x.shape):
            if size < 2:
                steps.append(float("inf"))
                continue
            pair = (*some[:axis], slice(2), *some[axis + 1 :])
            moves = [np.diff(c[pair], axis=axis) for c in (self.x, self.y, self.z)]
            steps.append(float(np.sqrt(sum(float(np.abs(m).mean()) ** 2 for m in moves))))
        return tuple(steps)


class Lattice:
    """Every n-th point of a regular grid (i, j, k), the last of each axis included.

    Points of any other shape are their own lattice.

    Attributes:
        every: step along each axis, in points; 1 where the points are that far apart already.
    """

    def __init__(self, points: Points, spacing_mm: float) -> None:
        self._shape = points.x.shape
        self.every = tuple(1 for _ in self._shape)
        if points.x.ndim == 3:
            self.every = tuple(max(1, round(spacing_mm / step)) for step in points.steps_mm())
        sizes = zip(self._shape, self.every, strict=True)
        self._axes = [np.append(np.arange(0, n - 1, each), n - 1) for n, each in sizes]

    def taken(self, values: NDArray[np.float32] | Array) -> Array:
        """Values on the lattice of an array of the points' shape."""
        taken = np.asarray(values)
        for axis, (index, each) in enumerate(zip(self._axes, self.every, strict=True)):
            taken = taken if each == 1 else taken.take(index, axis)
        return taken

    def points(self, points: Points) -> Points:
        """The lattice's own points."""
        return Points(self.taken(points.x), self.taken(points.y), self.taken(points.z))

    def filled(self, values: Array) -> Array:
        """Trilinear interpolation of values on the lattice, of the points' shape.

        Where all of them are one number, far from a bone, so is the result.
        From the last axis, whose neighbours lie apart in the result, to the first, whose whole
        planes lie together: most is written in the order of memory.
        """
        if max(self.every, default=1) > 1 and _is_constant(values):
            return np.full(self._shape, values.flat[0], dtype=np.float32)
        for axis in reversed(range(len(self._shape))):
            if self.every[axis] > 1 and self._shape[axis] > 2:
                values = _stretched(values, axis, self._shape[axis], self.every[axis])
        return values


def _is_constant(values: Array) -> bool:
    """Whether all values are the same; most often the first and the last ones tell."""
    first = values.flat[0]
    return bool(first == values.flat[-1] and np.all(values == first))


def _stretched(values: Array, axis: int, size: int, every: int) -> Array:
    """Values along one axis at 0, ``every``, 2 ``every`` … and ``size`` - 1, at all of 0 … size."""
    shape = list(values.shape)
    shape[axis] = size
    result = np.empty(shape, dtype=np.float32)
    whole = (size - 1) // every

    def part(array: Array, *bounds: int | None) -> Array:
        taken: Array = array[(slice(None),) * axis + (slice(*bounds),)]
        return taken

    low = part(values, whole)
    rise = part(values, 1, whole + 1) - low
    part(result, 0, whole * every, every)[...] = low
    for k in range(1, every):
        between = part(result, k, whole * every, every)
        np.multiply(rise, np.float32(k / every), out=between)
        between += low
    start, rest = part(values, whole, whole + 1), size - whole * every
    ramp = np.arange(rest, dtype=np.float32) / np.float32(max(rest - 1, 1))
    ramp = ramp.reshape([-1 if k == axis else 1 for k in range(result.ndim)])
    part(result, whole * every, None)[...] = start + (part(values, -1, None) - start) * ramp
    return result


def coarsely(points: Points, spacing_mm: float, function: Callable[[Points], Array]) -> Array:
    """A smooth function of the points, evaluated about every ``spacing_mm`` and interpolated.

    The points must be those of a regular grid, of shape (i, j, k), possibly slightly bent. Along an
    axis whose points are farther apart than that, every one is evaluated.
    """
    lattice = Lattice(points, spacing_mm)
    return lattice.filled(function(lattice.points(points)))
