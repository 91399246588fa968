"""Segmentation Storage: one segment for each fracture-like finding.

BINARY because viewers show it in its own colours, and small. Where a frame is no whole number of
bytes, FRACTIONAL with nothing but none and all: frames of single bits then begin within a byte, and
the most used open viewer draws them centimetres off (docs/decisions/0026).
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from highdicom import (
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
)
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationFractionalTypeValues,
    SegmentationTypeValues,
    SegmentDescription,
)
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import SegmentationStorage

from sifdetect.anatomy import Side
from sifdetect.dicom import codes, words
from sifdetect.dicom.carried import carry
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.frame_items import keep_as_written
from sifdetect.dicom.frames import ENHANCED
from sifdetect.dicom.outline import marked_box, numbers_in, shown
from sifdetect.dicom.provenance import (
    MANUFACTURER,
    STATEMENT,
    described,
    finish,
    header_of,
    moment_of,
    nameless,
    serial_number,
    written,
)
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import Algorithm, Fracture, StudyFindings
from sifdetect.study import SeriesLabels

SERIES_NUMBER = 9801
_ALL = 255
"""Maximum Fractional Value (0062,000E): a voxel that is marked, in a FRACTIONAL segmentation."""
_PLACE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Rows",
    "Columns",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
)
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
    if not labels.findings.grid.same_place(series.volume.grid, tolerance_mm=1e-2):
        raise ValueError("the labels do not lie on the grid of the series they belong to")
    sources, pixels = _frames(labels, series, numbers)
    header = sources[0]
    segments = [
        _segment(place, number, findings, header) for place, number in enumerate(numbers, start=1)
    ]
    result = Segmentation(
        source_images=[nameless(header), *sources[1:]],
        pixel_array=pixels,
        segment_descriptions=segments,
        pixel_measures=_pixel_measures(series),
        **_kind(pixels[0].size),
        **_identifiers(seg_reference(findings, series)),
        **_equipment(findings.algorithm),
        content_label="SIF_LIKE",
        content_description=STATEMENT[:64],
        specific_character_set=None,
    )
    result.SeriesDescription = described("segmentation", header)
    _name_dimensions(result)
    finish(result, header, algorithm=findings.algorithm, moment=moment_of(series.datasets))
    return keep_as_written(carry(result, findings))


def _kind(pixels_a_frame: int) -> dict[str, Any]:
    """What is said of the values: bits, or bytes of 0 and 255 where bits do not fit."""
    whole_bytes = pixels_a_frame % 8 == 0
    kinds = SegmentationTypeValues
    return {
        "segmentation_type": kinds.BINARY if whole_bytes else kinds.FRACTIONAL,
        "fractional_type": SegmentationFractionalTypeValues.OCCUPANCY,
        "max_fractional_value": _ALL,
    }


def _identifiers(cited: Dataset) -> dict[str, Any]:
    return {
        "series_instance_uid": cited.SeriesInstanceUID,
        "series_number": SERIES_NUMBER,
        "sop_instance_uid": cited.SOPInstanceUID,
        "instance_number": 1,
    }


def _equipment(algorithm: Algorithm) -> dict[str, Any]:
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": algorithm.name,
        "software_versions": algorithm.version,
        "device_serial_number": serial_number(algorithm),
    }


def _name_dimensions(result: Dataset) -> None:
    """The library draws the Dimension Organization UID at random: the one thing that would vary."""
    uid = result_uid("dimensions", result.SOPInstanceUID)
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _frames(
    labels: SeriesLabels, series: DicomSeries, numbers: list[int]
) -> tuple[list[Dataset], NDArray[np.uint8]]:
    """Source headers, and (frames, rows, columns) in the order of the source's frames.

    The value is the place of the segment, from 1: findings do not overlap, and one plane a frame is
    written faster than one for each segment.
    """
    values = shown(labels, series)
    if series.datasets[0].SOPClassUID in ENHANCED:
        sources = [series.datasets[0]]
        frames = np.zeros((int(sources[0].NumberOfFrames), *values.shape[1:]), np.uint8)
        for number, plane in zip(series.frame_numbers, values, strict=True):
            frames[number - 1] |= plane  # a filled slice names its neighbour's frame: it adds 0
    else:
        marked = (marked_box(values) or (slice(0),))[0]
        kept = [index for index in range(marked.start, marked.stop) if index not in series.filled]
        frames = values[kept]
        sources = [series.datasets[index] for index in kept]
    first = _completed(header_of(sources[0]), series)
    headers = [first, *(_placed(source, first) for source in sources[1:])]
    places = np.zeros(256, np.uint8)
    places[numbers] = np.arange(1, len(numbers) + 1)
    return headers, places[frames]


def _placed(source: Dataset, first: Dataset) -> Dataset:
    """What the library looks at in a source but the first: which image it is, and where it lies."""
    header = Dataset()
    for keyword in _PLACE:
        if keyword in source:
            header.add(copy(source[keyword]))
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = first.FrameOfReferenceUID
    return header


def _completed(header: Dataset, series: DicomSeries) -> Dataset:
    """The header with what the library needs and a source may lack.

    A source without a Frame of Reference is one of its own: no other series shares it. An empty
    Slice Thickness (type 2) is only looked at, the segmentation's own comes from the grid.
    """
    if "FrameOfReferenceUID" not in header:
        header.FrameOfReferenceUID = result_uid("frame of reference", header.SeriesInstanceUID)
    if "SliceThickness" not in header:
        header.SliceThickness = f"{series.volume.grid.spacing_mm[0]:.6g}"
    return header


def _pixel_measures(series: DicomSeries) -> PixelMeasuresSequence:
    """Distances of the grid; Slice Thickness (0018,0050) of the source may be empty or wrong."""
    between, rows, columns = (float(f"{mm:.6g}") for mm in series.volume.grid.spacing_mm)
    return PixelMeasuresSequence(
        pixel_spacing=(rows, columns), slice_thickness=between, spacing_between_slices=between
    )


def _segment(
    place: int, number: int, findings: StudyFindings, header: Dataset
) -> SegmentDescription:
    fracture = findings.fractures[number - 1]
    return SegmentDescription(
        segment_number=place,
        segment_label=written(words.segment_label(fracture, findings), header)[:64],
        segmented_property_category=codes.ABNORMAL_STRUCTURE,
        segmented_property_type=codes.INSUFFICIENCY_FRACTURE,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_identification(findings.algorithm),
        tracking_uid=tracking_uid(findings, number),
        tracking_id=words.tracking_identifier(number, fracture, findings),
        anatomic_regions=[_region(fracture)],
        display_color=CIELabColor.from_rgb(*color_of(number)),
    )


def _region(fracture: Fracture) -> CodedConcept:
    region = CodedConcept.from_code(codes.SACRUM)
    if fracture.side is not Side.MIDLINE:
        side = CodedConcept.from_code(codes.LATERALITY[fracture.side])
        region.AnatomicRegionModifierSequence = [side]
    return region


def _identification(algorithm: Algorithm) -> AlgorithmIdentificationSequence:
    """Name, version and, as parameters, the checksum of each bundle's weights."""
    bundles = {name: f"sha256 {checksum}" for name, checksum in sorted(algorithm.bundles.items())}
    return AlgorithmIdentificationSequence(
        name=algorithm.name,
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=algorithm.version,
        source=MANUFACTURER,
        parameters=bundles or None,
    )
