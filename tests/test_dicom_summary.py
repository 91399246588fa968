"""Summary pages: one picture that every viewer shows, hung as radiologists hang it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from pydicom import Dataset

from sifdetect.anatomy import Modality, SacralLevel
from sifdetect.dicom.lettering import Weight, drawable, runs, width, wrapped
from sifdetect.dicom.page import AMBER, GOOD
from sifdetect.dicom.panels import SACRUM
from sifdetect.dicom.reformat import Picture, pictures
from sifdetect.dicom.seg import color_of, encode_seg
from sifdetect.dicom.sr import encode_sr
from sifdetect.dicom.summary import encode_summary
from sifdetect.dicom.summary_page import render
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.findings import Coverage, Presence, Warning
from sifdetect.volume import LabelMap, Volume
from tests.result_cases import (
    CENTRE_LPS_MM,
    LEFT_LPS_MM,
    PATIENT,
    RIGHT_LPS_MM,
    Case,
    bilateral,
    oblique_grid,
    without_finding,
)
from tests.validators import object_complaints


def _encoded(case: Case) -> Dataset:
    return encode_summary(case.findings, case.labels, case.study)


def _page(case: Case) -> NDArray[np.uint8]:
    return render(case.findings, case.labels[0], case.study.series[0])


def _near(page: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    difference = np.abs(page.astype(int) - np.array(color)).max(axis=-1)
    return np.asarray(difference < 40)


def _pictures(volume: Volume) -> tuple[Picture, ...]:
    return pictures(bilateral().labels[0], volume, size=(320, 280))


def _beside(centre: NDArray[np.float64], *offset_mm: float) -> NDArray[np.float64]:
    return np.asarray(centre + np.array(offset_mm))


def _blob(centre: NDArray[np.float64]) -> Volume:
    grid = oblique_grid()
    points = grid.index_to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    inside = np.linalg.norm(points - centre, axis=-1) < 9
    return Volume(np.where(inside, 900.0, 0.0).astype(np.float32), grid, Modality.CT)


@pytest.mark.parametrize("modality", list(Modality))
def test_a_summary_satisfies_the_standard(modality: Modality, tmp_path: Path) -> None:
    """dciodvfy finds nothing wrong with the Secondary Capture."""
    assert object_complaints(_encoded(bilateral(modality)), tmp_path) == []


def test_the_judge_of_summaries_fires(tmp_path: Path) -> None:
    """Without a body part the Laterality would be missing, and the judge says so."""
    broken = _encoded(bilateral())
    del broken.BodyPartExamined
    assert any("Laterality" in line for line in object_complaints(broken, tmp_path))


def test_a_summary_is_a_colour_picture_of_the_source_s_study() -> None:
    """1024 × 972 RGB, the patient's attributes in the header and none burned into the pixels."""
    case = bilateral()
    summary = _encoded(case)
    assert (summary.Rows, summary.Columns, summary.PhotometricInterpretation) == (972, 1024, "RGB")
    assert summary.pixel_array.shape == (972, 1024, 3)
    assert summary.BurnedInAnnotation == "NO"
    assert summary.PatientName == "Müller^Änne"
    assert summary.StudyInstanceUID == case.study.study_instance_uid
    assert summary.AccessionNumber == "A-99"


def test_no_encoder_changes_its_source() -> None:
    """The reader's data sets are the same after every encoder, odd values included."""
    case = bilateral(Modality.CT)
    for dataset in case.study.series[0].datasets:
        dataset.PatientSex = "X"
        dataset.SliceThickness = ""
    before = deepcopy(case.study.series[0].datasets)
    encode_seg(case.findings, case.labels[0], case.study.series[0])
    encode_sr(case.findings, case.labels, case.study)
    encode_text_report(case.findings, case.study)
    _encoded(case)
    assert case.study.series[0].datasets == before


def test_no_encoder_speaks_the_patient_s_name(recwarn: pytest.WarningsRecorder) -> None:
    """The library warns of names without a caret by printing them; they must not reach a log."""
    case = bilateral(about=replace(PATIENT, patient_name="Novak"))
    made = (
        encode_seg(case.findings, case.labels[0], case.study.series[0]),
        encode_sr(case.findings, case.labels, case.study),
        encode_text_report(case.findings, case.study),
        _encoded(case),
    )
    assert [str(one.PatientName) for one in made] == ["Novak"] * 4
    assert not [warning for warning in recwarn if "Novak" in str(warning.message)]


def test_encoding_twice_gives_the_same_bytes() -> None:
    """The page is a duplicate to the archive, never a second one."""
    streams = [BytesIO(), BytesIO()]
    for stream in streams:
        _encoded(bilateral()).save_as(stream, enforce_file_format=True)
    assert streams[0].getvalue() == streams[1].getvalue()


@pytest.mark.parametrize(
    ("plane", "centre", "column", "row"),
    [
        (0, RIGHT_LPS_MM, "left", None),
        (0, LEFT_LPS_MM, "right", None),
        (0, _beside(CENTRE_LPS_MM, -34, -14, 8), "left", "top"),
        (1, RIGHT_LPS_MM, "left", None),
        (1, _beside(RIGHT_LPS_MM, 0, 0, 12), "left", "top"),
        (2, _beside(LEFT_LPS_MM, 0, -16, 0), "left", None),
        (2, _beside(LEFT_LPS_MM, 0, 16, 14), "right", "top"),
    ],
)
def test_pictures_hang_in_the_patient_s_convention(
    plane: int, centre: NDArray[np.float64], column: str, row: str | None
) -> None:
    """Right is left, anterior or cranial is up; sagittal pictures look to the left."""
    gray = _pictures(_blob(centre))[plane].gray
    rows, columns = np.nonzero(gray > 200)
    assert len(rows), "the blob must lie in the plane of the finding"
    assert (columns.mean() < 160) == (column == "left")
    if row is not None:
        assert rows.mean() < 140


