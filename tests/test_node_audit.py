"""The audit log: who sent what, what was returned where, who was turned away; and its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.audit import SUCCESS, AuditConfig, Party, Reporter, Transfer
from dicom_node.auditlog import FILE, AuditFile, Auditor
from dicom_node.config import Destination
from dicom_node.intake import Header
from dicom_node.returned import record_answers
from tests import dialogue
from tests import node_world as world
from tests.audit_schema import complaints
from tests.ports import free_port

CT = "1.2.840.10008.5.1.4.1.1.2"
NODE, SCANNER = Party(title="SIFDETECT", place="node.example"), Party(title="CT1", place="10.0.0.7")
ANY = st.text(max_size=30)


def lines(folder: Path) -> list[str]:
    """The messages of a node, oldest first; each is one line, and none is against the schema."""
    told = [
        line for file in sorted(folder.glob("audit*.xml")) for line in file.read_text().splitlines()
    ]
    assert {line: complaints(line) for line in told if complaints(line)} == {}
    return told


def summary(line: str) -> tuple[str, ...]:
    """Event, action, outcome, and who is named as source and as destination."""
    root = fromstring(line)
    event = root[0]
    titles = tuple(str(one.get("AlternativeUserID")) for one in root.iter("ActiveParticipant"))
    action, outcome = event.attrib["EventActionCode"], event.attrib["EventOutcomeIndicator"]
    return (event[0].attrib["originalText"], action, outcome, *titles)


def counts(line: str) -> dict[str, int]:
    """Instances by SOP class."""
    found = fromstring(line).iter("SOPClass")
    return {one.attrib["UID"]: int(one.attrib["NumberOfInstances"]) for one in found}


class House:
    """An auditor with a clock that is told the time."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self.folder, self.now = data / "audit", 1_000_000.0
        config = AuditConfig(**settings)
        self.auditor = Auditor(config, data, title="SIFDETECT", clock=lambda: self.now)

    def receive(self, number: int, *, is_new: bool = True, sender: Party = SCANNER) -> None:
        """One instance of the study 1.2.3 comes."""
        self.auditor.received(sender, header(number), is_new=is_new)


def header(number: int) -> Header:
    """The header of a CT slice."""
    return Header(
        sop_class_uid=CT,
        sop_instance_uid=f"1.2.3.1.{number}",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.1",
        patient_id="MRN-7714",
    )


@given(ANY, ANY, ANY, ANY, st.floats(0, 4e9))
def test_whatever_a_peer_says_the_message_keeps_to_the_schema(
    title: str, place: str, patient: str, reason: str, at: float
) -> None:
    """Control characters, quotes, angle brackets, no title at all: one line of XML."""
    peer = Party(title=title.strip(), place=place.strip())
    reporter = Reporter(node=NODE, site="house")
    transfer = Transfer(
        source=peer,
        destination=NODE,
        study_instance_uid="1.2.3",
        patient_id=patient.strip(),
        classes={CT: 3},
    )
    for line in (
        reporter.activity(at, starts=True),
        reporter.begun(at, transfer),
        reporter.transferred(at, transfer, action="C", outcome=SUCCESS, reason=reason),
        reporter.alert(at, peer, reason),
    ):
        assert len(line.splitlines()) == 1
        assert complaints(line) == []


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda line: line.replace(' UserIsRequestor="false"', ""), "lacks UserIsRequestor"),
        (lambda line: line.replace("csd-code", "code"), "lacks csd-code"),
        (lambda line: line.replace('Indicator="0"', 'Indicator="1"'), "EventOutcomeIndicator"),
        (lambda line: line.replace("+00:00", ""), "EventDateTime"),
        (lambda line: line.replace("110120", "110122"), "the type is another"),
        (
            lambda line: line.replace("AuditSourceIdentification", "AuditSource"),
            "not in the schema",
        ),
    ],
)
def test_the_judge_sees_what_is_wrong(break_it: Any, told: str) -> None:
    """Each kind of fault is named."""
    good = Reporter(node=NODE).activity(0.0, starts=True)
    assert complaints(good) == []
    assert told in "; ".join(complaints(break_it(good)))


def test_a_study_is_told_when_it_begins_and_when_it_is_quiet(tmp_path: Path) -> None:
    """One message before the first answer, one for what was kept and one for what was known."""
    house = House(tmp_path)
    house.receive(1)
    (begun,) = lines(house.folder)
    assert summary(begun) == (
        *("Begin Transferring DICOM Instances", "E", "0"),
        *("AETITLES=CT1", "AETITLES=SIFDETECT"),
    )
    house.receive(2)
    house.receive(2, is_new=False)
    house.auditor.refused(SCANNER, header(3), "0xA700 The study is larger than 1 MB")
    house.now += 5
    house.auditor.settle()
    assert len(lines(house.folder)) == 1
    house.now += 6
    house.auditor.settle()
    _, kept, known, refused = lines(house.folder)
    assert (summary(kept)[:3], counts(kept)) == (("DICOM Instances Transferred", "C", "0"), {CT: 2})
    assert (summary(known)[:3], counts(known)) == (
        ("DICOM Instances Transferred", "R", "0"),
        {CT: 1},
    )
    assert summary(refused)[:3] == ("DICOM Instances Transferred", "R", "4")
    assert "0xA700 The study is larger than 1 MB" in refused
    assert 'ParticipantObjectID="MRN-7714"' in kept


