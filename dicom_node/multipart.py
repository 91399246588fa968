"""A multipart body (RFC 2046 5.1) taken apart as it comes, in bounded memory and without sockets.

What is held back is a part's header, or as many bytes as a boundary may take; never a part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.message import Message
from enum import Enum, auto

HEADER_BYTES = 8192
"""Most bytes of one part's header, and of what stands before the first boundary."""

_PADDING_BYTES = 128
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]")
"""RFC 2046 5.1.1, which allows 70 characters; Orthanc's DICOMweb plugin 1.7 makes 73."""

_GAP = b"\r\n\r\n"


class BrokenMultipart(Exception):
    """The body is not what its Content-Type says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class PartBegins:
    """A new part; ``headers`` by their names in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True)
class PartData:
    """A piece of the current part."""

    data: bytes


@dataclass(frozen=True)
class PartEnds:
    """The current part is whole."""


Event = PartBegins | PartData | PartEnds


class _At(Enum):
    START = auto()
    HEADER = auto()
    PART = auto()
    END = auto()


class Multipart:
    """Takes the pieces of a body and gives what is in them.

    Usage: ``feed`` each piece, ``finish`` at last.

    Raises:
        BrokenMultipart: no delimiter can be made of that boundary.
    """

    def __init__(self, boundary: str) -> None:
        if not _BOUNDARY.fullmatch(boundary):
            raise BrokenMultipart("the boundary is missing or not allowed")
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._held = b"\r\n"  # the first boundary may stand at the very beginning
        self._passed = 0
        self._at = _At.START

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What ``piece`` completes, in order.

        Raises:
            BrokenMultipart: no multipart body of that boundary goes on like this.
        """
        self._held += piece
        while True:
            before = (self._at, len(self._held))
            if self._at is _At.END:  # an epilogue means nothing
                self._held = b""
                return
            if self._at is _At.HEADER:
                yield from self._header()
            else:
                yield from self._content()
            if before == (self._at, len(self._held)):
                return

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            BrokenMultipart: the closing boundary has not come.
        """
        if self._at is not _At.END:
            raise BrokenMultipart("the body ends before its closing boundary")

    def _header(self) -> Iterator[Event]:
        end = self._held.find(_GAP)
        if end < 0 or end > HEADER_BYTES:
            if len(self._held) > HEADER_BYTES:
                raise BrokenMultipart("the header of a part is too long")
            return
        text = self._held[:end].decode("latin-1").strip("\r\n")
        self._held = self._held[end + len(_GAP) :]
        self._at = _At.PART
        yield PartBegins(_headers(text))

    def _content(self) -> Iterator[Event]:
        found = self._held.find(self._delimiter)
        if found < 0:
            yield from self._give(max(len(self._held) - len(self._delimiter) + 1, 0))
            return
        after = self._held[found + len(self._delimiter) :]
        if after.startswith(b"--"):
            yield from self._give(found)
            yield from self._end_part(_At.END)
            return
        line, line_break, _ = after[:_PADDING_BYTES].partition(b"\r\n")
        if line_break and not line.strip(b" \t"):
            yield from self._give(found)
            yield from self._end_part(_At.HEADER)
            self._held = self._held[len(self._delimiter) + len(line) :]
        elif _may_become_a_delimiter(after):
            yield from self._give(found)
        else:
            yield from self._give(found + len(self._delimiter))

    def _give(self, count: int) -> Iterator[Event]:
        given, self._held = self._held[:count], self._held[count:]
        if self._at is _At.PART:
            if given:
                yield PartData(given)
            return
        self._passed += len(given)
        if self._passed > HEADER_BYTES:
            raise BrokenMultipart("the boundary does not come")

    def _end_part(self, following: _At) -> Iterator[Event]:
        if self._at is _At.PART:
            yield PartEnds()
        self._at = following


def content_type(value: str) -> tuple[str, dict[str, str]]:
    """A Content-Type as ``type/subtype`` in lower case, and its parameters; empty if it is none."""
    message = Message()
    try:
        message["Content-Type"] = value
        found = message.get_params(failobj=[])
        kind = message.get_content_type() if value.strip() else ""
    except (MessageError, ValueError, UnicodeError, IndexError):
        return "", {}
    parameters = {name.lower(): text for name, text in (found or [])[1:] if isinstance(text, str)}
    return kind, parameters


def _may_become_a_delimiter(after: bytes) -> bool:
    """Whether more bytes could still make these, which follow a boundary, its end or padding."""
    if len(after) >= _PADDING_BYTES:
        return False
    rest = after.lstrip(b" \t")
    return after == b"-" or rest in (b"", b"\r")


def _headers(text: str) -> dict[str, str]:
    found = {}
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if line and not colon:
            raise BrokenMultipart("the header of a part cannot be read")
        found[name.strip().lower()] = value.strip()
    return found
