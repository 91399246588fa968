"""Field of view: voxels and levels that a scan covers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import SacralLevel
from sifdetect.view import coverage, seen
from sifdetect.volume import Grid, SacralFrame

AXES = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])


def stack(low: tuple[float, ...], shape: tuple[int, int, int]) -> Grid:
    """An axial stack of 3 × 0.8 × 1.2 mm voxels whose first centre lies at ``low`` (LPS)."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 3.0, 0.8, 1.2, 1.0
    affine[:3, 3] = low
    return Grid(shape, affine)


def test_seen_marks_what_contains_says() -> None:
    """Voxel by voxel the same as asking the source grid, on a tilted target."""
    source = stack((-30.0, -20.0, -40.0), (20, 60, 50))
    frame = SacralFrame(
        np.zeros(3), AXES @ Rotation.from_euler("xyz", (30, 9, -4), degrees=True).as_matrix()
    )
    target = frame.grid((-45, -33, -48), (45, 33, 48), 3.0)
    inside = seen(source, target)
    index = np.moveaxis(np.indices(target.shape), 0, -1)
    assert (inside == source.contains(target.index_to_mm(index))).all()
    assert 0.1 < inside.mean() < 0.9


def test_a_stack_around_everything_covers_every_level() -> None:
    """All levels are 1 where the whole sacrum is in view, all 0 where none of it is."""
    frame = SacralFrame(np.zeros(3), AXES)
    assert set(coverage(frame, stack((-120, -80, -150), (100, 200, 200))).values()) == {1.0}
    assert set(coverage(frame, stack((400, 0, 0), (10, 20, 20))).values()) == {0.0}


def test_a_stack_cut_at_the_midline_covers_half() -> None:
    """A field of view that ends in the midline holds half of every level."""
    frame = SacralFrame(np.zeros(3), AXES)
    half = coverage(frame, stack((0.6, -80, -150), (100, 200, 200)))
    assert list(half.values()) == pytest.approx([0.5] * 5, abs=0.03)


def test_coverage_follows_the_tilt_of_the_sacrum() -> None:
    """With the sacrum lying at 45°, a slab of axial slices covers part of S1 and of S3."""
    tilt = Rotation.from_euler("x", 45, degrees=True).as_matrix()
    slab = stack((-120, -150, -15), (11, 400, 200))
    upright = coverage(SacralFrame(np.zeros(3), AXES), slab)
    tilted = coverage(SacralFrame(np.zeros(3), AXES @ tilt), slab)
    assert upright[SacralLevel.S2] == 1.0
    assert tilted[SacralLevel.S1] > upright[SacralLevel.S1]
