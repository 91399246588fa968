"""Data report, presentation state, PDF and FHIR: valid to their judges, and what they say."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from numpy.testing import assert_allclose
from pydantic import ValidationError

from sifdetect.anatomy import Modality
from sifdetect.dicom.data_sr import encode_data_sr
from sifdetect.dicom.fhir import diagnostic_report
from sifdetect.dicom.gsps import encode_gsps
from sifdetect.dicom.outline import slice_images
from sifdetect.dicom.pdf import encode_pdf
from sifdetect.dicom.seg import encode_seg
from sifdetect.findings import Presence, Warning
from tests.conftest import find_tool
from tests.result_cases import PATIENT, Case, bilateral, without_finding
from tests.validators import object_complaints, template_complaints

ENHANCED = pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "Enhanced"])


def _told(tool: str, *arguments: str) -> str:
    command = [str(find_tool(tool)), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@ENHANCED
def test_a_data_report_is_valid_and_names_the_segments(enhanced: bool, tmp_path: Path) -> None:
    """dciodvfy and the TID 1411 validator are content; each group cites its segment."""
    case = bilateral(enhanced=enhanced)
    report = encode_data_sr(case.findings, case.labels, case.study)
    assert object_complaints(report, tmp_path) == []
    assert template_complaints(report, tmp_path) == []
    seg = encode_seg(case.findings, case.labels[0], case.study.series[0])
    cited = [
        (item.ReferencedSOPInstanceUID, item.ReferencedSegmentNumber)
        for node in report.ContentSequence[-2].ContentSequence
        for child in node.ContentSequence
        for item in child.get("ReferencedSOPSequence", [])
    ]
    assert cited == [(seg.SOPInstanceUID, 1), (seg.SOPInstanceUID, 2)]


@ENHANCED
def test_a_presentation_state_is_valid(enhanced: bool, tmp_path: Path) -> None:
    """dciodvfy and dcmpschk find nothing wrong, and dcmpschk does where its area is taken out."""
    case = bilateral(enhanced=enhanced)
    state = encode_gsps(case.findings, case.labels[0], case.study.series[0])
    assert object_complaints(state, tmp_path) == []
    state.save_as(tmp_path / "gsps.dcm", enforce_file_format=True)
    assert "Test passed" in _told("dcmpschk", str(tmp_path / "gsps.dcm"))
    del state.DisplayedAreaSelectionSequence
    state.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    assert "Test passed" not in _told("dcmpschk", str(tmp_path / "broken.dcm"))


def test_a_presentation_state_outlines_every_slice_of_a_finding() -> None:
    """Each slice that holds voxels has a closed line around them, counted from pixel 1."""
    case = bilateral(Modality.CT)
    values = case.labels[0].findings.values
    state = encode_gsps(case.findings, case.labels[0], case.study.series[0])
    images = slice_images(case.study.series[0])
    drawn = {
        str(note.ReferencedImageSequence[0].ReferencedSOPInstanceUID): note
        for note in state.GraphicAnnotationSequence
    }
    for index, plane in enumerate(values):
        uid = str(images[index].dataset.SOPInstanceUID)
        assert plane.any() == (uid in drawn)
        if plane.any():
            lines = drawn[uid].GraphicObjectSequence
            assert len(lines) == len(np.unique(plane)) - 1
            points = np.array(lines[0].GraphicData).reshape(-1, 2)
            assert_allclose(points[0], points[-1])
            _, columns = np.nonzero(plane == np.unique(plane)[1])
            assert_allclose(points[:, 0].min(), columns.min() + 0.5, atol=0.8)


def _pdf(case: Case, folder: Path) -> Path:
    document = encode_pdf(case.findings, case.labels, case.study)
    assert object_complaints(document, folder) == []
    path = folder / "report.pdf"
    path.write_bytes(document.EncapsulatedDocument[: document.EncapsulatedDocumentLength])
    return path


@pytest.mark.parametrize("presence", [Presence.PRESENT, Presence.INDETERMINATE])
def test_the_pdf_has_one_or_two_pages_and_says_the_answer(
    presence: Presence, tmp_path: Path
) -> None:
    """pdfinfo reads it; its text holds whose it is, the answer, the units and the limits of use."""
    present = presence is Presence.PRESENT
    case = bilateral(Modality.CT) if present else without_finding(presence)
    path = _pdf(case, tmp_path)
    assert "Pages:           1" in _told("pdfinfo", str(path))
    text = _told("pdftotext", "-layout", str(path), "-")
    for line in ("Müller, Änne", "P-17", "1944-02-03", "accession A-99", "Research use only"):
        assert line in text
    answer = "right ala (S1-S2)" if present else "Indeterminate"
    assert answer in text
    assert "cdcdcdcd" in text


def test_each_page_of_the_pdf_says_whose_it_is(tmp_path: Path) -> None:
    """A second page that lies alone on a desk can be given back to its patient."""
    case = bilateral(Modality.CT)
    many = tuple(Warning(code=f"w{n}", text=f"something to know, number {n}") for n in range(40))
    path = _pdf(replace(case, findings=replace(case.findings, warnings=many)), tmp_path)
    assert "Pages:           2" in _told("pdfinfo", str(path))
    second = _told("pdftotext", "-layout", "-f", "2", "-l", "2", str(path), "-")
    for line in ("Müller, Änne", "P-17", "2024-05-06", "Research use only"):
        assert line in second


def test_names_in_the_pdf_keep_their_script(tmp_path: Path) -> None:
    """Japanese in its three groups and a long Greek name can be read and copied from it."""
    for name, shown in (
        (
            "Yamada^Hanako=山田^花子=やまだ^はなこ",
            ("Yamada, Hanako", "山田, 花子", "やまだ, はなこ"),
        ),
        ("Παπαδοπούλου^Ελένη", ("Παπαδοπούλου, Ελένη",)),
    ):
        about = replace(PATIENT, character_set="ISO_IR 192", patient_name=name)
        text = _told("pdftotext", str(_pdf(bilateral(about=about), tmp_path)), "-")
        assert all(part in text for part in shown)


@pytest.mark.parametrize("presence", list(Presence))
def test_the_fhir_report_fits_the_model_of_r4(presence: Presence) -> None:
    """fhir.resources accepts it; contained resources are all referred to; it is preliminary."""
    case = bilateral() if presence is Presence.PRESENT else without_finding(presence)
    report = diagnostic_report(case.findings, case.study)
    parsed = DiagnosticReport.model_validate_json(json.dumps(report))
    assert parsed.status == "preliminary"
    named = {item["reference"] for item in report["result"]} | {"#algorithm"}
    assert named == {f"#{item['id']}" for item in report["contained"]}
    answer = report["contained"][1]["valueCodeableConcept"]["coding"][0]["display"]
    assert answer == presence.value.capitalize()
    assert report["subject"] == {
        "type": "Patient", "identifier": {"value": "P-17"}, "display": "Müller^Änne",
    }  # fmt: skip


def test_the_fhir_model_rejects_a_report_without_status() -> None:
    """The judge fires."""
    report = diagnostic_report(bilateral().findings, bilateral().study)
    for broken in ({"status": None}, {"status": 7}, {"code": "18748-4"}, {"madeUp": 1}):
        with pytest.raises(ValidationError):
            DiagnosticReport.model_validate_json(json.dumps(report | broken))
