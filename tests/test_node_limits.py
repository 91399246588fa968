"""Who may call, how often and how much: each refusal with its answer and one line in the log."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.admission import CONGESTED, LIMIT, PEER_LIMIT, Admission, Asking
from dicom_node.config import DicomConfig, load
from dicom_node.inlet import Inlet
from dicom_node.intake import may_call
from dicom_node.limits import LimitsConfig, Pace
from dicom_node.pdu import Kind
from sifdetect.errors import ConfigurationError
from tests import dialogue
from tests import node_world as world
from tests.dialogue import ABORTED, RELEASE, answers, request
from tests.node_receiver import FULL, echoes, receiving

ASKING = Asking(called="SIFDETECT", calling="CT1", address="10.0.0.7")


class Guest:
    """An association that lives until it is told otherwise."""

    def __init__(self) -> None:
        self.here = True

    def is_alive(self) -> bool:
        """As told."""
        return self.here


@pytest.mark.parametrize(
    ("entry", "title", "address", "may"),
    [
        ("CT1", "CT1", "10.9.9.9", True),
        ("CT1@10.0.0.7", "CT1", "10.0.0.7", True),
        ("CT1@10.0.0.7", "CT1", "10.0.0.8", False),
        ("CT1@10.0.0.0/24", "CT1", "10.0.0.255", True),
        ("CT1@10.0.0.0/24", "CT1", "10.0.1.0", False),
        ("CT1@10.0.0.0/24", "CT2", "10.0.0.1", False),
        ("*@10.0.0.0/8", "ANY", "10.200.0.1", True),
        ("*@10.0.0.0/8", "ANY", "11.0.0.1", False),
        ("CT1@10.0.0.0/24", "CT1", "::ffff:10.0.0.3", True),
        ("CT1@fd00::/8", "CT1", "fd12::1", True),
        ("CT1@fd00::/8", "CT1", "10.0.0.1", False),
        ("CT1@fe80::/10", "CT1", "fe80::1%eth0", True),
        ("CT1@10.0.0.7", "CT1", "", False),
    ],
)
def test_a_caller_is_known_by_title_and_network(
    entry: str, title: str, address: str, may: bool
) -> None:
    """One address, a network of either family, or any title of a network."""
    assert may_call(title, address, (entry,)) is may
    assert may_call(title, address, ("NOBODY", entry)) is may
    assert may_call(title, address, ())


@pytest.mark.parametrize("caller", ["CT1@10.0.0.7/24", "CT1@10.0.0", "CT1@10.0.0.0/33", "CT1@::g"])
def test_a_caller_of_no_network_is_refused_at_the_start(tmp_path: Path, caller: str) -> None:
    """A typing mistake must not let somebody in, nor keep somebody out unseen."""
    file = tmp_path / "sifnode.toml"
    file.write_text(f'[dicom]\nallowed_callers = ["{caller}"]\n')
    with pytest.raises(ConfigurationError, match="allowed_callers"):
        load(file, environment={})


def test_a_wrong_title_is_told_for_every_kind_of_association(
    tmp_path: Path, tool: Callable[[str], Path]
) -> None:
    """C-ECHO, which pynetdicom serves, and C-STORE get the same answer and the same line."""
    with receiving(tmp_path) as one:
        assert not echoes(tool, one.port, "-aec", "OTHER", "-aet", "CT1")
        (kind, body), *_ = answers(one.port, request(called="OTHER", calling="CT1"))
        assert (kind, body) == (dialogue.REJECTED, b"\0\1\1\7")
        lines = one.events("association refused")
        told = {(line["answer"], line["reason"], line["caller"]) for line in lines}
        assert told == {("1/1/7", "another AE title was called", "CT1")}
        assert len(lines) == 2


def test_one_address_cannot_take_all_places() -> None:
    """The peer's limit comes before that of all; a place is free again when its guest has gone."""
    admission = Admission(DicomConfig(max_associations=3), LimitsConfig(associations_per_peer=2))
    guests = [Guest() for _ in range(5)]
    other = Asking(called="SIFDETECT", calling="CT1", address="10.0.0.8")
    assert [admission.judge(ASKING, guest) for guest in guests[:3]] == [
        None,
        None,
        PEER_LIMIT.answer,
    ]
    assert admission.judge(other, guests[3]) is None
    assert admission.judge(other, guests[4]) == LIMIT.answer
    guests[0].here = False
    assert admission.judge(ASKING, guests[4]) is None
    assert admission.admitted == [guests[1], guests[3], guests[4]]


def test_who_asks_too_often_waits() -> None:
    """Sixty at once, then one a second; another address is not held up (PS3.8: congestion)."""
    now = [1000.0]
    limits = LimitsConfig(requests_per_minute=60, associations_per_peer=1000)
    dicom = DicomConfig(max_associations=1000)
    admission = Admission(dicom, limits, clock=lambda: now[0])
    told = [admission.judge(ASKING, Guest()) for _ in range(61)]
    assert told == [None] * 60 + [CONGESTED.answer]
    assert CONGESTED.answer == (2, 3, 1)
    assert (
        admission.judge(Asking(called="SIFDETECT", calling="A", address="1.1.1.1"), Guest()) is None
    )
    now[0] += 1.0
    assert [admission.judge(ASKING, Guest()) for _ in range(2)] == [None, CONGESTED.answer]


