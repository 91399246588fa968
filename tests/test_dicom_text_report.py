"""Text reports: what is said where there is nothing to outline."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from sifdetect.anatomy import Modality, MrWeighting, SacralLevel, Side
from sifdetect.dicom.read import DicomStudy
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.errors import MissingAttribute, NoSacrumInView
from sifdetect.findings import Coverage, OtherFinding, Presence, Warning
from sifdetect.measurements import UNCERTAIN
from tests.builders import ct_series, read_one
from tests.changes import COMPARISON
from tests.result_cases import Case, bilateral, without_finding
from tests.validators import object_complaints, read_aloud, template_complaints

CUT = Coverage(
    sacrum=0.55,
    by_level={
        SacralLevel.S1: 1.0,
        SacralLevel.S2: 1.0,
        SacralLevel.S3: 0.4,
        SacralLevel.S4: 0.0,
        SacralLevel.S5: 0.0,
    },
    limits=("the lower edge of the scan cuts the sacrum at S3",),
)


def _report(case: Case) -> Dataset:
    return encode_text_report(case.findings, case.study)


def _sections(report: Dataset) -> dict[str, list[str]]:
    return {
        str(section.ConceptNameCodeSequence[0].CodeMeaning): [
            str(paragraph.TextValue) for paragraph in section.ContentSequence
        ]
        for section in report.ContentSequence
        if section.ValueType == "CONTAINER"
    }


def _bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_a_text_report_satisfies_the_standard_and_its_template(tmp_path: Path) -> None:
    """dciodvfy and PixelMed's TID 2000 validator find nothing wrong."""
    report = _report(without_finding(Presence.INDETERMINATE, CUT))
    assert object_complaints(report, tmp_path) == []
    assert template_complaints(report, tmp_path) == []


def test_the_judge_of_text_reports_fires(tmp_path: Path) -> None:
    """A report without its completion flag is told."""
    report = _report(without_finding(Presence.ABSENT))
    del report.CompletionFlag
    assert any("CompletionFlag" in line for line in object_complaints(report, tmp_path))


def test_a_cut_sacrum_is_told_by_level_and_a_sacral_mri_advised() -> None:
    """A partly imaged sacrum is never called free of fracture."""
    sections = _sections(_report(without_finding(Presence.INDETERMINATE, CUT)))
    assert sections["Impressions"][0] == (
        "Indeterminate: no fracture was seen in the part that is in view, "
        "but the sacrum is only partly covered (55 %)."
    )
    assert (
        "The sacrum is only partly covered (55 %): S1-S2 seen whole, S3 seen to 40 %, "
        "S4-S5 not seen." in sections["Findings"]
    )
    assert "The lower edge of the scan cuts the sacrum at S3." in sections["Findings"]
    assert sections["Recommendations"] == [
        "The sacrum is only partly covered: a dedicated sacral MRI is advised."
    ]


def test_an_absent_finding_on_ct_is_told_with_what_ct_misses() -> None:
    """CT shows about two thirds of these fractures: the reader is told."""
    sections = _sections(_report(without_finding(Presence.ABSENT)))
    assert sections["Impressions"][0].startswith("No finding like a sacral insufficiency fracture")
    assert "CT misses about a third" in sections["Recommendations"][0]
    assert "The whole sacrum is in the field of view: S1-S5 seen whole." in sections["Findings"]


def test_a_finding_too_uncertain_to_state_is_not_called_absent() -> None:
    """The first line says what was seen and on which side, and that it is not stated."""
    case = without_finding(Presence.INDETERMINATE, CUT)
    findings = replace(case.findings, other_findings=(_unsure(Side.LEFT),))
    sections = _sections(encode_text_report(findings, case.study))
    assert "uncertain fracture-like line (left)" in sections["Impressions"][0]
    assert "of the sacrum in view" in sections["Impressions"][0]
    assert not any("No fracture line" in text for text in sections["Findings"])
    assert any(text.startswith("Also seen: uncertain") for text in sections["Findings"])


def test_absent_with_an_uncertain_line_is_not_called_nothing() -> None:
    """What is listed below is named in the first line too, with the probability and why not."""
    case = without_finding(Presence.ABSENT)
    findings = replace(case.findings, probability=0.34, other_findings=(_unsure(Side.RIGHT),))
    sections = _sections(encode_text_report(findings, case.study))
    assert sections["Impressions"][0] == (
        "No finding like a sacral insufficiency fracture is stated; look at the uncertain "
        "fracture-like line (right), not certain enough to be called a fracture (probability 34 %)."
    )


