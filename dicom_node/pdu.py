"""Protocol data units of PS3.8 section 9.3: bytes in, values out and back; no sockets.

Only what a storage SCP needs. Whatever a peer sends leads to a value or to ``BrokenPdu``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from sifdetect.errors import NetworkError

HEADER_BYTES = 6
"""Type, reserved, length: what every PDU begins with."""

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1
RELEASE_REPLY = struct.pack(">BxLL", 6, 4, 0)

_APPLICATION, _PROPOSED, _ANSWERED, _USER = 0x10, 0x20, 0x21, 0x50
_ABSTRACT, _TRANSFER = 0x30, 0x40
_MAX_LENGTH, _IMPLEMENTATION, _VERSION_NAME = 0x51, 0x52, 0x55
_TITLES_BYTES = 68  # version, reserved, two AE titles, 32 reserved
_PDV_HEADER = struct.Struct(">LBB")
_ITEM_HEADER = struct.Struct(">BxH")


class Kind(IntEnum):
    """PDU types, PS3.8 Table 9-11 and following."""

    ASSOCIATE_REQUEST = 1
    ASSOCIATE_ACCEPT = 2
    ASSOCIATE_REJECT = 3
    DATA = 4
    RELEASE_REQUEST = 5
    RELEASE_REPLY = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Why the service provider aborts, PS3.8 Table 9-26."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class ContextResult(IntEnum):
    """What becomes of a proposed presentation context, PS3.8 Table 9-18."""

    ACCEPTANCE = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class BrokenPdu(NetworkError):
    """A peer sent what PS3.8 does not allow."""

    def __init__(self, reason: str, abort: AbortReason = AbortReason.INVALID_PARAMETER) -> None:
        super().__init__(reason)
        self.abort = abort


@dataclass(frozen=True, kw_only=True)
class ProposedContext:
    """One proposed presentation context."""

    identifier: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What an A-ASSOCIATE-RQ asks for; ``max_length`` 0 means that the peer sets no limit."""

    version: int
    called: str
    calling: str
    titles: bytes
    application_context: bytes
    contexts: tuple[ProposedContext, ...]
    max_length: int


@dataclass(frozen=True, kw_only=True)
class AnsweredContext:
    """The answer to one proposed presentation context."""

    identifier: int
    result: ContextResult
    transfer_syntax: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    """How an implementation names itself, and the longest P-DATA-TF that it takes."""

    class_uid: str
    version_name: str
    max_length: int


@dataclass(frozen=True)
class Fragment:
    """One presentation data value (PS3.8 9.3.5.1); ``data`` is a view of the buffer."""

    context: int
    is_command: bool
    is_last: bool
    data: memoryview


def parse_proposal(body: bytes | bytearray | memoryview) -> Proposal:
    """What an A-ASSOCIATE-RQ without its header says (PS3.8 Table 9-11).

    Raises:
        BrokenPdu: it is too short, an item overruns it, or an item holds what it must not.
    """
    view = memoryview(body)
    if len(view) < _TITLES_BYTES:
        raise BrokenPdu("An association request is too short")
    found: dict[int, list[memoryview]] = {}
    for kind, item in _items(view[_TITLES_BYTES:]):
        found.setdefault(kind, []).append(item)
    return Proposal(
        version=int.from_bytes(view[:2], "big"),
        called=_title(view[4:20]),
        calling=_title(view[20:36]),
        titles=bytes(view[4:_TITLES_BYTES]),
        application_context=_unpadded(found.get(_APPLICATION, [view[:0]])[0]),
        contexts=tuple(_proposed(item) for item in found.get(_PROPOSED, [])),
        max_length=_max_length(found.get(_USER, [])),
    )


