"""The C-STORE and C-ECHO user: results to a destination, with an answer for each object.

An object is sent as it lies on the disk. Only where the destination takes no other encoding is an
uncompressed one re-encoded in the other little-endian form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category

from dicom_node.config import Destination
from dicom_node.network import prepare_library, send_without_delay
from sifdetect.errors import NetworkError

_VERIFICATION = "1.2.840.10008.1.1"
_PLAIN = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_ACCEPTED = ("Success", "Warning")  # PS3.4 B.2.3: with a warning the object is stored too
_WORDS = {  # SOP classes of the results (PS3.4 B.5), in the words of those who read the log
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.88.22": "SR",  # Enhanced SR: the text report
    "1.2.840.10008.5.1.4.1.1.88.33": "SR",  # Comprehensive SR
    "1.2.840.10008.5.1.4.1.1.88.34": "SR",  # Comprehensive 3D SR
    "1.2.840.10008.5.1.4.1.1.7": "summary",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.104.1": "PDF",
    "1.2.840.10008.5.1.4.1.1.11.1": "GSPS",
}
RESULT_CLASSES = tuple(_WORDS)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a destination said to one object.

    Attributes:
        name: the object's file name.
        word: what it is: SR, SEG, summary …
        status: the C-STORE status as ``0x0000``; empty where there was no answer.
        reason: the status in words, or why there was none.
    """

    name: str
    word: str
    accepted: bool
    status: str
    reason: str

    def __str__(self) -> str:
        verdict = "accepted" if self.accepted else f"refused {self.status or self.reason}"
        return f"{self.word} {verdict}"


@dataclass(frozen=True, kw_only=True)
class _Object:
    path: Path
    sop_class_uid: str
    transfer_syntax: str


def send(
    destination: Destination, files: Sequence[Path], *, own_title: str, timeout_seconds: float
) -> list[Answer]:
    """Send DICOM files over one association; one answer each, in their order.

    Raises:
        NetworkError: there was no association.
    """
    objects = [_read_meta(path) for path in files]
    contexts = {(item.sop_class_uid, syntax) for item in objects for syntax in _offers(item)}
    entity = _entity(destination, own_title, timeout_seconds)
    for sop_class_uid, syntax in sorted(contexts):
        entity.add_requested_context(sop_class_uid, syntax)
    with _associated(entity, destination) as association:
        return [_send_one(association, item) for item in objects]


def echo(destination: Destination, *, own_title: str, timeout_seconds: float) -> None:
    """Ask a destination whether it is there.

    Raises:
        NetworkError: it is not, or it answers that it is not well.
    """
    entity = _entity(destination, own_title, timeout_seconds)
    entity.add_requested_context(_VERIFICATION)
    with _associated(entity, destination) as association:
        status = association.send_c_echo()
        if "Status" not in status or status.Status != 0x0000:
            raise NetworkError(f"{_spelt(destination)} did not answer C-ECHO with success")


def unsupported_results(
    destination: Destination, *, own_title: str, timeout_seconds: float
) -> list[str]:
    """The kinds of results that a destination takes no presentation context for.

    Raises:
        NetworkError: there was no association.
    """
    entity = _entity(destination, own_title, timeout_seconds)
    entity.add_requested_context(_VERIFICATION)
    for sop_class_uid in RESULT_CLASSES:
        entity.add_requested_context(sop_class_uid, list(_PLAIN))
    with _associated(entity, destination) as association:
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
    return sorted({_WORDS[uid] for uid in RESULT_CLASSES if uid not in accepted})


def _read_meta(path: Path) -> _Object:
    meta = read_file_meta_info(path)
    return _Object(
        path=path,
        sop_class_uid=str(meta.MediaStorageSOPClassUID),
        transfer_syntax=str(meta.TransferSyntaxUID),
    )


def _offers(item: _Object) -> tuple[str, ...]:
    """One context for each encoding, since an acceptor picks one encoding of a context."""
    return _PLAIN if item.transfer_syntax in _PLAIN else (item.transfer_syntax,)


def _entity(destination: Destination, own_title: str, timeout_seconds: float) -> AE:
    prepare_library()
    entity = AE(ae_title=destination.calling_ae_title or own_title)
    entity.acse_timeout = entity.dimse_timeout = timeout_seconds
    entity.network_timeout = entity.connection_timeout = timeout_seconds
    return entity


@contextmanager
def _associated(entity: AE, destination: Destination) -> Iterator[Association]:
    association = entity.associate(
        destination.host,
        destination.port,
        ae_title=destination.ae_title,
        evt_handlers=[(evt.EVT_CONN_OPEN, send_without_delay)],
    )
    if not association.is_established:
        raise NetworkError(
            f"{_spelt(destination)} {_why_not(association)}",
            hint="Check its address, port and AE title, and that it knows the node's AE title",
        )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _why_not(association: Association) -> str:
    if association.is_rejected:
        answer = association.acceptor.primitive
        return f"rejected the association ({answer.reason_str})" if answer else "rejected it"
    return "could not be reached" if not association.acceptor.primitive else "took no context"


def _spelt(destination: Destination) -> str:
    return f"{destination.ae_title} at {destination.host}:{destination.port}"


def _send_one(association: Association, item: _Object) -> Answer:
    taken = {
        str(context.transfer_syntax[0])
        for context in association.accepted_contexts
        if context.abstract_syntax == item.sop_class_uid
    }
    if not association.is_established:
        return _answer(item, None, "the association ended")
    if not taken:
        return _answer(item, None, "no presentation context")
    exact = item.transfer_syntax in taken
    try:
        dataset = association.send_c_store(item.path if exact else dcmread(item.path))
    except (RuntimeError, ValueError) as error:  # the association broke, or no context fits
        return _answer(item, None, str(error))
    if "Status" not in dataset:
        return _answer(item, None, "no answer")
    return _answer(item, cast(int, dataset.Status), "")


def _answer(item: _Object, status: int | None, reason: str) -> Answer:
    category = "" if status is None else code_to_category(status)
    if status is not None:
        reason = str(STORAGE_SERVICE_CLASS_STATUS.get(status, (category, category))[1] or category)
    return Answer(
        name=item.path.name,
        word=_WORDS.get(item.sop_class_uid, "object"),
        accepted=category in _ACCEPTED,
        status="" if status is None else f"0x{status:04X}",
        reason=reason,
    )
