"""Results to a real archive: Debian's Orthanc over DIMSE with storage commitment, and STOW-RS."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest

from dicom_node.commit import CommitListener, Commitments
from dicom_node.config import CommitConfig, Config, Destination, DicomConfig
from dicom_node.delivery import Courier
from dicom_node.reports import Report, open_report
from dicom_node.send import echo, send, unsupported_results
from dicom_node.status import sentence_of
from sifdetect.dicom.results import KINDS, encode_results
from sifdetect.errors import NetworkError
from sifdetect.study import Analysis
from tests.e2e.orthanc import Orthanc
from tests.ports import free_port
from tests.result_cases import bilateral

pytestmark = pytest.mark.e2e

CALLER = "SIFCOMMIT"
ANSWER_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def commit_port() -> int:
    """Where the archive reports storage commitment."""
    return free_port()


@pytest.fixture(scope="module")
def pacs(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, commit_port: int
) -> Iterator[Orthanc]:
    """Orthanc, which knows where the node listens for answers."""
    folder = tmp_path_factory.mktemp("orthanc")
    with Orthanc(tool("Orthanc"), folder, {"node": (CALLER, commit_port)}) as made:
        yield made


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report with every kind of result."""
    made = open_report(tmp_path_factory.mktemp("study"), ["one.dcm"])
    work, case = made.begin_results(), bilateral()
    results = encode_results(Analysis(case.findings, case.labels), case.study, KINDS)
    for name, dataset in results.items():
        dataset.save_as(work / name, enforce_file_format=True)
    made.finish_results(work, {"state": "reported"})
    return made


def test_orthanc_commits_to_every_kind_of_result(
    pacs: Orthanc, report: Report, commit_port: int, tmp_path: Path
) -> None:
    """N-ACTION, N-EVENT-REPORT on Orthanc's own association; nothing is delivered before it."""
    peer = _committing(pacs)
    config = _config(commit_port, "PACS1", peer)
    assert unsupported_results(peer, KINDS, own_title=CALLER, timeout_seconds=10) == []
    courier = Courier(config, tmp_path, time.time)
    listener = CommitListener(config, Commitments(tmp_path), lambda _: None)
    listener.start()
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    state = ""
    while state != "delivered" and time.monotonic() < deadline:
        document, _ = courier.attempt(report, "PACS1")
        report.record_delivery("PACS1", document)
        state = document["state"]
        time.sleep(0.5)
    listener.stop()
    said = sentence_of(document)
    assert state == "delivered", said
    assert said.count(" committed") == len(report.objects) == len(KINDS)


def test_orthanc_denies_what_it_does_not_hold(
    pacs: Orthanc, report: Report, commit_port: int, tmp_path: Path
) -> None:
    """An object that vanished from the archive is named with its reason, and sent again."""
    peer = replace(_committing(pacs), objects=("summary",))
    config = _config(commit_port, "PACS2", peer)
    courier, reasons = Courier(config, tmp_path, time.time), list[str]()
    known = pydicom.dcmread(next(path for path in report.objects if path.name == "summary.dcm"))
    vanished = {
        "word": "summary",
        "accepted": True,
        "status": "0x0000",
        "reason": "",
        "sop_class_uid": str(known.SOPClassUID),
        "sop_instance_uid": "2.25.404",
    }
    report.record_delivery(
        "PACS2",
        {"objects": {"summary.dcm": vanished}, "first_attempt_at": time.time(), "attempts": 1},
    )
    listener = CommitListener(config, Commitments(tmp_path), lambda _: None)
    listener.start()
    deadline, state = time.monotonic() + ANSWER_TIMEOUT_S, ""
    while state != "delivered" and time.monotonic() < deadline:
        document, _ = courier.attempt(report, "PACS2")
        report.record_delivery("PACS2", document)
        state = document["state"]
        reasons.append(document["objects"]["summary.dcm"]["reason"])
        time.sleep(0.5)
    listener.stop()
    assert "storage not committed: no such object instance" in reasons
    assert state == "delivered"
    assert document["attempts"] == 2


def test_orthanc_takes_every_kind_of_result_by_stow(pacs: Orthanc, report: Report) -> None:
    """The same bytes come back over DICOMweb; a second time is a duplicate, and accepted too."""
    peer = Destination(url=f"http://127.0.0.1:{pacs.http_port}/dicom-web/")
    echo(peer, own_title="", timeout_seconds=10)
    for _ in range(2):
        answers = send(peer, report.objects, own_title="", timeout_seconds=30)
        assert all(one.accepted for one in answers), [str(one) for one in answers]
    study = str(pydicom.dcmread(report.objects[0]).StudyInstanceUID)
    held = {str(one.SOPInstanceUID): one for one in pacs.find_instances(study)}
    for path in report.objects:
        sent = pydicom.dcmread(path)
        assert pacs.retrieve(held[str(sent.SOPInstanceUID)]) == sent


def test_stow_names_what_is_refused(pacs: Orthanc, report: Report, tmp_path: Path) -> None:
    """An object that the service cannot take has its HTTP status or reason; the others go on."""
    broken = tmp_path / "broken.dcm"
    empty = pydicom.Dataset()
    empty.file_meta = pydicom.dcmread(report.objects[0]).file_meta
    empty.save_as(broken, enforce_file_format=True)
    peer = Destination(url=f"http://127.0.0.1:{pacs.http_port}/dicom-web")
    answers = send(peer, [broken, report.objects[0]], own_title="", timeout_seconds=30)
    assert [one.accepted for one in answers] == [False, True]
    assert answers[0].status


def test_a_web_service_that_is_not_there_is_a_network_error(report: Report) -> None:
    """Its address is in the sentence, the authorization is not."""
    secret = "Basic " + b64encode(b"node:secret").decode()
    peer = Destination(url=f"http://127.0.0.1:{free_port()}/dicom-web", authorization=secret)
    assert secret not in repr(peer)
    for call in (
        lambda: echo(peer, own_title="", timeout_seconds=5),
        lambda: send(peer, report.objects[:1], own_title="", timeout_seconds=5),
        lambda: echo(replace(peer, url=f"{peer.url}/no"), own_title="", timeout_seconds=5),
    ):
        with pytest.raises(NetworkError, match="could not be reached") as refused:
            call()
        assert secret not in str(refused.value)


def _committing(pacs: Orthanc) -> Destination:
    return Destination(
        host="127.0.0.1",
        port=pacs.dicom_port,
        ae_title=pacs.ae_title,
        calling_ae_title=CALLER,
        objects=KINDS,
        commit=True,
    )


def _config(commit_port: int, name: str, peer: Destination) -> Config:
    return Config(
        dicom=DicomConfig(ae_title=CALLER),
        commit=CommitConfig(port=commit_port),
        destination={name: peer},
    )
