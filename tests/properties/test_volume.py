"""Geometry: index and millimetres, crops and resampling, on grids of any pose and spacing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.volume import Floats, Grid, LabelMap, SacralFrame, Volume

ANGLE = st.floats(-180, 180)
PLACE = st.floats(-500, 500)
SPACING = st.floats(0.4, 6.0)
THOROUGH = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def grids(draw: st.DrawFn, smallest: int = 1) -> Grid:
    """Any pose, spacing that differs along each axis, either handedness."""
    angles = [draw(ANGLE) for _ in range(3)]
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    axes[:, 2] *= draw(st.sampled_from((-1.0, 1.0)))
    affine = np.eye(4)
    affine[:3, :3] = axes * [draw(SPACING) for _ in range(3)]
    affine[:3, 3] = [draw(PLACE) for _ in range(3)]
    shape = [draw(st.integers(smallest, 24)) for _ in range(3)]
    return Grid((shape[0], shape[1], shape[2]), affine)


def edges_mm(grid: Grid) -> Floats:
    """The eight outer corners of a grid's voxels, sorted."""
    ends = [(-0.5, n - 0.5) for n in grid.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3)
    return grid.index_to_mm(corners)


def ball(grid: Grid, center: Floats, radius_mm: float) -> LabelMap:
    """A ball of label 5."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    inside = np.linalg.norm(grid.index_to_mm(index) - center, axis=-1) < radius_mm
    return LabelMap((inside * 5).astype(np.uint8), grid)


@given(grids(), st.tuples(PLACE, PLACE, PLACE))
@THOROUGH
def test_index_and_millimetres_are_inverse(grid: Grid, index: tuple[float, ...]) -> None:
    """There and back gives the same index, and one step is one spacing."""
    assert grid.mm_to_index(grid.index_to_mm(index)) == pytest.approx(index, abs=1e-6)
    step = grid.index_to_mm([0, 1, 0]) - grid.index_to_mm([0, 0, 0])
    assert np.linalg.norm(step) == pytest.approx(grid.spacing_mm[1])


@given(grids())
@THOROUGH
def test_a_grid_contains_its_voxels_to_their_edges_and_no_more(grid: Grid) -> None:
    """Just inside and just outside of the first and the last voxel."""
    last = np.array(grid.shape) - 1.0
    assert grid.contains(grid.index_to_mm(np.stack([last * 0 - 0.49, last + 0.49]))).all()
    assert not grid.contains(grid.index_to_mm([[-0.51, 0, 0], [0, 0, last[2] + 0.51]])).any()


@given(grids(smallest=4), st.data())
@THOROUGH
def test_a_crop_stays_where_it_is(grid: Grid, data: st.DataObject) -> None:
    """Each voxel of the crop has the coordinates that it had."""
    start = [data.draw(st.integers(0, n - 2)) for n in grid.shape]
    stop = [data.draw(st.integers(a + 1, n)) for a, n in zip(start, grid.shape, strict=True)]
    crop = grid.cropped((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    assert crop.index_to_mm([0, 0, 0]) == pytest.approx(grid.index_to_mm(start))
    last = np.array(crop.shape) - 1
    assert crop.index_to_mm(last) == pytest.approx(grid.index_to_mm(np.array(start) + last))


@given(grids(), st.tuples(SPACING, SPACING, SPACING))
@THOROUGH
def test_resizing_keeps_the_edges(grid: Grid, spacing: tuple[float, ...]) -> None:
    """The new voxels fill the same box, edge to edge, whatever their size."""
    resized = grid.resized(spacing)
    assert edges_mm(resized) == pytest.approx(edges_mm(grid), abs=1e-6)
    assert resized.center_lps_mm == pytest.approx(grid.center_lps_mm)


@given(grids(smallest=12), st.floats(0.3, 0.7), st.floats(0.6, 1.6))
@THOROUGH
def test_resampled_labels_keep_their_centroid(grid: Grid, where: float, factor: float) -> None:
    """A ball stays within a voxel's half of its place on a finer or coarser oblique grid."""
    center = grid.index_to_mm((np.array(grid.shape) - 1) * where)
    radius = 0.25 * float((np.array(grid.shape) * grid.spacing_mm).min())
    labels = ball(grid, center, radius)
    resampled = labels.resampled(grid.resized(grid.spacing_mm * factor))
    before, after = labels.centroid_lps_mm(5), resampled.centroid_lps_mm(5)
    if before is None or after is None:
        assert radius < grid.spacing_mm.max() * max(1.0, factor)
        return
    half = np.linalg.norm(np.maximum(grid.spacing_mm, resampled.grid.spacing_mm)) / 2
    assert np.linalg.norm(before - after) <= half