@pytest.mark.parametrize(
    ("modality", "kind"),
    [
        (Modality.CT, "uncertain fracture-like line on the left"),
        (Modality.MR, "uncertain fracture-like line or edema on the left"),
    ],
)
def test_edema_is_spoken_of_where_it_can_be_seen(modality: Modality, kind: str) -> None:
    """CT shows none."""
    case = bilateral(modality)
    findings = replace(case.findings, other_findings=(_unsure(Side.LEFT),))
    assert (
        f"Also seen: {kind} (0.90 ml)."
        in _sections(encode_text_report(findings, case.study))["Findings"]
    )


@pytest.mark.parametrize(
    ("weighting", "signs"),
    [
        (None, "fracture line or sclerosis"),
        (MrWeighting.STIR, "fracture line or marrow edema"),
        (MrWeighting.T1, "fracture line"),
    ],
)
def test_only_what_a_scan_can_show_is_said_to_be_absent(
    weighting: MrWeighting | None, signs: str
) -> None:
    """CT shows no marrow edema, MR is not searched for sclerosis, T1 alone shows neither."""
    case = without_finding(Presence.ABSENT)
    modality = Modality.MR if weighting else Modality.CT
    used = replace(case.findings.sources[0], modality=modality, weighting=weighting)
    findings = replace(case.findings, sources=(used,))
    told = _sections(encode_text_report(findings, case.study))["Findings"]
    assert f"No {signs} like a fracture was found in view." in told


def test_a_mass_is_told_once() -> None:
    """As other finding with its place; the warning of the classification says no more."""
    case = without_finding(Presence.INDETERMINATE)
    mass = replace(_unsure(Side.MIDLINE), kind="mass-like")
    warning = Warning(code="mass-like", text="a mass-like finding is seen: consider another cause")
    findings = replace(case.findings, other_findings=(mass,), warnings=(warning,))
    told = _sections(encode_text_report(findings, case.study))["Findings"]
    assert [text for text in told if "mass-like" in text] == [
        "Also seen: mass-like finding in the midline (0.90 ml): "
        "consider another cause than insufficiency."
    ]


def test_the_reason_ct_is_no_reason() -> None:
    """A CT series is said to be used, and not because it is a CT."""
    case = without_finding(Presence.ABSENT)
    sources = tuple(replace(one, reason="CT") for one in case.findings.sources[:1])
    findings = replace(case.findings, sources=sources)
    said = _sections(encode_text_report(findings, case.study))["Current Procedure Descriptions"]
    assert said[0].endswith('"CT Becken" used.')


def _unsure(side: Side) -> OtherFinding:
    return OtherFinding(
        kind=UNCERTAIN, side=side, centroid_lps_mm=(0.0, 0.0, 0.0), volume_mm3=900.0
    )


def test_advice_among_the_warnings_is_given_once() -> None:
    """The classification warns of the same things; the reader need not read them twice."""
    case = without_finding(Presence.INDETERMINATE, CUT)
    told = (
        Warning(code="sacrum-partly-covered", text="the sacrum is only partly covered: do an MRI"),
        Warning(code="no-fluid-sensitive-series", text="no fluid-sensitive series"),
        Warning(code="thick-slices", text="slices are thick"),
    )
    coverage = replace(CUT, limits=("S3 is only in view to 40 %", "S4 is not in view"))
    findings = replace(case.findings, warnings=told, coverage=coverage)
    sections = _sections(encode_text_report(findings, case.study))
    assert sections["Recommendations"] == [
        "The sacrum is only partly covered: do an MRI.",
        "No fluid-sensitive series.",
    ]
    assert "Slices are thick." in sections["Findings"]
    assert not any("is only in view" in text for text in sections["Findings"])


def test_a_finding_without_contours_is_described_in_words() -> None:
    """Measurements, classes with what they could not see, and other findings by kind."""
    case = bilateral()
    findings = replace(case.findings, probability=0.999)
    sections = _sections(encode_text_report(findings, case.study))
    assert "both alae, probability over 99 %." in sections["Impressions"][0]
    assert sections["Findings"][0] == (
        "SIF-1 right ala at S1-S2: fracture line in marrow edema, 5.6 ml, length 31 mm, 4.1 mm to "
        "the S2 foramen, 18.2 mm to the sacral canal, step of the posterior wall 0.4 mm, "
        "kyphotic angle 2 deg (certainty 93 %)."
    )
    assert "Also seen: sacroiliac edema on the left (0.83 ml)." in sections["Findings"]
    assert (
        'FFP: at least IIa, by rule "dorsal only". Not assessed: pubic rami.'
        in sections["Findings"]
    )


