"""The C-ECHO and C-STORE service: from the network into the spool, without decoding a pixel.

The answer Success means: written, named and synced, and its folder synced (PS3.4 B.2.3).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import cast

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from dicom_node import logs, metrics
from dicom_node.acceptor import VERIFICATION, Conversation, Terms
from dicom_node.admission import Admission, Answer, Asking, Rejection
from dicom_node.audit import Party
from dicom_node.auditlog import Auditor
from dicom_node.config import DicomConfig
from dicom_node.desk import Arrival, Desk, Sender
from dicom_node.door import REQUEST_SECONDS, Door, House, HouseServer
from dicom_node.intake import SUCCESS, Command
from dicom_node.keyring import Keyring, dicom_keyring
from dicom_node.limits import LimitsConfig
from dicom_node.network import hang_up, prepare_library, send_without_delay
from dicom_node.pdu import APPLICATION_CONTEXT, Proposal
from dicom_node.spool import Spool
from dicom_node.upload import Accepted
from sifdetect.errors import NetworkError

_CONTEXT_NOT_SUPPORTED = (0x01, 0x01, 0x02)  # PS3.8 Table 9-21
_VERSION_NOT_SUPPORTED = (0x01, 0x02, 0x02)
_UNLIMITED = 1 << 30
_FAREWELL_SECONDS = 3.0


def transfer_syntaxes() -> list[str]:
    """What is accepted: the transfer syntaxes whose pixels the installed decoders can read."""
    return [syntax for syntax in ALL_TRANSFER_SYNTAXES if _is_decodable(UID(syntax))]


def storage_classes() -> list[str]:
    """What is accepted: every storage SOP class that the library knows."""
    return sorted(str(one.abstract_syntax) for one in AllStoragePresentationContexts)


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
        limits: LimitsConfig | None = None,
        auditor: Auditor | None = None,
    ) -> None:
        self._config = config
        self._arrived = arrived
        limits = limits or LimitsConfig()
        self._auditor = auditor
        self._desk = Desk(
            spool=spool,
            min_free_mb=min_free_mb,
            arrived=self._tell,
            limits=limits,
            auditor=auditor,
        )
        self._server: HouseServer | None = None
        self._entity = _entity(config)
        self._admission = Admission(config, limits, self._refused)

    def start(self, keys: Keyring | None = None) -> int:
        """Listen; returns the port, which the system chose where the settings say 0.

        Without ``keys`` the files of the settings are read once.

        Raises:
            NetworkError: the address cannot be listened on.
            ConfigurationError: the files for TLS cannot be used.
        """
        prepare_library()
        keys = keys or dicom_keyring(self._config)
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
                server_class=HouseServer,
                request_handler=Door,
            )
        except OSError as error:
            raise NetworkError(
                f"DICOM cannot listen on {address[0]} port {address[1]}: {error.strerror}",
                hint="Choose another --port, or stop what listens there",
            ) from error
        server = cast(HouseServer, made)
        server.house = self._house()
        server.keys = keys
        server.turned_away = self._turned_away
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
        server.house.waiting.clear()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while (left := self._left(server)) and time.monotonic() < deadline:
            for one in left:
                if isinstance(one, Conversation):
                    one.hang_up()
                else:
                    hang_up(one)
            time.sleep(0.05)

    def _left(self, server: HouseServer) -> list[Association | Conversation]:
        own = [one for one in self._admission.admitted if isinstance(one, Conversation)]
        return [*server.active_associations, *own]

    @property
    def is_listening(self) -> bool:
        """Whether senders can connect."""
        return self._server is not None

    @property
    def associations(self) -> int:
        """How many associations there are now."""
        return len(self._admission.admitted)

    def accepted(self) -> Accepted:
        """The SOP classes and transfer syntaxes that are taken."""
        terms = self._house().terms
        return Accepted(
            sop_classes=terms.storage_classes, transfer_syntaxes=terms.transfer_syntaxes
        )

    def _refused(self, asking: Asking, rejection: Rejection) -> None:
        if self._auditor is not None and rejection.is_intrusion:
            self._auditor.alert(Party(title=asking.calling, place=asking.address), rejection.reason)

    def _turned_away(self, address: str, reason: str) -> None:
        if self._auditor is not None:
            self._auditor.alert(Party(title="", place=address), reason)

    def _tell(self, arrival: Arrival) -> None:
        self._arrived(arrival)

    def _house(self) -> House:
        offered = {str(one.abstract_syntax) for one in self._entity.supported_contexts}
        storage = set(storage_classes())
        terms = Terms(
            storage_classes=frozenset(storage),
            transfer_syntaxes=frozenset(transfer_syntaxes()),
            max_pdu_bytes=self._config.max_pdu_bytes,
            timeout_seconds=self._config.timeout_seconds,
        )
        elsewhere = frozenset(offered - storage - {VERIFICATION})
        return House(terms=terms, desk=self._desk, elsewhere=elsewhere, admit=self._answer)

    def _answer(
        self, proposal: Proposal, address: str, conversation: Conversation
    ) -> Answer | None:
        """How an association that pynetdicom does not see is rejected, if it is."""
        if not proposal.version & 1:
            return _unsupported(_VERSION_NOT_SUPPORTED, proposal.calling, address)
        if proposal.application_context != APPLICATION_CONTEXT:
            return _unsupported(_CONTEXT_NOT_SUPPORTED, proposal.calling, address)
        asking = Asking(called=proposal.called, calling=proposal.calling, address=address)
        return self._admission.judge(asking, conversation)

    def _on_requested(self, event: evt.Event) -> None:
        request = event.assoc.requestor
        called, calling = (
            (request.primitive.called_ae_title.strip(), request.primitive.calling_ae_title.strip())
            if request.primitive
            else ("", "")
        )
        asking = Asking(called=called, calling=calling, address=request.address or "")
        answer = self._admission.judge(asking, event.assoc)
        if answer is not None:
            event.assoc.acse.send_reject(*answer)
            event.assoc.kill()

    def _on_echo(self, event: evt.Event) -> int:
        return SUCCESS

    def _on_store(self, event: evt.Event) -> int:
        request = cast(C_STORE, event.request)
        command = Command(
            sop_class_uid=str(request.AffectedSOPClassUID or ""),
            sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
        )
        peer = event.assoc.requestor
        sender = Sender(title=str(peer.ae_title).strip(), address=peer.address or "")
        delivery = self._desk.begin(sender, command, str(event.context.transfer_syntax))
        if request.DataSet is not None:
            delivery.write(request.DataSet.getbuffer())
        return delivery.finish()


def _entity(config: DicomConfig) -> AE:
    entity = AE(ae_title=config.ae_title)
    entity.require_called_aet = False  # judged by the receiver itself
    entity.maximum_associations = _UNLIMITED  # counted by the receiver itself
    entity.maximum_pdu_size = config.max_pdu_bytes
    entity.acse_timeout = min(config.timeout_seconds, REQUEST_SECONDS)
    entity.dimse_timeout = config.timeout_seconds
    entity.network_timeout = config.timeout_seconds
    entity.add_supported_context(UID(VERIFICATION))
    accepted = transfer_syntaxes()
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(cast(UID, context.abstract_syntax), accepted)
    return entity


def _is_decodable(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _unsupported(answer: Answer, caller: str, address: str) -> Answer:
    metrics.ASSOCIATIONS.add(answer="refused")
    logs.warning(
        "association refused",
        answer="/".join(map(str, answer)),
        reason="no association of DICOM as it is",
        caller=caller,
        address=address,
    )
    return answer
