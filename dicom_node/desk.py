"""An instance handed in: streamed to a file, looked at, kept, and only then accepted."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from dicom_node import logs, metrics
from dicom_node.audit import Party
from dicom_node.auditlog import Auditor
from dicom_node.glance import glance
from dicom_node.header import read_header
from dicom_node.incoming import Incoming
from dicom_node.intake import (
    OUT_OF_RESOURCES,
    SUCCESS,
    Command,
    Header,
    Kind,
    is_room_left,
    is_valid_uid,
    kind_of,
    refusal,
)
from dicom_node.killpoint import reach
from dicom_node.limits import LimitsConfig
from dicom_node.spool import Spool, Stored
from sifdetect.errors import UnreadableInput

_GLANCE_BYTES = 1 << 16
_HEADER_BYTES = 1 << 26
"""So much of a data set is looked at for an odd header."""
_LOOK_BYTES = 1 << 22
"""After so many bytes the room on the disk is looked at again."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An instance that is safe in the spool."""

    study_instance_uid: str
    kind: Kind
    stored: Stored


@dataclass(frozen=True, kw_only=True)
class Sender:
    """Who hands in, as the log names it, and by which protocol."""

    title: str
    address: str
    protocol: str = "dimse"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where instances are handed in; several threads do so at the same time.

    Attributes:
        arrived: told of each instance that is safe, before its sender is.
    """

    spool: Spool
    min_free_mb: int
    arrived: Callable[[Arrival], None]
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    auditor: Auditor | None = None

    def begin(self, sender: Sender, command: Command, transfer_syntax: str) -> Delivery:
        """Open a delivery; whatever fails is in the answer of its ``finish``."""
        return Delivery(self, sender, command, transfer_syntax)

    def alert(self, address: str, reason: str) -> None:
        """Somebody was turned away before anything could be handed in."""
        if self.auditor is not None:
            self.auditor.alert(Party(title="", place=address), reason)


class Delivery:
    """One instance that is being handed in; one thread uses it."""

    def __init__(self, desk: Desk, sender: Sender, command: Command, transfer_syntax: str) -> None:
        self._desk = desk
        self._sender = sender
        self._party = Party(title=sender.title, place=sender.address)
        self._command = command
        self._syntax = transfer_syntax
        self._failure = ""
        self._incoming: Incoming | None = None
        self._unlooked = self._seen = 0
        meta = file_meta(command, transfer_syntax)
        self._meta_bytes = len(meta)
        try:
            self._free = desk.spool.free_bytes()
            self._look(0)
            if not self._failure:
                self._incoming = desk.spool.begin()
        except OSError as error:
            self._fail(error)
        self.write(meta)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append a piece of the data set; after a failure it is passed over."""
        self._seen += len(chunk)
        incoming = self._incoming
        if incoming is None:
            return
        try:
            self._look(len(chunk))
            if self._seen > self._desk.limits.object_bytes:
                self._failure = f"The instance is larger than {self._desk.limits.object_mb} MB"
            if not self._failure:
                incoming.write(chunk)
        except OSError as error:
            self._fail(error)
        if self._failure:
            self.discard()

    @property
    def is_endless(self) -> bool:
        """Whether the sender goes on long after the limit: it will not come to an end."""
        return self._seen > 2 * self._desk.limits.object_bytes

    def finish(self) -> int:
        """Keep the instance, or not; the status that the sender is to be told (PS3.4 B.2.3)."""
        try:
            return self._finish()
        except OSError as error:
            self._fail(error)
            return self._refused(OUT_OF_RESOURCES, self._failure)
        finally:
            self.discard()

    def discard(self) -> None:
        """Leave nothing of what is not kept."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.discard()

    def _finish(self) -> int:
        incoming = self._incoming
        if incoming is None:
            return self._refused(OUT_OF_RESOURCES, self._failure)
        try:
            header = self._header(incoming)
        except UnreadableInput as error:
            return self._refused(error.dimse_status, error.reason)
        broken = refusal(header, self._command)
        if broken is not None:
            return self._refused(broken.status, broken.reason, header)
        excess = self._desk.limits.study_excess(*self._desk.spool.with_one_more(header, incoming))
        if excess:
            return self._refused(OUT_OF_RESOURCES, excess, header)
        kind = kind_of(header)
        stored = self._desk.spool.keep(incoming, header, kind)
        reach("instance kept")
        if stored is Stored.CONFLICT:
            self._record_conflict(header)
        if self._desk.auditor:
            self._desk.auditor.received(self._party, header, is_new=stored is not Stored.SAME)
        arrival = Arrival(study_instance_uid=header.study_instance_uid, kind=kind, stored=stored)
        self._desk.arrived(arrival)
        self._count(stored, incoming.size)
        return SUCCESS

    def _header(self, incoming: Incoming) -> Header:
        head = incoming.read(self._meta_bytes, _GLANCE_BYTES)
        found = glance(head, self._syntax)
        if found is not None:
            return found
        return read_header(incoming.read(self._meta_bytes, _HEADER_BYTES), self._syntax)

    def _look(self, coming: int) -> None:
        """Whether the limit of free space will still hold; other deliveries use the disk too."""
        self._unlooked += coming
        if self._unlooked > _LOOK_BYTES:
            self._free, self._unlooked = self._desk.spool.free_bytes(), coming
        if not is_room_left(self._free, self._unlooked, self._desk.min_free_mb):
            self._failure = "The disk is nearly full"

    def _fail(self, error: OSError) -> None:
        self._failure = f"The spool failed ({error.strerror})"

    def _count(self, stored: Stored, size: int) -> None:
        protocol = self._sender.protocol
        metrics.INSTANCES.add(protocol=protocol, outcome=stored.value)
        metrics.BYTES.add(size, protocol=protocol)
        metrics.LAST_STORE.happened(time.time())

    def _refused(self, status: int, reason: str, header: Header | None = None) -> int:
        metrics.REFUSED.add(protocol=self._sender.protocol, status=f"0x{status:04X}")
        if header is not None and is_valid_uid(header.study_instance_uid) and self._desk.auditor:
            self._desk.auditor.refused(self._party, header, f"0x{status:04X} {reason}")
        logs.warning(
            "instance refused",
            status=f"0x{status:04X}",
            reason=reason,
            caller=self._sender.title,
            address=self._sender.address,
        )
        return status

    def _record_conflict(self, header: Header) -> None:
        logs.warning(
            "same UID, other content: first kept, other stored beside it",
            audit=True,
            caller=self._sender.title,
            address=self._sender.address,
            study=header.study_instance_uid,
            instance=header.sop_instance_uid,
        )


def file_meta(command: Command, transfer_syntax: str) -> bytes:
    """Preamble and File Meta Information (PS3.10 7.1) of an instance as it was sent."""
    elements = (
        b"\x02\0\1\0OB\0\0\2\0\0\0\0\1"
        + _element(0x0002, b"UI", command.sop_class_uid)
        + _element(0x0003, b"UI", command.sop_instance_uid)
        + _element(0x0010, b"UI", transfer_syntax)
        + _element(0x0012, b"UI", str(PYNETDICOM_IMPLEMENTATION_UID))
        + _element(0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION)
    )
    length = struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(elements))
    return b"\0" * 128 + b"DICM" + length + elements


def _element(element: int, representation: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    if len(value) % 2:
        value += b"\0" if representation == b"UI" else b" "
    return struct.pack("<HH2sH", 2, element, representation, len(value)) + value
