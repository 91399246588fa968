"""Storage commitment: an archive takes responsibility for objects before anything is deleted.

The request (N-ACTION) is made on an association of the node's own. The answer (N-EVENT-REPORT)
comes on the same one or, from most archives, on a new one to the port of the settings. It is taken
for a request that was made, told by its Transaction UID, and kept in the spool until it is read.
Source: PS3.4 J.3.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from pydicom import Dataset
from pynetdicom import AE, evt

from dicom_node import logs
from dicom_node.config import Config, Destination
from dicom_node.durable import make_folder, read_json, write_json
from dicom_node.intake import is_valid_uid, name_of
from dicom_node.keyring import Keyring, dicom_keyring
from dicom_node.killpoint import reach
from dicom_node.network import BoundedHandler, Server, prepare_library, send_without_delay
from dicom_node.send import COMMITMENT, associated, entity_for
from sifdetect.errors import NetworkError

_INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known SOP instance, PS3.4 J.3.5
_VERIFICATION = "1.2.840.10008.1.1"
_REQUEST = 1  # Action Type ID, PS3.4 Table J.3.2-1
_SUCCESS, _NO_SUCH_TRANSACTION = 0x0000, 0x0112
_ON_SAME_ASSOCIATION_SECONDS = 3.0
_MAX_ASSOCIATIONS = 10
_REASONS = {  # Failure Reason (0008,1197), PS3.3 C.14.1.1
    0x0110: "processing failure",
    0x0112: "no such object instance",
    0x0119: "class and instance conflict",
    0x0122: "referenced SOP class not supported",
    0x0131: "duplicate transaction UID",
    0x0213: "resource limitation",
}


class Commitments:
    """The requests that were made and what was answered, one file for each transaction."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "commitments"

    def begin(self, destination: str) -> str:
        """A new transaction; returns its UID, which nobody can guess."""
        transaction = f"2.25.{uuid.uuid4().int}"
        make_folder(self._folder)
        write_json(self._path(transaction), {"destination": destination})
        return transaction

    def record(self, report: Dataset) -> str | None:
        """Keep what an N-EVENT-REPORT says; returns who was asked, None for no known request."""
        transaction = str(report.get("TransactionUID") or "")
        known = read_json(self._path(transaction)) if is_valid_uid(transaction) else None
        if known is None:
            return None
        committed = [str(item.ReferencedSOPInstanceUID) for item in _items(report, "Referenced")]
        failed = {
            str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason") or 0x0110)
            for item in _items(report, "Failed")
        }
        answer = {"committed": committed, "failed": failed}
        write_json(self._path(transaction), known | {"answer": answer})
        reach("commitment recorded")
        return str(known["destination"])

    def answer(self, transaction: str) -> dict[str, Any] | None:
        """What was answered: UIDs ``committed``, and ``failed`` with their reasons."""
        found = (read_json(self._path(transaction)) or {}).get("answer")
        return cast("dict[str, Any] | None", found)

    def forget(self, transaction: str) -> None:
        """The transaction is over; a later answer to it is none."""
        self._path(transaction).unlink(missing_ok=True)

    def _path(self, transaction: str) -> Path:
        return self._folder / f"{name_of(transaction)}.json"


def reason_of(code: int) -> str:
    """A failure reason in words."""
    return _REASONS.get(code, "failed")


def request(
    destination: Destination,
    objects: Iterable[tuple[str, str]],
    *,
    transaction: str,
    config: Config,
    commitments: Commitments,
) -> None:
    """Ask for storage commitment, and wait a little for an answer on the same association.

    Args:
        objects: SOP Class UID and SOP Instance UID of each.

    Raises:
        NetworkError: there was no association, or the request was refused.
    """
    action = Dataset()
    action.TransactionUID = transaction
    action.ReferencedSOPSequence = [_reference(*one) for one in objects]
    entity = entity_for(destination, config.dicom.ae_title, config.send.timeout_seconds)
    entity.add_requested_context(COMMITMENT)
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_N_EVENT_REPORT, _on_event_report, [commitments, lambda _: None])
    ]
    with associated(entity, destination, handlers) as association:
        status, _ = association.send_n_action(action, _REQUEST, COMMITMENT, _INSTANCE)
        if "Status" not in status or status.Status != _SUCCESS:
            told = f"0x{status.Status:04X}" if "Status" in status else "no answer"
            raise NetworkError(f"{destination.ae_title} refused storage commitment: {told}")
        deadline = time.monotonic() + _ON_SAME_ASSOCIATION_SECONDS
        while time.monotonic() < deadline and commitments.answer(transaction) is None:
            time.sleep(0.05)


class CommitListener:
    """Takes N-EVENT-REPORT on associations that archives open; ``answered`` is told who did."""

    def __init__(
        self, config: Config, commitments: Commitments, answered: Callable[[str], None]
    ) -> None:
        self._config = config
        self._commitments = commitments
        self._answered = answered
        self._server: Server | None = None

    def start(self, keys: Keyring | None = None) -> int:
        """Listen; returns the port. Without ``keys`` the files of the settings are read once.

        Raises:
            NetworkError: the address cannot be listened on.
            ConfigurationError: the files for TLS cannot be used.
        """
        prepare_library()
        keys = keys or dicom_keyring(self._config.dicom)
        entity = AE(ae_title=self._config.dicom.ae_title)
        entity.maximum_associations = _MAX_ASSOCIATIONS
        entity.network_timeout = entity.acse_timeout = self._config.send.timeout_seconds
        entity.add_supported_context(_VERIFICATION)
        # The archive may propose to be the SCP (role selection, PS3.7 D.3.3.4), or say nothing.
        entity.add_supported_context(COMMITMENT, scu_role=True, scp_role=True)
        address = (self._config.dicom.bind, self._config.commit.port)
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, send_without_delay),
            (evt.EVT_N_EVENT_REPORT, _on_event_report, [self._commitments, self._answered]),
        ]
        try:
            made = entity.make_server(
                address,
                evt_handlers=handlers,
                server_class=Server,
                request_handler=BoundedHandler,
            )
        except OSError as error:
            raise NetworkError(
                f"Answers to storage commitment cannot be listened for on {address[0]} port "
                f"{address[1]}: {error.strerror}",
                hint="Choose another commit.port",
            ) from error
        self._server = cast(Server, made)
        self._server.keys = keys
        entity._servers.append(self._server)
        threading.Thread(
            target=self._server.serve_forever, args=(0.1,), daemon=True, name="commitment"
        ).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None


def _on_event_report(
    event: evt.Event, commitments: Commitments, answered: Callable[[str], None]
) -> tuple[int, None]:
    destination = commitments.record(event.event_information)
    logs.info("storage commitment answered", destination=destination or "nobody who was asked")
    if destination is None:
        return _NO_SUCH_TRANSACTION, None
    answered(destination)
    return _SUCCESS, None


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _items(report: Dataset, which: str) -> list[Dataset]:
    return list(report.get(f"{which}SOPSequence") or [])
