"""The head of a DICOM file (PS3.10 7.1): preamble, prefix, file meta; without a DICOM library."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dicom_node.intake import Command, is_valid_uid

META_BYTES = 1 << 16
"""Most bytes of file meta information that are waited for."""

_START = 132  # preamble and prefix
_LENGTH = b"\x02\0\0\0UL\x04\0"
_FIRST = _START + len(_LENGTH) + 4
_CLASS, _INSTANCE, _SYNTAX = 0x00020002, 0x00020003, 0x00020010
_LONG = frozenset(b"OB OW OF OD OL OV SQ UC UR UT UN SV UV".split())
"""Value representations with a length of four bytes (PS3.5 Table 7.1-1)."""


class NoDicomFile(Exception):
    """These bytes begin no DICOM file."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What the head of a file says.

    Attributes:
        length: of the head in bytes; the data set follows.
    """

    command: Command
    transfer_syntax: str
    length: int


def read_head(start: bytes) -> Head | None:
    """The head of a file that begins with ``start``; None while more of it is needed.

    Raises:
        NoDicomFile: whatever follows, this becomes no DICOM file.
    """
    if len(start) < _FIRST:
        return None
    if start[128:_START] != b"DICM":
        raise NoDicomFile("no DICOM file")
    if start[_START : _START + len(_LENGTH)] != _LENGTH:
        raise NoDicomFile("the file meta information does not begin with its length")
    (length,) = struct.unpack_from("<L", start, _FIRST - 4)
    if length > META_BYTES:
        raise NoDicomFile("the file meta information is too long")
    end = _FIRST + length
    if len(start) < end:
        return None
    try:
        values = _values(start[_FIRST:end])
    except (struct.error, UnicodeDecodeError) as error:
        raise NoDicomFile("the file meta information cannot be read") from error
    uids = [values.get(tag, "") for tag in (_CLASS, _INSTANCE, _SYNTAX)]
    if not all(map(is_valid_uid, uids)):
        raise NoDicomFile("a UID of the file meta information is missing or not valid")
    command = Command(sop_class_uid=uids[0], sop_instance_uid=uids[1])
    return Head(command=command, transfer_syntax=uids[2], length=end)


def _values(meta: bytes) -> dict[int, str]:
    """The UIDs among the elements, which are Explicit VR Little Endian."""
    values, position = {}, 0
    while position < len(meta):
        group, element, kind = struct.unpack_from("<HH2s", meta, position)
        if kind in _LONG:
            (length,) = struct.unpack_from("<L", meta, position + 8)
            position += 12
        else:
            (length,) = struct.unpack_from("<H", meta, position + 6)
            position += 8
        value = meta[position : position + length]
        position += length
        if group != 2 or position > len(meta):
            raise NoDicomFile("the file meta information is not whole")
        if kind == b"UI":
            values[group << 16 | element] = value.decode("ascii").rstrip("\0 ")
    return values
