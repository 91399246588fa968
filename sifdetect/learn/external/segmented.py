"""DICOM series with the segmentations that refer to them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.segments import SegmentedSeries, iter_segmented
from sifdetect.learn.external.source import SourceCase, SourceImage, SourceLabels
from sifdetect.learn.external.voxels import on_grid


def iter_dicom(path: Path) -> Iterator[SourceCase]:
    """Every segmented series below a path (folder, zip, DICOMDIR), one at a time.

    A patient is called by a checksum of the Patient ID, a case by one of its series: cases of a
    patient stay together, and no identity is written.

    Raises:
        UnreadableInput: see ``sifdetect.dicom.segments``.
    """
    for one in iter_segmented([path]):
        yield _case(one)


def _case(one: SegmentedSeries) -> SourceCase:
    patient = f"patient-{_short(one.patient_id)}"
    uid = one.series.source.series_instance_uid
    labels = tuple(
        SourceLabels(
            lambda segment=segment: on_grid(segment.mask.astype(np.uint8), segment.grid),  # type: ignore[misc]  # bound now
            {1: (segment.names,)},
            f"segment {segment.names[0]!r}",
        )
        for segment in one.segments
    )
    images = tuple(_image(series) for series in (one.series, *one.others))
    return SourceCase(f"{patient}_series-{_short(uid)}", patient, images, labels)


def _image(series: DicomSeries) -> SourceImage:
    volume = series.volume
    uid = series.source.series_instance_uid
    return SourceImage(
        lambda: on_grid(volume.values, volume.grid),
        volume.modality,
        volume.weighting,
        f"series {_short(uid)}",
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
