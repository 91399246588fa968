"""Storage associations, served without pynetdicom: C-STORE and C-ECHO, and nothing else.

The library's acceptor spends its time on reactor loops, on rebuilding what never changes and on
whole data sets in memory. Here one thread reads an association's PDUs and hands the pieces on.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from dicom_node import command, logs, pdu, tls
from dicom_node.command import Field, Request
from dicom_node.desk import Delivery, Desk, Sender
from dicom_node.inlet import Inlet
from dicom_node.intake import SUCCESS, Command
from dicom_node.network import close
from dicom_node.pdu import AbortReason, BrokenPdu, ContextResult, Fragment, Kind, Proposal

VERIFICATION = "1.2.840.10008.1.1"
_NO_SYNTAX = "1.2.840.10008.1.2"  # not significant where a context is refused


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is offered to those who ask for an association."""

    storage_classes: frozenset[str]
    transfer_syntaxes: frozenset[str]
    max_pdu_bytes: int
    timeout_seconds: float

    def answers(self, proposal: Proposal) -> list[pdu.AnsweredContext]:
        """Each proposed context with its result; the first syntax that fits is taken."""
        return [self._answer(proposed) for proposed in proposal.contexts]

    def _answer(self, proposed: pdu.ProposedContext) -> pdu.AnsweredContext:
        known = proposed.abstract_syntax in self.storage_classes
        fitting = [one for one in proposed.transfer_syntaxes if one in self.transfer_syntaxes]
        if not known and proposed.abstract_syntax != VERIFICATION:
            result, syntax = ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, _NO_SYNTAX
        elif not fitting:
            result, syntax = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, _NO_SYNTAX
        else:
            result, syntax = ContextResult.ACCEPTANCE, fitting[0]
        return pdu.AnsweredContext(
            identifier=proposed.identifier, result=result, transfer_syntax=syntax
        )


