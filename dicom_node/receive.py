"""The C-ECHO and C-STORE service: from the network into the spool, without decoding a pixel.

The answer Success means: written, synced, renamed, and its folder synced (PS3.4 B.2.3).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread
from typing import cast

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta

from dicom_node import logs
from dicom_node.config import DicomConfig
from dicom_node.header import read_header
from dicom_node.intake import (
    OUT_OF_RESOURCES,
    SUCCESS,
    Command,
    Header,
    Kind,
    is_room_left,
    kind_of,
    may_call,
    refusal,
)
from dicom_node.network import BoundedHandler, Server, hang_up, prepare_library, send_without_delay
from dicom_node.spool import Spool, Stored
from sifdetect.errors import NetworkError, UnreadableInput

_VERIFICATION = UID("1.2.840.10008.1.1")
_CALLING_AE_NOT_RECOGNISED = (0x01, 0x01, 0x03)  # PS3.8 Table 9-21
_LOCAL_LIMIT_EXCEEDED = (0x02, 0x03, 0x02)
_UNLIMITED = 1 << 30
_REQUEST_SECONDS = 15.0
"""Who connects and does not ask for an association within this time is cut off."""
_FAREWELL_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An instance that is safe in the spool."""

    study_instance_uid: str
    kind: Kind
    stored: Stored


def transfer_syntaxes() -> list[str]:
    """What is accepted: the transfer syntaxes whose pixels the installed decoders can read."""
    return [syntax for syntax in ALL_TRANSFER_SYNTAXES if _is_decodable(UID(syntax))]


class Receiver:
    """A storage SCP that writes into ``spool`` and tells ``arrived`` of each instance.

    ``arrived`` is called by several threads, before the sender has its answer.
    """

    def __init__(
        self,
        config: DicomConfig,
        *,
        spool: Spool,
        min_free_mb: int,
        arrived: Callable[[Arrival], None],
    ) -> None:
        self._config = config
        self._spool = spool
        self._min_free_mb = min_free_mb
        self._arrived = arrived
        self._server: Server | None = None
        self._entity = _entity(config)
        self._admission = Lock()
        self._admitted: list[Association] = []

    def start(self) -> int:
        """Listen; returns the port, which the system chose where the settings say 0.

        Raises:
            NetworkError: the address cannot be listened on.
        """
        prepare_library()
        address = (self._config.bind, self._config.port)
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, send_without_delay),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_ECHO, self._on_echo),
            (evt.EVT_C_STORE, self._on_store),
        ]
        try:
            made = self._entity.make_server(
                address,
                evt_handlers=handlers,
                server_class=Server,
                request_handler=BoundedHandler,
            )
        except OSError as error:
            raise NetworkError(
                f"DICOM cannot listen on {address[0]} port {address[1]}: {error.strerror}",
                hint="Choose another --port, or stop what listens there",
            ) from error
        server = cast(Server, made)
        self._entity._servers.append(server)
        self._server = server
        Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="dicom").start()
        return int(server.server_address[1])

    def stop(self) -> None:
        """Stop listening, and abort what is still connected after a short while."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while server.active_associations and time.monotonic() < deadline:
            for association in server.active_associations:
                hang_up(association)
            time.sleep(0.05)

    @property
    def is_listening(self) -> bool:
        """Whether senders can connect."""
        return self._server is not None

    def _on_requested(self, event: evt.Event) -> None:
        request = event.assoc.requestor
        title = request.primitive.calling_ae_title.strip() if request.primitive else ""
        address = request.address or ""
        if not may_call(title, address, self._config.allowed_callers):
            _reject(event.assoc, _CALLING_AE_NOT_RECOGNISED, caller=title, address=address)
        elif not self._admit(event.assoc):
            _reject(event.assoc, _LOCAL_LIMIT_EXCEEDED, caller=title, address=address)

    def _admit(self, association: Association) -> bool:
        """Count only those who asked: a health check that just connects takes nobody's place."""
        with self._admission:
            self._admitted = [one for one in self._admitted if one.is_alive()]
            if len(self._admitted) >= self._config.max_associations:
                return False
            self._admitted.append(association)
            return True

    def _on_echo(self, event: evt.Event) -> int:
        return SUCCESS

    def _on_store(self, event: evt.Event) -> int:
        request = cast(C_STORE, event.request)
        command = Command(
            sop_class_uid=str(request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
        )
        encoded = request.DataSet.getvalue() if request.DataSet is not None else b""
        try:
            header = read_header(encoded, event.context.transfer_syntax)
        except UnreadableInput as error:
            return _refused(event, error.dimse_status, error.reason)
        broken = refusal(header, command)
        if broken is not None:
            return _refused(event, broken.status, broken.reason)
        meta = b"\0" * 128 + b"DICM" + encode_file_meta(event.file_meta)
        return self._store(event, header, (meta, encoded))

    def _store(self, event: evt.Event, header: Header, chunks: tuple[bytes, ...]) -> int:
        kind = kind_of(header)
        try:
            size = sum(len(chunk) for chunk in chunks)
            if not is_room_left(self._spool.free_bytes(), size, self._min_free_mb):
                return _refused(event, OUT_OF_RESOURCES, "The disk is nearly full")
            stored = self._spool.store(header, kind, chunks)
        except OSError as error:
            return _refused(event, OUT_OF_RESOURCES, f"The spool failed ({error.strerror})")
        if stored is Stored.CONFLICT:
            _record_conflict(event, header)
        arrival = Arrival(study_instance_uid=header.study_instance_uid, kind=kind, stored=stored)
        self._arrived(arrival)
        return SUCCESS


def _entity(config: DicomConfig) -> AE:
    entity = AE(ae_title=config.ae_title)
    entity.require_called_aet = config.check_called_ae
    entity.maximum_associations = _UNLIMITED  # counted by the receiver itself
    entity.maximum_pdu_size = config.max_pdu_bytes
    entity.acse_timeout = min(config.timeout_seconds, _REQUEST_SECONDS)
    entity.dimse_timeout = config.timeout_seconds
    entity.network_timeout = config.timeout_seconds
    entity.add_supported_context(_VERIFICATION)
    accepted = transfer_syntaxes()
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(cast(UID, context.abstract_syntax), accepted)
    return entity


def _is_decodable(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _reject(association: Association, answer: tuple[int, int, int], **who: str) -> None:
    logs.warning("association refused", answer="/".join(map(str, answer)), **who)
    association.acse.send_reject(*answer)
    association.kill()


def _record_conflict(event: evt.Event, header: Header) -> None:
    logs.warning(
        "same UID, other content: first kept, other stored beside it",
        audit=True,
        caller=str(event.assoc.requestor.ae_title).strip(),
        address=event.assoc.requestor.address,
        study=header.study_instance_uid,
        instance=header.sop_instance_uid,
    )


def _refused(event: evt.Event, status: int, reason: str) -> int:
    logs.warning(
        "instance refused",
        status=f"0x{status:04X}",
        reason=reason,
        caller=str(event.assoc.requestor.ae_title).strip(),
        address=event.assoc.requestor.address,
    )
    return status
