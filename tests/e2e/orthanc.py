"""A real PACS on loopback: Debian's Orthanc with DICOMweb, started on free ports and ended."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pydicom

from tests.ports import free_port

DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
TIMEOUT_S = 60.0


class Orthanc:
    """An Orthanc of its own folder, ports and peers; it runs inside a ``with`` block.

    Args:
        command: the Orthanc program.
        folder: empty folder for configuration, storage and log.
        peers: DICOM peers to send to, symbolic name to (AE title, port) on loopback.
        tls: certificate, key and authority (PEM files) with which it speaks DICOM over TLS alone.
    """

    def __init__(
        self,
        command: Path,
        folder: Path,
        peers: Mapping[str, tuple[str, int]],
        *,
        tls: tuple[str, str, str] | None = None,
    ) -> None:
        self.ae_title = "ORTHANC"
        self.dicom_port = free_port()
        self.http_port = free_port()
        self._command = command
        self._folder = folder
        self._peers = dict(peers)
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Orthanc:
        """Start, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(), indent=2))
        # dcmtk's own switch against Nagle's algorithm; Orthanc's TcpNoDelay covers HTTP alone.
        environment = os.environ | {"TCP_NODELAY": "1"}
        with (self._folder / "orthanc.log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._command, str(configuration)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, whatever happened inside."""
        self._stop()

    @property
    def process_id(self) -> int:
        """That of the running program."""
        assert self._process is not None
        return self._process.pid

    def upload(self, part10: bytes) -> str:
        """Store one DICOM file; gives Orthanc's own identifier of the study it belongs to."""
        answer = json.loads(self._http("/instances", data=part10))
        return str(answer["ParentStudy"])

    def send_study(self, study_id: str, peer: str) -> None:
        """Send a study by C-STORE to a configured peer and wait until all of it was accepted."""
        body = json.dumps({"Resources": [study_id], "Synchronous": True}).encode()
        self._http(f"/modalities/{peer}/store", data=body, timeout_s=600)

    def find_instances(self, study_uid: str, **match: str) -> list[pydicom.Dataset]:
        """QIDO-RS (PS3.18 10.6): all instances of a study whose attributes match."""
        query = "&".join(f"{keyword}={value}" for keyword, value in match.items())
        answer = self._http(f"/dicom-web/studies/{study_uid}/instances?{query}")
        return [pydicom.Dataset.from_json(item) for item in json.loads(answer)]

    def retrieve(self, instance: pydicom.Dataset) -> pydicom.Dataset:
        """WADO-RS (PS3.18 10.4): one whole instance that a query has found."""
        return pydicom.dcmread(BytesIO(self.retrieve_bytes(instance)))

    def retrieve_bytes(self, instance: pydicom.Dataset) -> bytes:
        """WADO-RS (PS3.18 10.4): the file of one instance as the archive returns it."""
        path = (
            f"/dicom-web/studies/{instance.StudyInstanceUID}"
            f"/series/{instance.SeriesInstanceUID}/instances/{instance.SOPInstanceUID}"
        )
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
        return _first_part(self._http(path, accept=accept))

    def _configuration(self) -> dict[str, Any]:
        storage = str(self._folder / "storage")
        return {
            "Name": "sifdetect test",
            "StorageDirectory": storage,
            "IndexDirectory": storage,
            "Plugins": [str(DICOMWEB_PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "TcpNoDelay": True,
            "KeepAlive": True,
            "UnknownSopClassAccepted": True,
            "DicomModalities": {
                name: {
                    "AET": title,
                    "Host": "127.0.0.1",
                    "Port": port,
                    "Timeout": 60,
                    "UseDicomTls": self._tls is not None,
                }
                for name, (title, port) in self._peers.items()
            },
            **self._secured(),
        }

    def _secured(self) -> dict[str, Any]:
        if self._tls is None:
            return {}
        certificate, key, authority = self._tls
        return {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": certificate,
            "DicomTlsPrivateKey": key,
            "DicomTlsTrustedCertificates": authority,
            "DicomTlsRemoteCertificateRequired": True,
        }

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                self._http("/dicom-web/studies?limit=1")
            except URLError:
                time.sleep(0.1)
            else:
                return
        log = (self._folder / "orthanc.log").read_text(errors="replace")
        raise RuntimeError(f"Orthanc did not come up:\n{log[-2000:]}")

    def _http(
        self,
        path: str,
        *,
        data: bytes | None = None,
        accept: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        request = Request(f"http://127.0.0.1:{self.http_port}{path}", data=data)
        request.add_header("Accept", accept)
        with urlopen(request, timeout=timeout_s) as answer:
            return bytes(answer.read())

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _first_part(multipart: bytes) -> bytes:
    """Body of the first part of a multipart/related answer (RFC 2046 5.1)."""
    boundary, _, rest = multipart.lstrip(b"\r\n").partition(b"\r\n")
    _, _, body = rest.partition(b"\r\n\r\n")
    return body[: body.rindex(b"\r\n" + boundary)]
