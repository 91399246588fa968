"""Measurement reports: a contour on the right image for each finding, and what is said of all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pydicom import Dataset

from sifdetect.anatomy import Modality
from sifdetect.dicom.outline import largest_slice, outline, slice_images
from sifdetect.dicom.seg import encode_seg
from sifdetect.dicom.sr import encode_sr
from sifdetect.findings import Coverage
from sifdetect.volume import LabelMap
from tests.builders import item
from tests.result_cases import Case, bilateral
from tests.validators import object_complaints, read_aloud, template_complaints


def _encoded(case: Case) -> Dataset:
    return encode_sr(case.findings, case.labels, case.study)


def _items(node: Dataset, value_type: str) -> Iterator[Dataset]:
    for child in node.get("ContentSequence", []):
        if child.ValueType == value_type:
            yield child
        yield from _items(child, value_type)


def _name(node: Dataset) -> str:
    return str(node.ConceptNameCodeSequence[0].CodeMeaning)


def _groups(report: Dataset) -> list[Dataset]:
    return [node for node in _items(report, "CONTAINER") if _name(node) == "Measurement Group"]


def _texts(report: Dataset) -> str:
    return "\n".join(str(node.TextValue) for node in _items(report, "TEXT"))


def _codes(node: Dataset) -> dict[str, str]:
    return {_name(n): str(n.ConceptCodeSequence[0].CodeMeaning) for n in _items(node, "CODE")}


def _bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "Enhanced"])
def test_a_report_satisfies_the_standard_and_its_template(enhanced: bool, tmp_path: Path) -> None:
    """dciodvfy and PixelMed's TID 1500 validator find nothing wrong."""
    report = _encoded(bilateral(Modality.MR, enhanced=enhanced))
    assert object_complaints(report, tmp_path) == []
    assert template_complaints(report, tmp_path) == []


def test_the_judges_of_reports_fire(tmp_path: Path) -> None:
    """A group without its outline breaks the template; a code without its meaning, the object."""
    report = _encoded(bilateral(Modality.CT))
    group = _groups(report)[0]
    group.ContentSequence = [n for n in group.ContentSequence if _name(n) != "Image Region"]
    assert any("SCOORD" in line for line in template_complaints(report, tmp_path))
    del group.ConceptNameCodeSequence[0].CodeMeaning
    assert any("CodeMeaning" in line for line in object_complaints(report, tmp_path))


def test_a_report_reads_well_aloud(tmp_path: Path) -> None:
    """dcmtk prints every statement that the report makes, names in their own characters."""
    text = read_aloud(_encoded(bilateral()), tmp_path)
    for line in (
        "Müller^Änne",
        '"Tracking Identifier")="SIF-1 right ala"',
        '"Sacrum, right ala, Denis zone 1"',
        '"Distance to S2 foramen")="4.1" (mm,UCUM,"mm")',
        '"Finding like a sacral insufficiency fracture")=(52101004,SCT,"Present")',
        'FFP: at least IIa, by rule "dorsal only". Not assessed: pubic rami.',
        "Preliminary Flag    : PRELIMINARY",
        "Verification Flag   : UNVERIFIED",
    ):
        assert line in text


def test_each_group_has_a_closed_line_of_eight_points_or_more() -> None:
    """Fewer points read as a calliper, and a group without coordinates blanks the viewer."""
    groups = _groups(_encoded(bilateral()))
    assert len(groups) == 2
    for group in groups:
        (line,) = list(_items(group, "SCOORD"))
        points = np.array(line.GraphicData).reshape(-1, 2)
        assert line.GraphicType == "POLYLINE"
        assert len(points) >= 9
        assert_allclose(points[0], points[-1])


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "Enhanced"])
def test_each_line_surrounds_its_finding_on_the_slice_of_largest_area(enhanced: bool) -> None:
    """The line's centre is the finding's on that slice; pixel centres lie at half pixels."""
    case = bilateral(Modality.MR, enhanced=enhanced)
    values = case.labels[0].findings.values
    for number, group in enumerate(_groups(_encoded(case)), start=1):
        index = largest_slice(values == number)
        (line,) = list(_items(group, "SCOORD"))
        cited = line.ContentSequence[0].ReferencedSOPSequence[0]
        image = slice_images(case.study.series[0])[index]
        assert cited.ReferencedSOPInstanceUID == image.dataset.SOPInstanceUID
        assert cited.get("ReferencedFrameNumber") == image.frame_number
        rows, columns = np.nonzero(values[index] == number)
        points = np.array(line.GraphicData).reshape(-1, 2)[:-1]
        assert_allclose(points.min(0), [columns.min(), rows.min()], atol=0.8)
        assert_allclose(points.max(0), [columns.max() + 1, rows.max() + 1], atol=0.8)


