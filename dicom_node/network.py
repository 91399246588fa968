"""What both directions of the DICOM network need."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, cast

from pynetdicom import _config, evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from dicom_node import logs, tls
from dicom_node.keyring import Keyring

HANDSHAKE_SECONDS = 15.0
"""Who connects and has not agreed on TLS after this time is cut off."""
_PDU_HEADER_BYTES = 6  # PS3.8 9.3.1: type, reserved, length
_FAREWELL_SECONDS = 2.0
_FAREWELL_BYTES = 1 << 20
_PDU_TYPES = range(1, 8)
_PIECE_BYTES = 65536
_ASSOCIATION_PDU_BYTES = 1 << 20
"""Room for an A-ASSOCIATE-RQ with 128 presentation contexts, whatever the limit on data PDUs."""


def prepare_library() -> None:
    """Settings of pynetdicom that hold for the whole process.

    Describing every PDU in the log costs time and quotes data sets; sending a file in chunks keeps
    its bytes as they are; and no answer to our own requests may be lost.
    """
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_SEND_CHUNKED_DATASET = True
    cast(Any, DIMSEServiceProvider).get_msg = _message


_get_message = DIMSEServiceProvider.get_msg


def _message(provider: DIMSEServiceProvider, block: bool = False) -> Any:
    """The next message of an association; its own thread, which does not wait, gets no answers.

    That thread looks for requests of the peer. Told to pause a moment too late, it looks once more
    (pynetdicom 3.0.4, ``Association._run_reactor``) and throws away the answer that it finds, for
    which whoever asked then waits in vain. Who accepted the association has asked for nothing here:
    an answer is refused there, as ever.
    """
    if block or not provider.assoc.is_requestor:
        return _get_message(provider, block)
    waiting = provider.msg_queue
    with waiting.mutex:
        first = waiting.queue[0] if waiting.queue else (None, None)
        is_answer = getattr(first[1], "MessageIDBeingRespondedTo", None) is not None
        return (None, None) if is_answer or first[1] is None else waiting.queue.popleft()


def send_without_delay(event: evt.Event) -> None:
    """Switch Nagle's algorithm off: with delayed acknowledgements it costs 40 ms an instance."""
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def hang_up(association: Association) -> None:
    """End an association from this side, whether or not it was ever asked for."""
    if association.is_established:
        association._abort_nonblocking()
    elif isinstance(association.dul.socket, BoundedSocket):
        association.dul.socket.close()
        _wake(association)


def close(transport: socket.socket) -> None:
    """Close so that what was sent last arrives: wait a little for the peer to close first."""
    deadline = time.monotonic() + _FAREWELL_SECONDS
    drained = 0
    tls.say_goodbye(transport, _FAREWELL_SECONDS)
    with suppress(OSError):
        transport.shutdown(socket.SHUT_WR)
        while drained < _FAREWELL_BYTES and (left := deadline - time.monotonic()) > 0:
            transport.settimeout(left)
            received = len(transport.recv(65536))
            if not received:
                break
            drained += received
    transport.close()


class Server(ThreadedAssociationServer):
    """A server whose troubles go into the log.

    Attributes:
        turned_away: is told the address of who did not get through TLS, and why.
        keys: how it speaks TLS, where it does. The library's own way would shake hands in the
            thread that accepts, where one silent visitor keeps everybody out.
        message_bytes: of a command and its data set, which the library keeps in memory.
    """

    daemon_threads = True
    request_queue_size = 128
    keys: Keyring | None = None
    message_bytes = 16 << 20  # an N-EVENT-REPORT on 20 000 objects takes 4 MB
    turned_away: Callable[[str, str], None] = staticmethod(lambda address, reason: None)

    def handle_error(self, *_: object) -> None:
        """Say what kind of trouble a connection made."""
        logs.error("connection failed", error=type(sys.exception()).__name__)


