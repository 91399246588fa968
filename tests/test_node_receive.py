"""The storage SCP: what it accepts, what it refuses, and what lies on the disk afterwards."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE

from dicom_node.acceptor import Conversation
from dicom_node.intake import Kind
from dicom_node.receive import transfer_syntaxes
from dicom_node.spool import Stored
from tests import node_world as world
from tests.node_receiver import FULL, MISUNDERSTOOD, STORAGE, echoes, receiving


def test_only_its_own_title_answers(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    """A sender that calls another AE title is rejected, unless that check is off."""
    with receiving(tmp_path) as one:
        assert echoes(tool, one.port, "-aec", "SIFDETECT")
        assert not echoes(tool, one.port, "-aec", "OTHER")
    with receiving(tmp_path, check_called_ae=False) as one:
        assert echoes(tool, one.port, "-aec", "OTHER")


def test_only_listed_callers_are_let_in(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    """By title, or by title and address; a refusal stands in the log."""
    with receiving(tmp_path, allowed_callers=("CT1", "PACS@10.9.8.7", "MR@127.0.0.1")) as one:
        answers = {
            title: echoes(tool, one.port, "-aec", "SIFDETECT", "-aet", title)
            for title in ("CT1", "MR", "PACS", "NOBODY")
        }
        assert answers == {"CT1": True, "MR": True, "PACS": False, "NOBODY": False}
        refused = [line["caller"] for line in one.events("association refused")]
        assert refused == ["PACS", "NOBODY"]


def test_more_associations_than_allowed_are_rejected(tmp_path: Path) -> None:
    """The next one gets in when one has gone."""
    study = world.study(1)
    with receiving(tmp_path, max_associations=1) as one:
        first = world.scanner(one.port, study)
        assert first.is_established
        assert world.scanner(one.port, study).is_rejected
        first.release()
        world.wait_until(
            lambda: world.scanner(one.port, study),
            lambda next_one: next_one.is_established,
            trouble=tmp_path / "none",
        ).release()


def test_every_storage_class_of_ct_mr_and_results_is_accepted(tmp_path: Path) -> None:
    """CT, Enhanced CT, MR, Enhanced MR, Secondary Capture, SEG, SR, PDF, presentation states."""
    wanted = ["2", "2.1", "4", "4.1", "7", "66.4", "88.22", "88.33", "88.34", "104.1", "11.1"]
    entity = AE()
    for suffix in wanted:
        entity.add_requested_context(STORAGE + suffix)
    with receiving(tmp_path) as one:
        association = entity.associate("127.0.0.1", one.port, ae_title="SIFDETECT")
        assert len(association.accepted_contexts) == len(wanted)
        association.release()


def test_syntaxes_that_nobody_here_can_decode_are_not_accepted(tmp_path: Path) -> None:
    """Video is not; everything that scanners and archives use for images is."""
    assert {
        *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"),
        *("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"),
        *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
    } <= set(transfer_syntaxes())
    entity = AE()
    entity.add_requested_context(STORAGE + "2", "1.2.840.10008.1.2.4.102")  # MPEG-4
    with receiving(tmp_path) as one:
        association = entity.associate("127.0.0.1", one.port, ae_title="SIFDETECT")
        assert not association.is_established


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
    ],
)
def test_what_is_stored_is_what_was_sent(tmp_path: Path, syntax: UID) -> None:
    """The data set's bytes on the disk are those of the sender's file, compressed or not."""
    (made,) = world.study(1)
    if syntax.is_compressed and not syntax.is_deflated:
        made.compress(syntax, generate_instance_uid=False)
    made.file_meta.TransferSyntaxUID = syntax
    sent = tmp_path / "sent.dcm"
    made.save_as(sent, enforce_file_format=True)
    with receiving(tmp_path) as one:
        association = world.scanner(one.port, [made])
        assert association.send_c_store(sent).Status == 0x0000
        association.release()
        (stored,) = one.stored()
    assert body(stored) == body(sent)
    if not syntax.is_deflated:
        assert np.array_equal(dcmread(stored).pixel_array, dcmread(sent).pixel_array)


def body(path: Path) -> bytes:
    """A DICOM file's bytes behind its meta information."""
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[140:144])
    return content[144 + length :]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("uid", ["../../escaped", "/tmp-escaped/x", "1.2.\0.3", "1.2.03", ""])
def test_a_hostile_identifier_is_refused_and_leaves_nothing(tmp_path: Path, uid: str) -> None:
    """Whether it is the study's, the series' or the instance's."""
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID"):
        (made,) = world.study(1)
        setattr(made, keyword, uid)
        with receiving(tmp_path) as one:
            assert world.push([made], one.port) == [MISUNDERSTOOD]
            assert one.stored() == []
            assert one.events("instance refused")
    names = {path.name for path in tmp_path.rglob("*")}
    assert names == {"data", "studies", "incoming"}


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_path_as_instance_uid_is_refused(tmp_path: Path) -> None:
    """A UID that a careless receiver would write to, in the request and in the data set."""
    (made,) = world.study(1)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = UID("../../../evil")
    with receiving(tmp_path) as one:
        association = world.scanner(one.port, [made])
        status = association.send_c_store(made).get("Status")
        assert status in (None, MISUNDERSTOOD)
        assert one.stored() == []


