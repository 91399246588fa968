"""STOW-RS in (PS3.18 10.5): what is refused before a byte is read, and how the rest is taken in.

The body is handed on in pieces of at most ``_PIECE_BYTES``, each written before the next is asked
for; neither a request nor an instance is ever in memory as a whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from dicom_node import logs
from dicom_node.config import HttpConfig
from dicom_node.desk import Desk, Sender
from dicom_node.intake import is_valid_uid
from dicom_node.multipart import BrokenMultipart, content_type
from dicom_node.tokens import Token
from dicom_node.upload import DICOM, Accepted, Rules, TooLarge, Upload, WrongType

DICOM_JSON = "application/dicom+json"
_ANSWERS = (DICOM_JSON, "application/json", "application/*", "*/*")
_PIECE_BYTES = 1 << 20
_MB = 1 << 20
_LEAST_BYTES_PER_SECOND = 10_000
"""Who sends more slowly than this, after the first ``timeout_seconds``, is cut off."""

_RETRY_AFTER = {"Retry-After": "60"}


class Intake:
    """The endpoint for STOW-RS requests; it counts those that are being taken in."""

    def __init__(
        self, config: HttpConfig, *, desk: Desk, accepted: Accepted, token: Token | None
    ) -> None:
        self._config, self._desk, self._token = config, desk, token
        self._accepted = accepted
        self._uploads = 0

    async def store(self, request: Request) -> Response:
        """Answer one request."""
        refused = self._refused(request)
        if refused is not None:
            if refused.status_code == 401:
                reason = "an upload showed no token, or a wrong one"
                await asyncio.to_thread(self._desk.alert, _host(request), reason)
            return refused
        self._uploads += 1
        try:
            return await self._take(request)
        finally:
            self._uploads -= 1

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request whose body need not be read."""
        authorization = request.headers.get("authorization", "")
        if not (
            request.state.certified
            or (self._token is not None and self._token.admits(authorization))
        ):
            logs.warning(
                "upload refused", audit=True, reason="not authorised", address=_host(request)
            )
            return told(401, "A token is needed", {"WWW-Authenticate": 'Bearer realm="sifnode"'})
        study = request.path_params.get("study", "")
        if study and not is_valid_uid(study):
            return told(400, "The Study Instance UID is not valid")
        if not _is_acceptable(request.headers.get("accept", "")):
            return told(406, f"The answer is {DICOM_JSON}")
        kind, parameters = content_type(request.headers.get("content-type", ""))
        encoding = request.headers.get("content-encoding", "identity")
        root = parameters.get("type", DICOM).lower()
        if kind != "multipart/related" or root != DICOM or encoding != "identity":
            return told(415, f'The body has to be multipart/related; type="{DICOM}"')
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._config.max_request_mb * _MB:
            return told(413, f"The limit is {self._config.max_request_mb} MB")
        if self._uploads >= self._config.max_uploads:
            return told(503, "Too many uploads at the same time", _RETRY_AFTER)
        if self._desk.spool.free_bytes() < self._desk.min_free_mb * _MB:
            return told(503, "The disk is nearly full", _RETRY_AFTER)
        return None

    async def _take(self, request: Request) -> Response:
        _, parameters = content_type(request.headers["content-type"])
        sender = Sender(title="STOW-RS", address=_host(request), protocol="stow")
        rules = Rules(
            accepted=self._accepted,
            max_instance_bytes=self._config.max_instance_mb * _MB,
            study_instance_uid=request.path_params.get("study", ""),
        )
        try:
            upload = Upload(self._desk, sender, parameters.get("boundary", ""), rules)
        except BrokenMultipart as error:
            logs.warning("upload", status=400, reason=error.reason, address=sender.address)
            return told(400, f"Multipart body: {error.reason}")
        try:
            return await self._taken(request, upload, sender)
        finally:
            await asyncio.to_thread(upload.discard)

    async def _taken(self, request: Request, upload: Upload, sender: Sender) -> Response:
        status, reason = 0, ""
        try:
            async for piece in self._pieces(request):
                await asyncio.to_thread(upload.feed, piece)
            upload.finish()
        except BrokenMultipart as error:
            status, reason = 400, error.reason
        except WrongType as error:
            status, reason = 415, str(error)
        except TooLarge as error:
            status, reason = 413, str(error)
        except TimeoutError:
            status, reason = 408, "nothing came in time"
        except ClientDisconnect:
            status, reason = 400, "the sender has gone"
        status = status or upload.http_status
        stored = sum(one.status == 0 for one in upload.answers)
        log = logs.info if status == 200 else logs.warning
        log(
            "upload",
            status=status,
            stored=stored,
            refused=len(upload.answers) - stored,
            reason=reason,
            address=sender.address,
        )
        headers = {"Connection": "close"} if reason else {}
        headers |= _RETRY_AFTER if status == 503 else {}
        headers |= {"Warning": f'299 sifnode "{reason}"'} if reason else {}
        return JSONResponse(upload.document(), status, headers, media_type=DICOM_JSON)

    async def _pieces(self, request: Request) -> AsyncIterator[bytes]:
        """The body in pieces of about a megabyte.

        Raises:
            TooLarge, TimeoutError, ClientDisconnect: as they say.
        """
        held, received = bytearray(), 0
        begun = time.monotonic()
        more = True
        while more:
            patience = self._config.timeout_seconds
            late = begun + patience + received / _LEAST_BYTES_PER_SECOND - time.monotonic()
            message = await asyncio.wait_for(request.receive(), max(min(patience, late), 0.001))
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            held += message.get("body", b"")
            received += len(message.get("body", b""))
            more = message.get("more_body", False)
            if received > self._config.max_request_mb * _MB:
                raise TooLarge(f"the limit is {self._config.max_request_mb} MB")
            if len(held) >= _PIECE_BYTES or not more:
                yield bytes(held)
                held.clear()


def told(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """A short answer in words; the connection ends with it, because the body was not read."""
    more = {"Connection": "close", **(headers or {})}
    return JSONResponse({"error": sentence}, status, more)


def _is_acceptable(accept: str) -> bool:
    kinds = [content_type(one)[0] for one in accept.split(",")]
    return not accept.strip() or any(kind in _ANSWERS for kind in kinds)


def _host(request: Request) -> str:
    return request.client.host if request.client else ""