class BoundedHandler(RequestHandler):
    """Gives each association a bounded socket, which begins with what was read ``already``."""

    already = b""

    def handle(self) -> None:
        """Agree on TLS where the server speaks it, and leave the rest to the library."""
        transport = self.wrapped()
        try:
            if isinstance(transport, ssl.SSLSocket):
                tls.shake_hands(transport, HANDSHAKE_SECONDS)
                transport.settimeout(None)
        except OSError as error:
            self.dropped(tls.reason_of(error))
            close(transport)  # so that the peer hears the alert
        else:
            self.hand_over()

    def wrapped(self) -> socket.socket:
        """The visitor's socket, which is to speak TLS where the server does."""
        keys = cast(Server, self.server).keys
        context = keys.context if keys else None
        if context is not None:
            self.request = tls.wrapped(cast(socket.socket, self.request), context)
        return cast(socket.socket, self.request)

    def hand_over(self) -> None:
        """Have the library serve the visitor, in a thread of its own."""
        super().handle()

    def dropped(self, reason: str) -> None:
        """Say in the log why a visitor was sent away, unless it just left."""
        if reason:
            address = str(self.client_address[0])
            logs.warning("connection dropped", reason=reason, address=address)
            if reason.startswith(tls.PREFIX):
                cast(Server, self.server).turned_away(address, reason)

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.event_queue.queue.clear()  # the first socket has announced itself
        bounded = BoundedSocket(association, client_socket=cast(socket.socket, self.request))
        bounded.already = memoryview(self.already)
        association.dul.socket = bounded
        bounded.message_bytes = cast(Server, self.server).message_bytes
        return association


class BoundedSocket(AssociationSocket):
    """A socket that hangs up on what is no DICOM, on too long a PDU and on a message without end.

    The library would answer the first with aborts until it stumbles over its own state, buffer the
    others without bound, and keep a thread for a visitor that has left without a word.
    """

    already = memoryview(b"")
    message_bytes = Server.message_bytes

    @property
    def ready(self) -> bool:
        """Whether there is something to read."""
        return bool(self.already) or super().ready

    def recv(self, nr_bytes: int) -> bytearray:
        """So many bytes, or fewer where the peer has gone.

        Raises:
            ConnectionAbortedError: what the peer says is no DICOM, or too long.
        """
        if nr_bytes > max(self.assoc.ae.maximum_pdu_size, _ASSOCIATION_PDU_BYTES):
            raise self._hung_up("PDU longer than the limit")
        if _size(self.assoc.dimse.message) > self.message_bytes:
            self.assoc.dimse.message = None
            raise self._hung_up("message longer than the limit")
        received = self._read(nr_bytes)
        if nr_bytes == _PDU_HEADER_BYTES and received and received[0] not in _PDU_TYPES:
            raise self._hung_up("not DICOM")
        if not received and nr_bytes:
            _wake(self.assoc)
        return received

    def _hung_up(self, reason: str) -> OSError:
        logs.warning("connection dropped", reason=reason, address=self.assoc.requestor.address)
        self._shutdown_socket()  # not close(): the error is what tells the library, and once only
        self.socket, self._is_connected = None, False
        _wake(self.assoc)
        return ConnectionAbortedError(reason)

    def _read(self, nr_bytes: int) -> bytearray:
        received = bytearray(self.already[:nr_bytes])
        self.already = self.already[len(received) :]
        while len(received) < nr_bytes:
            wanted = min(nr_bytes - len(received), _PIECE_BYTES)  # room for what comes, not more
            piece = cast(socket.socket, self.socket).recv(wanted)
            if not piece:
                break
            received += piece
        return received


def _size(message: DIMSEMessage | None) -> int:
    """Bytes of command and data set that have come of a message."""
    if message is None:
        return 0
    return message.encoded_command_set.tell() + (message.data_set or BytesIO()).tell()


def _wake(association: Association) -> None:
    """Tell an association that still waits for its request that none will come."""
    if association.requestor.primitive is None:
        cast(Any, association.dul.to_user_queue).put(None)
