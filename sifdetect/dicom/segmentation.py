"""A label map of one series as Segmentation Storage, whatever it marks.

BINARY because viewers show it in its own colours, and small. Where a frame is no whole number of
bytes, FRACTIONAL with nothing but none and all: frames of single bits then begin within a byte, and
the most used open viewer draws them centimetres off (docs/decisions/0026).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
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
from pydicom.sr.coding import Code

from sifdetect.dicom import codes
from sifdetect.dicom.frames import ENHANCED
from sifdetect.dicom.provenance import (
    MANUFACTURER,
    STATEMENT,
    described,
    equipment,
    finish,
    header_of,
    moment_of,
    nameless,
)
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.uids import result_uid
from sifdetect.findings import Algorithm
from sifdetect.volume import LabelMap

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


@dataclass(frozen=True)
class Kind:
    """What one segment is.

    Attributes:
        label: as viewers list it; cut to 64 characters.
        category, type: coded; ``type`` says what it is, ``region`` where.
        color: RGB.
        tracking_uid, tracking_id: shared with the reports; None for what no report tracks.
    """

    label: str
    category: Code
    type: Code
    region: CodedConcept
    color: tuple[int, int, int]
    tracking_uid: str | None = None
    tracking_id: str | None = None


@dataclass(frozen=True)
class About:
    """Whose segmentation it is, and what it is called.

    Attributes:
        reference: SOP Class, Instance, Series and Study UID.
        title: in the Series Description, after the name of the source's series.
    """

    reference: Dataset
    series_number: int
    content_label: str
    title: str
    algorithm: Algorithm


def segmentation(
    marked: LabelMap,
    series: DicomSeries,
    kinds: Mapping[int, Callable[[Dataset], Kind]],
    about: About,
) -> Dataset:
    """One segment for each value of ``kinds``, in their order, numbered from 1.

    Args:
        marked: 0 for nothing; slices without an image of their own hold nothing.
        series: the source; axis 0 of its volume is the slice.
        kinds: what each value marks, given the header of the source, whose character set it keeps.

    Raises:
        ValueError: the marks lie on another grid.
    """
    if not marked.grid.same_place(series.volume.grid, tolerance_mm=1e-2):
        raise ValueError("the labels do not lie on the grid of the series they belong to")
    sources, pixels = _frames(marked, series, list(kinds))
    header = sources[0]
    result = Segmentation(
        source_images=[nameless(header), *sources[1:]],
        pixel_array=pixels,
        segment_descriptions=[
            _segment(place, kind(header), about.algorithm)
            for place, kind in enumerate(kinds.values(), start=1)
        ],
        pixel_measures=_pixel_measures(series),
        **_kind_of_values(pixels[0].size),
        **_identifiers(about),
        **equipment(about.algorithm),
        content_label=about.content_label,
        content_description=STATEMENT[:64],
        specific_character_set=None,
    )
    result.SeriesDescription = described(about.title, header)
    _name_dimensions(result)
    return finish(result, header, algorithm=about.algorithm, moment=moment_of(series.datasets))


def _segment(place: int, kind: Kind, algorithm: Algorithm) -> SegmentDescription:
    return SegmentDescription(
        segment_number=place,
        segment_label=kind.label[:64],
        segmented_property_category=kind.category,
        segmented_property_type=kind.type,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_identification(algorithm),
        tracking_uid=kind.tracking_uid,
        tracking_id=kind.tracking_id,
        anatomic_regions=[kind.region],
        display_color=CIELabColor.from_rgb(*kind.color),
    )


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


def _kind_of_values(pixels_a_frame: int) -> dict[str, Any]:
    """What is said of the values: bits, or bytes of 0 and 255 where bits do not fit."""
    whole_bytes = pixels_a_frame % 8 == 0
    kinds = SegmentationTypeValues
    return {
        "segmentation_type": kinds.BINARY if whole_bytes else kinds.FRACTIONAL,
        "fractional_type": SegmentationFractionalTypeValues.OCCUPANCY,
        "max_fractional_value": _ALL,
    }


def _identifiers(about: About) -> dict[str, Any]:
    return {
        "series_instance_uid": about.reference.SeriesInstanceUID,
        "series_number": about.series_number,
        "sop_instance_uid": about.reference.SOPInstanceUID,
        "instance_number": 1,
    }


def _name_dimensions(result: Dataset) -> None:
    """The library draws the Dimension Organization UID at random: the one thing that would vary."""
    uid = result_uid("dimensions", result.SOPInstanceUID)
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _frames(
    marked: LabelMap, series: DicomSeries, numbers: list[int]
) -> tuple[list[Dataset], NDArray[np.uint8]]:
    """Source headers, and (frames, rows, columns) in the order of the source's frames.

    The value is the place of the segment, from 1: findings do not overlap, and one plane a frame is
    written faster than one for each segment.
    """
    if series.datasets[0].SOPClassUID in ENHANCED:
        sources = [series.datasets[0]]
        frames = np.zeros((int(sources[0].NumberOfFrames), *marked.grid.shape[1:]), np.uint8)
        for number, plane in zip(series.frame_numbers, marked.values, strict=True):
            frames[number - 1] |= plane  # a filled slice names its neighbour's frame: it adds 0
    else:
        held = (marked.box or (slice(0),))[0]
        kept = [index for index in range(held.start, held.stop) if index not in series.filled]
        frames = marked.values[kept]
        sources = [series.datasets[index] for index in kept]
    first = _completed(header_of(sources[0]), series)
    headers = [first, *(_placed(source, first) for source in sources[1:])]
    if numbers == list(range(1, int(frames.max(initial=0)) + 1)):
        return headers, frames  # each value is its segment's place already
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
