"""From a label map to what a viewer can jump to: the telling slice, and a closed line around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from skimage.measure import find_contours

from sifdetect.dicom.frames import ENHANCED
from sifdetect.dicom.read import DicomSeries
from sifdetect.study import SeriesLabels
from sifdetect.volume import Floats, LabelMap

Mask = NDArray[np.bool_]

_FEWEST, _MOST = 12, 48
"""Points of an outline without its closing one; viewers mistake fewer than 6 for a calliper."""


@dataclass(frozen=True)
class SliceImage:
    """The image of one slice of a volume.

    Attributes:
        dataset: header of the instance.
        frame_number: from 1, for a multi-frame instance; None for a classic one.
    """

    dataset: Dataset
    frame_number: int | None


def slice_images(series: DicomSeries) -> tuple[SliceImage, ...]:
    """The image of each slice of a series, in the order of its volume's axis 0."""
    if series.datasets[0].SOPClassUID in ENHANCED:
        dataset = series.datasets[0]
        return tuple(SliceImage(dataset, number) for number in series.frame_numbers)
    return tuple(SliceImage(dataset, None) for dataset in series.datasets)


def shown(labels: SeriesLabels, series: DicomSeries) -> LabelMap:
    """Numbers of the findings (slices, rows, columns) where there is an image to show them on.

    The labels themselves where every slice has its image. A slice that was never
    sent and was filled from its neighbours has none; a finding that lies
    on such slices alone is shown on the image that stands in for the first of them.
    """
    if not series.filled:
        return labels.findings
    values = np.array(labels.findings.values)
    values[list(series.filled)] = 0
    images = slice_images(series)
    keys = [(id(image.dataset), image.frame_number) for image in images]
    for index in series.filled:
        missing = labels.findings.values[index]
        lost = missing * ~np.isin(missing, values)
        if lost.any():
            stand_in = next(
                place
                for place, key in enumerate(keys)
                if key == keys[index] and place not in series.filled
            )
            values[stand_in] = np.where(lost > 0, lost, values[stand_in])
    return LabelMap(values, labels.findings.grid)


def numbers_in(labels: LabelMap) -> list[int]:
    """The values that are not zero, each once, ascending."""
    if labels.box is None:
        return []
    return [int(n) for n in np.flatnonzero(np.bincount(labels.values[labels.box].ravel())) if n > 0]


def largest_slice(mask: Mask) -> int:
    """Index on axis 0 of the slice where ``mask`` (slices, rows, columns) has most voxels."""
    return int(mask.sum(axis=(1, 2)).argmax())


def outline(mask: Mask) -> Floats:
    """A closed line around the largest part of ``mask`` (rows, columns).

    Returns:
        (n, 2) column, row of 13 to 49 points at equal distances along the border of the pixels; the
        last is the first. The origin is the top left corner of the top left pixel, so that a
        pixel's centre lies at half a pixel (PS3.3 C.18.6.1.2).

    Raises:
        ValueError: the mask is empty.
    """
    if not mask.any():
        raise ValueError("an empty mask has no outline")
    image = np.pad(mask, 1).astype(np.float64)
    border = max(find_contours(image, 0.5), key=_area)  # type: ignore[no-untyped-call]  # skimage
    corners = border[:, ::-1] - 1 + 0.5  # without the pad; from centres to pixel corners
    steps = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    count = int(np.clip(round(along[-1] / 2), _FEWEST, _MOST))
    at = np.linspace(0, along[-1], count + 1)
    line = np.stack([np.interp(at, along, corners[:, axis]) for axis in (0, 1)], axis=1)
    line[-1] = line[0]
    return line


def outline_of(number: int, labels: LabelMap, index: int) -> Floats:
    """The ``outline`` of a finding on slice ``index``, sought where there are findings at all.

    Raises:
        ValueError: the finding is not on the slice.
    """
    if labels.box is None:
        raise ValueError("labels without a finding have no outline")
    _, rows, columns = labels.box
    line = outline(labels.values[index, rows, columns] == number)
    return np.asarray(line + np.array([columns.start, rows.start]))


def _area(border: NDArray[np.float64]) -> float:
    """Area inside a closed border (n, 2), by the shoelace formula."""
    y, x = border[:, 0], border[:, 1]
    return float(abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2)


def ring(column: float, row: float, radius: float) -> Floats:
    """A closed ring (13, 2) column, row around a point, for what is too small for any voxel."""
    angle = np.linspace(0, 2 * np.pi, _FEWEST + 1)
    line = np.stack([column + radius * np.cos(angle), row + radius * np.sin(angle)], axis=1)
    line[-1] = line[0]
    return line
