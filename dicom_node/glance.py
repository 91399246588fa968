"""A first look at an ordinary header, without a DICOM library: a fiftieth of a full parse.

What is not plainly ordinary is left to ``dicom_node.header``: there is one judge of odd headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from dicom_node.intake import Header, is_valid_uid

_EXPLICIT, _IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_NATIVE_OTHER = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
"""Big endian and deflated: no encapsulated pixels, and no Explicit VR Little Endian either."""

_CLASS, _INSTANCE = 0x00080016, 0x00080018
_MANUFACTURER, _PATIENT, _EQUIPMENT = 0x00080070, 0x00100020, 0x0018A001
_STUDY, _SERIES = 0x0020000D, 0x0020000E
_WANTED = frozenset({_CLASS, _INSTANCE, _MANUFACTURER, _PATIENT, _STUDY, _SERIES})
_LONG = frozenset(b"OB OW OF OD OL OV SQ UC UR UT UN SV UV".split())
"""Value representations with a length of four bytes (PS3.5 Table 7.1-1)."""

_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 6
_LONGEST = 64
"""Characters of an ordinary LO (PS3.5 6.2)."""

_Element = tuple[int, int, int]
"""Tag, and where the value starts and ends."""


class _Unusual(Exception):
    """This header needs a full parse."""


def glance(head: bytes, transfer_syntax: str) -> Header | None:
    """What intake needs, from the first bytes of a data set; None where a full parse must say.

    Args:
        head: the beginning of a data set without preamble and file meta, of any length.
    """
    if transfer_syntax in _NATIVE_OTHER:
        return None
    values: dict[int, str] = {}
    try:
        last = -1
        for tag, start, end in _elements(head, 0, transfer_syntax != _IMPLICIT, 0):
            if tag <= last or tag == _EQUIPMENT:
                return None
            last = tag
            if tag in _WANTED:
                values[tag] = head[start:end].decode("ascii").rstrip("\0 ")
            if tag >= _SERIES:
                break
    except (_Unusual, UnicodeDecodeError, struct.error):
        return None
    return _header_of(values)


def _header_of(values: dict[int, str]) -> Header | None:
    found = Header(
        sop_class_uid=values.get(_CLASS, ""),
        sop_instance_uid=values.get(_INSTANCE, ""),
        study_instance_uid=values.get(_STUDY, ""),
        series_instance_uid=values.get(_SERIES, ""),
        manufacturer=values.get(_MANUFACTURER, ""),
        patient_id=values.get(_PATIENT, ""),
    )
    texts = (found.manufacturer, found.patient_id)
    is_plain = all(
        len(text) <= _LONGEST and text.isprintable() and text == text.strip() and "\\" not in text
        for text in texts
    )
    uids = (values.get(tag, "") for tag in (_CLASS, _INSTANCE, _STUDY, _SERIES))
    return found if is_plain and all(map(is_valid_uid, uids)) else None


def _elements(head: bytes, position: int, explicit: bool, depth: int) -> Iterator[_Element]:
    """The elements from ``position`` on; ends at an item's delimiter."""
    while True:
        group, element = struct.unpack_from("<HH", head, position)
        tag = group << 16 | element
        if tag == _ITEM_END and depth:
            yield tag, position + 8, position + 8
            return
        if group == 0xFFFE:
            raise _Unusual
        position, length = _value(head, position + 4, explicit)
        if length == _UNDEFINED:
            end = _sequence_end(head, position, explicit, depth + 1)
        else:
            end = position + length
        if end > len(head):
            raise _Unusual
        yield tag, position, end
        position = end


def _value(head: bytes, position: int, explicit: bool) -> tuple[int, int]:
    """Where the value starts, and its length."""
    if not explicit:
        return position + 4, struct.unpack_from("<L", head, position)[0]
    kind = head[position : position + 2]
    if kind in _SHORT:
        return position + 4, struct.unpack_from("<H", head, position + 2)[0]
    if kind not in _LONG:
        raise _Unusual
    length = struct.unpack_from("<L", head, position + 4)[0]
    if length == _UNDEFINED and kind != b"SQ":
        raise _Unusual
    return position + 8, length


def _sequence_end(head: bytes, position: int, explicit: bool, depth: int) -> int:
    """Where a sequence of undefined length (PS3.5 7.5) ends."""
    if depth > _DEEPEST:
        raise _Unusual
    while True:
        group, element, length = struct.unpack_from("<HHL", head, position)
        tag, position = group << 16 | element, position + 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _Unusual
        if length != _UNDEFINED:
            position += length
        else:
            *_, (_, _, position) = _elements(head, position, explicit, depth)
