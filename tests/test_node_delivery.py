"""A destination's profile, circuit and storage commitment, against storage SCPs on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.dsutils import encode

from dicom_node.answers import COMPREHENSIVE_3D_SR, COMPREHENSIVE_SR, ENHANCED_SR, chosen
from dicom_node.commit import CommitListener, Commitments
from dicom_node.config import CommitConfig, Config, Destination, SendConfig, StorageConfig
from dicom_node.delivery import Courier
from dicom_node.header import read_header
from dicom_node.intake import Kind, kind_of
from dicom_node.reports import Report, open_report
from dicom_node.send import COMMITMENT, send
from dicom_node.status import sentence_of
from dicom_node.versions import result_of
from sifdetect.dicom.results import KINDS, encode_results
from sifdetect.study import Analysis
from tests import node_world as world
from tests.node_runner import small_analysis
from tests.ports import free_port
from tests.result_cases import bilateral
from tests.validators import dciodvfy

INSTANCE = "1.2.840.10008.1.20.1.1"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every kind of result of a bilateral fracture, as files."""
    folder = tmp_path_factory.mktemp("results")
    case = bilateral()
    made = encode_results(Analysis(case.findings, case.labels), case.study, KINDS)
    for name, dataset in made.items():
        dataset.save_as(folder / name, enforce_file_format=True)
    return {name: folder / name for name in made}


def test_every_kind_of_result_is_known_when_it_comes_back(
    results: dict[str, Path], tmp_path: Path
) -> None:
    """PDF, GSPS and data SR too, and whatever version of them a destination was sent."""
    assert len(results) == len(KINDS)
    peer = Destination(host="x", sr_class="enhanced", transfer_syntax="implicit")
    for path in results.values():
        result = result_of(path, peer)
        sent = result.version(result.sop_classes[0], ImplicitVRLittleEndian, tmp_path)
        for file in (path, sent):
            dataset = dcmread(file)
            header = read_header(_body(dataset), dataset.file_meta.TransferSyntaxUID)
            assert kind_of(header) is Kind.RETURNED, file.name


@pytest.mark.parametrize("sop_class", [ComprehensiveSRStorage, EnhancedSRStorage])
def test_a_report_in_another_class_is_valid_and_another_instance(
    results: dict[str, Path], tmp_path: Path, sop_class: str
) -> None:
    """The same content under a UID of its own, the same each time; dciodvfy finds nothing wrong."""
    result = result_of(results["sr.dcm"], Destination(host="x"))
    assert sop_class in result.sop_classes
    path = result.version(sop_class, ExplicitVRLittleEndian, tmp_path)
    first = path.read_bytes()
    made, original = dcmread(path), dcmread(results["sr.dcm"])
    assert made.SOPInstanceUID == result.uid_as(sop_class) != original.SOPInstanceUID
    assert made.ContentSequence == original.ContentSequence
    assert dciodvfy([path]) == []
    assert result.version(sop_class, ExplicitVRLittleEndian, tmp_path).read_bytes() == first


def test_a_destination_gets_the_kinds_that_it_asks_for(results: dict[str, Path]) -> None:
    """By name; and a text report is a report to those who want either."""
    files = sorted(results.values())
    assert [path.name for path in chosen(files, ("seg", "pdf"))] == ["report.pdf.dcm", "seg.dcm"]
    assert [path.name for path in chosen(files, ("data", "text"))] == ["sr-data.dcm", "text.dcm"]
    text = results["text.dcm"].parent / "negative" / "sr.dcm"
    text.parent.mkdir(exist_ok=True)
    text.write_bytes(results["text.dcm"].read_bytes())
    assert chosen([text], ("text",)) == chosen([text], ("sr",)) == [text]