def accept(proposal: Proposal, answers: list[AnsweredContext], own: Identity) -> bytes:
    """The A-ASSOCIATE-AC (PS3.8 Table 9-17)."""
    items = [_item(_APPLICATION, APPLICATION_CONTEXT)]
    for answer in answers:
        syntax = _item(_TRANSFER, answer.transfer_syntax.encode("ascii"))
        items.append(
            _item(_ANSWERED, struct.pack(">BxBx", answer.identifier, answer.result) + syntax)
        )
    user = (
        _item(_MAX_LENGTH, struct.pack(">L", own.max_length))
        + _item(_IMPLEMENTATION, own.class_uid.encode("ascii"))
        + _item(_VERSION_NAME, own.version_name.encode("ascii"))
    )
    items.append(_item(_USER, user))
    return _pdu(Kind.ASSOCIATE_ACCEPT, struct.pack(">Hxx", 1) + proposal.titles + b"".join(items))


def reject(answer: tuple[int, int, int]) -> bytes:
    """The A-ASSOCIATE-RJ with result, source and reason (PS3.8 Table 9-21)."""
    return _pdu(Kind.ASSOCIATE_REJECT, struct.pack(">xBBB", *answer))


def abort(reason: AbortReason) -> bytes:
    """The A-ABORT of the service provider (PS3.8 Table 9-26)."""
    return _pdu(Kind.ABORT, struct.pack(">xxBB", 2, reason))


def data(context: int, command: bytes, max_length: int) -> bytes:
    """A command as P-DATA-TF, in as many as the peer's limit asks for (PS3.8 9.3.5)."""
    room = max(max_length - _PDV_HEADER.size, 1) if max_length else len(command)
    parts = [command[start : start + room] for start in range(0, len(command), room)]
    return b"".join(
        _pdu(
            Kind.DATA,
            _PDV_HEADER.pack(len(part) + 2, context, 3 if number == len(parts) else 1) + part,
        )
        for number, part in enumerate(parts, start=1)
    )


def fragments(body: memoryview) -> Iterator[Fragment]:
    """The presentation data values of a P-DATA-TF without its header.

    Raises:
        BrokenPdu: there is none, or one is longer than what holds it.
    """
    position, end = 0, len(body)
    if not end:
        raise BrokenPdu("A P-DATA-TF is empty")
    while position < end:
        if end - position < _PDV_HEADER.size:
            raise BrokenPdu("A P-DATA-TF ends within an item")
        length, context, control = _PDV_HEADER.unpack_from(body, position)
        start, position = position + _PDV_HEADER.size, position + 4 + length
        if length < 2 or position > end:
            raise BrokenPdu("A presentation data value overruns its P-DATA-TF")
        yield Fragment(context, bool(control & 1), bool(control & 2), body[start:position])


def _proposed(item: memoryview) -> ProposedContext:
    if len(item) < 4 or not item[0] & 1:
        raise BrokenPdu("A presentation context has no odd identifier")
    inner = list(_items(item[4:]))
    abstract = [_uid(value) for kind, value in inner if kind == _ABSTRACT]
    transfer = tuple(_uid(value) for kind, value in inner if kind == _TRANSFER)
    if len(abstract) != 1 or not transfer:
        raise BrokenPdu("A presentation context lacks a syntax")
    return ProposedContext(
        identifier=item[0], abstract_syntax=abstract[0], transfer_syntaxes=transfer
    )


def _max_length(user: list[memoryview]) -> int:
    for item in user:
        for kind, value in _items(item):
            if kind == _MAX_LENGTH:
                if len(value) != 4:
                    raise BrokenPdu("The maximum length is no number of four bytes")
                return int.from_bytes(value, "big")
    return 0


def _items(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    position = 0
    while position < len(view):
        if len(view) - position < _ITEM_HEADER.size:
            raise BrokenPdu("An association request ends within an item")
        kind, length = _ITEM_HEADER.unpack_from(view, position)
        start, position = position + _ITEM_HEADER.size, position + _ITEM_HEADER.size + length
        if position > len(view):
            raise BrokenPdu("An item overruns its association request")
        yield kind, view[start:position]


def _title(view: memoryview) -> str:
    return bytes(view).decode("ascii", "replace").strip(" \0")


def _uid(view: memoryview) -> str:
    return _unpadded(view).decode("ascii", "replace")


def _unpadded(view: memoryview) -> bytes:
    return bytes(view).rstrip(b" \0")


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM_HEADER.pack(kind, len(value)) + value


def _pdu(kind: Kind, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body
