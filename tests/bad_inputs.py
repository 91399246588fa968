"""Studies that break nodes, as data sets: what scanners, archives and attackers really send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from tests import node_world as world

Study = list[Dataset]
SLICES = 8
_AXIAL = [1, 0, 0, 0, 1, 0]


def stack(**attributes: Any) -> Study:
    """An axial CT stack of 8 slices, 3 mm apart, pixels of 0.8 × 0.9 mm."""
    made = world.study(SLICES, **attributes)
    for number, one in enumerate(made):
        one.ImageOrientationPatient, one.ImagePositionPatient = _AXIAL, [-20, -30, 3.0 * number]
        one.PixelSpacing, one.SliceThickness = [0.9, 0.8], 3
        one.FrameOfReferenceUID = f"{one.StudyInstanceUID}.9"
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.InstanceNumber, one.KVP, one.Manufacturer = number + 1, 120, "A maker"
        one.RescaleIntercept, one.RescaleSlope, one.RescaleType = -1024, 1, "HU"
        one.BodyPartExamined, one.SeriesDescription = "PELVIS", "Pelvis"
    return made


def _each(change: Callable[[int, Dataset], None]) -> Callable[[], Study]:
    def made() -> Study:
        study = stack()
        for number, one in enumerate(study):
            change(number, one)
        return study

    return made


def _set(**values: Any) -> Callable[[], Study]:
    def change(_: int, one: Dataset) -> None:
        for keyword, value in values.items():
            setattr(one, keyword, value)

    return _each(change)


def _without(*keywords: str) -> Callable[[], Study]:
    def change(_: int, one: Dataset) -> None:
        for keyword in keywords:
            delattr(one, keyword)

    return _each(change)


def _positions(z_of: Callable[[int], float]) -> Callable[[], Study]:
    return _each(lambda n, one: setattr(one, "ImagePositionPatient", [-20, -30, z_of(n)]))


def _in_syntax(syntax: UID) -> Callable[[], Study]:
    def made() -> Study:
        study = stack()
        for one in study:
            if syntax.is_compressed and not syntax.is_deflated:
                one.compress(syntax, generate_instance_uid=False)
            else:
                one.file_meta.TransferSyntaxUID = syntax
                if not syntax.is_little_endian:
                    one.PixelData = np.arange(32 * 40, dtype=">u2").tobytes()
        return study

    return made


def _tilted(number: int, one: Dataset) -> None:
    one.ImagePositionPatient = [-20, -30 + number, 3.0 * number]
    one.GantryDetectorTilt = 18


def _turned(number: int, one: Dataset) -> None:
    if number % 2:
        one.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def _reframed(number: int, one: Dataset) -> None:
    if number >= SLICES // 2:
        one.FrameOfReferenceUID = f"{one.StudyInstanceUID}.8"


def _localizer(number: int, one: Dataset) -> None:
    if number == 0:
        one.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        one.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


def _odd_text(number: int, one: Dataset) -> None:
    one.SpecificCharacterSet = ["", "ISO 2022 IR 87"] if number % 2 else "ISO_IR 999"
    one.SeriesDescription = "B\x1b$B;3ED\x1b(B"


def _private(_: int, one: Dataset) -> None:
    block = one.private_block(0x0099, "SOMEBODY'S OWN", create=True)
    block.add_new(1, "UN", bytes(300))
    inner = Dataset()
    inner.add_new(0x00990010, "LO", "ANOTHER")
    block.add_new(2, "SQ", Sequence([inner]))


def _deep(_: int, one: Dataset) -> None:
    innermost = Dataset()
    for _ in range(30):
        outer = Dataset()
        outer.ReferencedImageSequence = [innermost]
        innermost = outer
    one.SourceImageSequence = [innermost]


SOUND: dict[str, Callable[[], Study]] = {
    "plain": stack,
    "no-private-dictionary": _each(_private),
    "odd-charsets": _each(_odd_text),
    "deep": _each(_deep),
    "not-square": _set(PixelSpacing=[1.7, 0.4]),
    "implicit": _in_syntax(ImplicitVRLittleEndian),
    "big-endian": _in_syntax(ExplicitVRBigEndian),
    "deflated": _in_syntax(DeflatedExplicitVRLittleEndian),
    "rle": _in_syntax(RLELossless),
    "jpeg-ls": _in_syntax(JPEGLSLossless),
    "jpeg-2000": _in_syntax(JPEG2000Lossless),
}
"""Unusual and whole: one series is read of each."""

BROKEN: dict[str, Callable[[], Study]] = {
    "localizer-among-them": _each(_localizer),
    "pixels-truncated": _set(PixelData=bytes(100)),
    "pixels-missing": _without("PixelData"),
    "dimensions-65535": _set(Rows=65535, Columns=65535),
    "dimensions-0": _set(Rows=0, Columns=0),
    "position-missing": _without("ImagePositionPatient"),
    "positions-all-one": _positions(lambda _: 0.0),
    "positions-uneven": _positions(lambda n: float(n * n)),
    "positions-far": _positions(lambda n: 1e9 * n),
    "orientation-missing": _without("ImageOrientationPatient"),
    "orientation-zero": _set(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]),
    "orientations-mixed": _each(_turned),
    "frames-of-reference-mixed": _each(_reframed),
    "gantry-tilted": _each(_tilted),
    "spacing-missing": _without("PixelSpacing"),
    "spacing-zero": _set(PixelSpacing=[0, 0]),
    "rescale-missing": _without("RescaleIntercept", "RescaleSlope"),
    "bits-wrong": _set(BitsAllocated=8),
    "no-modality": _set(Modality=""),
    "colour": _set(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
    "nothing-but-uids": lambda: [_bare() for _ in range(2)],
}
"""Broken: read in part, or refused with a reason; nothing else."""


def _bare() -> Dataset:
    made = world.image(generate_uid(prefix=None)[:50].rstrip("."))
    keep = {"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}
    for element in list(made):
        if element.keyword not in keep:
            del made[element.tag]
    return made
