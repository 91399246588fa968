"""The C-STORE and C-ECHO user: results to a destination, with an answer for each object.

An object is sent as it lies on the disk, unless the destination's profile or what it accepts asks
for another version of it (``versions``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from dicom_node import stow
from dicom_node.answers import Answer, needed_classes, word_of
from dicom_node.config import Destination
from dicom_node.network import prepare_library, send_without_delay
from dicom_node.tls import ANY_NAME, ClientContext, client_context
from dicom_node.versions import Result, result_of
from sifdetect.errors import NetworkError

COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model (PS3.4 J.3)."""
_VERIFICATION = "1.2.840.10008.1.1"
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_ACCEPTED = ("Success", "Warning")  # PS3.4 B.2.3: with a warning the object is stored too


class NoContext(NetworkError):
    """The destination is there and takes nothing of what was proposed."""


def send(
    destination: Destination,
    files: Sequence[Path],
    *,
    own_title: str,
    timeout_seconds: float,
    work: Path | None = None,
) -> list[Answer]:
    """Send DICOM files over one association, or by STOW-RS; one answer each, in their order.

    Args:
        work: where versions of them lie meanwhile; None for the system's folder.

    Raises:
        NetworkError: there was no association, or no web service.
    """
    if destination.url:
        return stow.store(destination, files, timeout_seconds=timeout_seconds, work=work)
    results = [result_of(path, destination) for path in files]
    contexts = {
        (sop_class, syntax)  # one context for each encoding: an acceptor picks one of a context
        for result in results
        for sop_class in result.sop_classes
        for syntax in result.transfer_syntaxes
    }
    entity = entity_for(destination, own_title, timeout_seconds)
    for sop_class_uid, syntax in sorted(contexts):
        entity.add_requested_context(sop_class_uid, syntax)
    with (
        associated(entity, destination) as association,
        TemporaryDirectory(prefix="sifnode-", dir=work) as folder,
    ):
        return [_send_one(association, result, Path(folder)) for result in results]


def echo(destination: Destination, *, own_title: str, timeout_seconds: float) -> None:
    """Ask a destination whether it is there.

    Raises:
        NetworkError: it is not, or it answers that it is not well.
    """
    if destination.url:
        stow.ask(destination, timeout_seconds=timeout_seconds)
        return
    entity = entity_for(destination, own_title, timeout_seconds)
    entity.add_requested_context(_VERIFICATION)
    with associated(entity, destination) as association:
        status = association.send_c_echo()
        if "Status" not in status or status.Status != 0x0000:
            raise NetworkError(f"{_spelt(destination)} did not answer C-ECHO with success")


def unsupported_results(
    destination: Destination,
    wanted: Collection[str],
    *,
    own_title: str,
    timeout_seconds: float,
) -> list[str]:
    """The kinds of results, of those ``wanted``, that a destination has no context for.

    Raises:
        NetworkError: there was no association.
    """
    groups = needed_classes(wanted, destination.sr_class)
    if destination.commit:
        groups.append(("storage commitment", (COMMITMENT,)))
    entity = entity_for(destination, own_title, timeout_seconds)
    entity.add_requested_context(_VERIFICATION)
    for sop_class_uid in sorted({one for _, classes in groups for one in classes}):
        entity.add_requested_context(sop_class_uid, list(_PLAIN))
    with associated(entity, destination) as association:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    return sorted(word for word, classes in groups if not accepted & set(classes))


def entity_for(destination: Destination, own_title: str, timeout_seconds: float) -> AE:
    """The node as it calls that destination, with its time limits."""
    prepare_library()
    entity = AE(ae_title=destination.calling_ae_title or own_title)
    entity.acse_timeout = entity.dimse_timeout = timeout_seconds
    entity.network_timeout = entity.connection_timeout = timeout_seconds
    return entity


@contextmanager
def associated(
    entity: AE,
    destination: Destination,
    handlers: Sequence[evt.EventHandlerType] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """An association with the destination, released at the end.

    Raises:
        NetworkError: there is none.
        ConfigurationError: the files for TLS cannot be used.
    """
    context = client_context(destination) if destination.tls else None
    named = destination.tls_name not in ("", ANY_NAME)
    name = destination.tls_name if named else destination.host
    association = entity.associate(
        destination.host,
        destination.port,
        ae_title=destination.ae_title,
        ext_neg=list(roles),
        evt_handlers=[(evt.EVT_CONN_OPEN, send_without_delay), *handlers],
        tls_args=(context, name) if context else None,
    )
    if not association.is_established:
        is_there = association.acceptor.primitive and not association.is_rejected
        raise (NoContext if is_there else NetworkError)(
            f"{_spelt(destination)} {_why_not(association, context)}",
            hint="Check its address, port and AE title, and that it knows the node's AE title",
        )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _why_not(association: Association, context: ClientContext | None) -> str:
    if context is not None and context.failure and not association.is_rejected:
        return f"could not be reached ({context.failure})"
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"rejected the association ({answer.reason_str})" if answer else "rejected it"
    return "could not be reached" if not association.acceptor.primitive else "took no context"


def _spelt(destination: Destination) -> str:
    return f"{destination.ae_title} at {destination.host}:{destination.port}"


def _send_one(association: Association, result: Result, folder: Path) -> Answer:
    """The first SOP class that is taken decides; only another class could change the answer."""
    answer = _answer(result, result.sop_classes[0], None, "no presentation context")
    for sop_class in result.sop_classes:
        if not association.is_established:
            return _answer(result, sop_class, None, "the association ended")
        taken = {
            str(context.transfer_syntax[0])
            for context in association.accepted_contexts
            if context.abstract_syntax == sop_class
        }
        syntax = next((one for one in result.transfer_syntaxes if one in taken), None)
        if syntax is None:
            continue
        answer = _store(association, result, sop_class, result.version(sop_class, syntax, folder))
        if answer.status != f"0x{stow.CLASS_NOT_SUPPORTED:04X}":
            break
    return answer


def _store(association: Association, result: Result, sop_class: str, path: Path) -> Answer:
    try:
        dataset = association.send_c_store(path)
    except (RuntimeError, ValueError) as error:  # the association broke, or no context fits
        return _answer(result, sop_class, None, str(error))
    if "Status" not in dataset:
        return _answer(result, sop_class, None, "no answer")
    return _answer(result, sop_class, cast(int, dataset.Status), "")


def _answer(result: Result, sop_class: str, status: int | None, reason: str) -> Answer:
    category = "" if status is None else code_to_category(status)
    if status is not None:
        reason = str(STORAGE_SERVICE_CLASS_STATUS.get(status, (category, category))[1] or category)
    return Answer(
        name=result.path.name,
        word=word_of(result.path, sop_class),
        accepted=category in _ACCEPTED,
        status="" if status is None else f"0x{status:04X}",
        reason=reason,
        sop_class_uid=sop_class,
        sop_instance_uid=result.uid_as(sop_class),
    )
