"""The node's own storage acceptor: what it answers to good peers, and to those that break rules."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE, PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.dsutils import encode_file_meta

from dicom_node import durable
from dicom_node.desk import file_meta
from dicom_node.durable import FolderSync
from dicom_node.intake import Command
from tests import dialogue
from tests import node_world as world
from tests.dialogue import ABORTED, ACCEPTED, DATA, REJECTED, RELEASED, answers, request, status_in
from tests.node_receiver import MISUNDERSTOOD, receiving

VERIFICATION = "1.2.840.10008.1.1"


def test_a_slice_in_fragments_is_stored_whole(tmp_path: Path) -> None:
    """Accepted, answered with Success, released; the file ends with the bytes that were sent."""
    with receiving(tmp_path) as one:
        heard = answers(one.port, dialogue.store())
        assert [kind for kind, _ in heard] == [ACCEPTED, DATA, RELEASED]
        assert status_in(heard[1][1]) == 0
        (stored,) = one.stored()
        assert stored.read_bytes().endswith(dialogue.slice_bytes())


@pytest.mark.fault
@pytest.mark.parametrize("name", sorted(dialogue.bad()))
def test_who_breaks_the_rules_is_told_and_cut_off(tmp_path: Path, name: str) -> None:
    """With A-ABORT; nothing is kept, and the log says why."""
    with receiving(tmp_path) as one:
        heard = answers(one.port, request() + dialogue.bad()[name])
        assert [kind for kind, _ in heard][:: len(heard) - 1] == [ACCEPTED, ABORTED]
        assert one.events("association aborted")
        assert one.stored() == []
        assert list((one.spool.folder / "incoming").iterdir()) == []


def test_a_request_without_a_data_set_is_refused(tmp_path: Path) -> None:
    """0xC000: there is no study to put it into."""
    said = request() + dialogue.pdu(4, dialogue.pdv(dialogue.c_store("1.2.3", has_data=False), 3))
    with receiving(tmp_path) as one:
        (_, (_, body)) = answers(one.port, said)
        assert status_in(body) == MISUNDERSTOOD


def test_storage_associations_are_rejected_by_the_same_rules(tmp_path: Path) -> None:
    """Called AE, calling AE, version and application context (PS3.8 Table 9-21)."""
    good = request(calling="CT1")
    told = {
        good: None,
        request(called="OTHER", calling="CT1"): b"\0\1\1\7",
        request(calling="NOBODY"): b"\0\1\1\3",
        good[:6] + b"\0\2" + good[8:]: b"\0\1\2\2",
        good.replace(b"10008.3.1.1.1", b"10008.3.1.1.9"): b"\0\1\1\2",
    }
    with receiving(tmp_path, allowed_callers=("CT1",)) as one:
        for said, answer in told.items():
            (kind, body), *_ = answers(one.port, said)
            assert (kind, body) == (REJECTED, answer) if answer else kind == ACCEPTED
        assert len(one.events("association refused")) == 4


def test_one_association_may_store_and_verify(tmp_path: Path) -> None:
    """C-ECHO between two instances; a class that nobody serves is left out."""
    study = world.study(2)
    entity = AE(ae_title="SCANNER")
    for uid in (dialogue.CT, VERIFICATION, "1.2.840.10008.5.1.4.1.2.2.1"):
        entity.add_requested_context(uid, dialogue.EXPLICIT)
    with receiving(tmp_path) as one:
        association = entity.associate("127.0.0.1", one.port, ae_title="SIFDETECT")
        assert [str(context.abstract_syntax) for context in association.accepted_contexts] == [
            dialogue.CT,
            VERIFICATION,
        ]
        said = [association.send_c_store(study[0]), association.send_c_echo()]
        said.append(association.send_c_store(study[1]))
        association.release()
        assert [status.Status for status in said] == [0, 0, 0]
        assert len(one.stored()) == 2


def test_answers_keep_to_the_limit_of_the_peer(tmp_path: Path) -> None:
    """A peer that takes 40 bytes a PDU gets the response in pieces of at most 40."""
    said = request(max_length=40) + dialogue.store()[len(request()) :]
    with receiving(tmp_path) as one:
        pieces = [body for kind, body in answers(one.port, said) if kind == DATA]
        assert len(pieces) > 2
        assert max(map(len, pieces)) <= 40
        assert status_in(b"".join(piece[6:] for piece in pieces)) == 0


@pytest.mark.fault
@pytest.mark.parametrize("said", [request(), request()[:40], dialogue.store()[:1200]])
def test_who_falls_silent_is_cut_off(tmp_path: Path, said: bytes) -> None:
    """Before the request is complete, after it, and within a data set."""
    with receiving(tmp_path, timeout_seconds=1.0) as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=30) as visitor:
            visitor.sendall(said)
            heard = b""
            while received := visitor.recv(4096):
                heard += received
        assert [kind for kind, _ in dialogue.split(heard)] in ([], [ACCEPTED, ABORTED])
        assert not list(one.spool.folder.rglob("*.part"))


@pytest.mark.fault
def test_a_study_goes_through_beside_eighty_silent_connections(tmp_path: Path) -> None:
    """Forty that say nothing and forty that break off in the middle of a request."""
    with receiving(tmp_path, timeout_seconds=30.0) as one, ExitStack() as silent:
        for number in range(80):
            visitor = socket.create_connection(("127.0.0.1", one.port), timeout=30)
            silent.enter_context(visitor)
            if number % 2:
                visitor.sendall(request()[:50])
        assert world.push(world.study(3), one.port) == [0, 0, 0]


def test_stopping_aborts_who_is_still_there(tmp_path: Path) -> None:
    """The sender hears A-ABORT, and half an instance leaves nothing."""
    with receiving(tmp_path) as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=30) as visitor:
            visitor.sendall(dialogue.store()[:1200])
            heard = visitor.recv(4096)
            one.receiver.stop()
            while received := visitor.recv(4096):
                heard += received
        assert [kind for kind, _ in dialogue.split(heard)] == [ACCEPTED, ABORTED]
        assert not list(one.spool.folder.rglob("*.part"))


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.34"])
def test_file_meta_is_what_the_library_writes(uid: str) -> None:
    """Byte for byte, so that a resend after an upgrade is the same content."""
    made = FileMetaDataset()
    made.MediaStorageSOPClassUID = UID(dialogue.CT)
    made.MediaStorageSOPInstanceUID = UID(uid)
    made.TransferSyntaxUID = UID(dialogue.EXPLICIT)
    made.ImplementationClassUID = PYNETDICOM_IMPLEMENTATION_UID
    made.ImplementationVersionName = PYNETDICOM_IMPLEMENTATION_VERSION
    command = Command(sop_class_uid=dialogue.CT, sop_instance_uid=uid)
    assert file_meta(command, dialogue.EXPLICIT) == (b"\0" * 128 + b"DICM" + encode_file_meta(made))


def test_one_sync_serves_all_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while a sync runs is served by the next one, not by that which runs."""
    begun, go_on, count = threading.Event(), threading.Event(), []

    def slow(folder: Path) -> None:
        count.append(folder)
        begun.set()
        go_on.wait(30)

    monkeypatch.setattr(durable, "sync_folder", slow)
    sync = FolderSync(tmp_path)
    threads = [threading.Thread(target=sync.wait) for _ in range(5)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    while sync._turn._waiters.__len__() < 4:  # type: ignore[attr-defined]  # all four wait
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(count) == 2
