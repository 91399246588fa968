"""The HTTP port: an ASGI application served by uvicorn in a thread, with TLS and with limits.

A connection has little time to ask for something; of those that only wait the oldest is cut off
when they become too many, so that nobody is kept out by who says nothing.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from dicom_node.config import HttpConfig
from dicom_node.keyring import Keyring
from sifdetect.errors import ConfigurationError, NetworkError

REQUEST_SECONDS = 15.0
"""Who connects and does not ask for a page within this time is cut off."""

MOST_CONNECTIONS = 256
_HEADER_BYTES = 16384
_IDLE_SECONDS = 15
_START_SECONDS = 20.0
_FAREWELL_SECONDS = 3
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL"
"""Of TLS 1.2; all of TLS 1.3 are good (RFC 9325 4.2)."""


class HttpPort:
    """Serves ``application`` (ASGI) on the port of the settings."""

    def __init__(self, config: HttpConfig, application: Any, keys: Keyring | None = None) -> None:
        self._config, self._keys = config, keys
        self._application = application
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> int:
        """Listen; returns the port, which the system chose where the settings say 0.

        Raises:
            NetworkError: the address cannot be listened on.
            ConfigurationError: the certificate or its key cannot be used.
        """
        keys = self._keys or http_keyring(self._config)
        context = _Renewed(keys) if keys.context else None
        listener = _listener(self._config)
        server = uvicorn.Server(_settings(self._application, context))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name="http")
        thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        if not server.started:
            raise NetworkError("HTTP did not start", hint="The log may say more")
        self._server, self._thread = server, thread
        return int(listener.getsockname()[1])

    def stop(self) -> None:
        """Stop listening; what is being answered has a moment to end."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=2 * _FAREWELL_SECONDS)
            self._server = None


def tls_context(config: HttpConfig) -> ssl.SSLContext | None:
    """How connections are encrypted, by BCP 195 (RFC 9325); None for plain HTTP.

    Raises:
        ConfigurationError: certificate, key or authorities are missing or cannot be used.
    """
    if not config.certificate:
        if config.key or config.client_ca:
            raise ConfigurationError(
                "http.key or http.client_ca is set, and http.certificate is not",
                hint="Name the certificate as well",
            )
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.certificate, config.key or None, password=_no_password)
        if config.client_ca:
            context.load_verify_locations(config.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL  # health checks come without
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(
            f"The certificate of the HTTP port cannot be used: {error}",
            hint="Check http.certificate, http.key and http.client_ca",
        ) from error
    return context


def http_keyring(config: HttpConfig) -> Keyring:
    """How the port speaks TLS, from files that may be renewed.

    Raises:
        ConfigurationError: certificate, key or authorities are missing or cannot be used.
    """
    files = (config.certificate, config.key, config.client_ca)
    return Keyring("HTTP", files, lambda: tls_context(config))


class _Renewed(ssl.SSLContext):
    """What uvicorn is given once: each connection is agreed on by what the keyring holds then."""

    _keys: Keyring

    def __new__(cls, keys: Keyring) -> _Renewed:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._keys = keys
        return made

    def wrap_bio(self, *arguments: Any, **more: Any) -> ssl.SSLObject:
        context = self._keys.context
        assert context is not None  # a port that spoke TLS once does not cease to
        return context.wrap_bio(*arguments, **more)


def _no_password() -> str:
    raise ValueError("the key has a password")


def _listener(config: HttpConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((config.bind, config.port))
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise NetworkError(
            f"HTTP cannot listen on {config.bind} port {config.port}: {error.strerror}",
            hint="Choose another --http-port, or switch it off with http.enabled = false",
        ) from error
    return listener


def _settings(application: Any, context: ssl.SSLContext | None) -> uvicorn.Config:
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio"):
        library = logging.getLogger(name)  # they write tracebacks, which may quote values
        library.handlers = [logging.NullHandler()]
        library.propagate = False
    return uvicorn.Config(
        application,
        http=_Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_FAREWELL_SECONDS,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        ssl_context_factory=(lambda *_: context) if context else None,
    )


class _Connection(H11Protocol):
    """One connection; ``request.state.certified`` says whether the peer has shown a certificate."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Count it in; cut the oldest idle one off where there are too many."""
        super().connection_made(transport)
        certified = bool(transport.get_extra_info("peercert"))
        self.app_state = {**self.app_state, "certified": certified}
        self._since = self.loop.time()
        self._wait()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take bytes; the clock runs from a request's first byte until its header is whole."""
        super().data_received(data)
        if not self._is_idle:
            self._stop_waiting()
        elif self._patience is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        return self.conn.their_state is h11.IDLE

    def _make_room(self) -> None:
        own = [one for one in self.connections if isinstance(one, _Connection)]
        alive = [one for one in own if not one.transport.is_closing()]
        idle = [one for one in alive if one._is_idle]
        if len(alive) > MOST_CONNECTIONS and idle:
            min(idle, key=lambda one: one._since).transport.abort()

    def _wait(self) -> None:
        self._patience = self.loop.call_later(REQUEST_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._is_idle:
            self.transport.abort()
