"""Instances fetched from an archive, bounded in number, size and time: C-GET, C-MOVE or WADO-RS.

What comes goes into a folder of its own and nowhere near the spool: it is never a new study.
Source: PS3.4 C.4.2, C.4.3; PS3.18 10.4.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import Message
from io import BytesIO
from pathlib import Path
from typing import IO, cast

from pydicom import Dataset, dcmread
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from dicom_node.answers import COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR, ENHANCED_SR
from dicom_node.archive import PENDING, Archive
from dicom_node.archive_settings import ArchiveConfig
from dicom_node.desk import file_meta
from dicom_node.intake import IMAGES, Command, is_valid_uid, name_of
from dicom_node.keyring import dicom_keyring
from dicom_node.network import BoundedHandler, Server, hang_up, send_without_delay
from dicom_node.send import associated, entity_for
from sifdetect.errors import NetworkError

GET = "1.2.840.10008.5.1.4.1.2.2.3"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
"""Study Root Query/Retrieve Information Model - GET, - MOVE."""
FETCHED = (*sorted(IMAGES), ENHANCED_SR, COMPREHENSIVE_SR, COMPREHENSIVE_3D_SR)
"""SOP classes that are fetched."""
_ENCODINGS = (
    ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"),
    ("1.2.840.10008.1.2.4.70",),
    ("1.2.840.10008.1.2.4.80",),
    ("1.2.840.10008.1.2.4.90",),
    ("1.2.840.10008.1.2.5",),
)
"""Transfer syntaxes, those of each row in a context of their own."""
_TOO_LONG = "it took longer than the settings allow"
_WATCH_SECONDS = 0.1
_OUT_OF_RESOURCES = 0xA700
_BLOCK = 1 << 20


class Basket:
    """What is fetched of one study, in ``folder``; full when it has what the limits allow.

    Args:
        deadline: of ``time.monotonic``.
    """

    def __init__(
        self, folder: Path, study_instance_uid: str, *, most: int, most_mb: int, deadline: float
    ) -> None:
        self.folder = folder
        self.count = 0
        self.trouble = ""
        self.deadline = deadline
        self._study = study_instance_uid
        self._most = most
        self.most_bytes = self._bytes_left = most_mb << 20
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, part10: bytes) -> bool:
        """Keep one DICOM file; False where it does not belong here, or breaks a limit."""
        self._bytes_left -= len(part10)
        if self.count >= self._most or self._bytes_left < 0:
            self.trouble = "more came than the settings allow"
        elif time.monotonic() > self.deadline:
            self.trouble = _TOO_LONG
        if self.trouble:
            return False
        uid = _instance_of(part10, self._study)
        if uid:
            (self.folder / f"{name_of(uid)}.dcm").write_bytes(part10)
            self.count += 1
        return bool(uid)


def fetch(
    archive: Archive, settings: ArchiveConfig, series: Sequence[tuple[str, str]], basket: Basket
) -> None:
    """Fetch series, each by its Study and Series Instance UID, into the basket.

    Raises:
        NetworkError: the archive does not answer, sends less than it has, or a limit was reached.
    """
    how = _by_web if archive.peer.url else {"c-get": _by_get, "c-move": _by_move}[settings.retrieve]
    how(archive, settings, series, basket)
    if basket.trouble:
        raise NetworkError(f"The study was not fetched whole: {basket.trouble}")


def _by_get(
    archive: Archive, _: ArchiveConfig, series: Sequence[tuple[str, str]], basket: Basket
) -> None:
    entity = entity_for(archive.peer, archive.own_title, archive.timeout_seconds)
    entity.add_requested_context(GET)
    for sop_class in FETCHED:
        for encodings in _ENCODINGS[: 1 if sop_class not in IMAGES else None]:
            entity.add_requested_context(sop_class, list(encodings))
    roles = [build_role(sop_class, scp_role=True) for sop_class in FETCHED]
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_CONN_OPEN, send_without_delay),
        (evt.EVT_C_STORE, _on_store, [basket]),
    ]
    with (
        associated(entity, archive.peer, handlers, roles) as association,
        _until(association, basket),
    ):
        for identifiers in series:
            _finished(association.send_c_get(_query(*identifiers), GET), archive, basket)


def _by_move(
    archive: Archive, settings: ArchiveConfig, series: Sequence[tuple[str, str]], basket: Basket
) -> None:
    entity = entity_for(archive.peer, archive.own_title, archive.timeout_seconds)
    entity.add_requested_context(MOVE)
    with (
        _listening(archive, settings, basket),
        associated(entity, archive.peer) as association,
        _until(association, basket),
    ):
        for identifiers in series:
            query = _query(*identifiers)
            answers = association.send_c_move(query, settings.move_ae_title, MOVE)
            _finished(answers, archive, basket)


@contextmanager
def _listening(archive: Archive, settings: ArchiveConfig, basket: Basket) -> Iterator[None]:
    """A storage SCP that is there for one retrieval and takes that study alone.

    It speaks TLS, and asks for certificates, where the node's own port does.
    """
    keys = archive.keys or dicom_keyring(archive.door)
    entity = AE(ae_title=settings.move_ae_title)
    entity.require_called_aet = True
    entity.maximum_associations = 4
    entity.network_timeout = entity.acse_timeout = archive.timeout_seconds
    for sop_class in FETCHED:
        entity.add_supported_context(sop_class, [one for row in _ENCODINGS for one in row])
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_CONN_OPEN, send_without_delay),
        (evt.EVT_C_STORE, _on_store, [basket]),
    ]
    address = (archive.door.bind, settings.move_port)
    try:
        server = entity.make_server(
            address, evt_handlers=handlers, server_class=Server, request_handler=BoundedHandler
        )
    except OSError as error:
        raise NetworkError(
            f"{address[0]} port {address[1]} cannot be listened on: {error.strerror}",
            hint="Choose another archive.move_port",
        ) from error
    listener = cast(Server, server)
    listener.keys, listener.message_bytes = keys, basket.most_bytes
    entity._servers.append(listener)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True, name="move").start()
    try:
        yield
    finally:
        server.shutdown()


def _by_web(
    archive: Archive, _: ArchiveConfig, series: Sequence[tuple[str, str]], basket: Basket
) -> None:
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    for study, one in series:
        url = f"{archive.peer.url.rstrip('/')}/studies/{study}/series/{one}"
        with archive.opened(url, accept) as answer:
            try:
                kind = str(answer.headers.get("Content-Type", ""))
                for part in parts(answer, kind, most_bytes=basket.most_bytes):
                    if not basket.put(part) and basket.trouble:
                        return
            except OSError as error:
                raise NetworkError(f"{archive.peer.url} broke off") from error


def parts(stream: IO[bytes], content_type: str, *, most_bytes: int) -> Iterator[bytes]:
    """The bodies of a multipart answer (RFC 2046 5.1), one in memory at a time.

    Raises:
        NetworkError: it is no multipart answer, ends before its last boundary, or has a body
            longer than ``most_bytes``.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = str(header.get_param("boundary") or "")
    if not boundary:
        raise NetworkError("The archive's answer is no multipart answer")
    mark = b"\r\n--" + boundary.encode("latin-1")
    held = bytearray(b"\r\n")
    searched, inside = 0, False
    while True:
        at = held.find(mark, searched)
        if at < 0:
            searched = max(0, len(held) - len(mark))
            block = stream.read(_BLOCK)
            if not block:
                raise NetworkError("The archive's answer ends within an image")
            if len(held) > most_bytes + _BLOCK:
                raise NetworkError("The study was not fetched whole: an image without an end")
            held += block
            continue
        if inside:
            yield bytes(held[:at]).partition(b"\r\n\r\n")[2]
        del held[: at + len(mark)]
        while len(held) < 2 and (block := stream.read(_BLOCK)):
            held += block
        if held[:2] == b"--":
            return
        searched, inside = 0, True


