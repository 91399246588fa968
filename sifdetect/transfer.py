"""Labels from the region's grid to a scanner's grid: smooth borders, little memory."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from sifdetect.volume import Floats, Grid, LabelMap

_SLAB_VOXELS = 1_000_000


def transferred(labels: LabelMap, grid: Grid) -> LabelMap:
    """The labels on another grid: at each voxel centre the label with most trilinear weight.

    That is what interpolating each label's mask and taking the largest gives, without the masks and
    without the steps that nearest neighbour leaves. Zero outside; ties go to the larger value.
    """
    result = np.zeros(grid.shape, dtype=np.uint8)
    box = _box(labels, grid)
    if box is None:
        return LabelMap(result, grid)
    low, high = box
    padded = np.pad(labels.values, 1)
    mixed = _mixed(padded)
    matrix = np.linalg.inv(labels.grid.affine_lps_mm) @ grid.affine_lps_mm
    area = int(np.prod(high[1:] - low[1:]))
    step = max(1, _SLAB_VOXELS // area)
    for start in range(int(low[0]), int(high[0]), step):
        stop = min(start + step, int(high[0]))
        axes = [np.arange(start, stop), np.arange(low[1], high[1]), np.arange(low[2], high[2])]
        slab = _vote(padded, mixed, _index(matrix, axes))
        result[start:stop, low[1] : high[1], low[2] : high[2]] = slab
    return LabelMap(result, grid)


def marked(components: LabelMap, grid: Grid) -> LabelMap:
    """The findings on a series' grid; one that falls between thick slices keeps its nearest voxel.

    A report points at every finding, so none may vanish from the series it was seen on.
    """
    marked = transferred(components, grid)
    # Not setdiff1d: it sorts a whole scan to look for the few numbers of its findings.
    lost = sorted(_numbers(components, components) - _numbers(marked, components))
    if not lost:
        return marked
    values = marked.values.copy()
    for number in lost:
        points = components.grid.index_to_mm(np.argwhere(components.values == number))
        index = np.rint(grid.mm_to_index(points)).astype(int)
        inside = index[((index >= 0) & (index < grid.shape)).all(axis=1)]
        if len(inside):
            values[tuple(inside[len(inside) // 2])] = number
    return LabelMap(values, grid)


def _numbers(labels: LabelMap, components: LabelMap) -> set[int]:
    """The numbers on a grid, looked for where ``components`` can have put them."""
    box = _box(components, labels.grid)
    if box is None:
        return set()
    held = labels.values[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
    return set(np.flatnonzero(np.bincount(held.ravel())).tolist()) - {0}


def _box(labels: LabelMap, grid: Grid) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Index range of ``grid`` that can hold a label; None where there is none."""
    extents = []
    for axis in range(3):
        rest = tuple(a for a in range(3) if a != axis)
        present = np.flatnonzero(labels.values.any(axis=rest))
        if len(present) == 0:
            return None
        extents.append((present[0] - 1, present[-1] + 1))
    corners = labels.grid.index_to_mm(list(product(*extents)))
    index = grid.mm_to_index(corners)
    low = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(np.int64)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(np.int64)
    return (low, high) if (low < high).all() else None


def _index(matrix: Floats, axes: list[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
    """Index along each axis of the padded labels, for all voxels of a slab."""
    i, j, k = np.ix_(*axes)
    return [
        (row[0] * i + row[1] * j + (row[2] * k + row[3] + 1)).astype(np.float32)
        for row in matrix[:3]
    ]


def _mixed(padded: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """True at the low corner of every cell of 2×2×2 voxels that holds more than one label."""
    mixed = np.zeros(padded.shape, dtype=np.bool_)
    first = padded[:-1, :-1, :-1]
    cells = mixed[:-1, :-1, :-1]
    n = padded.shape
    for a, b, c in product((0, 1), repeat=3):
        cells |= padded[a : n[0] - 1 + a, b : n[1] - 1 + b, c : n[2] - 1 + c] != first
    return mixed


def _vote(
    padded: NDArray[np.uint8], mixed: NDArray[np.bool_], index: list[NDArray[np.float32]]
) -> NDArray[np.uint8]:
    floors = [np.floor(x) for x in index]
    inside = np.ones(index[0].shape, dtype=np.bool_)
    for floor, n in zip(floors, padded.shape, strict=True):
        inside &= (floor >= 0) & (floor <= n - 2)
    corner = [floor[inside].astype(np.intp) for floor in floors]
    label = padded[corner[0], corner[1], corner[2]]
    at_border = mixed[corner[0], corner[1], corner[2]]
    if at_border.any():
        base = [c[at_border] for c in corner]
        part = [
            (x[inside] - floor[inside])[at_border] for x, floor in zip(index, floors, strict=True)
        ]
        label[at_border] = _heaviest(padded, base, part)
    slab = np.zeros(inside.shape, dtype=np.uint8)
    slab[inside] = label
    return slab


def _heaviest(
    padded: NDArray[np.uint8], base: list[NDArray[np.intp]], part: list[NDArray[np.float32]]
) -> NDArray[np.uint8]:
    """The label with most weight among the eight voxels around each of n points."""
    labels, weights = [], []
    for corner in product((0, 1), repeat=3):
        at = [b + c for b, c in zip(base, corner, strict=True)]
        labels.append(padded[at[0], at[1], at[2]])
        shares = [p if c else 1 - p for p, c in zip(part, corner, strict=True)]
        weights.append(shares[0] * shares[1] * shares[2])
    best = np.zeros(len(base[0]), dtype=np.uint8)
    most = np.full(len(base[0]), -1.0, dtype=np.float32)
    for candidate in labels:
        total = sum(w * (other == candidate) for w, other in zip(weights, labels, strict=True))
        better = (total > most + 1e-6) | ((total > most - 1e-6) & (candidate > best))
        best = np.where(better, candidate, best)
        most = np.where(better, total, most)
    return best
