"""Encapsulated PDF: the report as a document, in the study of its source."""

from __future__ import annotations

from pydicom import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from sifdetect.dicom.carried import carry
from sifdetect.dicom.codes import REPORT_TITLE
from sifdetect.dicom.items import item
from sifdetect.dicom.pdf_page import render_pdf
from sifdetect.dicom.provenance import finish, header_of, moment_of
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import StudyFindings
from sifdetect.study import SeriesLabels

SERIES_NUMBER = 9804
_COPIED = (  # PS3.3 C.7.1.1 and C.7.2.1: what of patient and study the source has
    "PatientID",
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
)


def encode_pdf(
    findings: StudyFindings, labels: tuple[SeriesLabels, ...], study: DicomStudy
) -> Dataset:
    """The report as Encapsulated PDF Storage (PS3.3 A.45.1), modality DOC.

    The patient's name is on the page, because pages are printed; Burned In Annotation says so.

    Args:
        findings: of the study, with or without fractures.
        labels: of the series that were used, the most telling first; the first with a finding is
            pictured.
        study: the source; holds the series that ``labels`` name.
    """
    datasets = [dataset for series in study.series for dataset in series.datasets]
    header, moment = header_of(datasets[0]), moment_of(datasets)
    parts = (*findings_parts(findings), *source_parts(datasets))
    result = _encapsulated(render_pdf(findings, header, moment, _pictured(labels, study)))
    for keyword in _COPIED:
        if keyword in header:
            result[keyword] = header[keyword]
    result.SOPInstanceUID = result_uid("pdf", *parts)
    result.SeriesInstanceUID = result_uid("pdf series", *parts)
    result.AcquisitionDateTime = f"{moment.date}{moment.time}"
    finish(result, header, algorithm=findings.algorithm, moment=moment)
    return carry(result, findings)


def _encapsulated(document: bytes) -> Dataset:
    """The document, and what is said of it whoever's it is."""
    result = Dataset()
    result.SOPClassUID = EncapsulatedPDFStorage
    result.SeriesNumber = SERIES_NUMBER
    result.SeriesDescription = "SIF report, PDF (research)"
    result.InstanceNumber = 1
    result.Modality = "DOC"
    result.ConversionType = "WSD"
    result.BurnedInAnnotation = "YES"
    result.DocumentTitle = "Search for sacral insufficiency fracture"
    result.ConceptNameCodeSequence = [
        item(
            CodeValue=REPORT_TITLE.value,
            CodingSchemeDesignator=REPORT_TITLE.scheme_designator,
            CodeMeaning=REPORT_TITLE.meaning,
        )
    ]
    result.VerificationFlag = "UNVERIFIED"
    result.MIMETypeOfEncapsulatedDocument = "application/pdf"
    result.EncapsulatedDocumentLength = len(document)
    result.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return result


def _pictured(
    labels: tuple[SeriesLabels, ...], study: DicomStudy
) -> tuple[SeriesLabels, DicomSeries] | None:
    by_uid = {series.source.series_instance_uid: series for series in study.series}
    for one in sorted(labels, key=lambda item: not item.findings.values.any()):
        return one, by_uid[one.source.series_instance_uid]
    return None