def _query(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_instance_uid
    query.SeriesInstanceUID = series_instance_uid
    return query


def _finished(
    answers: Iterator[tuple[Dataset, Dataset | None]], archive: Archive, basket: Basket
) -> None:
    """Wait for the end of one retrieval."""
    for status, _ in answers:
        code = status.get("Status")
        if code in (0x0000, *PENDING) or basket.trouble:
            continue
        told = "no answer" if code is None else f"0x{code:04X}"
        raise NetworkError(
            f"{archive.peer.ae_title} did not send the study: {told}",
            hint="Let it send to this AE title, or set archive.retrieve otherwise",
        )


@contextmanager
def _until(association: Association, basket: Basket) -> Iterator[None]:
    """Hang up when the time is over or a limit is reached, whatever the archive is doing."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_WATCH_SECONDS):
            if basket.trouble or time.monotonic() > basket.deadline:
                basket.trouble = basket.trouble or _TOO_LONG
                hang_up(association)
                return

    threading.Thread(target=watch, daemon=True, name="retrieval").start()
    try:
        yield
    finally:
        done.set()


def _on_store(event: evt.Event, basket: Basket) -> int:
    request = cast(C_STORE, event.request)
    command = Command(
        sop_class_uid=str(request.AffectedSOPClassUID or ""),
        sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
    )
    encoded = request.DataSet.getvalue() if request.DataSet is not None else b""
    if basket.put(file_meta(command, str(event.context.transfer_syntax)) + encoded):
        return 0x0000
    return _OUT_OF_RESOURCES


def _instance_of(part10: bytes, study_instance_uid: str) -> str:
    """The SOP Instance UID of a file of that study; empty for anything else."""
    tags = ["StudyInstanceUID", "SOPInstanceUID"]
    try:
        header = dcmread(BytesIO(part10), stop_before_pixels=True, specific_tags=list(tags))
    except Exception:  # noqa: BLE001  # pydicom raises whatever a broken file leads to
        return ""
    uid = str(header.get("SOPInstanceUID") or "")
    belongs = str(header.get("StudyInstanceUID") or "") == study_instance_uid
    return uid if belongs and is_valid_uid(uid) else ""
