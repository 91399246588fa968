"""Every result object of a study, by the name of the file that it becomes."""

from __future__ import annotations

from collections.abc import Collection

from pydicom import Dataset

from sifdetect.dicom.anatomy_seg import encode_anatomy, parted
from sifdetect.dicom.data_sr import encode_data_sr
from sifdetect.dicom.gsps import encode_gsps
from sifdetect.dicom.read import DicomStudy
from sifdetect.dicom.seg import encode_seg, segmented
from sifdetect.dicom.sr import encode_sr
from sifdetect.dicom.summary import encode_summary
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.study import Analysis

KINDS = ("sr", "seg", "summary", "data", "text", "pdf", "gsps", "anatomy")


def encode_results(
    analysis: Analysis, study: DicomStudy, wanted: Collection[str]
) -> dict[str, Dataset]:
    """The objects that ``wanted`` (of ``KINDS``) asks for, as far as the findings call for them.

    Without a fracture the report ``sr`` is a text report, and ``text`` adds none. Segmentations,
    the data report and presentation states exist only where a finding has voxels; the anatomy
    exists wherever a sacrum was segmented.
    """
    findings, labels = analysis.findings, analysis.labels
    by_uid = {series.source.series_instance_uid: series for series in study.series}
    pairs = [(one, by_uid[one.source.series_instance_uid]) for one in labels]
    marked = [(one, series) for one, series in pairs if segmented(one, series)]
    made: dict[str, Dataset] = {}
    if "seg" in wanted:
        made |= _numbered("seg", [encode_seg(findings, *pair) for pair in marked])
    if "sr" in wanted:
        first = tuple(one for one, _ in marked)
        segmentations = list(made.values()) or None
        made["sr.dcm"] = (
            encode_sr(findings, first, study, segmentations=segmentations)
            if findings.fractures
            else encode_text_report(findings, study)
        )
    if "text" in wanted and (findings.fractures or "sr" not in wanted):
        made["text.dcm"] = encode_text_report(findings, study)
    if "data" in wanted and marked:
        made["sr-data.dcm"] = encode_data_sr(findings, labels, study)
    if "summary" in wanted:
        made["summary.dcm"] = encode_summary(findings, labels, study)
    if "gsps" in wanted:
        made |= _numbered("gsps", [encode_gsps(findings, *pair) for pair in marked])
    if "anatomy" in wanted:
        seen = [(one, series) for one, series in pairs if parted(one, series)]
        made |= _numbered("anatomy", [encode_anatomy(findings.algorithm, *p) for p in seen])
    if "pdf" in wanted:
        from sifdetect.dicom.pdf import encode_pdf  # noqa: PLC0415  # only who asks for it waits

        made["report.pdf.dcm"] = encode_pdf(findings, labels, study)
    return made


def _numbered(kind: str, objects: list[Dataset]) -> dict[str, Dataset]:
    if len(objects) == 1:
        return {f"{kind}.dcm": objects[0]}
    return {f"{kind}-{number}.dcm": one for number, one in enumerate(objects, start=1)}
