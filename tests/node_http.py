"""The HTTP port at work over a spool of its own, for the tests of what it serves."""

from __future__ import annotations

import io
import json
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pydicom import Dataset

from dicom_node import logs
from dicom_node.auditlog import Auditor
from dicom_node.config import DicomConfig, HttpConfig
from dicom_node.desk import Arrival, Desk
from dicom_node.http_port import HttpPort
from dicom_node.receive import Receiver
from dicom_node.spool import Spool
from dicom_node.web import Backstage, application
from sifdetect.errors import UsageError

TOKEN = "correct-horse-battery-staple"
BOUNDARY = "a boundary with blanks"
STUDIES = "/dicom-web/studies"
KIND = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Answer:
    """What the port said: status, headers by their names in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def items(self, tag: str) -> list[dict[str, Any]]:
        """The items of a sequence in a Store Instances Response."""
        return list(self.document.get(tag, {}).get("Value", []))


@dataclass
class Serving:
    """A port at work."""

    port: int
    spool: Spool
    log: io.StringIO
    obstacles: list[str] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return read(connection.getresponse())
        finally:
            connection.close()

    def connection(self) -> HTTPConnection:
        """A connection that is not used yet."""
        if self.tls is not None:
            return HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
        return HTTPConnection("127.0.0.1", self.port, timeout=30)

    def store(self, body: bytes, path: str = STUDIES, **headers: str) -> Answer:
        """Send a body by STOW-RS with the token; headers such as ``Content_Type``."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(
            path, method="POST", body=body, headers={**BEARER, "Content-Type": KIND, **given}
        )

    def submit(self, path: str, cookie: str = "", **fields: str) -> Answer:
        """Send a form as a browser would; ``origin`` is where it stands."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        origin = fields.pop("origin", f"http://127.0.0.1:{self.port}")
        headers |= {"Origin": origin, "Cookie": cookie}
        return self.ask(path, method="POST", body=urlencode(fields).encode(), headers=headers)

    def login(self) -> str:
        """A session: the cookie as it is to be sent back."""
        answer = self.submit("/login", token=TOKEN)
        assert answer.status == 303
        return answer.headers["set-cookie"].partition(";")[0]

    def say(self, data: bytes) -> bytes:
        """Say these bytes on a plain connection; all that is answered until the port hangs up.

        Where nothing is answered for a second there is nothing more to come, and it is told so.
        """
        heard = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as line:
            try:
                line.sendall(data)
                while piece := line.recv(65536):
                    heard += piece
            except (ConnectionError, TimeoutError):
                pass
        return heard

    def settle(self) -> None:
        """Wait, for a while, until no upload is under way."""
        deadline = time.monotonic() + 10
        while self.unfinished() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stored(self) -> list[Path]:
        """Every instance on the disk."""
        return sorted(self.spool.folder.rglob("*.dcm"))

    def unfinished(self) -> list[Path]:
        """Every instance that was begun and not finished."""
        return sorted(self.spool.folder.rglob("*.part"))

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]


def read(response: HTTPResponse) -> Answer:
    """An answer, to its end."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


@contextmanager
def serving(
    folder: Path,
    *,
    token: str = TOKEN,
    min_free_mb: int = 1,
    auditor: Auditor | None = None,
    **settings: object,
) -> Iterator[Serving]:
    """A port that serves a spool below ``folder``; without a token where that is empty."""
    log = io.StringIO()
    logs.set_up("info", log)
    spool = Spool(folder / "data")
    spool.prepare()
    wanted = {"port": 0, "token_file": _token_file(folder, token), **settings}
    config = HttpConfig(**wanted)  # type: ignore[arg-type]  # tests choose
    made = Serving(0, spool, log)

    def retry(study: str) -> None:
        if study.endswith(".404"):
            raise UsageError("There is no report")
        made.retried.append(study)

    receiver = Receiver(DicomConfig(), spool=spool, min_free_mb=1, arrived=made.arrivals.append)
    backstage = Backstage(
        folder=spool.folder,
        desk=Desk(
            spool=spool, min_free_mb=min_free_mb, arrived=made.arrivals.append, auditor=auditor
        ),
        accepted=receiver.accepted,
        obstacles=lambda: list(made.obstacles),
        measured=list,
        retry=retry,
    )
    port = HttpPort(config, application(config, backstage))
    made.port = port.start()
    try:
        yield made
    finally:
        port.stop()


def part10(dataset: Dataset) -> bytes:
    """A data set as a DICOM file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def multipart(
    parts: Sequence[bytes], *, boundary: str = BOUNDARY, kind: str = "application/dicom"
) -> bytes:
    """The body of a STOW-RS request."""
    mark = f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(mark + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def body_of(datasets: Sequence[Dataset]) -> bytes:
    """Data sets as the body of a STOW-RS request."""
    return multipart([part10(one) for one in datasets])


def is_answered(serving: Serving) -> bool:
    """Whether the port still answers."""
    try:
        return serving.ask("/healthz").status == 200
    except (OSError, HTTPException):
        return False


def _token_file(folder: Path, token: str) -> str:
    if not token:
        return ""
    path = folder / "token"
    path.write_text(token + "\n")
    path.chmod(0o600)
    return str(path)
