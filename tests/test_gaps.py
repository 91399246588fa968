"""Distances found by bounds are those that each point would be asked for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from sifdetect.gaps import closer, gap_mm, least_mm, median_mm
from sifdetect.volume import Floats

NOTHING = np.zeros((0, 3))


def clouds(apart_mm: float) -> tuple[Floats, Floats]:
    """A bent sheet and a bent tube beside it, on two lattices oblique to each other."""
    rng = np.random.default_rng(7)
    y, z = rng.uniform(-30, 30, (2, 900))
    sheet = np.stack([4 * np.sin(y / 9) + apart_mm, y, z], axis=1)
    turn, along = rng.uniform(0, 6.3, 700), rng.uniform(-45, 10, 700)
    tube = np.stack([-6 + 5 * np.cos(turn), 0.3 * along, along + 3 * np.sin(turn)], axis=1)
    return sheet, tube


@pytest.mark.parametrize("apart_mm", [-5.0, 3.0, 9.0, 40.0])
def test_bounded_distances_are_those_of_every_point(apart_mm: float) -> None:
    """Crossing, near, beside, far: the least, the median, and which are within each reach."""
    sheet, tube = clouds(apart_mm)
    every = cKDTree(tube).query(sheet)[0]
    assert least_mm(sheet, tube) == pytest.approx(every.min(), abs=1e-12)
    assert median_mm(sheet, tube) == pytest.approx(np.median(every), abs=1e-12)
    for reach_mm in (0.5, 2.25, 7.9, 12.0, 16.0, 45.0):
        assert (closer(sheet, tube, reach_mm) == (every <= reach_mm)).all()


def test_the_median_of_an_even_and_of_an_odd_number_is_exact() -> None:
    """The mean of the two in the middle, or the one."""
    sheet, tube = clouds(6.0)
    for count in (1, 2, 7, 8, 331, 332):
        every = cKDTree(tube).query(sheet[:count])[0]
        assert median_mm(sheet[:count], tube) == pytest.approx(np.median(every), abs=1e-12)


def test_a_distance_that_equals_the_reach_is_within_it() -> None:
    """However a lattice is turned: 3, 4 and 5 mm are sides of a triangle."""
    for angle in np.linspace(0, 3, 50):
        turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0]])
        corner = np.array([[3.0, 4.0]]) @ turn + [411.7, -93.1, 8.3]
        assert closer(corner, np.array([[411.7, -93.1, 8.3]]), 5.0).all()


def test_touching_sets_have_no_gap_and_empty_ones_no_distance() -> None:
    """A common edge is 1.41 voxels; two voxels apart leave one voxel free."""
    one = np.array([[0.0, 0.0, 0.0]])
    assert gap_mm(one, np.add(one, (1.5, 1.5, 0.0)), 1.5) == 0.0
    assert gap_mm(one, np.add(one, (3.0, 0.0, 0.0)), 1.5) == pytest.approx(1.5)
    assert gap_mm(one, NOTHING, 1.5) is None
    assert median_mm(NOTHING, one) is None
    assert not closer(one, NOTHING, 9.0).any()
