"""What the images of a study are: read from their headers as they lie in the spool."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom import Dataset, dcmread

from dicom_node import logs
from dicom_node.completeness import Held, Plane

_CONTRAST = ("ImageType", "EchoTime", "InversionTime", "DiffusionBValue", "Rows", "Columns")
_WANTED = (
    "SeriesInstanceUID",
    "SeriesNumber",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "TemporalPositionIdentifier",
    *_CONTRAST,
)


def series_in(images: Iterable[Path]) -> list[Held]:
    """The series that these files belong to; one that cannot be read is left out."""
    found: dict[str, list[Dataset]] = {}
    for path in images:
        header = _header(path)
        if header is not None:
            found.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    return [
        Held(
            series_instance_uid=uid,
            number=str(headers[0].get("SeriesNumber") or "without number"),
            instances=len(headers),
            planes=tuple(plane for one in headers if (plane := _plane(one)) is not None),
        )
        for uid, headers in sorted(found.items())
    ]


def _header(path: Path) -> Dataset | None:
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED))
    except Exception as error:  # noqa: BLE001  # pydicom raises whatever a broken header leads to
        logs.warning("header not read", error=type(error).__name__)
        return None


def _plane(header: Dataset) -> Plane | None:
    """None for a multi-frame image, a localizer, and one without a readable place."""
    kind = [str(one).upper() for one in header.get("ImageType") or []]
    try:
        orientation = tuple(float(one) for one in header.ImageOrientationPatient)
        position = tuple(float(one) for one in header.ImagePositionPatient)
    except (AttributeError, TypeError, ValueError):
        return None
    if len(orientation) != 6 or len(position) != 3 or "LOCALIZER" in kind:
        return None
    words = (*_CONTRAST, "TemporalPositionIdentifier")
    stack = tuple(str(header.get(word)) for word in words)
    return Plane(stack=stack, orientation=orientation, position=position)
