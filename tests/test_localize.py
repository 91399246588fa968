"""Localizing: the coarse grid, the fit of the frame, and when there is no sacrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import AnatomyLabel, LocalizerClass, Modality, SacralLevel
from sifdetect.bundle import localizer_spec
from sifdetect.engine import Bundle
from sifdetect.errors import NoSacrumInView
from sifdetect.fit import fit_frame
from sifdetect.localize import coarse_grid, localize, prepare
from sifdetect.volume import Grid, SacralFrame, Volume
from tests.bundles import HU_OF_CLASS, reading_localizer

SPEC = localizer_spec(Modality.CT)
PATIENT = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
"""Rows: right→left, posterior→anterior, caudal→cranial in LPS."""


def oblique(shape: tuple[int, int, int], spacing: tuple[float, ...], *, order: str) -> Grid:
    """A tilted stack whose array axes run along s(lices), r(ows), c(olumns) in the given order."""
    turn = Rotation.from_euler("xyz", [14, -6, 9], degrees=True).as_matrix()
    directions = {"s": [0, 0, 1], "S": [0, 0, -1], "r": [0, 1, 0], "c": [1, 0, 0]}
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([directions[a] for a in order]).T * spacing
    affine[:3, 3] = [-40.0, 25.0, 310.0]
    return Grid(shape, affine, "1.2.3")


def painted(grid: Grid, center_lps_mm: NDArray[np.float64], radius_mm: float) -> Volume:
    """Soft tissue with a ball of sacrum in it."""
    points = grid.index_to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    ball = np.linalg.norm(points - center_lps_mm, axis=-1) < radius_mm
    values = np.where(ball, LocalizerClass.SACRUM * HU_OF_CLASS, 0.0).astype(np.float32)
    return Volume(values, grid, Modality.CT)


@pytest.mark.parametrize("order", ["src", "Src", "csr", "rcS"])
def test_the_coarse_grid_runs_along_the_patients_axes(order: str) -> None:
    """However a stack is stored, the network sees right→left, posterior→anterior, up."""
    source = oblique((40, 50, 60), (3.3, 0.7, 1.1), order=order)
    grid = coarse_grid(source, 4.0, 8)
    cosines = grid.affine_lps_mm[:3, :3].T / 4.0
    assert (np.diag(cosines @ PATIENT.T) > 0.9).all()
    assert grid.spacing_mm == pytest.approx([4, 4, 4])
    assert grid.center_lps_mm == pytest.approx(source.center_lps_mm)
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in source.shape], indexing="ij"), -1)
    assert grid.contains(source.index_to_mm(corners)).all()


@pytest.mark.parametrize("shape", [(1, 300, 300), (25, 336, 336), (97, 41, 50)])
def test_the_coarse_grid_fits_the_network(shape: tuple[int, int, int]) -> None:
    """Every axis is a multiple of 8 and long enough to be halved, even for a single slice."""
    grid = coarse_grid(oblique(shape, (3.3, 0.6, 0.6), order="src"), 4.0, 8)
    assert all(n % 8 == 0 and n >= 16 for n in grid.shape)


def test_preparing_does_not_depend_on_how_the_stack_is_stored() -> None:
    """The same voxels, stored with other axes first, give the same input."""
    volume = painted(oblique((24, 50, 60), (3.3, 1.4, 1.1), order="src"), np.zeros(3), 1.0)
    values = np.random.default_rng(0).normal(200, 90, volume.grid.shape).astype(np.float32)
    affine = volume.grid.affine_lps_mm[:, [2, 0, 1, 3]].copy()
    stored = Volume(
        np.ascontiguousarray(values.transpose(2, 0, 1)), Grid((60, 24, 50), affine), Modality.CT
    )
    one, other = prepare(replace(volume, values=values), SPEC), prepare(stored, SPEC)
    assert one.grid.same_place(other.grid)
    assert one.channels == pytest.approx(other.channels, abs=1e-4)


def test_padding_is_out_of_view() -> None:
    """What was added around the scan is marked, and looks like air."""
    grid = oblique((20, 50, 60), (3.0, 1.0, 1.5), order="src")
    values = np.full(grid.shape, 300.0, np.float32)
    prepared = prepare(Volume(values, grid, Modality.CT), SPEC)
    seen_mm3 = prepared.in_view.sum() * 64.0
    assert seen_mm3 == pytest.approx(20 * 50 * 60 * 4.5, rel=0.15)
    assert (prepared.channels[0][~prepared.in_view] == prepared.channels.min()).all()
    assert np.median(prepared.channels[0][prepared.in_view]) > 0


@given(
    degrees=st.tuples(*[st.floats(-60, 60)] * 3),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_the_frame_is_found_despite_voxels_that_are_wrong(
    degrees: tuple[float, float, float], origin: tuple[float, float, float]
) -> None:
    """A seventh of the voxels think they are elsewhere; the frame still fits to a millimetre."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    truth = SacralFrame(np.array(origin), PATIENT @ turn)
    rng = np.random.default_rng(0)
    points = rng.uniform([-50, -20, -60], [50, 20, 40], (700, 3))
    predicted = points + rng.normal(0, 3, points.shape)
    predicted[::7] += [60, 30, -50]
    frame, residual = fit_frame(predicted, truth.to_lps_mm(points), np.ones(700, np.float32))
    assert frame.to_lps_mm([0, 0, 0]) == pytest.approx(truth.origin_lps_mm, abs=1.0)
    assert np.abs(frame.axes - truth.axes).max() < 0.03
    assert np.linalg.det(frame.axes) == pytest.approx(-1)
    assert 3 < residual < 7


