"""The anatomy of a series as a segmentation of its own, for who asks for it.

Apart from the findings, so that a viewer's overlay stays what a radiologist looks for, and each
destination may have either (docs/decisions/0030).
"""

from __future__ import annotations

from functools import partial

import numpy as np
from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage

from sifdetect.anatomy import AnatomyLabel, Side, side_of
from sifdetect.dicom import codes
from sifdetect.dicom.collecting import without_collecting
from sifdetect.dicom.frame_items import keep_as_written
from sifdetect.dicom.outline import numbers_in
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.segmentation import About, Kind, segmentation
from sifdetect.dicom.uids import algorithm_parts, result_uid, source_parts
from sifdetect.findings import Algorithm
from sifdetect.study import SeriesLabels
from sifdetect.volume import LabelMap

SERIES_NUMBER = 9806

_ALA = codes.private("SACRAL-ALA")
_CORRIDOR = codes.private("SACRAL-CORRIDOR")
_HIP_BONE = codes.private("HIP-BONE")
_FORAMINA = codes.private("SACRAL-FORAMINA")
_KINDS: dict[AnatomyLabel, tuple[str, Code, Code, tuple[int, int, int]]] = {
    AnatomyLabel.SACRAL_BODY: (
        "Sacrum between the foramina",
        codes.private("SACRAL-BODY"),
        codes.SACRUM,
        (214, 196, 160),
    ),
    AnatomyLabel.SACRAL_CORRIDOR_RIGHT: (
        "Sacrum, right foraminal zone",
        _CORRIDOR,
        codes.SACRUM,
        (190, 150, 120),
    ),
    AnatomyLabel.SACRAL_CORRIDOR_LEFT: (
        "Sacrum, left foraminal zone",
        _CORRIDOR,
        codes.SACRUM,
        (120, 150, 190),
    ),
    AnatomyLabel.SACRAL_ALA_RIGHT: ("Sacrum, right ala", _ALA, codes.SACRUM, (226, 176, 144)),
    AnatomyLabel.SACRAL_ALA_LEFT: ("Sacrum, left ala", _ALA, codes.SACRUM, (144, 176, 226)),
    AnatomyLabel.SACRAL_FORAMEN_RIGHT: (
        "Right sacral foramina",
        _FORAMINA,
        codes.SACRUM,
        (150, 230, 120),
    ),
    AnatomyLabel.SACRAL_FORAMEN_LEFT: (
        "Left sacral foramina",
        _FORAMINA,
        codes.SACRUM,
        (120, 230, 170),
    ),
    AnatomyLabel.SACRAL_CANAL: (
        "Sacral canal",
        codes.VERTEBRAL_CANAL,
        codes.SACRUM,
        (240, 230, 110),
    ),
    AnatomyLabel.L5: ("L5", codes.L5, codes.L5, (196, 166, 226)),
    AnatomyLabel.HIP_RIGHT: (
        "Right hip bone",
        _HIP_BONE,
        _HIP_BONE,
        (236, 150, 170),
    ),
    AnatomyLabel.HIP_LEFT: ("Left hip bone", _HIP_BONE, _HIP_BONE, (170, 150, 236)),
    AnatomyLabel.LUMBAR: (
        "Lumbar spine above L5",
        codes.LUMBAR_SPINE,
        codes.LUMBAR_SPINE,
        (160, 160, 170),
    ),
}
"""Name, what it is, where it is, and RGB of each label."""


def parted(labels: SeriesLabels, series: DicomSeries) -> list[AnatomyLabel]:
    """The labels that have voxels on images of this series, ascending."""
    return [AnatomyLabel(value) for value in numbers_in(_shown(labels, series))]


@without_collecting()
def encode_anatomy(algorithm: Algorithm, labels: SeriesLabels, series: DicomSeries) -> Dataset:
    """The bones, foramina and canal that were told apart on one series, on that series' own grid.

    Args:
        labels: of this series; ``labels.anatomy`` has the grid of ``series.volume``.
        series: the source; axis 0 of its volume is the slice.

    Raises:
        ValueError: the labels lie on another grid, or hold nothing (see ``parted``).
    """
    present = parted(labels, series)
    if not present:
        raise ValueError("a segmentation of the anatomy needs a bone with voxels on its series")
    kinds = {int(label): partial(_kind, label) for label in present}
    parts = (*algorithm_parts(algorithm), *source_parts(series.datasets))
    reference = Dataset()
    reference.SOPClassUID = SegmentationStorage
    reference.SOPInstanceUID = result_uid("anatomy", *parts)
    reference.SeriesInstanceUID = result_uid("anatomy series", *parts)
    about = About(
        reference=reference,
        series_number=SERIES_NUMBER,
        content_label="ANATOMY",
        title="anatomy",
        algorithm=algorithm,
    )
    return keep_as_written(segmentation(_shown(labels, series), series, kinds, about))


def _shown(labels: SeriesLabels, series: DicomSeries) -> LabelMap:
    """The labels, without slices that were never sent and have no image."""
    if not series.filled:
        return labels.anatomy
    values = np.array(labels.anatomy.values)
    values[list(series.filled)] = 0
    return LabelMap(values, labels.anatomy.grid)


def _kind(label: AnatomyLabel, _: Dataset) -> Kind:
    name, what, where, color = _KINDS[label]
    return Kind(
        label=name,
        category=codes.ANATOMICAL_STRUCTURE,
        type=what,
        region=_sided(where, side_of(label)),
        color=color,
    )


def _sided(where: Code, side: Side) -> CodedConcept:
    region = CodedConcept.from_code(where)
    if side is not Side.MIDLINE:
        region.AnatomicRegionModifierSequence = [CodedConcept.from_code(codes.LATERALITY[side])]
    return region