@given(
    st.integers(1, 100),
    st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200),
)
def test_a_pace_is_never_exceeded(per_minute: int, waits: list[float]) -> None:
    """In no stretch of time are more let in than a burst and what the minutes since allow."""
    pace, now, let_in = Pace(per_minute), 0.0, []
    for wait in waits:
        now += wait
        if pace.allows("a", now):
            let_in.append(now)
    for number, first in enumerate(let_in):
        for count, last in enumerate(let_in[number:], start=1):
            assert count <= per_minute + (last - first) * per_minute / 60 + 1e-6


def test_too_large_an_instance_is_refused_and_the_next_is_not(tmp_path: Path) -> None:
    """0xA700 once its end has come; nothing of it stays on the disk."""
    large, small = world.study(2)
    large.PixelData = bytes(1_500_000)
    with receiving(tmp_path, limits=LimitsConfig(object_mb=1)) as one:
        assert world.push([large, small], one.port) == [FULL, 0]
        (line,) = one.events("instance refused")
        assert line["reason"] == "The instance is larger than 1 MB"
        assert [path.name.endswith(".dcm") for path in one.stored()] == [True]
        assert not list(one.spool.folder.rglob("*.part"))


@pytest.mark.fault
def test_an_instance_without_an_end_is_cut_off(tmp_path: Path) -> None:
    """Who goes on after twice the limit is sent A-ABORT."""
    piece = dialogue.pdu(4, dialogue.pdv(bytes(100_000), 0))
    start = request() + dialogue.pdu(4, dialogue.pdv(dialogue.c_store("1.2.3.1.1"), 3))
    with receiving(tmp_path, limits=LimitsConfig(object_mb=1)) as one:
        heard = answers(one.port, start + piece * 40)
        assert [kind for kind, _ in heard] in ([dialogue.ACCEPTED, ABORTED], [dialogue.ACCEPTED])
        (line,) = one.events("association aborted")
        assert line["reason"] == "An instance without an end"
        assert one.stored() == []


@pytest.mark.fault
@pytest.mark.parametrize("control", [1, 0])
def test_a_message_without_an_end_is_cut_off_by_the_library_too(
    tmp_path: Path, control: int
) -> None:
    """Who asks for C-ECHO alone is pynetdicom's, which would gather fragments for ever."""
    verification = "1.2.840.10008.1.1"
    echo = dialogue.c_store("1.2", field=0x30, sop_class=verification)
    start = b"" if control else dialogue.pdu(4, dialogue.pdv(echo, 3))
    piece = dialogue.pdu(4, dialogue.pdv(bytes(100_000), control))
    with receiving(tmp_path) as one:
        with socket.create_connection(("127.0.0.1", one.port), timeout=30) as visitor:
            visitor.sendall(request(verification))
            assert visitor.recv(4096)[0] == dialogue.ACCEPTED
            with pytest.raises(ConnectionError):
                visitor.sendall(start + piece * 400)
        (line,) = one.events("connection dropped")
        assert line["reason"] == "message longer than the limit"


def test_a_declared_length_takes_no_memory() -> None:
    """Room is made for what has come: 1 MiB that is declared and not sent is not set aside."""
    peer, own = socket.socketpair()
    with peer, own:
        inlet = Inlet(own, limit=1 << 20)
        body = bytes(range(256)) * 4096
        peer.sendall(struct.pack(">BxL", 1, len(body)) + body[:100])
        with pytest.raises(TimeoutError):
            inlet.next(0.05)
        assert len(inlet._room) < 20_000
        rest = threading.Thread(target=peer.sendall, args=(body[100:] + RELEASE * 2,))
        rest.start()
        heard: list[tuple[Kind, bytes]] = []
        while len(heard) < 3 and (received := inlet.next(30)) is not None:
            heard.append((received[0], bytes(received[1])))
        assert heard == [(Kind.ASSOCIATE_REQUEST, body), *[(Kind.RELEASE_REQUEST, bytes(4))] * 2]
        rest.join()


def test_a_study_has_its_limit_too(tmp_path: Path) -> None:
    """By instances and by size; what is there already may come again, and other studies go on."""
    study = world.study(3)
    with receiving(tmp_path, limits=LimitsConfig(study_instances=2)) as one:
        assert world.push([*study, study[0]], one.port) == [0, 0, FULL, 0]
        assert world.push(world.study(1), one.port) == [0]
        assert one.events("instance refused")[0]["reason"] == (
            "The study has more than 2 instances"
        )
    large = world.study(3, PixelData=bytes(600_000))
    with receiving(tmp_path / "more", limits=LimitsConfig(study_mb=1)) as one:
        assert world.push(large, one.port) == [0, FULL, FULL]
    limits = LimitsConfig(study_mb=1)
    with receiving(tmp_path / "more", limits=limits) as one:  # counted anew from the disk
        assert world.push(large[1:], one.port) == [FULL, FULL]


def test_every_limit_is_named_where_it_refuses() -> None:
    """The words of the log are those of the settings."""
    limits = LimitsConfig(study_mb=1, study_instances=1)
    assert limits.study_excess(1, 1 << 20) == ""
    assert "1 MB" in limits.study_excess(1, (1 << 20) + 1)
    assert "1 instances" in limits.study_excess(2, 0)
