"""Who is at the door: storage associations are served here, all others by pynetdicom.

A connection is nobody's until it has asked for an association, which it must do in time; of those
that only wait the oldest is sent away when they become too many.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import cast

from dicom_node import pdu, tls
from dicom_node.acceptor import (
    Conversation,
    Terms,
    address_of,
    first_request,
)
from dicom_node.admission import Answer
from dicom_node.desk import Desk
from dicom_node.inlet import Inlet
from dicom_node.network import HANDSHAKE_SECONDS, BoundedHandler, Server, close
from dicom_node.pdu import BrokenPdu, Proposal

REQUEST_SECONDS = 15.0
"""Who connects and does not ask for an association within this time is cut off."""
_REQUEST_BYTES = 1 << 20
"""Room for an A-ASSOCIATE-RQ with 128 presentation contexts, whatever the limit on data PDUs."""
_MOST_WAITING = 256


class WaitingRoom:
    """Connections that have not asked for anything yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[int, socket.socket] = OrderedDict()

    @contextmanager
    def holding(self, transport: socket.socket) -> Iterator[None]:
        """Count ``transport`` as waiting; cut the oldest off where there are too many."""
        with self._lock:
            self._waiting[id(transport)] = transport
            if len(self._waiting) > _MOST_WAITING:
                tls.cut_off(self._waiting.popitem(last=False)[1], socket.SHUT_RDWR)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(id(transport), None)

    def clear(self) -> None:
        """Cut all of them off."""
        with self._lock:
            for transport in self._waiting.values():
                tls.cut_off(transport, socket.SHUT_RDWR)


@dataclass(frozen=True, kw_only=True)
class House:
    """What lies behind the door.

    Attributes:
        elsewhere: classes that pynetdicom serves; who proposes one of them is sent there.
        admit: counts an association in, or says how it is rejected.
    """

    terms: Terms
    desk: Desk
    elsewhere: frozenset[str]
    admit: Callable[[Proposal, str, Conversation], Answer | None]
    waiting: WaitingRoom = field(default_factory=WaitingRoom)

    def takes(self, proposal: Proposal) -> bool:
        """Whether an association is for storage alone, or for storage and C-ECHO."""
        asked = {one.abstract_syntax for one in proposal.contexts}
        return bool(asked & self.terms.storage_classes) and not asked & self.elsewhere


class HouseServer(Server):
    """A server whose ``house`` is set before it serves."""

    house: House


class Door(BoundedHandler):
    """Reads the association request, and serves it or hands it with the socket to pynetdicom."""

    def handle(self) -> None:
        """Meet one connection; returns when it has ended or the library's own thread has it."""
        house = cast(HouseServer, self.server).house
        transport = self.wrapped()
        try:
            self._meet(house, transport)
        except BrokenPdu as error:
            self.dropped(error.reason)
            with suppress(OSError):
                transport.sendall(pdu.abort(error.abort))
            close(transport)
        except OSError as error:
            self.dropped(tls.reason_of(error) if isinstance(transport, ssl.SSLSocket) else "")
            close(transport)  # so that the peer hears the alert

    def _meet(self, house: House, transport: socket.socket) -> None:
        transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        terms = house.terms
        inlet = Inlet(transport, limit=max(terms.max_pdu_bytes, _REQUEST_BYTES))
        with house.waiting.holding(transport):
            if isinstance(transport, ssl.SSLSocket):
                tls.shake_hands(transport, min(terms.timeout_seconds, HANDSHAKE_SECONDS))
            met = first_request(inlet, min(terms.timeout_seconds, REQUEST_SECONDS))
        if met is None:
            transport.close()
            return
        proposal, body = met
        if not house.takes(proposal):
            self.already = inlet.unread(body)
            transport.settimeout(None)
            self.hand_over()
            return
        body.release()
        conversation = Conversation(
            transport, inlet, proposal=proposal, terms=terms, desk=house.desk
        )
        answer = house.admit(proposal, address_of(transport), conversation)
        if answer is None:
            conversation.run()
        else:
            transport.sendall(pdu.reject(answer))
            close(transport)
