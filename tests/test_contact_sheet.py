"""Contact sheets show a patient the way a viewer does."""

from __future__ import annotations

import numpy as np
import pytest

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.findings import Morphology
from sifdetect.learn.contact_sheet import AXIAL, LABEL_HEIGHT, LABEL_WIDTH, Column, sheet
from sifdetect.learn.planes import Plane
from sifdetect.learn.real_row import RealScan, frame_of_landmarks
from sifdetect.synth.scene import CaseParams, sample_case
from sifdetect.volume import SacralFrame, Volume

FRAME = SacralFrame(np.zeros(3), np.diag([1.0, -1.0, 1.0]))


def mark(at_mm: tuple[float, float, float], plane: Plane) -> tuple[float, float]:
    """(row, column) as shares of the picture of a point that is bright in a plane."""
    grid = plane.grid(FRAME)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    near = np.linalg.norm(grid.index_to_mm(index) - FRAME.to_lps_mm(at_mm), axis=-1)
    picture = plane.picture((near < 2).astype(np.float32))
    row, column = np.argwhere(picture > 0).mean(axis=0) / picture.shape
    return float(row), float(column)


def test_the_patients_left_is_on_the_right_and_anterior_is_up_or_on_the_left() -> None:
    """Sides as in a viewer, in all three planes."""
    left = (40.0, 0.0, 20.0)
    assert mark(left, AXIAL)[1] > 0.6
    assert mark((0.0, 40.0, 20.0), AXIAL)[0] < 0.4
    assert mark((40.0, -10.0, 0.0), Plane(1, -10.0))[1] > 0.6
    assert mark((0.0, -10.0, 40.0), Plane(1, -10.0))[0] < 0.4
    assert mark((0.0, 40.0, 0.0), Plane(0, 0.0))[1] < 0.4
    assert mark((0.0, 0.0, 40.0), Plane(0, 0.0))[0] < 0.4


def test_a_sheet_has_a_row_for_each_case_and_a_cell_for_each_column() -> None:
    """What a painter draws appears in its place."""

    def paint(case: CaseParams, plane: Plane) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        shade = 1.0 if plane.normal == 2 else 0.5
        return np.full((30, 40), shade if case.seed == 1 else 0.25, dtype=np.float32)

    cases = [sample_case(seed, morphology=Morphology.NONE) for seed in (1, 2)]
    columns = (Column("axial", paint, AXIAL), Column("coronal", paint, Plane(1, 0.0)))
    page = np.asarray(sheet([("one", cases[0]), ("two", cases[1])], columns, height_px=30))
    assert page.shape == (LABEL_HEIGHT + 2 * 32, LABEL_WIDTH + 2 * 40)
    assert page[LABEL_HEIGHT + 15, LABEL_WIDTH + 20] == 255
    assert page[LABEL_HEIGHT + 15, LABEL_WIDTH + 60] == 127
    assert page[LABEL_HEIGHT + 47, LABEL_WIDTH + 20] == 63


def test_a_real_scan_is_drawn_below_its_own_kind_of_series_alone() -> None:
    """Below a STIR no T2 stands, which a reader would compare with it."""
    grid = FRAME.grid((-90, -70, -90), (90, 70, 90), 3.0)
    bright = Volume(np.ones(grid.shape, np.float32), grid, Modality.MR, MrWeighting.T2)
    scan = RealScan("one", FRAME, (bright,))
    assert scan.has(MrWeighting.T2)
    assert not scan.has(None)
    picture = scan.picture(MrWeighting.T2, AXIAL)
    assert picture is not None
    assert picture.mean() == pytest.approx(1.0)
    assert scan.picture(MrWeighting.STIR, AXIAL) is None
    assert scan.picture(None, AXIAL) is None


def test_a_frame_is_set_by_the_bodies_of_s1_and_s3() -> None:
    """Their centres lie where the mean sacrum has them; a tilted one keeps the patient's left."""
    upright = frame_of_landmarks((5.0, 0.0, 50.0, 5.0, 0.0, -3.5))
    assert upright.axes == pytest.approx(np.diag([1.0, -1.0, 1.0]))
    assert upright.to_frame_mm(np.array([5.0, 0.0, 50.0])) == pytest.approx([0, -4.25, 29.5])
    lying = frame_of_landmarks((-17.0, 35.6, 69.0, -17.0, 77.0, 49.0))
    assert lying.axes[0] == pytest.approx([1, 0, 0])
    assert np.linalg.det(lying.axes) == pytest.approx(-1)
    assert lying.to_frame_mm(np.array([-17.0, 35.6, 69.0]))[2] > 20
