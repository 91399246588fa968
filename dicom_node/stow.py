"""STOW-RS to a destination that prefers DICOMweb: one request for each object (PS3.18 10.5)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydicom.uid import UID

from dicom_node.answers import Answer, word_of
from dicom_node.config import Destination
from dicom_node.tls import web_context
from dicom_node.versions import Result, result_of
from sifdetect.errors import NetworkError

CLASS_NOT_SUPPORTED = 0x0122
_MOST_BYTES = 1 << 24  # an answer names one object
_FAILED, _STORED = "00081198", "00081199"  # Failed, Referenced SOP Sequence
_INSTANCE_UID = "00081155"  # Referenced SOP Instance UID
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"
_NO_ANSWER = (401, 403, 404, 408, 429, 500, 502, 503, 504)
"""HTTP statuses that speak of the service and of no object: the attempt has failed as a whole."""


def store(
    destination: Destination,
    files: Sequence[Path],
    *,
    timeout_seconds: float,
    work: Path | None = None,
) -> list[Answer]:
    """Send DICOM files; one answer each, in their order.

    Args:
        work: where versions of them lie meanwhile; None for the system's folder.

    Raises:
        NetworkError: the service is not there, or lets nobody in.
    """
    with TemporaryDirectory(prefix="sifnode-", dir=work) as folder:
        return [
            _store_one(destination, result_of(path, destination), Path(folder), timeout_seconds)
            for path in files
        ]


def ask(destination: Destination, *, timeout_seconds: float) -> None:
    """Search for one study, to see that the service answers (QIDO-RS, PS3.18 10.6).

    Raises:
        NetworkError: it does not, or it answers with an error.
    """
    request = Request(f"{destination.url.rstrip('/')}/studies?limit=1")
    request.add_header("Accept", "application/dicom+json")
    status, _ = _exchange(request, destination, timeout_seconds)
    if status >= 300:
        raise NetworkError(f"{destination.url} answered with HTTP status {status}")


def _store_one(
    destination: Destination, result: Result, folder: Path, timeout_seconds: float
) -> Answer:
    """The first SOP class that is taken decides; only another class could change the answer."""
    syntax = _syntax(result)
    for sop_class in result.sop_classes:
        path = result.version(sop_class, syntax, folder)
        boundary = uuid.uuid4().hex
        # No transfer-syntax parameter: Orthanc then stores nothing and answers with success.
        part = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"
        body = part.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        request = Request(f"{destination.url.rstrip('/')}/studies", data=body, method="POST")
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        request.add_header("Content-Type", kind)
        request.add_header("Accept", "application/dicom+json")
        status, document = _exchange(request, destination, timeout_seconds)
        answer = _answer(result, sop_class, status, document)
        if answer.accepted or answer.status != f"0x{CLASS_NOT_SUPPORTED:04X}":
            break
    return answer


def _syntax(result: Result) -> str:
    """Nothing is negotiated over HTTP: the one that the profile asks for."""
    return result.transfer_syntaxes[0]


def _exchange(
    request: Request, destination: Destination, timeout_seconds: float
) -> tuple[int, Any]:
    """HTTP status and JSON body; an empty table where the body is no JSON."""
    if destination.authorization:
        request.add_unredirected_header("Authorization", destination.authorization)
    try:
        with urlopen(
            request, timeout=timeout_seconds, context=web_context(destination, destination.url)
        ) as answer:
            return answer.status, _parsed(answer.read(_MOST_BYTES))
    except HTTPError as error:
        if error.code in _NO_ANSWER:
            raise NetworkError(
                f"{destination.url} answered with HTTP status {error.code}",
                hint="Check url and authorization of the destination",
            ) from error
        return error.code, _parsed(error.read(_MOST_BYTES))
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise NetworkError(
            f"{destination.url} could not be reached ({reason})",
            hint="Check url, certificate and network",
        ) from error


def _parsed(body: bytes) -> Any:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _answer(result: Result, sop_class: str, status: int, document: Any) -> Answer:
    """An object is stored where the answer names it so; HTTP status 200 alone promises nothing."""
    failed, stored = _items(document, _FAILED), _items(document, _STORED)
    code = _number(failed, _FAILURE_REASON) if failed else _number(stored, _WARNING_REASON)
    uids = {uid for item in stored for uid in item.get(_INSTANCE_UID, {}).get("Value", [])}
    accepted = result.uid_as(sop_class) in uids and not failed
    word = UID(sop_class).name if code is None else f"reason 0x{code:04X}"
    return Answer(
        name=result.path.name,
        word=word_of(result.path, sop_class),
        accepted=accepted,
        status=f"0x{code or 0:04X}" if accepted or code is not None else f"HTTP {status}",
        reason="" if accepted else f"HTTP status {status}, {word}",
        sop_class_uid=sop_class,
        sop_instance_uid=result.uid_as(sop_class),
    )


def _items(document: Any, tag: str) -> list[Any]:
    values = document.get(tag, {})
    found = values.get("Value", []) if isinstance(values, dict) else []
    return [item for item in found if isinstance(item, dict)]


def _number(items: list[Any], tag: str) -> int | None:
    for item in items:
        for value in item.get(tag, {}).get("Value", []):
            return int(value)
    return None
