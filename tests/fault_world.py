"""Nodes that are killed, the scanner that sends again what is left, and what must hold then.

The node and its destinations are real processes and sockets; only the analysis is small.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from pydicom import Dataset, dcmread

from dicom_node.durable import PARTIAL
from dicom_node.intake import name_of
from dicom_node.killpoint import VARIABLE
from dicom_node.reports import Marker, reports_of
from tests import node_world as world
from tests.nursery import Nursling

_SILENT = -1
_START_SECONDS = 120.0
_ANSWER_SECONDS = 8.0
"""The sender's library notices only then that the node which it waits for was killed."""
PLACES_OF_RECEIVING = (
    "study.json written",
    "instance synced",
    "instance named",
    "instance kept",
    "arrivals taken",
)
PLACES_OF_ANALYSING = (
    "manifest.json written",
    "close done",
    "study analysed",
    "outcome.json written",
    "results in place",
    "analyse done",
)
PLACES_OF_SENDING = (
    "version written",
    "results sent",
    "PACS1.json written",
    "delivery recorded",
    "deliver done",
    "sent.json written",
    "report finished",
)
PLACES_OF_CLEANING = ("instance removed", "clean done")
"""Where the node is killed, by stage: each name stands in the code where it is reached."""


class QuickNode(world.Node):
    """A node that is forked from a process which has everything imported."""

    def start(self, kill_at: str = "") -> None:
        """Start it, and wait until it is ready or has died of ``kill_at``."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        out = self.folder.with_suffix(f".{os.urandom(4).hex()}.out")
        environment = self.environment | ({VARIABLE: kill_at} if kill_at else {})
        self.process = cast(Any, Nursling(environment, out=out, log=self.log))
        deadline = time.monotonic() + _START_SECONDS
        while not (text := out.read_text() if out.exists() else "").endswith("\n"):
            if self.process.poll() is not None:
                break
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)
        self.ready = json.loads(text) if text.endswith("\n") else {}
        assert self.ready or kill_at, self.log.read_text()

    def dies(self) -> int:
        """The number of the signal that ends it."""
        return -self.process.wait(timeout=world.FINISH_SECONDS)


@contextmanager
def quick_node(
    folder: Path, *, destinations: dict[str, int] | None = None, **settings: object
) -> Iterator[QuickNode]:
    """A node on ``folder / "node"`` that is not started yet."""
    wanted = world.SETTINGS | {"JOBS_POLL_SECONDS": "0.2"}
    wanted |= {key: str(value) for key, value in settings.items()}
    wanted |= {"STORAGE_FOLDER": str(folder / "node")}
    for name, port in (destinations or {}).items():
        wanted |= {f"DESTINATION_{name}_HOST": "127.0.0.1", f"DESTINATION_{name}_PORT": str(port)}
    own = {f"SIFNODE_{key}": value for key, value in wanted.items()}
    made = QuickNode(folder / "node", {**os.environ, **own})
    try:
        yield made
    finally:
        with suppress(AttributeError):  # never started
            made.kill()


class Scanner:
    """Sends studies, and sends again what was not acknowledged, as a modality does."""

    def __init__(self) -> None:
        self.sent: list[Dataset] = []
        self.acknowledged: set[str] = set()

    def send(self, port: int | None, study: Sequence[Dataset] = ()) -> bool:
        """Take a study up, and send what is left of all; returns whether nothing is left."""
        self.sent += study
        left = [one for one in self.sent if one.SOPInstanceUID not in self.acknowledged]
        if left and port is not None:
            with suppress(OSError, RuntimeError):
                self._send(port, left)
        return all(one.SOPInstanceUID in self.acknowledged for one in self.sent)

    def _send(self, port: int, left: list[Dataset]) -> None:
        association = world.scanner(port, left)
        association.dimse_timeout = _ANSWER_SECONDS
        for one in left:
            if association.is_established:
                status = association.send_c_store(one).get("Status", _SILENT)
                if status == 0:
                    self.acknowledged.add(str(one.SOPInstanceUID))
        if association.is_established:
            association.release()

    @property
    def studies(self) -> dict[str, set[str]]:
        """The instances of each study that was sent."""
        found: dict[str, set[str]] = {}
        for one in self.sent:
            found.setdefault(str(one.StudyInstanceUID), set()).add(str(one.SOPInstanceUID))
        return found


def settle(node: QuickNode, scanner: Scanner) -> None:
    """Send what is left, and wait until each study's last report, over all images, was sent.

    And until the locks of the killed are gone, which takes a running node some seconds.
    """
    world.wait_until(lambda: scanner.send(node.port), bool, trouble=node.log)
    for uid, instances in scanner.studies.items():
        wait_for_whole(node, uid, len(instances))
    locks = node.folder / "executors"
    world.wait_until(lambda: list(locks.glob("*")), lambda left: len(left) <= 1, trouble=node.log)


def wait_for_whole(node: world.Node, uid: str, count: int) -> None:
    """Wait until the last report on a study rests on so many images and was sent."""
    world.wait_until(
        lambda: node.study(uid),
        lambda one: one["state"] == "sent" and one["reports"][-1]["images"] == count,
        trouble=node.log,
    )


def assert_nothing_is_lost(node: QuickNode, scanner: Scanner, arrived: list[str]) -> None:
    """What must hold once a node has settled, whatever was done to it.

    Nothing acknowledged is lost: each image is in the spool with the content that was sent. Nothing
    is reported twice: a report for each set of images, its objects at the destination, and no
    others. No file lies outside the spool, none half-written in it.
    """
    expected: set[str] = set()
    possible: set[str] = set()
    for uid, instances in scanner.studies.items():
        study = node.folder / "studies" / name_of(uid)
        held = {path.name.split(".")[0]: path for path in (study / "images").glob("*.dcm")}
        assert set(held) == {name_of(one) for one in instances}
        pixels = {one.SOPInstanceUID: one.PixelData for one in scanner.sent}
        for path in held.values():
            image = dcmread(path)
            assert image.PixelData == pixels[image.SOPInstanceUID]
        assert not list((study / "conflicts").glob("*"))
        for report in reports_of(study):
            objects = {str(dcmread(path).SOPInstanceUID) for path in report.objects}
            possible |= objects
            expected |= objects if report.marker is Marker.SENT else set()
            assert report.marker in (Marker.SENT, Marker.SUPERSEDED)
        assert report.marker is Marker.SENT
        assert report.identities == set(held)
    assert expected <= set(arrived) <= possible
    assert_spool_is_tidy(node.folder)


def assert_spool_is_tidy(folder: Path) -> None:
    """Nothing half-written is left, and nothing was written beside the spool."""
    assert [path for path in folder.rglob("*") if path.name.endswith(PARTIAL)] == []
    assert list(folder.glob("studies/*/reports/*/work-*")) == []
    assert [path for path in folder.rglob("*") if not _is_documented(path, folder)] == []
    beside = {path.name for path in folder.parent.iterdir()}
    assert {one for one in beside if not one.startswith(f"{folder.name}.")} <= {folder.name}


def _is_documented(path: Path, folder: Path) -> bool:
    """Whether docs/node.md names such a file, or the folder that it is."""
    where = path.relative_to(folder).as_posix()
    return any(re.fullmatch(pattern, where) for pattern in _DOCUMENTED)


_H = "[0-9a-f]{64}"
_REPORT = f"studies/{_H}/reports/[0-9a-f]{{32}}"
_DOCUMENTED = (
    r"node\.json|node\.lock|jobs\.sqlite",
    r"incoming|outgoing|commitments|campaigns",
    r"audit(/[^/]+)?|executors(/[^/]+\.lock)?|destinations(/\w+\.json)?",
    rf"studies(/{_H}(/study\.json|/prior\.json|/waiting\.json|/prior(/.*)?)?)?",
    rf"studies/{_H}/(images|others|returned|conflicts)(/{_H}\.{_H}\.dcm)?",
    rf"studies/{_H}/reports|{_REPORT}(/manifest\.json|/\w+\.json)?",
    rf"{_REPORT}/results(/.*)?|{_REPORT}/deliveries(/\w+\.json)?",
)
"""What a data folder holds when nothing is under way; incoming and the like hold nothing then."""

KILLED = int(signal.SIGKILL)
