"""Distances between sets of points, found without asking each point: bounds leave most of them out.

A tree answers fast where the nearest point is near, and slowly where it is far. So what is asked is
what is needed: which points are closer than a reach, or the least distance of all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sifdetect.volume import Floats

ADJACENT_VOXELS = 1.5
"""Voxels with a common face or edge touch: their centres are at most 1.41 voxels apart."""

_BLOCK_MM = 4.0
_SMALL_MM = 2.0
_HALF_DIAGONAL = 3**0.5 / 2
ROUNDING_MM = 1e-6
"""A distance of voxels that equals a reach is within it, wherever rounding puts it."""

_PROBES = 48


def closer(from_mm: Floats, to_mm: Floats, reach_mm: float) -> NDArray[np.bool_]:
    """(n,) True for points (n, 3) at most ``reach_mm`` from one of ``to_mm`` (m, 3), mm."""
    found = np.zeros(len(from_mm), dtype=np.bool_)
    if len(from_mm) == 0 or len(to_mm) == 0:
        return found
    asked = np.flatnonzero(_in_box(from_mm, to_mm, reach_mm))
    if len(asked) == 0:
        return found
    points = from_mm[asked]
    tree = _tree(to_mm[_in_box(to_mm, points, reach_mm)])
    if reach_mm <= 2 * _BLOCK_MM:
        found[asked] = _reached(tree, points, reach_mm)
        return found
    sure, open_ = _by_block(tree, points, reach_mm)
    found[asked[sure]] = True
    found[asked[open_]] = _reached(tree, points[open_], reach_mm)
    return found


def least_mm(from_mm: Floats, to_mm: Floats) -> float | None:
    """Least distance of two sets of points (n, 3), (m, 3), mm; None where one is empty.

    Some points bound it from above; only what lies within the bound is asked.
    """
    if len(from_mm) == 0 or len(to_mm) == 0:
        return None
    some = from_mm[:: max(1, len(from_mm) // _PROBES)]
    others = to_mm[:: max(1, len(to_mm) // _PROBES)]
    bound = float(np.sqrt(((some[:, None] - others) ** 2).sum(axis=2).min())) + ROUNDING_MM
    near = from_mm[_in_box(from_mm, to_mm, bound)]
    tree = _tree(to_mm[_in_box(to_mm, near, bound)])
    some = near[:: max(1, len(near) // _PROBES)]
    bound = min(bound, float(tree.query(some)[0].min()) + ROUNDING_MM)
    near = near[_in_box(near, to_mm, bound)]
    return float(tree.query(near, distance_upper_bound=bound)[0].min())


def median_mm(from_mm: Floats, to_mm: Floats) -> float | None:
    """Median distance of points (n, 3) to the nearest of others (m, 3), mm; None if empty.

    The middles of blocks bound the distance of each point, and so the median.
    """
    if len(from_mm) == 0 or len(to_mm) == 0:
        return None
    tree = _tree(to_mm)
    middle, of = _blocks(from_mm, _SMALL_MM)
    off = _SMALL_MM * _HALF_DIAGONAL
    about = tree.query(middle)[0][of]
    low, high = (len(about) - 1) // 2, len(about) // 2
    least = np.partition(about, low)[low] - 2 * off
    most = np.partition(about, high)[high] + 2 * off
    asked = (about >= least - ROUNDING_MM) & (about <= most + ROUNDING_MM)
    nearer = int((about < least - ROUNDING_MM).sum())
    found = np.sort(tree.query(from_mm[asked])[0])
    return float((found[low - nearer] + found[high - nearer]) / 2)


def gap_mm(from_mm: Floats, to_mm: Floats, voxel_mm: float) -> float | None:
    """Smallest gap between two sets of voxels (n, 3), (m, 3); 0 where they touch; None if empty.

    The distance of the nearest centres less one voxel.
    """
    nearest = least_mm(from_mm, to_mm)
    if nearest is None:
        return None
    return 0.0 if nearest <= ADJACENT_VOXELS * voxel_mm else nearest - voxel_mm


def touching(line_mm: Floats, wall_mm: Floats, voxel_mm: float) -> NDArray[np.bool_]:
    """(n,) True for voxels (n, 3) that share a face or an edge with one of (m, 3)."""
    return closer(line_mm, wall_mm, ADJACENT_VOXELS * voxel_mm)


def _tree(points_mm: Floats) -> cKDTree:
    """Quick to make; which of several equally near points it names is not asked."""
    return cKDTree(points_mm, balanced_tree=False, compact_nodes=False)


def _reached(tree: cKDTree, points_mm: Floats, reach_mm: float) -> NDArray[np.bool_]:
    nearest = tree.query(points_mm, distance_upper_bound=reach_mm + ROUNDING_MM)[0]
    return np.asarray(np.isfinite(nearest))


def _in_box(points_mm: Floats, around_mm: Floats, margin_mm: float) -> NDArray[np.bool_]:
    """(n,) True in the box around points (m, 3) and a margin."""
    inside = np.ones(len(points_mm), dtype=np.bool_)
    for place, other in zip(points_mm.T, around_mm.T, strict=True):
        inside &= (place >= other.min() - margin_mm) & (place <= other.max() + margin_mm)
    return inside


def _by_block(
    tree: cKDTree, points_mm: Floats, reach_mm: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the points that lie in blocks wholly within reach, and in those partly so."""
    middle, of = _blocks(points_mm, _BLOCK_MM)
    off = _BLOCK_MM * _HALF_DIAGONAL
    far = reach_mm + off + 2 * ROUNDING_MM
    nearest = tree.query(middle, distance_upper_bound=far)[0]
    sure = nearest <= reach_mm - off
    perhaps = ~sure & np.isfinite(nearest)
    return np.flatnonzero(sure[of]), np.flatnonzero(perhaps[of])


def _blocks(points_mm: Floats, edge_mm: float) -> tuple[Floats, NDArray[np.int64]]:
    """(b, 3) middles of the blocks that hold points (n, 3), and (n,) the number of each one's."""
    low = np.array([place.min() for place in points_mm.T])
    block = ((points_mm - low) / edge_mm).astype(np.int64)
    count = tuple(int(number.max()) + 1 for number in block.T)
    used, of = np.unique(np.ravel_multi_index(tuple(block.T), count), return_inverse=True)
    corner = np.stack(np.unravel_index(used, count), axis=1)
    return low + (corner + 0.5) * edge_mm, of
