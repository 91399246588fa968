"""Command sets of C-ECHO and C-STORE (PS3.7 9.3): bytes in, values out and back; no sockets."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from dicom_node.pdu import BrokenPdu

MAX_BYTES = 16384
"""No command set comes near it: a peer that sends more is cut off."""

_CLASS, _FIELD, _MESSAGE, _SET_TYPE, _INSTANCE = 0x0002, 0x0100, 0x0110, 0x0800, 0x1000
_ELEMENT = struct.Struct("<HHL")
_NO_DATA_SET = 0x0101


class Field(IntEnum):
    """Command Field (0000,0100), PS3.7 E.1."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request; ``field`` is a number, since a peer may send any."""

    field: int
    message: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool


def parse_request(encoded: bytes | bytearray) -> Request:
    """What a command set says; Implicit VR Little Endian, as PS3.7 6.3.1 asks for.

    Raises:
        BrokenPdu: an element overruns the set, or what every request must have is missing.
    """
    found: dict[int, bytes] = {}
    position, end = 0, len(encoded)
    while position < end:
        if end - position < _ELEMENT.size:
            raise BrokenPdu("A command set ends within an element")
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        start, position = position + _ELEMENT.size, position + _ELEMENT.size + length
        if group or position > end:
            raise BrokenPdu("A command set holds what does not belong there")
        found[element] = bytes(encoded[start:position])
    field = _number(found, _FIELD)
    return Request(
        field=field,
        message=0 if field == Field.C_CANCEL else _number(found, _MESSAGE),
        sop_class_uid=_uid(found, _CLASS),
        sop_instance_uid=_uid(found, _INSTANCE),
        has_data_set=_number(found, _SET_TYPE) != _NO_DATA_SET,
    )


def response(request: Request, status: int) -> bytes:
    """The command set that answers ``request`` (PS3.7 Tables 9.3-2 and 9.3-13)."""
    elements = (
        _element(_CLASS, _padded(request.sop_class_uid))
        + _ANSWERS[request.field]
        + _element(0x0120, struct.pack("<H", request.message))
        + _NO_DATA_SET_FOLLOWS
        + _element(0x0900, struct.pack("<H", status))
    )
    if request.field == Field.C_STORE:
        elements += _element(_INSTANCE, _padded(request.sop_instance_uid))
    return _element(0x0000, struct.pack("<L", len(elements))) + elements


def _number(found: dict[int, bytes], element: int) -> int:
    value = found.get(element, b"")
    if len(value) != 2:
        raise BrokenPdu(f"A command set lacks (0000,{element:04X})")
    return int.from_bytes(value, "little")


def _uid(found: dict[int, bytes], element: int) -> str:
    return found.get(element, b"").rstrip(b" \0").decode("ascii", "replace")


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0, element, len(value)) + value


_NO_DATA_SET_FOLLOWS = _element(_SET_TYPE, struct.pack("<H", _NO_DATA_SET))
_ANSWERS: dict[int, bytes] = {
    field: _element(_FIELD, struct.pack("<H", 0x8000 | field))
    for field in (Field.C_STORE, Field.C_ECHO)
}
