"""Summary page (RGB Secondary Capture): the answer on one picture that every viewer shows.

Key pictures in three planes, the answer in one sentence, a table with units, what was in view and
what was not, and from which series. No patient identity is burned into the pixels.
"""

from __future__ import annotations

from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from pydicom import Dataset

from sifdetect.dicom.provenance import MANUFACTURER, finish, header_of, moment_of
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.summary_page import render
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import StudyFindings
from sifdetect.study import SeriesLabels

SERIES_NUMBER = 9802


def encode_summary(
    findings: StudyFindings, labels: tuple[SeriesLabels, ...], study: DicomStudy
) -> Dataset:
    """The summary page of a study as Secondary Capture.

    Args:
        findings: of the study, with or without fractures.
        labels: of the series that were used, the most telling first.
        study: the source; holds the series that ``labels`` name.

    Raises:
        ValueError: no series was used, or its labels belong to another study.
    """
    shown, series = _shown(labels, study)
    datasets = [dataset for item in study.series for dataset in item.datasets]
    header = header_of(series.datasets[0])
    parts = (*findings_parts(findings), *source_parts(datasets))
    result = SCImage(
        pixel_array=render(findings, shown, series),
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "F"),
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=result_uid("summary series", *parts),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result_uid("summary", *parts),
        instance_number=1,
        manufacturer=MANUFACTURER,
    )
    _complete(result, header)
    return finish(result, header, algorithm=findings.algorithm, moment=moment_of(datasets))


def _complete(result: SCImage, header: Dataset) -> None:
    """Patient and study from the source, and what Secondary Capture asks of a page of pictures.

    Body Part Examined stands for Laterality, which would be required without it; the page has no
    single orientation, so Patient Orientation is empty (PS3.3 C.7.3.1, C.7.6.1).
    """
    result.copy_patient_and_study_information(header)
    result.PatientOrientation = []
    result.BodyPartExamined = "SSPINE"
    result.BurnedInAnnotation = "NO"
    result.SeriesDescription = "SIF summary (research)"
    result.ImageComments = "Research use only. Needs a radiologist."
    for keyword in ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
        delattr(result, keyword)


def _shown(labels: tuple[SeriesLabels, ...], study: DicomStudy) -> tuple[SeriesLabels, DicomSeries]:
    """The first series that shows a finding, else the first that was used."""
    if not labels:
        raise ValueError("a summary needs the labels of at least one series")
    chosen = next((item for item in labels if item.findings.values.any()), labels[0])
    for series in study.series:
        if series.source.series_instance_uid == chosen.source.series_instance_uid:
            return chosen, series
    raise ValueError(f"series {chosen.source.series_instance_uid} is not one of the study")
