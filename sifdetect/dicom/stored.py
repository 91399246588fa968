"""Intensities to stored values, the way scanners store them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import Modality
from sifdetect.dicom.vendor_styles import Encoding
from sifdetect.volume import FloatImage, Volume


@dataclass(frozen=True)
class Stored:
    """The stored values of a series.

    Attributes:
        pixels: (slices, rows, columns), int16 or uint16.
        slopes: Rescale Slope of each slice, a Decimal String; None where none is written.
    """

    pixels: NDArray[Any]
    encoding: Encoding
    slopes: tuple[str, ...] | None


def stored(volume: Volume, encoding: Encoding) -> Stored:
    """HU rounded to whole numbers, or MR intensities scaled to the encoding's brightest value.

    What the bits cannot hold is clipped, as a 12-bit scanner clips metal at 3071 HU.
    """
    if volume.modality is Modality.CT:
        whole = np.rint(volume.values) - encoding.intercept
        return Stored(_clipped(whole, encoding), encoding, ("1",) * len(whole))
    values = np.maximum(volume.values, 0)
    values *= np.float32(_scale(values, encoding))
    if not encoding.rescaled:
        return Stored(_clipped(np.rint(values), encoding), encoding, None)
    slopes = tuple(f"{1 / _scale(one, encoding):.10g}" for one in values)
    pixels = np.stack([one / np.float32(s) for one, s in zip(values, slopes, strict=True)])
    return Stored(_clipped(np.rint(pixels), encoding), encoding, slopes)


def _scale(values: FloatImage, encoding: Encoding) -> float:
    brightest = float(values.max())
    return encoding.brightest / brightest if brightest > 0 else 1.0


def _clipped(values: FloatImage, encoding: Encoding) -> NDArray[Any]:
    low = -(1 << encoding.bits - 1) if encoding.signed else 0
    kind = np.int16 if encoding.signed else np.uint16
    return np.clip(values, low, low + (1 << encoding.bits) - 1).astype(kind)
