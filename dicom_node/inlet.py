"""Whole PDUs from a socket: bounded before they are buffered, complete in time or not at all."""

from __future__ import annotations

import socket
import struct
import time

from dicom_node.pdu import HEADER_BYTES, AbortReason, BrokenPdu, Kind

_FIRST_BYTES = 8192
_KINDS = frozenset(Kind)
_LEAST_SECONDS = 0.001


class Inlet:
    """Reads PDUs of at most ``limit`` bytes after their header; one thread uses it."""

    def __init__(self, transport: socket.socket, *, limit: int) -> None:
        self._transport = transport
        self._limit = limit
        self._room = memoryview(bytearray(_FIRST_BYTES))
        self._start = self._end = 0

    def next(self, seconds: float) -> tuple[Kind, memoryview] | None:
        """The next PDU without its header, or None where the peer has gone.

        The view holds until the next call.

        Raises:
            BrokenPdu: it is none, or longer than the limit.
            TimeoutError: it is not complete after so many seconds.
            OSError: the connection is broken.
        """
        deadline = time.monotonic() + seconds
        if not self._fill(HEADER_BYTES, deadline):
            return None
        kind, length = struct.unpack_from(">BxL", self._room, self._start)
        if kind not in _KINDS:
            raise BrokenPdu("not DICOM", AbortReason.UNRECOGNIZED_PDU)
        if length > self._limit:
            raise BrokenPdu("PDU longer than the limit")
        if not self._fill(HEADER_BYTES + length, deadline):
            return None
        start = self._start + HEADER_BYTES
        self._start = start + length
        return Kind(kind), self._room[start : self._start]

    def unread(self, pdu: memoryview) -> bytes:
        """All that was read, from the start of the PDU that came last, for another reader."""
        start = self._start - len(pdu) - HEADER_BYTES
        return bytes(self._room[start : self._end])

    def _fill(self, wanted: int, deadline: float) -> bool:
        while self._end - self._start < wanted:
            self._make_room(wanted)
            self._transport.settimeout(max(deadline - time.monotonic(), _LEAST_SECONDS))
            count = self._transport.recv_into(self._room[self._end :])
            if not count:
                return False
            self._end += count
        return True

    def _make_room(self, wanted: int) -> None:
        """Room for more of a PDU: at most four times what has come, whatever it declares."""
        if self._start == self._end:
            self._start = self._end = 0
        if self._start + wanted <= len(self._room):
            return
        if wanted > len(self._room):
            if self._end < len(self._room):
                return
            nearly = 2 * len(self._room) >= wanted
            self._grow(2 * (wanted if nearly else len(self._room)))  # two such PDUs lie in it
        self._move_to_start()

    def _grow(self, size: int) -> None:
        larger = memoryview(bytearray(size))
        larger[: len(self._room)] = self._room
        self._room = larger

    def _move_to_start(self) -> None:
        held = bytes(self._room[self._start : self._end])
        self._room[: len(held)] = held
        self._start, self._end = 0, len(held)