def test_pictures_are_true_to_scale() -> None:
    """Findings 68 mm apart are that far apart on the axial picture."""
    axial = _pictures(bilateral().study.series[0].volume)[0]
    centres = [
        float(np.nonzero(axial.findings[number] > 0.5)[1].mean()) * axial.pixel_mm
        for number in (1, 2)
    ]
    assert_allclose(centres[1] - centres[0], 68.0, atol=1.5)


def test_findings_are_outlined_in_the_colours_of_the_segmentation() -> None:
    """The right finding's colour lies left of the left one's, in the axial picture."""
    page = _page(bilateral())
    axial = page[190:460, 24:344]
    right = np.nonzero(_near(axial, color_of(1)))[1]
    left = np.nonzero(_near(axial, color_of(2)))[1]
    assert len(right) > 100
    assert len(left) > 100
    assert right.max() < left.min()


def test_the_second_row_shows_the_pictures_without_outlines() -> None:
    """An outline must not hide what it surrounds."""
    case = bilateral()
    gray = _pictures(case.study.series[0].volume)[0].gray
    page = _page(case)
    below = page[466:640, 24:344]
    assert gray.std() > 0
    assert not _near(below, color_of(1)).any()


def test_without_a_finding_the_sacrum_is_outlined() -> None:
    """The reader sees what was taken for the sacrum."""
    page = _page(without_finding(Presence.ABSENT))
    assert _near(page[:460], SACRUM).sum() > 500
    assert not _near(page[190:], color_of(1)).any()


def test_a_cut_sacrum_has_short_amber_bars() -> None:
    """Coverage is drawn by level: green where whole, amber where cut, empty where not seen."""
    coverage = Coverage(sacrum=0.5, by_level={SacralLevel.S1: 1.0, SacralLevel.S2: 0.5})
    bars = _page(without_finding(Presence.INDETERMINATE, coverage))[800:, 54:232]
    green, amber = (_near(bars, color).any(axis=0).sum() for color in (GOOD, AMBER))
    assert_allclose([green, amber], [177, 89], atol=3)


def test_a_crowded_study_still_fits_on_the_page() -> None:
    """Nine findings and a page of warnings leave the foot of the page readable."""
    case = bilateral()
    crowded = replace(
        case.findings,
        fractures=case.findings.fractures * 4,
        warnings=tuple(Warning(code=str(n), text="long words " * 40) for n in range(9)),
    )
    page, plain = _page(replace(case, findings=crowded)), _page(case)
    assert (page[944:] == plain[944:]).all()
    assert (page != plain).any()


def test_a_summary_stays_below_3_mb() -> None:
    """Uncompressed, so that every archive takes it."""
    stream = BytesIO()
    _encoded(bilateral()).save_as(stream, enforce_file_format=True)
    assert len(stream.getvalue()) <= 3_000_000


def test_a_finding_that_two_planes_miss_is_shown_in_the_third() -> None:
    """A small midline finding behind both other planes decides where the sagittal one cuts."""
    case = bilateral()
    grid = case.labels[0].findings.grid
    marked = np.array(case.labels[0].findings.values)
    points = grid.index_to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    hidden = np.abs(points - _beside(CENTRE_LPS_MM, 0, -18, -24)).max(axis=-1) < 6
    assert hidden.any()
    marked[hidden] = 3
    labels = replace(case.labels[0], findings=LabelMap(marked, grid))
    axial, coronal, sagittal = pictures(labels, case.study.series[0].volume, size=(320, 280))
    shown = [set(one.findings) for one in (axial, coronal, sagittal)]
    assert all(len(numbers) == 3 for numbers in shown)
    assert [bool((one.findings[3] > 0.5).any()) for one in (axial, coronal, sagittal)][2]
    assert not (axial.findings[3] > 0.5).any()


def test_ticks_show_where_the_other_planes_cut() -> None:
    """A point in two planes lies on both ticks' lines: here the crossing is in both pictures."""
    for picture in _pictures(bilateral().study.series[0].volume):
        height, width_px = picture.gray.shape
        assert len(picture.ticks) == 2
        for ends in picture.ticks:
            for x, y in ends:
                edge = min(x, y, width_px - x, height - y)
                assert_allclose(edge, 0, atol=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "Übersicht Größe 3 mm³, ≥ 4°",
        "Παπαδόπουλος Ελένη",
        "Иванова Ольга",
        "山田 花子 ヤマダ 髙﨑",
        "陳大文",
    ],
)
def test_text_in_these_scripts_is_drawn_as_it_is(text: str) -> None:
    """Latin, Greek, Cyrillic, Japanese and Chinese: no character is lost or an empty box."""
    assert drawable(text) == text
    assert len({path for _, path in runs(text, Weight.SEMIBOLD)}) >= 1


def test_what_no_typeface_holds_is_a_question_mark() -> None:
    """Never an empty box, and never silently left out."""
    assert drawable("김 민수") == "? ??"
    assert drawable("a → b") == "a -> b"


def test_long_lines_end_in_dots_and_text_without_spaces_breaks() -> None:
    """No line is wider than its room, in any script."""
    for text in ("one two three " * 20, "骨盤単純撮影" * 30, "x" * 400):
        lines = wrapped(text, 200, size=16, most=3)
        assert len(lines) == 3
        assert lines[-1].endswith("…")
        assert all(width(line, 16) <= 200 for line in lines)


def test_a_study_without_labels_has_no_summary() -> None:
    """Without a used series there is no picture to show; the text report speaks."""
    case = bilateral()
    with pytest.raises(ValueError, match="at least one series"):
        encode_summary(case.findings, (), case.study)
