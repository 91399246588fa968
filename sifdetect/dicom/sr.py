"""Measurement report (Comprehensive 3D SR, TID 1500): one planar group for each finding.

Each group holds a closed 2D polyline on the slice of the finding's largest area, because that is
what viewers draw and jump to; what belongs to the whole study stands in the root's Qualitative
Evaluations. A group without coordinates would blank a viewer, so there is never one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.sr import (
    Comprehensive3DSR,
    GraphicTypeValues,
    ImageRegion,
    MeasurementReport,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
)
from pydicom import Dataset

from sifdetect.dicom import words
from sifdetect.dicom.carried import carry
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.evaluations import group_of, study_evaluations
from sifdetect.dicom.observer import language, observation_context, procedure_reported
from sifdetect.dicom.outline import (
    SliceImage,
    largest_slice,
    numbers_in,
    outline_of,
    ring,
    shown,
    slice_images,
)
from sifdetect.dicom.provenance import finish, header_of, moment_of, nameless
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.seg import seg_reference, segmented
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import StudyFindings
from sifdetect.study import SeriesLabels
from sifdetect.volume import Floats

SERIES_NUMBER = 9800
_PARTICLE_PIXELS = 4.0


@dataclass(frozen=True)
class Region:
    """Where a finding is drawn: a closed line (n, 2) column, row on slice ``index`` of a series."""

    series: DicomSeries
    index: int
    line: Floats

    @property
    def image(self) -> SliceImage:
        """The instance, or the frame of it, that shows the slice."""
        return slice_images(self.series)[self.index]


@without_collecting()
def encode_sr(
    findings: StudyFindings,
    labels: tuple[SeriesLabels, ...],
    study: DicomStudy,
    *,
    segmentations: Sequence[Dataset] | None = None,
) -> Dataset:
    """The findings of a study with fractures as a preliminary, unverified measurement report.

    Args:
        findings: at least one fracture (without one, ``encode_text_report`` is the report).
        labels: of the series that show a finding, the most telling first.
        study: the source; holds the series that ``labels`` name.
        segmentations: cited as evidence; by default those that ``encode_seg`` makes of ``labels``.

    Raises:
        ValueError: there is no fracture, or a series of ``labels`` is not in the study.
    """
    if not findings.fractures:
        raise ValueError("a measurement report needs a finding; without one write a text report")
    pairs = [(item, _series_of(item, study)) for item in labels]
    regions = _regions(findings, pairs, study)
    if segmentations is None:
        segmentations = [seg_reference(findings, s) for item, s in pairs if segmented(item, s)]
    header = header_of(regions[0].image.dataset)
    datasets = [dataset for series in study.series for dataset in series.datasets]
    parts = (*findings_parts(findings), *source_parts(datasets))
    result = Comprehensive3DSR(
        evidence=[nameless(header), *(region.image.dataset for region in regions), *segmentations],
        content=_content(findings, regions, header),
        series_instance_uid=result_uid("sr series", *parts),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result_uid("sr", *parts),
        instance_number=1,
        is_complete=True,
        specific_character_set=None,
    )
    result.SeriesDescription = "SIF-like findings, report (research)"
    finish(result, header, algorithm=findings.algorithm, moment=moment_of(datasets))
    return carry(result, findings)


def _content(findings: StudyFindings, regions: list[Region], header: Dataset) -> MeasurementReport:
    """The tree: observer, procedure, key images, one group a finding, the study as a whole."""
    report = MeasurementReport(
        observation_context=observation_context(findings.algorithm),
        procedure_reported=procedure_reported(header),
        imaging_measurements=[
            _group(number, findings, region) for number, region in enumerate(regions, start=1)
        ],
        language_of_content_item_and_descendants=language(),
        referenced_images=[_library_entry(region) for region in _one_per_instance(regions)],
    )
    report[0].ContentSequence.append(study_evaluations(findings, header))
    return report


def _series_of(labels: SeriesLabels, study: DicomStudy) -> DicomSeries:
    for series in study.series:
        if series.source.series_instance_uid == labels.source.series_instance_uid:
            return series
    raise ValueError(f"series {labels.source.series_instance_uid} is not one of the study")


def _regions(
    findings: StudyFindings, pairs: list[tuple[SeriesLabels, DicomSeries]], study: DicomStudy
) -> list[Region]:
    """Where each finding is drawn, in their order."""
    return [
        _region(number, pairs) or _particle(number, findings, study)
        for number in range(1, len(findings.fractures) + 1)
    ]


def _region(number: int, pairs: list[tuple[SeriesLabels, DicomSeries]]) -> Region | None:
    """The finding's outline on the first series that shows it."""
    for labels, series in pairs:
        marks = shown(labels, series)
        if number in numbers_in(marks) and marks.box:
            mask = marks.values[marks.box] == number
            index = marks.box[0].start + largest_slice(mask)
            return Region(series, index, outline_of(number, marks, index))
    return None


def _particle(number: int, findings: StudyFindings, study: DicomStudy) -> Region:
    """A ring at the centroid of a finding that is too small for a voxel of any series."""
    series = study.series[0]
    grid = series.volume.grid
    at = grid.mm_to_index(findings.fractures[number - 1].centroid_lps_mm)
    margin = np.array([0, _PARTICLE_PIXELS + 1, _PARTICLE_PIXELS + 1])
    index, row, column = np.clip(at, margin, np.maximum(np.array(grid.shape) - 1 - margin, margin))
    line = ring(column + 0.5, row + 0.5, _PARTICLE_PIXELS)
    return Region(series, round(float(index)), line)


def _group(
    number: int, findings: StudyFindings, region: Region
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    fracture = findings.fractures[number - 1]
    image = region.image
    frames = None if image.frame_number is None else [image.frame_number]
    source = SourceImageForRegion(
        referenced_sop_class_uid=image.dataset.SOPClassUID,
        referenced_sop_instance_uid=image.dataset.SOPInstanceUID,
        referenced_frame_numbers=frames,
    )
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=ImageRegion(
            graphic_type=GraphicTypeValues.POLYLINE, graphic_data=region.line, source_image=source
        ),
        **group_of(number, findings, words.contour_label(number, fracture, findings)),
    )


def _one_per_instance(regions: list[Region]) -> list[Region]:
    return list({str(r.image.dataset.SOPInstanceUID): r for r in reversed(regions)}.values())[::-1]


def _library_entry(region: Region) -> Dataset:
    """The header of a key image, with the geometry that a multi-frame instance keeps per frame.

    highdicom describes library images by attributes that stand at the root of classic images.
    """
    entry = header_of(region.image.dataset)
    grid = region.series.volume.grid
    between, rows, columns = grid.spacing_mm
    axes = grid.affine_lps_mm[:3, :3] / grid.spacing_mm
    entry.ImagePositionPatient = [_ds(x) for x in grid.index_to_mm([region.index, 0, 0])]
    entry.ImageOrientationPatient = [_ds(x) for x in (*axes[:, 2], *axes[:, 1])]
    entry.PixelSpacing = [_ds(rows), _ds(columns)]
    entry.pop("SpacingBetweenSlices", None)  # the library puts it out of the template's order
    if not entry.get("SliceThickness"):
        entry.SliceThickness = _ds(between)
    return entry


def _ds(value: float) -> str:
    return f"{value:.8g}"
