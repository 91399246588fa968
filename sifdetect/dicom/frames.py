"""One image plane with its attributes, alike for a classic file and an Enhanced multi-frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
)

from sifdetect.dicom.files import Located
from sifdetect.errors import MissingAttribute
from sifdetect.volume import Floats

ENHANCED = (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
)

ENHANCED_NAMES = {
    "ImageType": "FrameType",
    "EchoTime": "EffectiveEchoTime",
    "InversionTime": "InversionTimes",
    "TemporalPositionIdentifier": "TemporalPositionIndex",
    "AcquisitionNumber": "FrameAcquisitionNumber",
}
"""Classic attribute → the name it has in the functional groups (PS3.3 C.8.13, C.8.15, C.7.6.16)."""


@dataclass(frozen=True)
class Instance:
    """A DICOM file without its pixels, and where the pixels are.

    Attributes:
        unread: byte at which what the data set leaves out begins, Pixel Data first; None where the
            file must be read from its start again.
    """

    dataset: Dataset = field(repr=False)
    located: Located
    unread: int | None = None

    @property
    def enhanced(self) -> bool:
        """True for an Enhanced (or Legacy Converted Enhanced) CT or MR image."""
        return self.dataset.get("SOPClassUID") in ENHANCED


@dataclass(frozen=True)
class Frame:
    """One image plane.

    Attributes:
        instance: the file it lies in.
        number: frame number, from 1.
        attributes: of the plane itself, by keyword: for a multi-frame, those of its functional
            groups (per-frame before shared), then those of the file.
        position_lps_mm: (3,) Image Position (Patient) (0020,0032), centre of the first voxel.
        orientation: (6,) Image Orientation (Patient) (0020,0037): along a row, along a column.
        spacing_mm: Pixel Spacing (0028,0030): between rows, between columns.
        rows, columns: size of the plane.
    """

    instance: Instance
    number: int
    attributes: Mapping[str, Any] = field(repr=False)
    position_lps_mm: Floats
    orientation: Floats
    spacing_mm: tuple[float, float]
    rows: int
    columns: int

    def get(self, keyword: str, default: Any = None) -> Any:
        """An attribute by its classic keyword; an empty one counts as absent."""
        for name in (ENHANCED_NAMES.get(keyword, keyword), keyword):
            value = self.attributes.get(name)
            if value is not None and value != "":
                return value
        return default

    def number_of(self, keyword: str) -> float | None:
        """An attribute as one number; of several values the first."""
        return as_number(self.get(keyword))


def as_number(value: Any) -> float | None:
    """A DICOM value as one finite number, of several the first; None where it is not one."""
    if value is not None and not isinstance(value, str) and hasattr(value, "__iter__"):
        value = next(iter(value), None)
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def frames_of(instance: Instance) -> list[Frame]:
    """The image planes of one file.

    Raises:
        MissingAttribute: the position, orientation, spacing or size of a plane is absent or wrong.
    """
    if not instance.enhanced:
        return [_frame(instance, 1, _Attributes(instance.dataset, {}))]
    return [
        _frame(instance, number, _Attributes(instance.dataset, groups))
        for number, groups in enumerate(_functional_groups(instance.dataset), start=1)
    ]


class _Attributes(Mapping[str, Any]):
    """Functional groups first, then the data set; read lazily, for a data set is large."""

    def __init__(self, dataset: Dataset, groups: dict[str, Any]) -> None:
        self._dataset = dataset
        self._groups = groups

    def __getitem__(self, keyword: str) -> Any:
        if keyword in self._groups:
            return self._groups[keyword]
        value = self._dataset.get(keyword)
        if value is None:
            raise KeyError(keyword)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from self._groups
        yield from (name for name in self._dataset.dir() if name not in self._groups)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _functional_groups(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Attributes of each frame; a per-frame group goes before a shared one (PS3.3 C.7.6.16.1)."""
    shared: dict[str, Any] = {}
    for item in dataset.get("SharedFunctionalGroupsSequence", []):
        shared.update(_flattened(item))
    for item in dataset.get("PerFrameFunctionalGroupsSequence", []):
        yield shared | _flattened(item)


def _flattened(groups: Dataset) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for group in groups:
        if group.VR != "SQ" or not group.value:
            continue
        for element in group.value[0]:
            if element.keyword and element.value is not None:
                flat[element.keyword] = element.value
    return flat


def _frame(instance: Instance, number: int, attributes: _Attributes) -> Frame:
    row_mm, column_mm = _numbers(instance, attributes, "PixelSpacing", 2)
    orientation = np.array(_numbers(instance, attributes, "ImageOrientationPatient", 6))
    along = orientation.reshape(2, 3)
    if abs(along[0] @ along[1]) > 1e-2 or np.abs(np.linalg.norm(along, axis=1) - 1).max() > 1e-2:
        raise MissingAttribute(
            f"ImageOrientationPatient of {instance.located.name} is not two orthogonal unit vectors"
        )
    if min(row_mm, column_mm) <= 0:
        raise MissingAttribute(f"PixelSpacing of {instance.located.name} is not positive")
    rows, columns = (as_number(attributes.get(name)) for name in ("Rows", "Columns"))
    if not rows or not columns:
        raise MissingAttribute(f"{instance.located.name} has no Rows or no Columns: no image")
    return Frame(
        instance=instance,
        number=number,
        attributes=attributes,
        position_lps_mm=np.array(_numbers(instance, attributes, "ImagePositionPatient", 3)),
        orientation=orientation,
        spacing_mm=(row_mm, column_mm),
        rows=int(rows),
        columns=int(columns),
    )


def _numbers(
    instance: Instance, attributes: Mapping[str, Any], keyword: str, count: int
) -> list[float]:
    value = attributes.get(keyword)
    try:
        numbers = [float(one) for one in value] if value is not None else []
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise MissingAttribute(
            f"{instance.located.name} has no usable {keyword}",
            hint="Send the series again from the scanner or the archive",
        )
    return numbers