def test_the_first_site_carries_side_and_zone_and_the_laterality_is_coded() -> None:
    """It is the one text that a viewer prints beside the contour."""
    sites = [
        node
        for group in _groups(_encoded(bilateral()))
        for node in _items(group, "CODE")
        if _name(node) == "Finding Site"
    ]
    values = [node.ConceptCodeSequence[0] for node in sites]
    assert [v.CodeMeaning for v in values] == [
        "Sacrum, right ala, Denis zone 1",
        "Sacrum, left ala, Denis zone 1",
    ]
    assert {v.CodeValue for v in values} == {"54735007"}
    sides = [node.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning for node in sites]
    assert sides == ["Right", "Left"]


def test_measurements_carry_their_units() -> None:
    """Every number of the finding is there with its UCUM unit."""
    case = bilateral()
    group = _groups(_encoded(case))[0]
    measured = {
        _name(node): (float(value.NumericValue), value.MeasurementUnitsCodeSequence[0].CodeValue)
        for node in _items(group, "NUM")
        for value in node.MeasuredValueSequence
    }
    assert measured == {
        "Volume": (5630.4, "mm3"),
        "Length of finding": (31.4, "mm"),
        "Distance to S1 foramen": (6.4, "mm"),
        "Distance to S2 foramen": (4.1, "mm"),
        "Distance to sacral canal": (18.2, "mm"),
        "Posterior wall step": (0.4, "mm"),
        "Angle": (2.0, "deg"),
        "Volume of marrow edema": (5630.4, "mm3"),
        "SIF-1 right ala, Denis 1": (93.0, "%"),
    }


def test_what_was_not_measured_is_left_out() -> None:
    """An unknown step is not a step of zero."""
    case = bilateral()
    first = replace(case.findings.fractures[0], step_mm=None, canal_distance_mm=None)
    findings = replace(case.findings, fractures=(first, case.findings.fractures[1]))
    group = _groups(encode_sr(findings, case.labels, case.study))[0]
    names = {_name(node) for node in _items(group, "NUM")}
    assert names.isdisjoint({"Posterior wall step", "Distance to sacral canal"})


def test_the_study_is_evaluated_in_the_root() -> None:
    """Presence and classes are coded, each with its rule; the statement of use stands there too."""
    report = _encoded(bilateral())
    (root,) = [n for n in report.ContentSequence if _name(n) == "Qualitative Evaluations"]
    coded = _codes(root)
    assert coded["Finding like a sacral insufficiency fracture"] == "Present"
    assert coded["Denis zone, highest"] == "Zone I fracture of sacrum"
    assert coded["Sacral fracture pattern"] == "Bilateral alae"
    assert coded["Bakker type, left ala"] == "Bakker B1"
    assert coded["Fragility fracture of the pelvis, at least type"] == "FFP IIa"
    text = _texts(root)
    assert 'Denis: zone 1, by rule "alar only". Left: 18.2 mm to the sacral canal.' in text
    assert "Research use only" in text
    assert "sacroiliac edema on the left" in text


def test_a_partly_seen_sacrum_is_coded_and_a_sacral_mri_advised() -> None:
    """What was not in view is said in the report of a fracture, too."""
    case = bilateral()
    findings = replace(case.findings, coverage=Coverage(sacrum=0.6))
    report = encode_sr(findings, case.labels, case.study)
    assert _codes(report)["Coverage of the sacrum"] == "Anatomy coverage incomplete"
    assert "only partly covered: a dedicated sacral MRI is advised" in _texts(report)


