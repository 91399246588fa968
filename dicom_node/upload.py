"""One STOW-RS request (PS3.18 10.5): the instances in its body, handed in like those of a C-STORE.

The same desk judges and keeps them, so that an instance is the same whichever way it comes. What
the sender is told is by instance: safe on the disk, or refused and why.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from dicom_node import logs, metrics
from dicom_node.desk import Delivery, Desk, Sender
from dicom_node.intake import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, Command
from dicom_node.multipart import (
    BrokenMultipart,
    Multipart,
    PartBegins,
    PartData,
    PartEnds,
    content_type,
)
from dicom_node.part10 import Head, NoDicomFile, read_head

CLASS_NOT_SUPPORTED = 0x0122
SYNTAX_NOT_SUPPORTED = 0xC122
"""Failure reasons of PS3.18 Table I.2-2."""

DICOM = "application/dicom"
MOST_INSTANCES = 20_000
"""In one request: the answer names each of them."""

_FAILED, _STORED, _OTHERS = "00081198", "00081199", "0008119A"
_RETRIEVE_URL, _CLASS, _INSTANCE, _REASON = "00081190", "00081150", "00081155", "00081197"


class WrongType(Exception):
    """A part is not of a kind that is taken."""


class TooLarge(Exception):
    """An instance is larger than the limit, or there are too many."""


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What is offered to senders, as to those of C-STORE."""

    sop_classes: Collection[str]
    transfer_syntaxes: Collection[str]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is let in by STOW-RS.

    Attributes:
        study_instance_uid: the only study that the request may be about; empty for any.
    """

    accepted: Accepted
    max_instance_bytes: int
    study_instance_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What became of one instance; without a command nobody could tell which one it was."""

    command: Command | None
    status: int


class Upload:
    """Takes the pieces of one request's body; one thread at a time uses it.

    Usage: ``feed`` each piece, ``finish``, and at last ``discard`` whatever happened; then ask for
    ``http_status`` and ``document``.

    Raises:
        BrokenMultipart: no body can have that boundary.
    """

    def __init__(self, desk: Desk, sender: Sender, boundary: str, rules: Rules) -> None:
        self.answers: list[Answered] = []
        self._desk, self._sender, self._rules = desk, sender, rules
        self._parts = Multipart(boundary)
        self._start = b""
        self._size = 0
        self._head: Head | None = None
        self._delivery: Delivery | None = None
        self._failure: tuple[int, str] | None = None

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the body.

        Raises:
            BrokenMultipart: it is no multipart body.
            WrongType: a part is no DICOM file by its Content-Type.
            TooLarge: an instance is larger than the limit.
        """
        for event in self._parts.feed(piece):
            if isinstance(event, PartBegins):
                self._begin(event)
            elif isinstance(event, PartData):
                self._take(event.data)
            else:
                assert isinstance(event, PartEnds)
                self._end()

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            BrokenMultipart: it ended too early, or there was nothing in it.
        """
        self._parts.finish()
        if not self.answers:
            raise BrokenMultipart("there is no part in the body")

    def discard(self) -> None:
        """Leave nothing of an instance that did not come whole."""
        delivery, self._delivery = self._delivery, None
        if delivery is not None:
            delivery.discard()

    @property
    def http_status(self) -> int:
        """200 all stored, 202 some, 409 none, 503 none for want of room (PS3.18 Table 10.5.3-1)."""
        stored = sum(one.status == SUCCESS for one in self.answers)
        if stored == len(self.answers):
            return 200
        if stored:
            return 202
        full = all(one.status == OUT_OF_RESOURCES for one in self.answers)
        return 503 if full else 409

    def document(self) -> dict[str, Any]:
        """The Store Instances Response (PS3.18 Table 10.5.3-2) in the DICOM JSON model."""
        document: dict[str, Any] = {_RETRIEVE_URL: {"vr": "UR"}}
        for tag, items in (
            (_FAILED, [_failed(one) for one in self.answers if one.command and one.status]),
            (_STORED, [_stored(one) for one in self.answers if one.command and not one.status]),
            (_OTHERS, [_reason(one) for one in self.answers if not one.command]),
        ):
            if items:
                document[tag] = {"vr": "SQ", "Value": items}
        return document

    def _begin(self, part: PartBegins) -> None:
        kind, _ = content_type(part.headers.get("content-type", DICOM))
        coding = part.headers.get("content-transfer-encoding", "binary").lower()
        if kind != DICOM or coding not in ("binary", "8bit"):
            raise WrongType(f"a part is not {DICOM}")
        if len(self.answers) >= MOST_INSTANCES:
            raise TooLarge(f"more than {MOST_INSTANCES} instances in one request")
        self._start, self._size = b"", 0
        self._head = self._failure = None

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._rules.max_instance_bytes:
            self._fail(OUT_OF_RESOURCES, "the instance is larger than the limit")
            self._end()
            raise TooLarge("an instance is larger than the limit")
        if self._delivery is not None:
            self._delivery.write(data)
        elif self._failure is None:
            self._start += data
            self._open()

    def _open(self) -> None:
        try:
            head = read_head(self._start)
        except NoDicomFile as error:
            self._fail(CANNOT_UNDERSTAND, str(error))
            return
        if head is None:
            return
        self._head = head
        command, syntax = head.command, head.transfer_syntax
        if command.sop_class_uid not in self._rules.accepted.sop_classes:
            self._fail(CLASS_NOT_SUPPORTED, "SOP Class not supported")
        elif syntax not in self._rules.accepted.transfer_syntaxes:
            self._fail(SYNTAX_NOT_SUPPORTED, "Transfer Syntax not supported")
        else:
            wanted = Command(
                sop_class_uid=command.sop_class_uid,
                sop_instance_uid=command.sop_instance_uid,
                study_instance_uid=self._rules.study_instance_uid,
            )
            self._delivery = self._desk.begin(self._sender, wanted, syntax)
            self._delivery.write(memoryview(self._start)[head.length :])
        self._start = b""

    def _end(self) -> None:
        delivery, self._delivery = self._delivery, None
        if self._failure is None and delivery is None:
            self._fail(CANNOT_UNDERSTAND, "the DICOM file is not whole")
        if self._failure is not None:
            if delivery is not None:
                delivery.discard()
            status = self._failure[0]
        else:
            assert delivery is not None
            status = delivery.finish()
        command = self._head.command if self._head else None
        self.answers.append(Answered(command=command, status=status))

    def _fail(self, status: int, reason: str) -> None:
        self._failure = (status, reason)
        self._start = b""
        metrics.REFUSED.add(protocol=self._sender.protocol, status=f"0x{status:04X}")
        logs.warning(
            "instance refused",
            status=f"0x{status:04X}",
            reason=reason,
            caller=self._sender.title,
            address=self._sender.address,
        )


def _stored(one: Answered) -> dict[str, Any]:
    return {**_named(one), _RETRIEVE_URL: {"vr": "UR"}}


def _failed(one: Answered) -> dict[str, Any]:
    return {**_named(one), **_reason(one)}


def _reason(one: Answered) -> dict[str, Any]:
    return {_REASON: {"vr": "US", "Value": [one.status]}}


def _named(one: Answered) -> dict[str, Any]:
    assert one.command is not None
    return {
        _CLASS: {"vr": "UI", "Value": [one.command.sop_class_uid]},
        _INSTANCE: {"vr": "UI", "Value": [one.command.sop_instance_uid]},
    }