def test_other_content_under_a_known_uid_is_kept_and_audited(tmp_path: Path) -> None:
    """Both are safe, the first is used, and the log says who sent the second."""
    (first,) = world.study(1)
    second = world.image(first.StudyInstanceUID, 1, PixelData=bytes(96))
    with receiving(tmp_path) as one:
        assert world.push([first, first, second], one.port) == [0, 0, 0]
        assert [arrival.stored for arrival in one.arrivals] == [
            Stored.NEW,
            Stored.SAME,
            Stored.CONFLICT,
        ]
        assert sorted(path.parent.name for path in one.stored()) == ["conflicts", "images"]
        (line,) = map(json.loads, one.log.getvalue().splitlines())
        assert (line["audit"], line["caller"], line["address"]) == (True, "SCANNER", "127.0.0.1")
        assert line["instance"] == first.SOPInstanceUID


def test_results_of_the_node_itself_are_put_aside(tmp_path: Path) -> None:
    """A PACS that forwards everything sends them back: kept, but no input."""
    (made,) = world.study(1)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(STORAGE + "66.4")
    made.Manufacturer = "sifdetect project"
    with receiving(tmp_path) as one:
        assert world.push([made], one.port) == [0]
        assert [arrival.kind for arrival in one.arrivals] == [Kind.RETURNED]
        assert [path.parent.name for path in one.stored()] == ["returned"]


def test_a_disk_that_is_nearly_full_refuses_politely(tmp_path: Path) -> None:
    """0xA700, so that the sender keeps the instance and tries again; with room it goes in."""
    study = world.study(1)
    with receiving(tmp_path, min_free_mb=10**9) as one:
        assert world.push(study, one.port) == [FULL]
        assert one.stored() == []
    with receiving(tmp_path) as one:
        assert world.push(study, one.port) == [0]


@pytest.mark.fault
def test_a_sender_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Half an instance and a closed connection: no file, no arrival, and the next one gets in."""
    (made,) = world.study(1)
    made.PixelData = bytes(400_000)
    with receiving(tmp_path) as one:
        association = world.scanner(one.port, [made])
        transport = association.dul.socket
        assert transport is not None
        assert transport.socket is not None
        data_pdu = struct.pack(">BBLLBB", 4, 0, 70_000, 69_996, 1, 0) + bytes(1000)
        transport.socket.sendall(data_pdu)
        transport.socket.shutdown(socket.SHUT_RDWR)
        association.kill()
        assert world.push(world.study(1), one.port) == [0]
        assert len(one.stored()) == len(one.arrivals) == 1


@pytest.mark.fault
@pytest.mark.parametrize(
    "greeting",
    [
        struct.pack(">BBL", 1, 0, 0xFFFFFFF0) + bytes(4096),
        struct.pack(">BBL", 1, 0, 5) + bytes(5),
        struct.pack(">BBL", 4, 0, 0),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"",
    ],
    ids=["huge PDU", "short PDU", "empty PDU", "HTTP", "TLS", "nothing"],
)
def test_what_is_no_dicom_is_dropped(
    tmp_path: Path, tool: Callable[[str], Path], greeting: bytes
) -> None:
    """The connection is closed, nothing is buffered without bound, and others are served."""
    with receiving(tmp_path, timeout_seconds=2.0) as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=20) as visitor:
            visitor.sendall(greeting)
            assert echoes(tool, one.port, "-aec", "SIFDETECT")
            assert drained(visitor) < 100
        assert echoes(tool, one.port, "-aec", "SIFDETECT")


def drained(visitor: socket.socket) -> int:
    """How many bytes come until the other side closes the connection."""
    total = 0
    try:
        while received := visitor.recv(4096):
            total += len(received)
    except ConnectionError:
        pass
    return total


@pytest.mark.fault
def test_bare_health_checks_leave_no_thread_and_take_no_place(
    tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    """A load balancer that connects and leaves, or just sits there, keeps no sender out."""
    with receiving(tmp_path, max_associations=1) as one:
        address = ("127.0.0.1", one.port)
        before = threading.active_count()
        for _ in range(30):
            socket.create_connection(address).close()
        world.wait_until(
            threading.active_count, lambda now: now <= before, trouble=tmp_path / "none"
        )
        with socket.create_connection(address), socket.create_connection(address):
            assert echoes(tool, one.port, "-aec", "SIFDETECT")


def test_answers_are_sent_without_delay(tmp_path: Path) -> None:
    """Nagle's algorithm is off on the node's side of each connection."""
    study = world.study(1)
    with receiving(tmp_path) as one:
        association = world.scanner(one.port, study)
        (accepted,) = one.receiver._admission.admitted
        assert isinstance(accepted, Conversation)
        assert accepted.transport.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        association.release()


def test_an_instance_arrives_after_it_is_durable(tmp_path: Path) -> None:
    """When the node hears of an instance its file has its final name and its whole content."""
    seen: list[list[Path]] = []
    made = Dataset()
    with receiving(tmp_path) as one:
        one.receiver._arrived = lambda _: seen.append(one.stored())
        assert world.push(world.study(1), one.port) == [0]
        made = dcmread(seen[0][0])
    assert made.PatientID == "SECRET-42"
