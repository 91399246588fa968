"""Sets of voxels in an array: where they are, what lies beside them, which hang together.

All of it works in the box that a set takes up, not in the whole array.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.gaps import ROUNDING_MM
from sifdetect.volume import Floats

Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

_TOUCHING = np.ones((3, 3, 3), dtype=np.bool_)


def indices(mask: Mask) -> Index:
    """(n, 3) of the True voxels, in the array's order."""
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1)


def shell(mask: Mask) -> Mask:
    """The True voxels with a face to a False one or to the outside of the array."""
    whole = np.pad(mask, 1)
    inner = mask.copy()
    for near in _beside(whole):
        inner &= near
    return mask & ~inner


def beside(mask: Mask) -> Mask:
    """The True voxels and those that share a face with one."""
    grown = mask.copy()
    for near in _beside(np.pad(mask, 1)):
        grown |= near
    return grown


def around(mask: Mask) -> Mask:
    """The True voxels and those that share a face, an edge or a corner with one."""
    grown = np.pad(mask, 1)
    for axis in range(3):
        once = grown.copy()
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        grown[tuple(low)] |= once[tuple(high)]
        grown[tuple(high)] |= once[tuple(low)]
    return grown[1:-1, 1:-1, 1:-1]


def together(parts: Iterable[Index]) -> Index:
    """(n, 3) voxels of several sets, each once, in the array's order."""
    index = np.concatenate(list(parts))
    low, box = _boxed(index, 0)
    return indices(box) + low


def joined(index: Index, spacing_mm: Floats, gap_mm: float) -> Index:
    """(n,) number, from 0, of the component of each voxel (n, 3).

    Two voxels belong together where the free space between them is at most ``gap_mm`` wide, to
    within one voxel; touching ones always do.
    """
    if len(index) == 0:
        return np.zeros(0, dtype=np.int64)
    near, reach = _ball(gap_mm / 2, spacing_mm)
    low, box = _boxed(index, reach)
    where = tuple((index - low).T)
    component, count = ndimage.label(box, structure=_TOUCHING)
    if count > 1 and len(near) > 1:
        flat, cells = box.reshape(-1), np.ravel_multi_index(where, box.shape)
        for step in (near @ np.array(box.strides)).tolist():
            flat[cells + step] = True
        component, _ = ndimage.label(box, structure=_TOUCHING)
    return np.asarray(component[where] - 1, dtype=np.int64)


def nearest(index: Index, among: Index, spacing_mm: Floats) -> Index:
    """(n, 3) the voxel of a set (m, 3) that is nearest to each of some voxels (n, 3)."""
    low = np.minimum(index.min(axis=0), among.min(axis=0))
    free = np.ones(np.maximum(index.max(axis=0), among.max(axis=0)) - low + 1, dtype=np.bool_)
    free[tuple((among - low).T)] = False
    found = ndimage.distance_transform_edt(
        free, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    place = np.asarray(found[(slice(None), *(index - low).T)].T, dtype=np.int64)
    return np.asarray(place + low)


def _boxed(index: Index, margin: int | Index) -> tuple[Index, Mask]:
    """The first voxel (3,) of the box around some voxels (n, 3), and the box, True at them."""
    low = index.min(axis=0) - margin
    box = np.zeros(index.max(axis=0) - low + margin + 1, dtype=np.bool_)
    box[tuple((index - low).T)] = True
    return low, box


def _ball(radius_mm: float, spacing_mm: Floats) -> tuple[Index, Index]:
    """(n, 3) steps to the voxels at most ``radius_mm`` away, and the largest along each axis."""
    reach = np.ceil(radius_mm / spacing_mm).astype(np.int64)
    steps = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1)
    steps = steps.reshape(-1, 3)
    away_mm = np.sqrt(((steps * spacing_mm) ** 2).sum(axis=1))
    return steps[away_mm <= radius_mm + ROUNDING_MM], reach


def _beside(whole: Mask) -> Iterable[Mask]:
    """What lies on each of the six sides of the voxels of an array with a margin of one."""
    for axis in range(3):
        for start in (0, 2):
            part = [slice(1, -1)] * 3
            part[axis] = slice(start, start - 2 or None)
            yield whole[tuple(part)]