def test_the_sacrum_is_found_where_it_is() -> None:
    """Origin within half a coarse voxel, axes along the scan's, levels covered, labels placed."""
    grid = oblique((60, 120, 130), (3.0, 1.4, 1.5), order="src")
    middle = grid.center_lps_mm + np.array([12.0, -9.0, 20.0])
    found = localize(painted(grid, middle, 30.0), reading_localizer(SPEC))
    assert found.frame.origin_lps_mm == pytest.approx(middle, abs=2.0)
    assert found.sacrum_volume_mm3 == pytest.approx(4 / 3 * np.pi * 30**3, rel=0.1)
    assert found.residual_mm < 1.0
    assert found.labels.centroid_lps_mm(AnatomyLabel.SACRAL_BODY) == pytest.approx(middle, abs=2)
    assert found.frame.coverage[SacralLevel.S2] == 1.0


def test_coverage_says_which_levels_are_cut() -> None:
    """A stack that ends 40 mm below the middle of S2 shows S1 and S2, but not S5."""
    grid = oblique((40, 120, 130), (3.0, 1.4, 1.5), order="src")
    up = grid.affine_lps_mm[:3, 0] / 3.0
    middle = grid.center_lps_mm - up * 20.0
    coverage = localize(painted(grid, middle, 30.0), reading_localizer(SPEC)).frame.coverage
    assert coverage[SacralLevel.S1] == coverage[SacralLevel.S2] == 1.0
    assert 0.1 < coverage[SacralLevel.S4] < 0.6
    assert coverage[SacralLevel.S5] == 0.0


@pytest.mark.parametrize("radius_mm", [0.0, 9.0])
def test_too_little_bone_is_no_sacrum(radius_mm: float) -> None:
    """Nothing, or a speck of three millilitres, is refused with exit code 4 and a hint."""
    grid = oblique((40, 80, 90), (3.0, 1.4, 1.5), order="src")
    with pytest.raises(NoSacrumInView, match="No sacrum in the field of view") as caught:
        localize(painted(grid, grid.center_lps_mm, radius_mm), reading_localizer(SPEC))
    assert caught.value.exit_code == 4
    assert caught.value.hint


def test_bone_that_does_not_know_where_it_is_is_no_sacrum() -> None:
    """Something shaped otherwise gets contradictory coordinates and is refused."""
    reading = reading_localizer(SPEC)

    def confused(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        output = np.array(reading.network(channels))
        output[6:] = np.random.default_rng(0).uniform(-1, 1, output[6:].shape)
        return output

    grid = oblique((60, 120, 130), (3.0, 1.4, 1.5), order="src")
    with pytest.raises(NoSacrumInView, match="disagree"):
        localize(painted(grid, grid.center_lps_mm, 30.0), Bundle(SPEC, confused))