def test_a_report_goes_as_the_best_class_that_is_taken(results: dict[str, Path]) -> None:
    """No context for the first class, or 0x0122 to it: the next one; each answer says which."""
    port = free_port()
    peer = Destination(host="127.0.0.1", port=port)
    files = [results["sr.dcm"], results["seg.dcm"]]
    with world.choosy_pacs(port, {COMPREHENSIVE_SR: 0x0122}, without=COMPREHENSIVE_3D_SR) as got:
        answers = send(peer, files, own_title="SIFDETECT", timeout_seconds=10)
    assert [str(one) for one in answers] == ["SR accepted", "SEG accepted"]
    assert answers[0].sop_class_uid == ENHANCED_SR
    assert got == [one.sop_instance_uid for one in answers]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("implicit", ImplicitVRLittleEndian), ("deflated", DeflatedExplicitVRLittleEndian)],
)
def test_objects_go_in_the_transfer_syntax_of_the_profile(
    results: dict[str, Path], asked: str, expected: str
) -> None:
    """The SEG arrives whole, and deflated it is smaller than it lies."""
    port = free_port()
    peer = Destination(host="127.0.0.1", port=port, transfer_syntax=asked)
    with archive(port) as pacs:
        answers = send(peer, [results["seg.dcm"]], own_title="SIFDETECT", timeout_seconds=10)
    (stored,) = pacs.stored
    assert answers[0].accepted
    assert stored.file_meta.TransferSyntaxUID == expected
    assert stored.PixelData == dcmread(results["seg.dcm"]).PixelData


@dataclass
class Archive:
    """A storage SCP with storage commitment; ``lost`` are instances that it denies to have."""

    stored: list[Dataset] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    report_to: int = 0
    asked: list[Dataset] = field(default_factory=list)

    def store(self, event: evt.Event) -> int:
        """Keep it."""
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.stored.append(dataset)
        return 0x0000

    def action(self, event: evt.Event) -> tuple[int, None]:
        """Take the request; the answer is given when ``report`` is called."""
        self.asked.append(event.action_information)
        return 0x0000, None

    def report(self) -> int:
        """N-EVENT-REPORT on an association of its own, with role selection; the node's status."""
        entity = AE(ae_title="ARCHIVE")
        entity.add_requested_context(COMMITMENT)
        role = build_role(COMMITMENT, scu_role=False, scp_role=True)
        association = entity.associate("127.0.0.1", self.report_to, ext_neg=[role])
        assert association.is_established
        told, (asked,) = Dataset(), self.asked[-1:]
        told.TransactionUID = asked.TransactionUID
        refs = list(asked.ReferencedSOPSequence)
        told.ReferencedSOPSequence = [
            one for one in refs if one.ReferencedSOPInstanceUID not in self.lost
        ]
        told.FailedSOPSequence = [one for one in refs if one.ReferencedSOPInstanceUID in self.lost]
        for one in told.FailedSOPSequence:
            one.FailureReason = 0x0112
        kind = 2 if told.FailedSOPSequence else 1
        status, _ = association.send_n_event_report(told, kind, COMMITMENT, INSTANCE)
        association.release()
        return int(status.Status)


@contextmanager
def archive(port: int) -> Iterator[Archive]:
    """The archive, listening."""
    made, entity = Archive(), AE(ae_title="ARCHIVE")
    for context in AllStoragePresentationContexts:
        syntaxes = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
        entity.add_supported_context(str(context.abstract_syntax), syntaxes)
    entity.add_supported_context(COMMITMENT)
    entity.add_supported_context("1.2.840.10008.1.1")
    handlers = [(evt.EVT_C_STORE, made.store), (evt.EVT_N_ACTION, made.action)]
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)  # type: ignore[arg-type]  # the library's own union
    assert server is not None
    try:
        yield made
    finally:
        server.shutdown()


class Post:
    """A courier with one report to deliver to PACS1, and a clock."""

    def __init__(self, folder: Path, peer: Destination) -> None:
        self.now = 1_000_000.0
        self.config = Config(
            storage=StorageConfig(folder=folder),
            send=SendConfig(timeout_seconds=5, circuit_failures=3),
            commit=CommitConfig(port=0, timeout_seconds=600),
            destination={"PACS1": peer},
        )
        self.courier = Courier(self.config, folder, lambda: self.now)

    def report(self, folder: Path) -> Report:
        """A report with the small results."""
        images = sorted(world.files(world.study(1), folder / "images").iterdir())
        report = open_report(folder, [path.name for path in images])
        work = report.begin_results()
        small_analysis(images, work)
        report.finish_results(work, {"state": "reported"})
        return report

    def attempt(self, report: Report) -> tuple[str, float]:
        """One attempt, kept as the stages do; the sentence of the status, and the delay."""
        document, delay = self.courier.attempt(report, "PACS1")
        report.record_delivery("PACS1", document)
        return sentence_of(document), delay


