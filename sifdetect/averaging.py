"""Arrays on other grids: means of blocks, how a fine scan becomes a coarse one; interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def block_means(
    values: NDArray[Any], shape: NDArray[np.int64], factor: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The mean of every block of ``factor`` voxels, an array of ``shape`` blocks.

    One axis after the other, each by adding whole slices: half of what a mean over three short axes
    costs. Voxels beyond the last whole block are left out.
    """
    for axis, (count, step) in enumerate(zip(shape.tolist(), factor.tolist(), strict=True)):
        before = (slice(None),) * axis
        slices = [values[(*before, slice(k, count * step, step))] for k in range(step)]
        values = np.asarray(slices[0], dtype=np.float32)
        for one in slices[1:]:
            values = values + one
    return np.asarray(values / np.float32(factor.prod()), dtype=np.float32)


def interpolated(
    values: NDArray[Any],
    to_source: NDArray[np.float64],
    shape: tuple[int, int, int],
    *,
    order: int,
    outside: float,
) -> NDArray[Any]:
    """The values at the places of another grid's voxels.

    Args:
        values: (i, j, k).
        to_source: (4, 4), array index on the other grid to array index of ``values``.
        shape: of the other grid.
        order: 0 takes the nearest value, 1 interpolates trilinearly.
        outside: what lies around ``values``.
    """
    result: NDArray[Any] = ndimage.affine_transform(
        values,
        to_source[:3, :3],
        to_source[:3, 3],
        shape,
        order=order,
        mode="grid-constant",
        cval=outside,
        prefilter=False,
    )
    return result
