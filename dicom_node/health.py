"""Two questions over HTTP: does the process live (/healthz), does it take studies (/readyz)?"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from dicom_node import logs
from dicom_node.config import HttpConfig
from sifdetect.errors import NetworkError

_REQUEST_SECONDS = 10


class Health:
    """Answers health checks in a thread of its own.

    Args:
        obstacles: what keeps the node from taking studies, in words; empty when it is ready.
    """

    def __init__(self, config: HttpConfig, obstacles: Callable[[], list[str]]) -> None:
        self._config = config
        self._obstacles = obstacles
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> int:
        """Listen; returns the port, which the system chose where the settings say 0.

        Raises:
            NetworkError: the address cannot be listened on.
        """
        address = (self._config.bind, self._config.port)
        try:
            server = _server_class(address[0])(address, _handler(self._obstacles))
        except OSError as error:
            raise NetworkError(
                f"HTTP cannot listen on {address[0]} port {address[1]}: {error.strerror}",
                hint="Choose another --http-port, or switch it off with http.enabled = false",
            ) from error
        Thread(target=server.serve_forever, daemon=True, name="http").start()
        self._server = server
        return int(server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _server_class(bind: str) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        """IPv4 or IPv6; a visitor that leaves early is no trouble."""

        address_family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Say what kind of trouble a visitor made."""
            logs.warning("health check failed", error=type(sys.exception()).__name__)

    return Server


def _handler(obstacles: Callable[[], list[str]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """GET and nothing else."""

        timeout = _REQUEST_SECONDS
        server_version = "sifnode"
        sys_version = ""

        def do_GET(self) -> None:  # the name that http.server calls
            """Answer one check."""
            if self.path == "/healthz":
                self._answer(200, {"status": "alive"})
            elif self.path == "/readyz":
                found = obstacles()
                word = "not ready" if found else "ready"
                self._answer(503 if found else 200, {"status": word, "obstacles": found})
            else:
                self._answer(404, {"status": "no such page"})

        def _answer(self, code: int, document: dict[str, object]) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: health checks come every few seconds."""

    return Handler