@given(grids(smallest=6), st.data())
@THOROUGH
def test_cropped_labels_keep_their_centroid(grid: Grid, data: st.DataObject) -> None:
    """A crop around a label leaves its centroid in millimetres untouched."""
    voxel = [data.draw(st.integers(1, n - 2)) for n in grid.shape]
    values = np.zeros(grid.shape, dtype=np.uint8)
    values[tuple(voxel)] = 7
    start, stop = (tuple(v + d for v in voxel) for d in (-1, 2))
    crop = LabelMap(values, grid).cropped(
        (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])
    )
    assert crop.centroid_lps_mm(7) == pytest.approx(grid.index_to_mm(voxel))


@given(grids(smallest=12), st.floats(0.7, 2.2))
@THOROUGH
def test_resampling_keeps_a_ramp(grid: Grid, factor: float) -> None:
    """Intensity that is linear in space has the same value at the same place, fine or coarse."""
    gradient = np.array([0.7, -1.3, 0.4])
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    origin = grid.center_lps_mm
    values = ((grid.index_to_mm(index) - origin) @ gradient).astype(np.float32)
    volume = Volume(values, grid, Modality.MR, MrWeighting.T1)
    inner = grid.cropped((4, 4, 4), tuple(n - 4 for n in grid.shape)).resized(  # type: ignore[arg-type]  # three numbers
        grid.spacing_mm * factor
    )
    resampled = volume.resampled(inner)
    index = np.stack(np.meshgrid(*map(np.arange, inner.shape), indexing="ij"), -1)
    expected = (inner.index_to_mm(index) - origin) @ gradient
    assert resampled.values == pytest.approx(expected, abs=2e-2)


@given(ANGLE, ANGLE, ANGLE, st.tuples(PLACE, PLACE, PLACE))
@THOROUGH
def test_a_sacral_frame_and_its_grid_agree(
    a: float, b: float, c: float, point: tuple[float, ...]
) -> None:
    """There and back gives the point; the frame's grid runs along its axes from its low corner."""
    axes = Rotation.from_euler("xyz", [a, b, c], degrees=True).as_matrix() @ np.diag([1, -1, 1])
    frame = SacralFrame(np.array(point), axes)
    assert frame.to_lps_mm(frame.to_frame_mm(point)) == pytest.approx(point)
    grid = frame.grid([-30, -20, -10], [30, 25, 14], 1.5)
    assert frame.to_frame_mm(edges_mm(grid)).min(axis=0) == pytest.approx([-30, -20, -10])
    assert frame.to_frame_mm(edges_mm(grid)).max(axis=0) == pytest.approx([30, 25, 14])


def test_a_sheared_or_flat_grid_is_refused() -> None:
    """As gantry tilt makes it, or a spacing of zero."""
    sheared, flat = np.eye(4), np.eye(4)
    sheared[1, 2], flat[2, 2] = 0.3, 0.0
    with pytest.raises(ValueError, match="sheared"):
        Grid((3, 3, 3), sheared)
    with pytest.raises(ValueError, match="zero length"):
        Grid((3, 3, 3), flat)


def test_values_cannot_be_changed_in_place() -> None:
    """Frozen means the array too."""
    volume = Volume(np.zeros((2, 3, 4), dtype=np.float32), Grid((2, 3, 4), np.eye(4)), Modality.CT)
    with pytest.raises(ValueError, match="read-only"):
        volume.values[0, 0, 0] = 1