def test_the_report_says_which_series_were_used_and_by_what(tmp_path: Path) -> None:
    """Used and unused series with their reasons, the algorithm, and each model's checksum."""
    text = read_aloud(_report(without_finding(Presence.ABSENT)), tmp_path)
    assert 'CT axial "CT Becken" used: thin bone kernel.' in text
    assert 'MR "Übersicht" not used: localizer: three planes of one image each.' in text
    assert "Algorithm: sifdetect 0.1.0." in text
    assert f"Model sacrum_region, SHA-256 of its weights {'cd' * 32}." in text
    assert "Research use only. Not a diagnosis: every statement needs a radiologist." in text


def test_a_failure_is_told_with_its_reason(tmp_path: Path) -> None:
    """A study that cannot be assessed still gets an answer, and no false comfort."""
    error = NoSacrumInView(
        "No part of the sacrum lies in the field of view – 40° off", hint="Send a pelvic series"
    )
    report = encode_text_report(None, bilateral().study, failure=str(error))
    sections = _sections(report)
    assert sections["Impressions"][:2] == [
        "The study could not be assessed.",
        "No part of the sacrum lies in the field of view - 40 deg off. Send a pelvic series.",
    ]
    assert "Nothing is known" in sections["Recommendations"][0]
    assert object_complaints(report, tmp_path) == []


def test_other_characters_than_the_source_s_are_spelt_out(tmp_path: Path) -> None:
    """A report in Latin-1 cannot hold Greek; it is written all the same."""
    report = encode_text_report(None, bilateral().study, failure="κατάγμα in Übersicht ≥ 3")
    report.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    told = _sections(dcmread(tmp_path / "sr.dcm"))["Impressions"][1]
    assert told == "??????? in Übersicht >= 3"


def test_it_is_a_preliminary_report_of_the_source_s_patient_and_study() -> None:
    """Titled as a diagnostic imaging report (LOINC 18748-4), never verified."""
    case = without_finding(Presence.ABSENT)
    report = _report(case)
    source = case.study.series[0].datasets[0]
    assert report.ConceptNameCodeSequence[0].CodeValue == "18748-4"
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID"):
        assert report[keyword].value == source[keyword].value
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    known = {dataset.SOPInstanceUID for dataset in case.study.series[0].datasets}
    assert {i.ReferencedSOPInstanceUID for i in series.ReferencedSOPSequence} <= known


def test_encoding_twice_gives_the_same_bytes_and_another_answer_another_uid() -> None:
    """A failure that was mended by a second push must not be taken for its duplicate."""
    case = without_finding(Presence.ABSENT)
    assert _bytes(_report(case)) == _bytes(_report(case))
    failed = encode_text_report(None, case.study, failure="No sacrum in view.")
    other = encode_text_report(None, case.study, failure="Gantry tilt.")
    followed = replace(case.findings, comparison=COMPARISON)
    compared = encode_text_report(followed, case.study)
    uids = {str(one.SOPInstanceUID) for one in (_report(case), failed, other, compared)}
    assert len(uids) == 4


def test_a_study_without_any_usable_series_is_reported_for_its_patient(tmp_path: Path) -> None:
    """One instance of the study tells whose report it is."""
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    study = read_one(ct_series(tmp_path / "in", attributes=scout))
    assert study.series == ()
    report = encode_text_report(None, study, failure="No series can be used.")
    assert report.PatientID == "SYNTHETIC"
    assert any("not used" in text for text in _sections(report)["Current Procedure Descriptions"])
    assert object_complaints(report, tmp_path) == []


def test_a_study_without_a_patient_or_without_an_answer_has_no_report() -> None:
    """Nobody can be told whose report it would be, or what it would say."""
    empty = DicomStudy("1.2.3", (), (), ())
    with pytest.raises(MissingAttribute, match="no readable image"):
        encode_text_report(None, empty, failure="No series can be used.")
    with pytest.raises(ValueError, match="findings or the reason"):
        encode_text_report(None, bilateral().study)
