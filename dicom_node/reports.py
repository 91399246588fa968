"""The reports on one study: what each rests on, what came of it, and where it was sent.

``reports/<hash of the image names>/`` holds ``manifest.json``, ``results/`` (the objects, written
once), ``deliveries/<destination>.json``, and, renamed in last, one terminal marker. A report
without a marker is unfinished: whoever finds it carries on.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

from dicom_node.durable import make_folder, put_in_place, read_json, sync_file, write_json
from dicom_node.intake import Kind
from dicom_node.killpoint import reach

_HASH_LENGTH = 32


class Marker(Enum):
    """How a report ended; the value names its file."""

    SENT = "sent"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    SUPERSEDED = "superseded"
    WITHHELD = "withheld"


@dataclass(frozen=True)
class Report:
    """One report, in the folder of its manifest."""

    folder: Path

    @property
    def manifest_hash(self) -> str:
        """What tells this report from others on the same study: a hash of its images' names."""
        return self.folder.name

    @property
    def sequence(self) -> int:
        """1 for the study's first report; a later one replaces the earlier."""
        return int(self._manifest()["sequence"])

    @property
    def image_names(self) -> list[str]:
        """The images it rests on, by their names in the spool."""
        return list(self._manifest()["images"])

    @property
    def images(self) -> list[Path]:
        """The image files it rests on."""
        folder = self.folder.parent.parent / Kind.IMAGE.value
        return [folder / name for name in self.image_names]

    @property
    def identities(self) -> frozenset[str]:
        """The hashed SOP Instance UIDs of its images."""
        return frozenset(name.partition(".")[0] for name in self.image_names)

    @property
    def marker(self) -> Marker | None:
        """How it ended, or None while there is still something to do."""
        for marker in Marker:
            if (self.folder / f"{marker.value}.json").exists():
                return marker
        return None

    def mark(self, marker: Marker, **details: Any) -> None:
        """Say for good how the report ended; the first word stands."""
        if self.marker is None:
            self._discard_work()  # of an analysis that was killed and is not wanted any more
            document = {"at": time.time(), **details}
            write_json(self.folder / f"{marker.value}.json", document)

    def closing(self) -> dict[str, Any]:
        """What the terminal marker says: when, and why."""
        marker = self.marker
        return read_json(self.folder / f"{marker.value}.json") or {} if marker else {}

    def unmark(self) -> None:
        """Take the terminal marker back, so that the report is worked on again."""
        for marker in Marker:
            (self.folder / f"{marker.value}.json").unlink(missing_ok=True)

    @property
    def outcome(self) -> dict[str, Any] | None:
        """What the analysis said, once it is done."""
        return read_json(self.folder / "results" / "outcome.json")

    @property
    def failed(self) -> bool:
        """Whether the analysis failed; what it then sends says no more than that."""
        return (self.outcome or {}).get("state") == "failed"

    @property
    def objects(self) -> list[Path]:
        """The DICOM objects to send, in a fixed order."""
        return sorted((self.folder / "results").rglob("*.dcm"))

    def begin_results(self) -> Path:
        """An empty folder for results, which ``finish_results`` puts in place.

        Another's is left alone: a worker that was taken for dead may still be at it.
        """
        work = self.folder / f"work-{os.urandom(4).hex()}"
        make_folder(work)
        return work

    def finish_results(self, work: Path, outcome: dict[str, Any]) -> None:
        """Make ``work`` the results, whole and durable; of several the first stays.

        Raises:
            OSError: they cannot be written, or there are results already.
        """
        write_json(work / "outcome.json", outcome)
        for path in sorted(work.rglob("*")):
            sync_file(path)
        put_in_place(work, self.folder / "results")
        reach("results in place")
        self._discard_work()

    def discard_results(self) -> None:
        """Forget the results, so that the study is analysed again."""
        shutil.rmtree(self.folder / "results", ignore_errors=True)

    def delivery(self, destination: str) -> dict[str, Any] | None:
        """What is known of the delivery to one destination."""
        return read_json(self.folder / "deliveries" / f"{destination}.json")

    def record_delivery(self, destination: str, document: dict[str, Any]) -> None:
        """Keep what is known of the delivery to one destination."""
        make_folder(self.folder / "deliveries")
        write_json(self.folder / "deliveries" / f"{destination}.json", document)

    def deliveries(self) -> list[dict[str, Any]]:
        """What is known of all deliveries, by destination."""
        found = (read_json(path) for path in sorted(self.folder.glob("deliveries/*.json")))
        return [document for document in found if document is not None]

    def forget_deliveries(self) -> None:
        """Start all deliveries afresh."""
        for path in self.folder.glob("deliveries/*.json"):
            path.unlink()

    def start_over(self) -> None:
        """Take the report up again: the analysis where it failed, and all deliveries."""
        if self.failed or not self.objects:
            self.discard_results()
        self.forget_deliveries()
        self.unmark()

    def _discard_work(self) -> None:
        for leftover in self.folder.glob("work-*"):
            shutil.rmtree(leftover, ignore_errors=True)  # its owner may be removing it as well

    def _manifest(self) -> dict[str, Any]:
        document = read_json(self.folder / "manifest.json")
        assert document is not None
        return document


def hash_of(image_names: list[str]) -> str:
    """The hash that names a report: the same images give the same one, in whatever order."""
    return sha256("\n".join(sorted(image_names)).encode()).hexdigest()[:_HASH_LENGTH]


def reports_of(study: Path) -> list[Report]:
    """The reports on the study in folder ``study``, oldest first."""
    folders = (path.parent for path in study.glob("reports/*/manifest.json"))
    return sorted((Report(folder) for folder in folders), key=lambda report: report.sequence)


def open_report(study: Path, image_names: list[str]) -> Report:
    """The report on exactly these images; made where it is not there yet."""
    folder = study / "reports" / hash_of(image_names)
    if not (folder / "manifest.json").exists():
        make_folder(folder)
        sequence = 1 + max((report.sequence for report in reports_of(study)), default=0)
        document = {"sequence": sequence, "at": time.time(), "images": sorted(image_names)}
        write_json(folder / "manifest.json", document)
    return Report(folder)


def report_of(study: Path, manifest_hash: str) -> Report:
    """The report of that hash, which must be there."""
    return Report(study / "reports" / manifest_hash)