def test_a_circuit_opens_holds_back_and_closes_when_it_answers(tmp_path: Path) -> None:
    """After three failures other reports are not tried; a probe once a minute; then all goes."""
    port = free_port()
    post = Post(tmp_path, Destination(host="127.0.0.1", port=port, ae_title="ARCHIVE"))
    one, other = post.report(tmp_path / "one"), post.report(tmp_path / "other")
    for _ in range(3):
        said, _ = post.attempt(one)
        assert "could not be reached" in said
    said, delay = post.attempt(other)
    assert "held back" in said
    assert (delay, "attempts: 0" in said) == (60.0, True)
    post.now += 61
    assert "could not be reached" in post.attempt(other)[0]
    assert post.attempt(one)[1] == 60.0
    post.now += 61
    with archive(port) as pacs:
        assert post.attempt(other)[1] == 0.0
        assert post.attempt(one)[1] == 0.0
        assert len(pacs.stored) == 6


def test_a_report_is_delivered_once_its_storage_is_committed(tmp_path: Path) -> None:
    """The archive answers on an association of its own; what it has lost is sent again."""
    port = free_port()
    peer = Destination(host="127.0.0.1", port=port, ae_title="ARCHIVE", commit=True)
    post = Post(tmp_path, peer)
    report, woken = post.report(tmp_path / "study"), list[str]()
    listener = CommitListener(post.config, Commitments(tmp_path), woken.append)
    with archive(port) as pacs:
        pacs.report_to = listener.start()
        said, delay = post.attempt(report)
        assert said.endswith("by PACS1 (committing, attempts: 1)")
        assert delay > 0
        pacs.lost = [str(pacs.stored[1].SOPInstanceUID)]
        assert pacs.report() == 0x0000
        assert woken == ["PACS1"]
        assert pacs.report() == 0x0000  # the same answer twice changes nothing
        pacs.lost = []
        post.attempt(report)
        assert len(pacs.stored) == 4
        assert pacs.report() == 0x0000
        said, delay = post.attempt(report)
        assert pacs.report() == 0x0112  # a transaction that is over is nobody's
    listener.stop()
    assert said.startswith("SEG committed, SR committed, summary committed by PACS1 (delivered")
    assert delay == 0.0


def test_a_loss_is_named_and_silence_is_asked_about_again(tmp_path: Path) -> None:
    """The reason for each object; and a second request after the time of the first."""
    port = free_port()
    peer = Destination(host="127.0.0.1", port=port, ae_title="ARCHIVE", commit=True)
    post = Post(tmp_path, peer)
    report, commitments = post.report(tmp_path / "study"), Commitments(tmp_path)
    with archive(port) as pacs:
        post.attempt(report)
        post.attempt(report)
        assert len(pacs.asked) == 1
        post.now += 601
        assert "no answer to storage commitment" in post.attempt(report)[0]
        assert len(pacs.asked) == 2
    asked = pacs.asked[1]
    lost = Dataset()
    lost.TransactionUID = asked.TransactionUID
    lost.FailedSOPSequence = [asked.ReferencedSOPSequence[1]]
    lost.FailedSOPSequence[0].FailureReason = 0x0112
    assert commitments.record(lost) == "PACS1"
    said, _ = post.attempt(report)
    assert "SR refused 0x0112" in said
    known = report.delivery("PACS1")
    assert known is not None
    assert known["objects"]["sr.dcm"]["reason"].endswith("no such object instance")


def test_a_profile_decides_what_is_made() -> None:
    """What any destination asks for is made, and each gets its own."""
    config = Config(destination={"A": Destination(host="a", objects=("pdf",))})
    assert config.outputs == ("pdf", "seg", "sr", "summary")
    assert config.objects_for("A") == ("pdf",)
    assert replace(config, destination={}).outputs == ("seg", "sr", "summary")


def _body(dataset: Dataset) -> bytes:
    syntax = dataset.file_meta.TransferSyntaxUID
    return encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian) or b""
