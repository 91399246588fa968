"""The findings of a series as a segmentation: one segment for each fracture-like finding."""

from __future__ import annotations

from functools import partial

from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from sifdetect.anatomy import Side
from sifdetect.dicom import codes, words
from sifdetect.dicom.carried import carry
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.frame_items import keep_as_written
from sifdetect.dicom.outline import numbers_in, shown
from sifdetect.dicom.provenance import written
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.segmentation import About, Kind, segmentation
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import Fracture, StudyFindings
from sifdetect.study import SeriesLabels

SERIES_NUMBER = 9801
COLORS_RGB = (
    (255, 96, 64),
    (64, 200, 255),
    (255, 208, 48),
    (96, 224, 112),
    (232, 112, 255),
    (255, 160, 192),
)
"""One colour a finding, the same in the segmentation and in the summary; they repeat after six."""


def color_of(number: int) -> tuple[int, int, int]:
    """RGB of finding ``number`` (from 1)."""
    return COLORS_RGB[(number - 1) % len(COLORS_RGB)]


def tracking_uid(findings: StudyFindings, number: int) -> str:
    """Tracking UID of finding ``number`` (from 1), shared by segmentation and report."""
    return result_uid("tracking", *findings_parts(findings), str(number))


def segmented(labels: SeriesLabels, series: DicomSeries) -> list[int]:
    """Numbers (from 1) of the findings that have voxels on images of this series, ascending."""
    return numbers_in(shown(labels, series))


def seg_reference(findings: StudyFindings, series: DicomSeries) -> Dataset:
    """The identifiers that ``encode_seg`` gives the segmentation of ``series``, to cite it by."""
    parts = (*findings_parts(findings), *source_parts(series.datasets))
    reference = Dataset()
    reference.SOPClassUID = SegmentationStorage
    reference.SOPInstanceUID = result_uid("seg", *parts)
    reference.SeriesInstanceUID = result_uid("seg series", *parts)
    reference.StudyInstanceUID = series.datasets[0].StudyInstanceUID
    return reference


@without_collecting()
def encode_seg(findings: StudyFindings, labels: SeriesLabels, series: DicomSeries) -> Dataset:
    """The findings of one series as a segmentation on that series' own grid.

    Args:
        findings: of the study; finding ``n`` is ``findings.fractures[n - 1]``.
        labels: of this series; ``labels.findings`` has the grid of ``series.volume``.
        series: the source; axis 0 of its volume is the slice.

    Raises:
        ValueError: the labels lie on another grid, or hold no finding (see ``segmented``).
    """
    numbers = segmented(labels, series)
    if not numbers:
        raise ValueError("a segmentation needs at least one finding with voxels on its series")
    about = About(
        reference=seg_reference(findings, series),
        series_number=SERIES_NUMBER,
        content_label="SIF_LIKE",
        title="segmentation",
        algorithm=findings.algorithm,
    )
    kinds = {number: partial(_kind, number, findings) for number in numbers}
    result = segmentation(shown(labels, series), series, kinds, about)
    return keep_as_written(carry(result, findings))


def _kind(number: int, findings: StudyFindings, header: Dataset) -> Kind:
    fracture = findings.fractures[number - 1]
    return Kind(
        label=written(words.segment_label(fracture, findings), header),
        category=codes.ABNORMAL_STRUCTURE,
        type=codes.INSUFFICIENCY_FRACTURE,
        region=_region(fracture),
        color=color_of(number),
        tracking_uid=tracking_uid(findings, number),
        tracking_id=words.tracking_identifier(number, fracture, findings),
    )


def _region(fracture: Fracture) -> CodedConcept:
    region = CodedConcept.from_code(codes.SACRUM)
    if fracture.side is not Side.MIDLINE:
        side = CodedConcept.from_code(codes.LATERALITY[fracture.side])
        region.AnatomicRegionModifierSequence = [side]
    return region
