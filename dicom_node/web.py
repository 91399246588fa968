"""What is served over HTTP: health, metrics, STOW-RS, and the page; the last two to the authorised.

Without a token (and without an authority for client certificates) there is nothing but health and
metrics, and neither knows of any patient.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_node import logs, metrics
from dicom_node.config import HttpConfig
from dicom_node.desk import Desk
from dicom_node.dicomweb import Intake
from dicom_node.metrics import Family
from dicom_node.pages import Pages
from dicom_node.tokens import read_token
from dicom_node.upload import Accepted

_HEADERS = {
    b"content-security-policy": b"default-src 'none'; style-src 'self'; img-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cache-control": b"no-store",
}
_MEASURED_SECONDS = 2.0
_LINGER_BYTES = 16 << 20
_LINGER_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Backstage:
    """What the pages ask of the node; each is called in a thread of its own.

    Attributes:
        obstacles: what keeps the node from taking studies, in words; empty when it is ready.
        measured: what is measured when somebody asks for metrics.
        retry: has the last report on a study done again.
    """

    folder: Path
    desk: Desk
    accepted: Callable[[], Accepted]
    obstacles: Callable[[], list[str]]
    measured: Callable[[], list[Family]]
    retry: Callable[[str], object]


def application(config: HttpConfig, node: Backstage) -> ASGIApp:
    """The pages that the settings allow.

    Raises:
        ConfigurationError: the token cannot be used.
    """
    token = read_token(config.token_file)
    health = _Health(node)
    routes = [
        Route("/healthz", health.alive, name="healthz"),
        Route("/readyz", health.ready, name="readyz"),
        Route("/metrics", health.metrics, name="metrics"),
    ]
    if token is not None or config.client_ca:
        intake = Intake(config, desk=node.desk, accepted=node.accepted(), token=token)
        for path in ("/dicom-web/studies", "/dicom-web/studies/{study}"):
            routes.append(Route(path, intake.store, methods=["POST"], name="stow"))
    if token is not None:
        pages = Pages(
            node.folder,
            token,
            retry=node.retry,
            alert=node.desk.alert,
            secure=bool(config.certificate),
        )
        routes += pages.routes()
    inner = Starlette(
        routes=routes, exception_handlers={HTTPException: _told, Exception: _stumbled}
    )
    return _Frame(inner)


class _Health:
    """Questions that anybody may ask, as often as they like: what costs something is remembered."""

    def __init__(self, node: Backstage) -> None:
        self._node = node
        self._lock = asyncio.Lock()
        self._measured: tuple[float, str] = (-_MEASURED_SECONDS, "")
        self._looked: tuple[float, list[str]] = (-_MEASURED_SECONDS, [])

    async def alive(self, _: Request) -> Response:
        """Whether the process answers."""
        return JSONResponse({"status": "alive"})

    async def ready(self, _: Request) -> Response:
        """Whether studies can be sent."""
        async with self._lock:
            if time.monotonic() - self._looked[0] >= _MEASURED_SECONDS / 2:
                found = await asyncio.to_thread(self._node.obstacles)
                self._looked = (time.monotonic(), found)
        found = self._looked[1]
        word = "not ready" if found else "ready"
        return JSONResponse({"status": word, "obstacles": found}, 503 if found else 200)

    async def metrics(self, _: Request) -> Response:
        """Everything that is counted, for Prometheus."""
        async with self._lock:
            if time.monotonic() - self._measured[0] >= _MEASURED_SECONDS:
                text = await asyncio.to_thread(lambda: metrics.render(self._node.measured()))
                self._measured = (time.monotonic(), text)
        return Response(self._measured[1], headers={"Content-Type": metrics.CONTENT_TYPE})


class _Frame:
    """Around every answer: headers, a count, and patience with who is still sending a body.

    A connection that is closed on unread bytes is reset, and the answer is lost with it; so the
    rest of a short body is read and thrown away first.
    """

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        more = True

        async def listen() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in _HEADERS.items() if name not in names]
                message = {**message, "headers": [*message["headers"], *added]}
                _count(scope, message["status"])
            elif more and scope["method"] == "POST" and not message.get("more_body", False):
                await send({**message, "more_body": True})
                await _linger(listen, lambda: more)
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._inner(scope, listen, answer)


async def _linger(listen: Receive, is_more: Callable[[], bool]) -> None:
    read = 0
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            while is_more() and read < _LINGER_BYTES:
                read += len((await listen()).get("body", b""))
    except TimeoutError:
        return


def _count(scope: Scope, status: int) -> None:
    route = scope.get("route")
    metrics.REQUESTS.add(page=getattr(route, "name", "none"), status=str(status))


async def _told(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"status": error.detail.lower()}, error.status_code, error.headers)


async def _stumbled(_: Request, error: Exception) -> Response:
    metrics.FAILURES.add(kind="http")
    logs.error("http request failed", error=type(error).__name__)
    return JSONResponse({"status": "failed"}, 500)
