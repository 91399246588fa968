"""Planes of the sacral frame as a viewer shows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.volume import Grid, SacralFrame

PIXEL_MM = 0.8
BONE = (-250.0, 900.0)
"""Window of bone on CT, HU."""
_HALF_SLICES = 2


@dataclass(frozen=True)
class Plane:
    """A plane of the sacral frame.

    Attributes:
        normal: axis that it cuts: 0 sagittal, 1 oblique coronal, 2 oblique axial.
        at_mm: where, along that axis.
        low_mm, high_mm: (3,) box in the frame; the extent along ``normal`` is not used.
    """

    normal: int
    at_mm: float
    low_mm: tuple[float, float, float] = (-84.0, -60.0, -84.0)
    high_mm: tuple[float, float, float] = (84.0, 60.0, 60.0)

    def grid(self, frame: SacralFrame) -> Grid:
        """A few voxels around the plane, so that blur and slices have neighbours."""
        low, high = list(self.low_mm), list(self.high_mm)
        reach = (_HALF_SLICES + 0.5) * PIXEL_MM
        low[self.normal], high[self.normal] = self.at_mm - reach, self.at_mm + reach
        return frame.grid(low, high, PIXEL_MM)

    def picture(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The plane of a volume on ``grid``, rows from the top, as a viewer shows it."""
        flat = np.take(values, _HALF_SLICES, axis=self.normal)
        upright = flat.T[::-1, ::-1] if self.normal == 0 else flat.T[::-1]
        return np.asarray(upright, dtype=np.float32)
