"""Surfaces of the mean sacrum as tables over level and place, smoothed and looked up fast.

Read off the sacra of the Visible Human's woman and man (HuBMAP CCF 3D reference object library,
CC BY 4.0) and, down to S2, the mean of the shape model of 40 adults (Han 2019, Phys. Med. Biol.);
sides averaged, bridged by eye across the foramina, rounded, in the coordinates of SpineCurve:
level, x (mm from the midline) and v (mm ventral of the curve).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from sifdetect.synth.noise import Array

LEVEL_KNOTS = (-0.4, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0)
_STEP_LEVEL, _STEP_MM = 0.05, 1.0
_LOW_LEVEL, _HIGH_LEVEL = -1.2, 6.0


@dataclass(frozen=True)
class Surface:
    """A table of millimetres over level (rows, LEVEL_KNOTS) and a second coordinate (columns).

    Attributes:
        knots_mm: the second coordinate's value in each column.
        rows_mm: the values.
    """

    knots_mm: tuple[float, ...]
    rows_mm: tuple[tuple[float, ...], ...]

    @cached_property
    def _fine(self) -> tuple[Array, Array]:
        """The values on a fine lattice, and the cosine of their slope along the columns."""
        levels = np.arange(_LOW_LEVEL, _HIGH_LEVEL + 1e-6, _STEP_LEVEL)
        columns = np.arange(self.knots_mm[0], self.knots_mm[-1] + 1e-6, _STEP_MM)
        rows = PchipInterpolator(LEVEL_KNOTS, self.rows_mm)(np.clip(levels, -0.4, 5.0))
        values = PchipInterpolator(self.knots_mm, rows, axis=1)(columns)
        values = ndimage.gaussian_filter(values, (1.5, 1.5), mode="nearest")
        cosine = 1 / np.hypot(1, np.gradient(values, _STEP_MM, axis=1))
        return values.astype(np.float32), cosine.astype(np.float32)

    def at(self, level: Array, place_mm: Array) -> tuple[Array, Array]:
        """The surface at points, mm, and the cosine of its slope there."""
        rows, columns = self._fine[0].shape
        row, down = _cell((level - _LOW_LEVEL) / _STEP_LEVEL, rows)
        column, along = _cell((place_mm - self.knots_mm[0]) / _STEP_MM, columns)
        corner = (row * np.int32(columns) + column).astype(np.intp)

        def between(table: Array) -> Array:
            flat, edges = table.reshape(-1), []
            for start in (0, columns):
                low, high = (flat[start + k :].take(corner, mode="clip") for k in range(2))
                edges.append(low + along * (high - low))
            upper, lower = edges
            result: Array = upper + down * (lower - upper)
            return result

        surface, slope = (between(table) for table in self._fine)
        return surface, slope


def _cell(index: Array, count: int) -> tuple[NDArray[np.int32], Array]:
    """Cell of a table of ``count`` values along an axis, and the place in it, 0–1."""
    inside = np.clip(index, 0, count - 1).astype(np.float32)
    low = np.minimum(inside.astype(np.int32), np.int32(count - 2))
    return low, inside - low.astype(np.float32)


def by_level(level: Array, values: tuple[float, ...]) -> Array:
    """A profile given at LEVEL_KNOTS, at every point; constant beyond them."""
    fine = _profile(values)
    index = np.clip((level - _LOW_LEVEL) / _STEP_LEVEL, 0, len(fine) - 1.001)
    low = index.astype(np.int32)
    share = (index - low).astype(np.float32)
    result: Array = fine[low] * (1 - share) + fine[low + 1] * share
    return result


@cache
def _profile(values: tuple[float, ...]) -> NDArray[np.float32]:
    levels = np.arange(_LOW_LEVEL, _HIGH_LEVEL + 1e-6, _STEP_LEVEL)
    fine = PchipInterpolator(LEVEL_KNOTS, values)(np.clip(levels, -0.4, 5.0))
    return np.asarray(ndimage.gaussian_filter1d(fine, 1.5, mode="nearest"), dtype=np.float32)


VENTRAL = Surface(
    (0, 10, 20, 30, 40, 50, 60, 70),
    (
        (17, 16.5, 13, 7, 6, 9, 14, 18),
        (17, 16.5, 13, 8, 7, 11, 16, 20),
        (14.5, 14, 12, 10, 10.5, 15, 20, 24),
        (11.5, 11, 10, 11, 14, 20, 25, 30),
        (9, 8, 6.5, 7, 14.5, 20, 25, 30),
        (6.5, 6.5, 6.5, 8.5, 14, 18.5, 23, 28),
        (6, 5.5, 4.5, 5.5, 11, 14.5, 18, 22),
        (4.5, 4, 3, 4.5, 8.5, 12, 15, 18),
        (4, 4, 3, 3, 5.5, 8, 10, 12),
        (4, 4, 2.5, 2.5, 5, 7, 9, 11),
        (3.5, 3.5, 2.5, 3.5, 5.5, 7, 9, 11),
        (3.5, 3.5, 3.5, 5, 6.5, 8, 9, 11),
        (4, 4, 4, 5, 6, 8, 9, 11),
    ),
)
"""v of the front over x: the promontory in the midline, the alae swinging forward beside it."""

DORSAL = Surface(
    (0, 10, 20, 30, 40, 50, 60, 70),
    (
        (-27, -27, -28, -31, -26, -24, -13, -5),
        (-27, -27, -28, -31, -27, -24, -13, -5),
        (-27, -27, -28, -31, -28, -23, -11, -2),
        (-27, -27, -26, -29, -26, -20, -8, 2),
        (-27, -25, -21.5, -19.5, -15.5, -7.5, -1, 7),
        (-26, -22.5, -20, -18, -13, -7, 1, 9),
        (-23, -19, -18, -16, -11.5, -5.5, 1, 9),
        (-17.5, -16, -12.5, -11.5, -9, -3, 3, 9),
        (-15.5, -14, -10, -8.5, -5, -1, 3, 8),
        (-15.5, -13.5, -7.5, -5, -3, 0, 4, 8),
        (-12.5, -13, -5.5, -2.5, -1, 2, 5, 8),
        (-9, -9.5, -3.5, -1, 0, 2, 5, 8),
        (-5, -5.5, -2, -0.5, 0, 2, 5, 8),
    ),
)
"""v of the back over x, its median crest left out."""

SIDE = Surface(
    (-35, -25, -15, -5, 5, 15, 25, 35),
    (
        (35, 45, 52, 57, 58, 56.5, 55, 53),
        (35, 45, 52.5, 58, 58.5, 57, 55, 53),
        (35, 45, 52.5, 58, 58.5, 57, 56, 54),
        (34, 43, 51, 57.5, 58, 57, 56, 54),
        (27, 33, 42.5, 51.5, 55, 54, 53, 51),
        (24, 29, 37, 47, 49.5, 49.5, 49, 48),
        (22, 28, 35, 45.5, 47.5, 48, 48, 47),
        (22, 28, 35, 43.5, 48, 49, 49, 48),
        (20, 24, 30, 38, 43.5, 44, 44, 44),
        (16, 19, 23, 31, 38, 39, 39, 39),
        (13, 15, 18, 25, 33.5, 34, 34, 34),
        (10, 11, 13, 18, 26, 27, 27, 27),
        (6, 6, 7, 9, 11, 12, 12, 12),
    ),
)
"""x of the lateral surface over v: auricular down to S3, the recess for the ligaments behind it."""

CREST_MM = (0, 0, 0, 0, 3, 12, 9, 5, 3.5, 3.5, 0, 0, 0)
"""Height of the median crest above DORSAL."""
CANAL_FRONT_MM = (-15.5, -15.5, -16, -16, -14.5, -11, -10, -7.5, -6.5, -5.5, -5, -4.5, -4)
CANAL_BACK_MM = (-30, -30, -29, -27, -23, -19.75, -16.6, -14, -12, -11.5, -10, -8.5, -7)
CANAL_HALF_WIDTH_MM = (17, 17, 17, 16.5, 16, 15, 14, 13, 11, 9, 7.5, 6, 5)
