"""OHIF as its users open it: its shipped build behind one origin with a PACS's DICOMweb."""

from __future__ import annotations

import json
import threading
from http.client import HTTPConnection
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

from tests.conftest import ROOT

BUILD = ROOT / "build" / "viewer" / "node_modules" / "@ohif" / "app" / "dist"
"""Where ``tools/viewer.sh`` puts the npm package's build."""
CONFIGURATION = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": False,
    "disableConfirmationPrompts": True,
    "maxNumberOfWebWorkers": 2,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": False,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "pacs",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "pacs",
            "configuration": {
                "friendlyName": "PACS under test",
                "name": "pacs",
                "wadoUriRoot": "/dicom-web",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsFuzzyMatching": False,
                "supportsWildcard": False,
                "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            },
        }
    ],
}
"""The shipped ``app-config.js`` points at a public server and asks before it tracks."""


class Ohif:
    """A static server of OHIF that passes ``/dicom-web`` on; it runs inside a ``with`` block.

    Args:
        build: folder of OHIF's build.
        dicomweb_port: HTTP port on loopback of the server that answers ``/dicom-web``.
    """

    def __init__(self, build: Path, dicomweb_port: int) -> None:
        handler = type("Handler", (_Handler,), {"build": build, "dicomweb_port": dicomweb_port})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Ohif:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, study_uid: str) -> str:
        """Address of one study in the viewer."""
        return (
            f"http://127.0.0.1:{self._server.server_address[1]}"
            f"/viewer?StudyInstanceUIDs={quote(study_uid)}"
        )


class _Handler(SimpleHTTPRequestHandler):
    build: Path
    dicomweb_port: int
    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, directory=str(self.build), **kwargs)

    def do_GET(self) -> None:  # the name that http.server calls
        path = urlsplit(self.path).path
        if path.startswith("/dicom-web"):
            self._pass_on()
        elif path == "/app-config.js":
            self._answer(200, "text/javascript", f"window.config = {json.dumps(CONFIGURATION)};")
        else:
            if not (self.build / path.lstrip("/")).is_file():
                self.path = "/index.html"  # routes of the application
            super().do_GET()

    def end_headers(self) -> None:
        # Without these two a browser shares no memory with the decoders' workers.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what went wrong shows in the browser."""

    def _pass_on(self) -> None:
        pacs = HTTPConnection("127.0.0.1", self.dicomweb_port, timeout=60)
        try:
            pacs.request("GET", self.path, headers={"Accept": self.headers.get("Accept", "*/*")})
            answer = pacs.getresponse()
            body = answer.read()
        finally:
            pacs.close()
        self._answer(answer.status, answer.headers.get("Content-Type", ""), body)

    def _answer(self, status: int, kind: str, body: bytes | str) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
