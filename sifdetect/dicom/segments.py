"""Segmentations that come with images: what each segment is called and the voxels it marks.

Read from Segmentation Storage of whoever made it; the other way round is ``seg.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from highdicom.seg import segread
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from sifdetect.dicom.frames import Instance
from sifdetect.dicom.gather import gather
from sifdetect.dicom.read import DicomSeries, read_study
from sifdetect.errors import UnreadableInput
from sifdetect.volume import Floats, Grid

_SEGMENTATION = (SegmentationStorage, UID("1.2.840.10008.5.1.4.1.1.66.7"))
"""Segmentation and Label Map Segmentation (PS3.6 Table A-1)."""
_TOLERANCE_VOXELS = 0.05
HALF = 0.5
"""A voxel of a fractional segmentation belongs to the segment from this probability on."""


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes:
        names: Segment Label (0062,0005), then the meaning of its property type (0062,000F), with
            its modifier where it has one.
        mask: bool of ``grid.shape``.
        grid: that of the series where the segmentation lies on its voxels, else its own.
        source: the file.
    """

    names: tuple[str, ...]
    mask: NDArray[np.bool_] = field(repr=False)
    grid: Grid
    source: str


@dataclass(frozen=True)
class SegmentedSeries:
    """A series that segmentations refer to.

    Attributes:
        patient_id: Patient ID (0010,0020); the Study Instance UID where it is empty.
        others: further usable MR series of the study in the same frame of reference.
    """

    patient_id: str
    series: DicomSeries
    others: tuple[DicomSeries, ...]
    segments: tuple[Segment, ...]


def iter_segmented(paths: Sequence[Path]) -> Iterator[SegmentedSeries]:
    """Every series below ``paths`` that a segmentation below them refers to, one study at a time.

    Raises:
        UnreadableInput: nothing below the paths is DICOM, none of it is a segmentation, one cannot
            be read, or the series it refers to is absent or cannot be used.
    """
    with ExitStack() as resources:
        gathered = gather(paths, resources)
        found = False
        for uid, series in sorted(gathered.studies.items()):
            segmentations = _segmentations(series)
            found |= bool(segmentations)
            for target, instances in sorted(segmentations.items()):
                yield _segmented(uid, series, target, instances)
        if not found:
            where = ", ".join(str(path) for path in paths)
            raise UnreadableInput(
                f"{where} holds DICOM images, but no segmentation of them",
                hint="Give the SEG objects together with the series that they refer to",
            )


def _segmentations(series: dict[str, list[Instance]]) -> dict[str, list[Instance]]:
    """Segmentation objects by the UID of the series that each refers to."""
    by_target: dict[str, list[Instance]] = {}
    for instances in series.values():
        for one in instances:
            if one.dataset.get("SOPClassUID") in _SEGMENTATION:
                by_target.setdefault(_target(one), []).append(one)
    return by_target


def _target(one: Instance) -> str:
    """The series that a segmentation refers to (PS3.3 C.12.1.1.2, Common Instance Reference)."""
    for item in one.dataset.get("ReferencedSeriesSequence", []):
        if item.get("SeriesInstanceUID"):
            return str(item.SeriesInstanceUID)
    raise UnreadableInput(
        f"{one.located.name} names no series in ReferencedSeriesSequence",
        hint="Export the segmentation again with its references",
    )


def _segmented(
    uid: str, series: dict[str, list[Instance]], target: str, objects: list[Instance]
) -> SegmentedSeries:
    name = objects[0].located.name
    if target not in series:
        raise UnreadableInput(
            f"{name} refers to series …{target[-12:]}, which is not there",
            hint="Give the SEG objects together with the series that they refer to",
        )
    first = series[target][0].dataset
    wanted = {target: series[target]}
    if first.get("Modality") == "MR":
        wanted |= {key: some for key, some in series.items() if _is_mr(some)}
    study = read_study(uid, wanted, ())
    usable = {one.source.series_instance_uid: one for one in study.series}
    if target not in usable:
        reasons = {one.series_instance_uid: one.reason for one in study.refused}
        why = reasons.get(target, "it could not be read")
        raise UnreadableInput(f"{name} refers to a series that cannot be used: {why}")
    main = usable.pop(target)
    frame = main.volume.grid.frame_of_reference_uid
    others = [one for one in usable.values() if one.volume.grid.frame_of_reference_uid == frame]
    segments = [segment for one in objects for segment in _segments(one, main.volume.grid)]
    patient = str(first.get("PatientID", "") or uid)
    return SegmentedSeries(patient, main, tuple(others), tuple(segments))


def _is_mr(instances: list[Instance]) -> bool:
    first = instances[0].dataset
    return first.get("Modality") == "MR" and "ReferencedSeriesSequence" not in first


def _segments(one: Instance, grid: Grid) -> list[Segment]:
    name = one.located.name
    try:
        with one.located.open() as stream:
            seg = segread(stream)
        volume = seg.get_volume(combine_segments=False, allow_missing_positions=True)
    except Exception as error:  # a damaged file fails in more ways than can be named
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise UnreadableInput(f"{name} is not a readable segmentation ({reason})") from error
    values: NDArray[Any] = np.asarray(volume.array) > HALF
    affine = np.asarray(volume.affine, dtype=np.float64)
    made = []
    for place, number in enumerate(seg.segment_numbers):
        mask, where = _placed(values[..., place], affine, grid)
        made.append(Segment(_names(seg.get_segment_description(number)), mask, where, name))
    return made


def _names(description: Dataset) -> tuple[str, ...]:
    kind = description.SegmentedPropertyTypeCodeSequence[0]
    meaning = str(kind.get("CodeMeaning", ""))
    modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence") or description.get(
        "SegmentedPropertyTypeModifierCodeSequence", []
    )
    sided = " ".join([meaning, *(str(item.get("CodeMeaning", "")) for item in modifiers)])
    names = (str(description.get("SegmentLabel", "")), sided, meaning)
    return tuple(dict.fromkeys(name for name in names if name))


def _placed(
    values: NDArray[np.bool_], affine_lps_mm: Floats, grid: Grid
) -> tuple[NDArray[np.bool_], Grid]:
    """The mask on the series' grid where its voxels are voxels of that grid, else on its own."""
    matrix = np.linalg.inv(grid.affine_lps_mm) @ affine_lps_mm
    whole = np.rint(matrix)
    farthest = np.array([[0, 0, 0, 1], [*(n - 1 for n in values.shape), 1]]).T
    near = np.abs((matrix - whole) @ farthest).max() <= _TOLERANCE_VOXELS
    if near and (np.abs(whole[:3, :3]).sum(axis=0) == 1).all():
        index = np.argwhere(values) @ whole[:3, :3].T.astype(int) + whole[:3, 3].astype(int)
        if ((index >= 0) & (index < grid.shape)).all():
            mask = np.zeros(grid.shape, dtype=np.bool_)
            mask[tuple(index.T)] = True
            return mask, grid
    i, j, k = values.shape
    return np.asarray(values), Grid((i, j, k), affine_lps_mm, grid.frame_of_reference_uid)
