"""A node, a PACS and a scanner for tests: real processes on loopback, ended by their process id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.status import status_of
from tests.conftest import find_tool

T = TypeVar("T")

RUNNER = Path(__file__).with_name("node_runner.py")
START_SECONDS = 60
FINISH_SECONDS = 400
SETTINGS = {
    "DICOM_PORT": "0",
    "HTTP_PORT": "0",
    "STORAGE_MIN_FREE_MB": "1",
    "STUDY_QUIET_SECONDS": "0.5",
    "STUDY_MAX_WAIT_SECONDS": "20",
    "SEND_FIRST_RETRY_SECONDS": "0.5",
    "SEND_MAX_RETRY_SECONDS": "1",
    "JOBS_POLL_SECONDS": "0.05",
    "JOBS_RECONCILE_SECONDS": "2",
}


def image(study: str, number: int = 1, **attributes: Any) -> Dataset:
    """One CT slice of 32 × 40 pixels; keyword arguments set further attributes."""
    made = Dataset()
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = f"{study}.1.{number}"
    made.StudyInstanceUID = study
    made.SeriesInstanceUID = f"{study}.1"
    made.Modality = "CT"
    made.PatientName, made.PatientID = "Secret^Sally", "SECRET-42"
    made.Rows, made.Columns = 32, 40
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 16, 15
    made.PixelRepresentation = 0
    made.PixelData = np.arange(32 * 40, dtype=np.uint16).tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def study(count: int = 3, **attributes: Any) -> list[Dataset]:
    """A CT study of its own with ``count`` slices."""
    uid = generate_uid(prefix=None)[:50].rstrip(".")
    return [image(uid, number, **attributes) for number in range(1, count + 1)]


def files(datasets: Sequence[Dataset], folder: Path) -> Path:
    """The data sets as DICOM files in ``folder``, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


@dataclass
class Node:
    """A node in a process of its own."""

    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[str] = field(init=False)
    ready: dict[str, Any] = field(init=False)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(RUNNER)],
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log.read_text()
        self.ready = json.loads(line)

    @property
    def log(self) -> Path:
        """Where its standard error goes."""
        return self.folder.with_suffix(".log")

    @property
    def port(self) -> int:
        """Where it listens for studies."""
        return int(self.ready["port"])

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        told = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        lines = [json.loads(line) for line in told]
        return [line for line in lines if line["event"] == name]

    def kill(self) -> None:
        """End it without a warning, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=FINISH_SECONDS)

    def study(self, uid: str) -> dict[str, Any]:
        """What it says of one study; an empty state where it knows none."""
        found = [
            one for one in status_of(self.folder)["studies"] if one["study_instance_uid"] == uid
        ]
        return cast(dict[str, Any], found[0]) if found else {"state": "", "reports": []}

    def wait_for(self, uid: str, *states: str, reports: int = 1) -> dict[str, Any]:
        """The study once it has so many reports and is in one of the states."""
        return wait_until(
            lambda: self.study(uid),
            lambda one: one["state"] in states and len(one["reports"]) >= reports,
            trouble=self.log,
        )


def wait_until(look: Callable[[], T], is_it: Callable[[T], bool], *, trouble: Path) -> T:
    """What ``look`` gives once ``is_it`` agrees; fails, showing ``trouble``, after a while."""
    deadline = time.monotonic() + FINISH_SECONDS
    while time.monotonic() < deadline:
        if is_it(found := look()):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{look()}\n{trouble.read_text() if trouble.exists() else ''}")


@contextmanager
def node(
    folder: Path, *, destinations: dict[str, int] | None = None, **settings: object
) -> Iterator[Node]:
    """A node that runs on ``folder / "node"``; settings such as ``STUDY_QUIET_SECONDS=2``."""
    wanted = SETTINGS | {key: str(value) for key, value in settings.items()}
    wanted["STORAGE_FOLDER"] = str(folder / "node")
    for name, port in (destinations or {}).items():
        wanted |= {f"DESTINATION_{name}_HOST": "127.0.0.1", f"DESTINATION_{name}_PORT": str(port)}
    own = {f"SIFNODE_{key}": value for key, value in wanted.items()}
    path = os.pathsep.join([str(RUNNER.parents[1]), os.environ.get("PYTHONPATH", "")])
    made = Node(folder / "node", {**os.environ, **own, "PYTHONPATH": path})
    made.start()
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.kill()
        if made.process.stdout is not None:
            made.process.stdout.close()


@contextmanager
def pacs(folder: Path, port: int) -> Iterator[Path]:
    """dcmtk's storage SCP on ``port``; gives the folder that it writes into."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [str(find_tool("storescp")), "-od", str(folder), str(port)],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(port), bool, trouble=folder / "none")
        yield folder
    finally:
        process.kill()
        process.wait()


@contextmanager
def choosy_pacs(port: int, refused: dict[str, int], *, without: str = "") -> Iterator[list[str]]:
    """A storage SCP that answers SOP classes in ``refused`` so; gives what it accepted, by UID.

    For the SOP class ``without`` it has no presentation context.
    """
    accepted: list[str] = []

    def store(event: evt.Event) -> int:
        kind = str(event.file_meta.MediaStorageSOPClassUID)
        if kind not in refused:
            accepted.append(str(event.file_meta.MediaStorageSOPInstanceUID))
        return refused.get(kind, 0x0000)

    entity = AE(ae_title="CHOOSY")
    entity.supported_contexts = [
        context for context in AllStoragePresentationContexts if context.abstract_syntax != without
    ]
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert server is not None
    try:
        yield accepted
    finally:
        server.shutdown()


def scanner(port: int, datasets: Sequence[Dataset], *, title: str = "SCANNER") -> Association:
    """An association with a node that has a context for each of the data sets."""
    entity = AE(ae_title=title)
    kinds = {(one.file_meta.MediaStorageSOPClassUID, _syntax(one)) for one in datasets}
    entity.requested_contexts = [build_context(kind, syntax) for kind, syntax in sorted(kinds)]
    return entity.associate("127.0.0.1", port, ae_title="SIFDETECT")


def push(datasets: Sequence[Dataset], port: int) -> list[int]:
    """Send data sets over one association; the status of each, -1 where there was no answer."""
    association = scanner(port, datasets)
    assert association.is_established
    statuses = [int(association.send_c_store(one).get("Status", -1)) for one in datasets]
    association.release()
    return statuses


def storescu(folder: Path, port: int) -> None:
    """Send a folder with dcmtk."""
    command = [str(find_tool("storescu")), "-aec", "SIFDETECT", "+sd", "+r", "-R"]
    subprocess.run(
        [*command, "127.0.0.1", str(port), str(folder)],
        env={**os.environ, "TCP_NODELAY": "1"},
        check=True,
    )


def received(folder: Path) -> dict[str, Dataset]:
    """What a PACS has written, by modality."""
    found = [dcmread(path, force=True) for path in folder.iterdir()]
    return {str(one.Modality): one for one in found}


def _syntax(dataset: Dataset) -> UID:
    return UID(dataset.file_meta.TransferSyntaxUID)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
