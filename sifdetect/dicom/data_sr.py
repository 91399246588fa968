"""Measurement report for data consumers (TID 1500 with TID 1411): groups that name segments.

IHE AIR wants measurements tied to the voxels they were made on. Some viewers blank on such groups,
so they never stand in the report that people look at (``sr``): this is a second, separate document.
"""

from __future__ import annotations

from collections.abc import Iterator

from highdicom.sr import (
    Comprehensive3DSR,
    MeasurementReport,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset

from sifdetect.dicom.carried import carry
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.evaluations import group_of, study_evaluations
from sifdetect.dicom.observer import language, observation_context, procedure_reported
from sifdetect.dicom.provenance import finish, header_of, moment_of, nameless
from sifdetect.dicom.read import DicomStudy
from sifdetect.dicom.seg import seg_reference, segmented
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import StudyFindings
from sifdetect.study import SeriesLabels

SERIES_NUMBER = 9803


@without_collecting()
def encode_data_sr(
    findings: StudyFindings, labels: tuple[SeriesLabels, ...], study: DicomStudy
) -> Dataset:
    """The findings of a study, one volumetric group for each segment of each segmentation.

    Args:
        findings: of the study; without a fracture the text report is the only one.
        labels: of the series that were analysed, the most telling first.
        study: the source; holds the series that ``labels`` name.

    Raises:
        ValueError: no finding has voxels on any series.
    """
    groups = list(_groups(findings, labels, study))
    if not groups:
        raise ValueError("a data report needs a finding with voxels; the text report says the rest")
    datasets = [dataset for series in study.series for dataset in series.datasets]
    header = header_of(datasets[0])
    parts = (*findings_parts(findings), *source_parts(datasets))
    by_uid = {series.source.series_instance_uid: series for series in study.series}
    pairs = [(one, by_uid[one.source.series_instance_uid]) for one in labels]
    cited = [seg_reference(findings, series) for one, series in pairs if segmented(one, series)]
    result = Comprehensive3DSR(
        evidence=[nameless(header), *cited],
        content=_content(findings, groups, header),
        series_instance_uid=result_uid("data sr series", *parts),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result_uid("data sr", *parts),
        instance_number=1,
        is_complete=True,
        specific_character_set=None,
    )
    result.SeriesDescription = "SIF-like findings, data (research)"
    finish(result, header, algorithm=findings.algorithm, moment=moment_of(datasets))
    return carry(result, findings)


def _content(
    findings: StudyFindings,
    groups: list[VolumetricROIMeasurementsAndQualitativeEvaluations],
    header: Dataset,
) -> MeasurementReport:
    """The tree: observer, procedure, one group a finding, the study as a whole."""
    report = MeasurementReport(
        observation_context=observation_context(findings.algorithm),
        procedure_reported=procedure_reported(header),
        imaging_measurements=groups,
        language_of_content_item_and_descendants=language(),
    )
    _spell(report[0])
    report[0].ContentSequence.append(study_evaluations(findings, header))
    return report


def _spell(node: Dataset) -> None:
    """The library writes this one code meaning with capitals that PS3.16 does not have."""
    for child in node.get("ContentSequence") or []:
        name = child.ConceptNameCodeSequence[0]
        if name.CodeValue == "121232":
            name.CodeMeaning = "Source series for segmentation"
        _spell(child)


def _groups(
    findings: StudyFindings, labels: tuple[SeriesLabels, ...], study: DicomStudy
) -> Iterator[VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """One for each finding, on the first series that has voxels of it.

    A finding too small for any voxel has no segment and so no group; it is in what is carried.
    """
    by_uid = {series.source.series_instance_uid: series for series in study.series}
    done: set[int] = set()
    for one in labels:
        series = by_uid[one.source.series_instance_uid]
        seg = seg_reference(findings, series)
        for place, number in enumerate(segmented(one, series), start=1):
            if number not in done:
                done.add(number)
                yield _group(number, findings, place=place, seg=seg)


def _group(
    number: int, findings: StudyFindings, *, place: int, seg: Dataset
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    used = next(source for source in findings.sources if source.used)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=place,
            source_series=SourceSeriesForSegmentation(used.series_instance_uid),
        ),
        **group_of(number, findings),
    )
