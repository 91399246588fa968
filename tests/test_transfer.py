"""Labels on a scanner's grid: what interpolating every mask would give."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sifdetect.transfer import transferred
from sifdetect.volume import Grid, LabelMap


def region() -> LabelMap:
    """Blobs of five labels on a tilted 1.5 mm grid."""
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.normal(size=(44, 36, 40)), 3) * 40
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [30, 5, -7], degrees=True).as_matrix()
    affine[:3, :3] = turn * 1.5
    affine[:3, 3] = turn @ [-33.0, -27.0, -30.0]
    return LabelMap(noise.clip(0, 5).astype(np.uint8), Grid(noise.shape, affine))


def scanner(shape: tuple[int, int, int] = (26, 90, 70)) -> Grid:
    """A stack with thick slices, non-square pixels and a slight tilt, wider than the region."""
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [-8, 3, 4], degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0.0]]) * [3.3, 0.9, 1.3]
    affine[:3, 3] = turn @ [-45.0, -40.0, -42.0]
    return Grid(shape, affine)


def test_it_is_the_largest_of_the_interpolated_masks() -> None:
    """The short way round gives exactly what one mask after the other gives."""
    labels, grid = region(), scanner()
    matrix = np.linalg.inv(labels.grid.affine_lps_mm) @ grid.affine_lps_mm
    masks = np.stack(
        [
            ndimage.affine_transform(
                (labels.values == value).astype(float),
                matrix[:3, :3],
                matrix[:3, 3],
                output_shape=grid.shape,
                order=1,
                mode="grid-constant",
                cval=float(value == 0),
            )
            for value in range(6)
        ]
    )
    first, second = np.sort(masks, axis=0)[[-1, -2]]
    clear = first - second > 1e-3
    result = transferred(labels, grid).values
    assert clear.mean() > 0.9
    assert (result[clear] == masks.argmax(axis=0)[clear]).all()


def test_centroids_stay_in_place() -> None:
    """A label lies where it lay, in patient coordinates."""
    values = np.zeros(region().values.shape, dtype=np.uint8)
    values[10:30, 8:20, 12:33] = 3
    labels = LabelMap(values, region().grid)
    moved = transferred(labels, scanner()).centroid_lps_mm(3)
    assert moved == pytest.approx(labels.centroid_lps_mm(3), abs=0.5)


def test_nothing_lies_outside_the_region() -> None:
    """Far from the region, and for an empty map, everything is background."""
    labels = region()
    far = scanner().affine_lps_mm.copy()
    far[:3, 3] += 500.0
    assert not transferred(labels, Grid((5, 6, 7), far)).values.any()
    empty = LabelMap(np.zeros_like(labels.values), labels.grid)
    assert not transferred(empty, scanner()).values.any()


def test_the_same_grid_changes_nothing() -> None:
    """On its own grid the map comes back voxel for voxel."""
    labels = region()
    assert (transferred(labels, labels.grid).values == labels.values).all()
