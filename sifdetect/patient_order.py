"""A segmentation's arrays in the order of the sacrum's axes, however the scanner stored them.

Where two voxels are equally near, or a distance equals a bound, the order in the array decides. Put
into one order first, the same patient is measured alike from every storage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from sifdetect.volume import Grid, LabelMap, Segmentation


def in_patient_order(segmentation: Segmentation) -> Segmentation:
    """The same voxels at the same places; array axes right→left, posterior→anterior,
    caudal→cranial, as nearly as the grid's axes lie to the sacral frame's."""
    order, signs = _storage(segmentation)
    grid = _stored(segmentation.grid, order, signs)
    return replace(
        segmentation,
        anatomy=LabelMap(_array(segmentation.anatomy.values, order, signs), grid),
        lesions=LabelMap(_array(segmentation.lesions.values, order, signs), grid),
        probability=np.stack([_array(one, order, signs) for one in segmentation.probability]),
        level=_array(segmentation.level, order, signs),
        in_view=_array(segmentation.in_view, order, signs),
    )


def as_it_was(labels: LabelMap, segmentation: Segmentation) -> LabelMap:
    """Labels in patient order on the grid of the segmentation that was put into it."""
    order, signs = _storage(segmentation)
    values = labels.values.transpose(np.argsort(order))[tuple(slice(None, None, s) for s in signs)]
    return LabelMap(np.ascontiguousarray(values), segmentation.grid)


def _storage(segmentation: Segmentation) -> tuple[NDArray[np.int64], list[int]]:
    """Which array axis runs along each of the frame's, and which axes run backwards."""
    affine = segmentation.grid.affine_lps_mm[:3, :3]
    along = segmentation.frame.axes @ (affine / segmentation.grid.spacing_mm)
    order = linear_sum_assignment(-np.abs(along))[1]
    signs = np.ones(3, dtype=np.int64)
    signs[order] = np.where(along[np.arange(3), order] < 0, -1, 1)
    return order, signs.tolist()


def _array(values: NDArray[Any], order: NDArray[np.int64], signs: list[int]) -> NDArray[Any]:
    turned = values[tuple(slice(None, None, sign) for sign in signs)]
    return np.ascontiguousarray(turned.transpose(order))


def _stored(grid: Grid, order: NDArray[np.int64], signs: list[int]) -> Grid:
    first = [n - 1 if sign < 0 else 0 for n, sign in zip(grid.shape, signs, strict=True)]
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] = grid.index_to_mm(np.array(first, dtype=np.float64))
    affine[:3, :3] = (affine[:3, :3] * signs)[:, order]
    i, j, k = (grid.shape[axis] for axis in order)
    return Grid((i, j, k), affine, grid.frame_of_reference_uid)