class Conversation:
    """One accepted association, from its request to its end; ``run`` is called once."""

    def __init__(
        self,
        transport: socket.socket,
        inlet: Inlet,
        *,
        proposal: Proposal,
        terms: Terms,
        desk: Desk,
    ) -> None:
        self.transport = transport
        self._inlet = inlet
        self._proposal = proposal
        self._terms = terms
        self._desk = desk
        self._sender = Sender(title=proposal.calling, address=address_of(transport))
        self._contexts: dict[int, tuple[str, str]] = {}
        self._context = 0
        self._command = bytearray()
        self._request: Request | None = None
        self._delivery: Delivery | None = None
        self._is_over = self._is_stopping = False

    def is_alive(self) -> bool:
        """Whether it counts as an association."""
        return not self._is_over

    def hang_up(self) -> None:
        """Ask it, from another thread, to end; what is half sent is not kept.

        The peer hears A-ABORT; over TLS an alert, because its end cannot come in the middle.
        """
        self._is_stopping = True
        tls.cut_off(self.transport, socket.SHUT_RD)

    def run(self) -> None:
        """Accept, serve until the peer releases, leaves or breaks the rules, and close."""
        try:
            self._accept()
            self._serve()
        except BrokenPdu as error:
            self._break_off(error.reason, error.abort)
        except TimeoutError:
            self._break_off("nothing came in time", AbortReason.NOT_SPECIFIED)
        except OSError as error:
            logs.warning("connection dropped", reason=error.strerror, address=self._sender.address)
        finally:
            if self._delivery is not None:
                self._delivery.discard()
            self._is_over = True
            close(self.transport)

    def _accept(self) -> None:
        answers = self._terms.answers(self._proposal)
        asked = {one.identifier: one.abstract_syntax for one in self._proposal.contexts}
        self._contexts = {
            one.identifier: (asked[one.identifier], one.transfer_syntax)
            for one in answers
            if one.result is ContextResult.ACCEPTANCE
        }
        own = pdu.Identity(
            class_uid=str(PYNETDICOM_IMPLEMENTATION_UID),
            version_name=PYNETDICOM_IMPLEMENTATION_VERSION,
            max_length=self._terms.max_pdu_bytes,
        )
        self._send(pdu.accept(self._proposal, answers, own))

    def _serve(self) -> None:
        while not self._is_stopping:
            received = self._inlet.next(self._terms.timeout_seconds)
            if received is None:
                break
            kind, body = received
            if kind is Kind.DATA:
                for fragment in pdu.fragments(body):
                    self._take(fragment)
            elif kind is Kind.RELEASE_REQUEST:
                self._is_over = True  # before the peer knows, so that its place is free
                return self._send(pdu.RELEASE_REPLY)
            elif kind is Kind.ABORT:
                return None
            else:
                raise BrokenPdu(f"{kind.name} within an association", AbortReason.UNEXPECTED_PDU)
        if self._is_stopping:
            self._send(pdu.abort(AbortReason.NOT_SPECIFIED))
        return None

    def _take(self, fragment: Fragment) -> None:
        if fragment.context not in self._contexts:
            raise BrokenPdu("A presentation context that was not accepted")
        if (self._command or self._delivery) and fragment.context != self._context:
            raise BrokenPdu("A message changes its presentation context")
        self._context = fragment.context
        if fragment.is_command:
            self._take_command(fragment)
        else:
            self._take_data(fragment)

    def _take_command(self, fragment: Fragment) -> None:
        if self._delivery is not None:
            raise BrokenPdu("A command within a data set", AbortReason.UNEXPECTED_PDU)
        if len(self._command) + len(fragment.data) > command.MAX_BYTES:
            raise BrokenPdu("A command set longer than any")
        self._command += fragment.data
        if fragment.is_last:
            encoded, self._command = self._command, bytearray()
            self._obey(command.parse_request(encoded))

    def _obey(self, request: Request) -> None:
        abstract, syntax = self._contexts[self._context]
        if request.field == Field.C_ECHO:
            self._answer(request, SUCCESS)
        elif request.field == Field.C_STORE and abstract != VERIFICATION:
            asked = Command(
                sop_class_uid=request.sop_class_uid, sop_instance_uid=request.sop_instance_uid
            )
            self._request = request
            self._delivery = self._desk.begin(self._sender, asked, syntax)
            if not request.has_data_set:
                self._finish()
        elif request.field != Field.C_CANCEL:
            raise BrokenPdu("An operation that is not served", AbortReason.NOT_SPECIFIED)

    def _take_data(self, fragment: Fragment) -> None:
        if self._delivery is None:
            raise BrokenPdu("A data set without a command", AbortReason.UNEXPECTED_PDU)
        self._delivery.write(fragment.data)
        if self._delivery.is_endless:
            raise BrokenPdu("An instance without an end", AbortReason.NOT_SPECIFIED)
        if fragment.is_last:
            self._finish()

    def _finish(self) -> None:
        delivery, self._delivery = self._delivery, None
        assert delivery is not None
        assert self._request is not None
        self._answer(self._request, delivery.finish())

    def _answer(self, request: Request, status: int) -> None:
        encoded = command.response(request, status)
        self._send(pdu.data(self._context, encoded, self._proposal.max_length))

    def _send(self, message: bytes) -> None:
        self.transport.settimeout(self._terms.timeout_seconds)
        self.transport.sendall(message)

    def _break_off(self, reason: str, abort: AbortReason) -> None:
        logs.warning("association aborted", reason=reason, address=self._sender.address)
        with suppress(OSError):
            self._send(pdu.abort(abort))


def first_request(inlet: Inlet, seconds: float) -> tuple[Proposal, memoryview] | None:
    """The association request that a connection begins with, or None where the peer has gone.

    Raises:
        BrokenPdu: it begins with something else.
        TimeoutError, OSError: it does not come.
    """
    received = inlet.next(seconds)
    if received is None:
        return None
    kind, body = received
    if kind is not Kind.ASSOCIATE_REQUEST:
        raise BrokenPdu("no association request", AbortReason.UNEXPECTED_PDU)
    return pdu.parse_proposal(body), body


def address_of(transport: socket.socket) -> str:
    """The peer's address, empty where it has already gone."""
    try:
        return str(transport.getpeername()[0])
    except OSError:
        return ""
