"""Sending results: an answer for each object, retries that back off, and an end to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.analysis import Outcome
from dicom_node.config import Config, Destination, SendConfig, StorageConfig
from dicom_node.intake import Header, Kind
from dicom_node.reports import Marker, Report
from dicom_node.send import associated, echo, entity_for, send, unsupported_results
from dicom_node.spool import Spool
from dicom_node.stages import Stages
from dicom_node.status import sentence_of
from sifdetect.errors import NetworkError
from tests import node_world as world
from tests.node_runner import RESULTS, small_analysis
from tests.ports import free_port

SEG, TEXT_SR, SUMMARY = (RESULTS[name][0] for name in ("seg", "sr", "summary"))
REFUSED_CLASS, OUT_OF_RESOURCES, COERCED = 0x0122, 0xA700, 0xB000
WANTED = ("sr", "seg", "summary")
HOUR = 3600.0


def results(folder: Path) -> list[Path]:
    """SEG, SR and summary of a small study, as files."""
    sources = world.files(world.study(2), folder / "study")
    small_analysis(sorted(sources.iterdir()), folder)
    return sorted(folder.glob("[0-9]*/*.dcm"))


def peer(port: int) -> Destination:
    """A destination on this machine."""
    return Destination(host="127.0.0.1", port=port, ae_title="CHOOSY")


def test_results_arrive_byte_for_byte(tmp_path: Path) -> None:
    """dcmtk writes what lay in the spool, the SEG included."""
    files, port = results(tmp_path), free_port()
    with world.pacs(tmp_path / "pacs", port) as pacs:
        answers = send(peer(port), files, own_title="SIFDETECT", timeout_seconds=10)
        got = world.received(pacs)
    assert [str(answer) for answer in answers] == [
        "SEG accepted",
        "SR accepted",
        "summary accepted",
    ]
    for path in files:
        sent = dcmread(path)
        assert got[sent.Modality] == sent


def test_each_object_has_its_own_answer(tmp_path: Path) -> None:
    """A refusal of one does not hide the others; a warning means that it was stored."""
    port = free_port()
    refused = {TEXT_SR: REFUSED_CLASS, SUMMARY: COERCED}
    with world.choosy_pacs(port, refused):
        answers = send(peer(port), results(tmp_path), own_title="SIFDETECT", timeout_seconds=10)
    assert [(one.word, one.accepted, one.status) for one in answers] == [
        ("SEG", True, "0x0000"),
        ("SR", False, "0x0122"),
        ("summary", True, "0xB000"),
    ]


def test_a_destination_that_is_not_there_is_a_network_error(tmp_path: Path) -> None:
    """One sentence with its title and address; exit code 6."""
    nobody = peer(free_port())
    with pytest.raises(NetworkError, match=r"CHOOSY at 127\.0\.0\.1") as refused:
        send(nobody, results(tmp_path), own_title="SIFDETECT", timeout_seconds=5)
    assert refused.value.exit_code == 6
    with pytest.raises(NetworkError, match="could not be reached"):
        echo(nobody, own_title="SIFDETECT", timeout_seconds=5)


def test_a_destination_is_asked_what_it_takes(tmp_path: Path) -> None:
    """dcmtk's storage SCP answers C-ECHO and takes all results; another may take no SEG."""
    port, picky = free_port(), free_port()
    with world.pacs(tmp_path, port):
        echo(peer(port), own_title="SIFDETECT", timeout_seconds=5)
        assert (
            unsupported_results(peer(port), WANTED, own_title="SIFDETECT", timeout_seconds=5) == []
        )
    with world.choosy_pacs(picky, {}, without=SEG):
        missing = unsupported_results(peer(picky), WANTED, own_title="SIFDETECT", timeout_seconds=5)
    assert missing == ["SEG"]


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def analysed(images: Sequence[Path], out: Path) -> Outcome:
    """The small analysis without a process of its own."""
    small_analysis(images, out)
    return Outcome(state="reported", presence="absent")


def reported(folder: Path, port: int, clock: Clock) -> tuple[Stages, Report, str]:
    """Stages over a spool that holds one analysed study, with one destination."""
    config = Config(
        storage=StorageConfig(folder=folder / "data"),
        send=SendConfig(timeout_seconds=5),
        destination={"PACS1": peer(port)},
    )
    spool = Spool(config.storage.folder)
    spool.prepare()
    (made,) = world.study(1)
    store(spool, made, folder)
    stages = Stages(config, spool=spool, analyse=analysed, now=clock)
    uid = str(made.StudyInstanceUID)
    manifest_hash = stages.close(uid).manifest_hash
    assert stages.analyse(uid, manifest_hash)
    return stages, stages.report(uid, manifest_hash), uid