def test_what_came_is_told_before_the_node_ends(tmp_path: Path) -> None:
    """Also of a study that is not quiet yet."""
    house = House(tmp_path)
    house.auditor.activity(starts=True)
    house.receive(1)
    house.auditor.activity(starts=False)
    told = [summary(line)[0] for line in lines(house.folder)]
    assert told == [
        "Application Activity",
        "Begin Transferring DICOM Instances",
        "DICOM Instances Transferred",
        "Application Activity",
    ]


def test_a_flood_of_refusals_is_counted(tmp_path: Path) -> None:
    """A thousand of one kind are two lines; thousands of kinds fill no disk either."""
    house = House(tmp_path)
    for _ in range(1000):
        house.auditor.alert(SCANNER, "another AE title was called")
    house.now += 61
    house.auditor.settle()
    first, second = lines(house.folder)
    assert summary(first)[:3] == ("Security Alert", "E", "8")
    assert summary(second)[3:] == ("AETITLES=SIFDETECT", "AETITLES=CT1")
    for number in range(1200):
        house.auditor.alert(Party(title=f"A{number}", place="10.0.0.8"), "not listed")
    assert len(lines(house.folder)) == 2 + 1000 + 1


def test_results_are_told_by_what_became_of_them(tmp_path: Path) -> None:
    """Accepted and refused objects have messages of their own (A.5.2); no answer has none."""
    house = House(tmp_path)
    (made,) = world.study(1)
    results = sorted(world.files([made], tmp_path / "results").iterdir())
    answers = [
        {"sop_class_uid": CT, "accepted": True, "status": "0x0000", "reason": ""},
        {"sop_class_uid": CT, "accepted": True, "status": "0xB000", "reason": "coercion"},
        {
            "sop_class_uid": "1.2.3",
            "accepted": False,
            "status": "0x0122",
            "reason": "no such class",
        },
    ]
    peer = Destination(host="10.0.0.5", ae_title="PACS1")
    record_answers(house.auditor, peer, results, answers)
    record_answers(house.auditor, peer, results, [])
    accepted, refused = lines(house.folder)
    assert summary(accepted)[2:] == ("0", "AETITLES=SIFDETECT", "AETITLES=PACS1")
    assert (counts(accepted), counts(refused)) == ({CT: 2}, {"1.2.3": 1})
    assert "0x0122 no such class" in refused
    assert 'ParticipantObjectID="SECRET-42"' in accepted
    assert str(made.StudyInstanceUID) in accepted


def test_a_full_file_is_closed_and_nothing_is_lost(tmp_path: Path) -> None:
    """Two writers at once, as two processes are; each file ends with a whole line."""
    first, second = (AuditFile(tmp_path / "audit", 2000) for _ in range(2))
    for number in range(100):
        (first if number % 2 else second).append(f"<line n='{number}'>{'x' * 80}</line>")
    files = list((tmp_path / "audit").iterdir())
    told = [line for file in files for line in file.read_text().splitlines()]
    assert sorted(int(line.split("'")[1]) for line in told) == list(range(100))
    assert len(files) > 4
    assert max(file.stat().st_size for file in files) < 2200
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


def test_a_lost_record_is_told_in_the_log_and_stops_nothing(tmp_path: Path) -> None:
    """The audit folder cannot be made: reception goes on."""
    (tmp_path / "file").touch()
    house = House(tmp_path, folder=str(tmp_path / "file" / "audit"))
    house.receive(1)
    house.auditor.settle(everything=True)
    off = House(tmp_path / "off", enabled=False)
    off.receive(1)
    assert not off.folder.exists()


@pytest.mark.fault
def test_a_node_writes_down_what_it_does(tmp_path: Path) -> None:
    """Start, a study in, a caller turned away, results out, stop; in the order of events."""
    study, port = world.study(2), free_port()
    uid = str(study[0].StudyInstanceUID)
    with (
        world.pacs(tmp_path / "pacs", port),
        world.node(
            tmp_path, destinations={"PACS1": port}, DICOM_ALLOWED_CALLERS="SCANNER@127.0.0.0/8"
        ) as node,
    ):
        world.push(study, node.port)
        dialogue.answers(node.port, dialogue.request(calling="STRANGER"))
        node.wait_for(uid, "sent")
        assert node.stop() == 0
        told = [summary(line) for line in lines(node.folder / "audit")]
    assert [one[0] for one in (told[0], told[-1])] == ["Application Activity"] * 2
    assert (
        "DICOM Instances Transferred",
        "C",
        "0",
        "AETITLES=SCANNER",
        "AETITLES=SIFDETECT",
    ) in told
    assert (
        "DICOM Instances Transferred",
        "R",
        "0",
        "AETITLES=SIFDETECT",
        "AETITLES=ANY-SCP",
    ) in told
    assert ("Security Alert", "E", "8", "AETITLES=SIFDETECT", "AETITLES=STRANGER") in told
    assert FILE in os.listdir(node.folder / "audit")