def test_the_segmentation_stands_in_the_evidence_and_shares_the_tracking() -> None:
    """A reader goes from the contour to the segment by the tracking UID."""
    case = bilateral()
    report = _encoded(case)
    seg = encode_seg(case.findings, case.labels[0], case.study.series[0])
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    cited = {
        str(instance.ReferencedSOPInstanceUID)
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    assert seg.SOPInstanceUID in cited
    assert len(cited) == 3  # two key images and the segmentation
    tracked = [n.UID for n in _items(report, "UIDREF") if _name(n) == "Tracking Unique Identifier"]
    assert tracked == [segment.TrackingUID for segment in seg.SegmentSequence]


def test_a_segmentation_that_is_not_written_is_not_cited() -> None:
    """A reference to an object that does not exist would be a dead end."""
    case = bilateral()
    report = encode_sr(case.findings, case.labels, case.study, segmentations=())
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence) == 1


def test_the_observer_is_a_device_that_changes_with_the_model() -> None:
    """IHE AIR tells algorithms apart by their device UID."""
    case = bilateral()
    bundles = {"sacrum_region": "ef" * 32}
    algorithm = replace(case.findings.algorithm, bundles=bundles)
    other = replace(case, findings=replace(case.findings, algorithm=algorithm))
    reports = (_encoded(case), _encoded(other))
    uids = [
        next(n.UID for n in _items(report, "UIDREF") if _name(n) == "Device Observer UID")
        for report in reports
    ]
    assert uids[0] != uids[1]
    assert _codes(reports[0])["Device Role in Procedure"] == "Recording"


def test_the_procedure_is_the_source_s_own() -> None:
    """The code of the site is copied; without one, no more is said than that it was imaging."""
    case = bilateral()
    assert _codes(_encoded(case))["Procedure reported"] == "Imaging procedure"
    code = item(CodeValue="RIS12", CodingSchemeDesignator="99RIS", CodeMeaning="MRT Becken")
    for dataset in case.study.series[0].datasets:
        dataset.ProcedureCodeSequence = [code]
    assert _codes(_encoded(case))["Procedure reported"] == "MRT Becken"


def test_encoding_twice_gives_the_same_small_file() -> None:
    """The same study makes the same bytes, and fewer than 60 kB of them."""
    first, second = _bytes(_encoded(bilateral())), _bytes(_encoded(bilateral()))
    assert first == second
    assert len(first) < 60_000


def test_a_finding_too_small_for_a_voxel_is_ringed_at_its_centroid() -> None:
    """Every finding has coordinates, on the slice and at the pixel of its centroid."""
    case = bilateral()
    values = np.where(case.labels[0].findings.values == 1, 1, 0).astype(np.uint8)
    only_first = replace(case.labels[0], findings=LabelMap(values, case.labels[0].findings.grid))
    report = encode_sr(case.findings, (only_first,), case.study)
    (line,) = list(_items(_groups(report)[1], "SCOORD"))
    centre = np.array(line.GraphicData).reshape(-1, 2)[:-1].mean(axis=0)
    grid = case.study.series[0].volume.grid
    index, row, column = grid.mm_to_index(case.findings.fractures[1].centroid_lps_mm)
    assert_allclose(centre, [column + 0.5, row + 0.5], atol=1e-3)
    cited = line.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert cited == case.study.series[0].datasets[round(float(index))].SOPInstanceUID


def test_the_outline_follows_the_largest_part() -> None:
    """Of two islands the larger is drawn, at equal steps along its border."""
    mask = np.zeros((20, 30), bool)
    mask[2:4, 2:4] = True
    mask[8:16, 10:25] = True
    line = outline(mask)
    assert line[:, 0].min() >= 10 - 1e-9
    assert line[:, 0].max() <= 25 + 1e-9
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    assert steps.max() < 1.5 * steps.min() + 0.5


def test_a_report_without_a_finding_or_of_another_study_is_refused() -> None:
    """The text report speaks where there is nothing to outline."""
    case = bilateral()
    with pytest.raises(ValueError, match="text report"):
        encode_sr(replace(case.findings, fractures=()), case.labels, case.study)
    stranger = replace(case.labels[0].source, series_instance_uid="1.2.3")
    with pytest.raises(ValueError, match="not one of the study"):
        encode_sr(case.findings, (replace(case.labels[0], source=stranger),), case.study)
