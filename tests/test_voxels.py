"""Neighbours and components in boxes are those of the whole array."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sifdetect.voxels import (
    Index,
    Mask,
    around,
    beside,
    indices,
    joined,
    nearest,
    shell,
    together,
)

SPACING_MM = np.array([1.0, 0.8, 2.5])
CUBE = np.ones((3, 3, 3))


def speckled(share: float, seed: int = 0) -> Mask:
    """An array that no two axes of which are alike, some voxels at its edges."""
    return np.asarray(np.random.default_rng(seed).random((14, 23, 9)) < share)


def by_distance(index: Index, gap_mm: float) -> Index:
    """Components as ``joined`` defines them, by a distance map of an array with room around."""
    box = np.zeros((60, 70, 40), dtype=np.bool_)
    where = tuple((index + 20).T)
    box[where] = True
    near = ndimage.distance_transform_edt(~box, sampling=SPACING_MM) <= gap_mm / 2
    return np.asarray(ndimage.label(near, structure=CUBE)[0][where], dtype=np.int64)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_neighbours_are_those_of_scipy(share: float) -> None:
    """Faces for shell and beside, corners too for around; the array's edge is outside."""
    mask = speckled(share)
    assert (shell(mask) == (mask & ~ndimage.binary_erosion(mask))).all()
    assert (beside(mask) == ndimage.binary_dilation(mask)).all()
    assert (around(mask) == ndimage.binary_dilation(mask, structure=CUBE)).all()
    assert (indices(mask) == np.argwhere(mask)).all()


@pytest.mark.parametrize("gap_mm", [0.0, 2.2, 4.5, 5.0, 10.0])
def test_components_are_joined_across_gaps_as_the_distance_map_joins_them(gap_mm: float) -> None:
    """The same voxels together, whatever the numbers."""
    index = indices(speckled(0.006, seed=3))
    found, expected = joined(index, SPACING_MM, gap_mm), by_distance(index, gap_mm)
    assert ((found[:, None] == found) == (expected[:, None] == expected)).all()
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))


def test_the_nearest_voxel_is_none_farther_than_any_other() -> None:
    """In millimetres, on voxels that are no cubes."""
    some = indices(speckled(0.02, seed=1))
    others = np.add(indices(speckled(0.01, seed=2)), (30, -4, 2))
    away = np.linalg.norm((some[:, None] - others) * SPACING_MM, axis=2)
    found = np.linalg.norm((some - nearest(some, others, SPACING_MM)) * SPACING_MM, axis=1)
    assert found == pytest.approx(away.min(axis=1))


def test_sets_are_put_together_in_the_order_of_the_array() -> None:
    """Each voxel once."""
    one, other = speckled(0.1, seed=4), speckled(0.1, seed=5)
    assert (together([indices(other), indices(one)]) == np.argwhere(one | other)).all()
