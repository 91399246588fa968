"""The few attributes that intake needs, read from an encoded data set without decoding the rest."""

from __future__ import annotations

import zlib
from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from dicom_node.intake import Header
from sifdetect.errors import UnreadableInput

_LAST = Tag("SeriesInstanceUID")  # (0020,000E): elements are sorted, nothing beyond is needed
_WANTED: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        "SpecificCharacterSet",
        "SOPClassUID",
        "SOPInstanceUID",
        "Manufacturer",
        "PatientID",
        "ContributingEquipmentSequence",
        "StudyInstanceUID",
        "SeriesInstanceUID",
    )
]
_LONGEST = 256
"""No text that intake needs is longer (PS3.5 6.2: 64): a sender fills neither memory nor logs."""
_INFLATED_BYTES = 1 << 22
"""So much of a deflated data set is looked at: enough for any header, and no bomb goes off."""


def read_header(encoded: bytes, transfer_syntax: str) -> Header:
    """What intake needs of a data set (without preamble and file meta).

    Raises:
        UnreadableInput: the bytes are no data set in that transfer syntax.
    """
    syntax = UID(transfer_syntax)
    try:
        if syntax.is_deflated:
            encoded = zlib.decompressobj(-zlib.MAX_WBITS).decompress(encoded, _INFLATED_BYTES)
        found = read_dataset(
            BytesIO(encoded),
            syntax.is_implicit_VR,
            syntax.is_little_endian,
            stop_when=lambda tag, _vr, _length: tag > _LAST,
            specific_tags=_WANTED,
        )
        return _header_of(found)
    except RecursionError as error:
        raise UnreadableInput("The header is nested too deeply to be read") from error
    except Exception as error:  # pydicom raises whatever a broken header leads to
        raise UnreadableInput(f"The header cannot be read ({type(error).__name__})") from error


def _header_of(found: Dataset) -> Header:
    equipment = found.get("ContributingEquipmentSequence") or []
    return Header(
        sop_class_uid=_text(found, "SOPClassUID"),
        sop_instance_uid=_text(found, "SOPInstanceUID"),
        study_instance_uid=_text(found, "StudyInstanceUID"),
        series_instance_uid=_text(found, "SeriesInstanceUID"),
        manufacturer=_text(found, "Manufacturer"),
        patient_id=_text(found, "PatientID"),
        equipment=tuple(_text(item, "Manufacturer") for item in equipment),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "")[:_LONGEST].rstrip("\0 ")