def store(spool: Spool, dataset: Any, folder: Path) -> None:
    """Put one image into the spool as the receiver would."""
    path = world.files([dataset], folder / "one") / "0.dcm"
    header = Header(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
    spool.store(header, Kind.IMAGE, (path.read_bytes(),))


def test_attempts_wait_longer_and_end_after_three_days(tmp_path: Path) -> None:
    """30, 60 … 900 seconds, and after 72 hours the report is undelivered."""
    clock = Clock()
    stages, report, uid = reported(tmp_path, free_port(), clock)
    waits = []
    for _ in range(7):
        waits.append(stages.deliver(uid, report.manifest_hash, "PACS1"))
        assert not stages.finish(uid, report.manifest_hash)
        clock.now += waits[-1]
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    clock.now += 72 * HOUR
    assert stages.deliver(uid, report.manifest_hash, "PACS1") == 0
    assert stages.finish(uid, report.manifest_hash)
    assert report.marker is Marker.UNDELIVERED


def test_only_what_was_refused_is_sent_again(tmp_path: Path) -> None:
    """The record says who accepted what, and the second attempt carries the SR alone."""
    port = free_port()
    stages, report, uid = reported(tmp_path, port, Clock())
    with world.choosy_pacs(port, {TEXT_SR: REFUSED_CLASS}) as first:
        assert stages.deliver(uid, report.manifest_hash, "PACS1") == 30
        assert len(first) == 2
    known = report.delivery("PACS1")
    assert known is not None
    assert sentence_of(known) == (
        "SEG accepted, SR refused 0x0122, summary accepted by PACS1 (waiting, attempts: 1)"
    )
    with world.choosy_pacs(port, {}) as second:
        assert stages.deliver(uid, report.manifest_hash, "PACS1") == 0
        assert len(second) == 1
    assert stages.finish(uid, report.manifest_hash)
    assert report.marker is Marker.SENT


def test_an_older_report_is_not_sent_after_a_newer_one_was_begun(tmp_path: Path) -> None:
    """Late slices: what still waits of the first report is dropped, and it says so."""
    port = free_port()
    stages, report, uid = reported(tmp_path, port, Clock())
    store(stages._spool, world.image(uid, 2), tmp_path)
    newer = stages.close(uid)
    assert newer.due
    with world.choosy_pacs(port, {}) as got:
        assert stages.deliver(uid, report.manifest_hash, "PACS1") == 0
        assert got == []
    assert report.marker is Marker.SUPERSEDED


def test_results_are_the_same_when_made_again(tmp_path: Path) -> None:
    """A repeated stage finds the results of the first and leaves them alone."""
    stages, report, uid = reported(tmp_path, free_port(), Clock())
    before = {path: path.stat().st_mtime_ns for path in report.objects}
    assert stages.analyse(uid, report.manifest_hash)
    assert {path: path.stat().st_mtime_ns for path in report.objects} == before


def test_a_removed_destination_keeps_no_report_open(tmp_path: Path) -> None:
    """Once the settings name nobody the report is done, and its results stay in the spool."""
    stages, report, uid = reported(tmp_path, free_port(), Clock())
    stages._config = replace(stages._config, destination={})
    assert stages.deliver(uid, report.manifest_hash, "PACS1") == 0
    assert stages.finish(uid, report.manifest_hash)
    assert report.marker is Marker.SENT
    assert report.objects


@pytest.mark.fault
def test_results_wait_for_a_destination_that_is_down(tmp_path: Path) -> None:
    """The node tries again until dcmtk's storage SCP is there; nothing is lost or doubled."""
    study, port = world.study(2), free_port()
    with world.node(tmp_path, destinations={"PACS1": port}) as node:
        world.push(study, node.port)
        uid = str(study[0].StudyInstanceUID)
        world.wait_until(
            lambda: node.study(uid)["reports"],
            lambda reports: bool(reports and reports[0]["deliveries"]),
            trouble=node.log,
        )
        with world.pacs(tmp_path / "pacs", port) as pacs:
            told = node.wait_for(uid, "sent")
            assert len(list(pacs.iterdir())) == 3
    (delivery,) = told["reports"][0]["deliveries"]
    assert delivery["attempts"] >= 2
    assert delivery["state"] == "delivered"


@pytest.mark.fault
def test_a_destination_that_answers_again_gets_everything_at_once(tmp_path: Path) -> None:
    """Attempts that wait for a quarter of an hour are pulled forward by one that succeeds."""
    port = free_port()
    first, second = world.study(1), world.study(1)
    settings = {"SEND_FIRST_RETRY_SECONDS": 600, "SEND_MAX_RETRY_SECONDS": 900}
    with world.node(tmp_path, destinations={"PACS1": port}, **settings) as node:
        world.push(first, node.port)
        uid = str(first[0].StudyInstanceUID)
        world.wait_until(
            lambda: node.study(uid)["reports"],
            lambda reports: bool(reports and reports[0]["deliveries"]),
            trouble=node.log,
        )
        with world.pacs(tmp_path / "pacs", port):
            world.push(second, node.port)
            node.wait_for(str(second[0].StudyInstanceUID), "sent")
            node.wait_for(uid, "sent")


class NeverPaused(threading.Event):
    """Stands for the moment in which the library's thread looks for messages all the same."""

    def clear(self) -> None:
        """Does nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        """Lets it go on at once, or nearly."""
        time.sleep(0.002)
        return True


def test_an_answer_that_the_library_takes_too_early_is_not_lost(tmp_path: Path) -> None:
    """Its own thread takes the answers of a PACS as well as whoever waits for them."""
    port, files = free_port(), results(tmp_path)
    with world.choosy_pacs(port, {}):
        entity = entity_for(peer(port), "SIFDETECT", 10.0)
        sets = [dcmread(path) for path in files]
        for kind in {one.SOPClassUID for one in sets}:
            entity.add_requested_context(kind, ExplicitVRLittleEndian)
        with associated(entity, peer(port)) as association:
            association._reactor_checkpoint = NeverPaused()
            answers = [association.send_c_store(one) for one in sets * 10]
    assert [answer.get("Status") for answer in answers] == [0] * 30
