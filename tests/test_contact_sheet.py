"""Contact sheets show a patient the way a viewer does."""

from __future__ import annotations

import numpy as np

from sifdetect.findings import Morphology
from sifdetect.learn.contact_sheet import AXIAL, LABEL_HEIGHT, LABEL_WIDTH, sheet
from sifdetect.learn.planes import Plane
from sifdetect.synth.scene import CaseParams, sample_case
from sifdetect.volume import SacralFrame

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
    columns = (("axial", paint, AXIAL), ("coronal", paint, Plane(1, 0.0)))
    page = np.asarray(sheet([("one", cases[0]), ("two", cases[1])], columns, height_px=30))
    assert page.shape == (LABEL_HEIGHT + 2 * 32, LABEL_WIDTH + 2 * 40)
    assert page[LABEL_HEIGHT + 15, LABEL_WIDTH + 20] == 255
    assert page[LABEL_HEIGHT + 15, LABEL_WIDTH + 60] == 127
    assert page[LABEL_HEIGHT + 47, LABEL_WIDTH + 20] == 63
