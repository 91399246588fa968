"""The box of what is marked: labels fill a small part of a scan, and work in it is little."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def marked_box(values: NDArray[np.uint8]) -> Box | None:
    """The smallest box that holds every voxel (three axes) that is not zero; None without any."""
    slices = np.flatnonzero(values.reshape(len(values), -1).max(axis=1))
    if not len(slices):
        return None
    flat = values[slices[0] : slices[-1] + 1].max(axis=0)
    rows, columns = np.flatnonzero(flat.max(axis=1)), np.flatnonzero(flat.max(axis=0))
    return (_span(slices), _span(rows), _span(columns))


def _span(indices: NDArray[np.intp]) -> slice:
    return slice(int(indices[0]), int(indices[-1]) + 1)
