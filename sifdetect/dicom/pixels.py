"""Stored pixels of a stack to one float32 volume, decoded in a few threads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from sifdetect.anatomy import Modality
from sifdetect.dicom.frames import Frame, Instance, as_number
from sifdetect.dicom.stack import Stack
from sifdetect.errors import MissingAttribute, UnreadableInput, UnsuitableSeries
from sifdetect.volume import FloatImage

THREADS = 4
_MOST_VOXELS = 1 << 30
"""4 GB of float32: 4096 slices of 512×512. A header of a few bytes could ask for any amount."""
LOWEST_HU = -1024.0
"""Air; what lies below is padding outside the scanner's field of view."""

_DESCRIBING = (0x0028, 0x7FE0)
"""Groups that say what Pixel Data mean: Image Pixel Module (PS3.3 C.7.6.3), offsets of frames."""

_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True)
class Unreadable:
    """A plane whose pixels cannot be read, and why."""

    frame: Frame
    reason: str


def decode(stack: Stack, modality: Modality) -> tuple[FloatImage, list[Unreadable]]:
    """The stack's intensities, float32 of its grid's shape, and the planes that could not be read.

    Rescale Slope and Intercept (PS3.3 C.11.1.1.2) are each plane's own: HU for CT. Places in
    ``stack.filled`` are interpolated between their neighbours. Where planes are unreadable, the
    values are meaningless: build the stack again without them.

    Raises:
        UnsuitableSeries: the headers declare more voxels than any scan has.
    """
    if math.prod(stack.grid.shape) > _MOST_VOXELS:
        size = " × ".join(map(str, stack.grid.shape))
        raise UnsuitableSeries(f"The headers declare {size} voxels, more than any scan has")
    values = np.empty(stack.grid.shape, dtype=np.float32)
    sent = [index for index in range(len(stack.frames)) if index not in set(stack.filled)]

    def work(indices: list[int]) -> list[Unreadable]:
        return _decode_some(stack, indices, values, modality)

    with ThreadPoolExecutor(THREADS) as pool:
        failed = [one for found in pool.map(work, _tasks(stack, sent)) for one in found]
    if not failed:
        _fill(values, stack.filled)
    return values, failed


def _tasks(stack: Stack, indices: Sequence[int]) -> Iterator[list[int]]:
    """Places along axis 0, in portions of one file each, so that a multi-frame is opened once."""
    by_file: dict[int, list[int]] = {}
    for index in indices:
        by_file.setdefault(id(stack.frames[index].instance), []).append(index)
    yield from by_file.values()


def _decode_some(
    stack: Stack, indices: list[int], values: FloatImage, modality: Modality
) -> list[Unreadable]:
    instance = stack.frames[indices[0]].instance
    try:
        dataset = _with_pixels(instance)
    except Exception as error:  # noqa: BLE001  # a damaged file fails in more ways than can be named
        return [Unreadable(stack.frames[index], _said(error)) for index in indices]
    failed = []
    for index in indices:
        frame = stack.frames[index]
        try:
            _rescale(_stored(dataset, frame), frame, modality, values[index])
        except Exception as error:  # noqa: BLE001  # a codec fails in more ways than can be named
            failed.append(Unreadable(frame, _said(error)))
    return failed


def _said(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _with_pixels(instance: Instance) -> Dataset:
    """Pixel Data and what describes them; of the file only what was not read for the header."""
    header, dataset = instance.dataset, Dataset()
    with instance.located.open() as stream:
        if instance.unread is None:
            dataset = dcmread(stream, force=True)
        else:
            stream.seek(instance.unread)
            dataset = read_dataset(stream, *header.original_encoding)
            dataset.set_original_encoding(*header.original_encoding)
            dataset.file_meta = header.file_meta
            for group in _DESCRIBING:
                dataset.update(header.group_dataset(group))
    if "PixelData" not in dataset:
        raise UnreadableInput("the file holds no Pixel Data")
    return dataset


def transfer_syntax(dataset: Dataset) -> UID:
    """The transfer syntax; for a data set without file meta information the one it was read in."""
    declared = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if declared:
        return UID(declared)
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _stored(dataset: Dataset, frame: Frame) -> NDArray[Any]:
    """Stored values (rows, columns) of one frame, padding bits masked, before any rescale."""
    syntax = transfer_syntax(dataset)
    if str(dataset.get("PhotometricInterpretation", "")) == "MONOCHROME1":
        raise UnsuitableSeries("Photometric Interpretation is MONOCHROME1: dark and bright swapped")
    decoder = get_decoder(syntax)
    native = syntax in _NATIVE
    options: Any = {"view_only": native}  # spares a copy of what is copied into the volume anyway
    array, _ = decoder.as_array(dataset, index=frame.number - 1, raw=True, **options)
    if array.shape != (frame.rows, frame.columns):
        raise UnreadableInput(f"the pixels are {array.shape}, not {frame.rows} × {frame.columns}")
    return np.asarray(array)


def _rescale(stored: NDArray[Any], frame: Frame, modality: Modality, out: FloatImage) -> None:
    slope = frame.number_of("RescaleSlope")
    intercept = frame.number_of("RescaleIntercept")
    if modality is Modality.CT and intercept is None:
        raise MissingAttribute(
            "Rescale Intercept is missing: what is stored are no Hounsfield units",
            hint="Send the original CT images",
        )
    if slope == 0:
        raise UnreadableInput("Rescale Slope is 0")
    np.multiply(stored, np.float32(1.0 if slope is None else slope), out=out, casting="unsafe")
    if intercept:
        out += np.float32(intercept)
    if modality is Modality.CT:
        padding = as_number(frame.get("PixelPaddingValue"))
        if padding is not None:
            out[stored == padding] = LOWEST_HU
        np.maximum(out, LOWEST_HU, out=out)


def _fill(values: FloatImage, filled: Sequence[int]) -> None:
    """Interpolate linearly along axis 0; first and last place are never empty."""
    missing = set(filled)
    for index in filled:
        below = next(place for place in range(index, -1, -1) if place not in missing)
        above = next(place for place in range(index, len(values)) if place not in missing)
        share = np.float32((index - below) / (above - below))
        values[index] = values[below] * (1 - share) + values[above] * share
