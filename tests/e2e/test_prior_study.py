"""Studies of three years, earlier ones in the archive: the report says what is new or unchanged."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import Comprehensive3DSRStorage

from dicom_node.intake import name_of
from sifdetect.findings import Morphology
from sifdetect.learn.scanned import write_study
from sifdetect.synth.case import Protocol, make_case
from tests.e2e.node import AE_TITLE, Destination, Node
from tests.e2e.orthanc import Orthanc
from tests.fresh import fresh_bilateral
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ANSWER_TIMEOUT_S = 500.0
PEER, PRIORS = "sifdetect", ("SIFPRIORS", "priors")
YEARS = ("20230105", "20240105", "20250105")
MOVED_MM = (9.0, -6.0, 14.0)
PATIENT = {"PatientID": "P-77", "PatientName": "Prior^Paula", "PatientBirthDate": "19400101"}


@dataclass(frozen=True)
class Told:
    """What came of a study.

    Attributes:
        findings: the findings JSON beside the objects in the spool.
        report: the SR that the archive got.
        fetched: SOP Instance UIDs of the images that the node has of the earlier study.
    """

    findings: dict[str, Any]
    report: pydicom.Dataset
    fetched: frozenset[str]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[pydicom.Dataset]]:
    """One patient without a fracture in 2023, with one in both alae in 2024, and still in 2025."""
    files = {}
    for morphology in (Morphology.NONE, Morphology.BILATERAL):
        folder = tmp_path_factory.mktemp(morphology.name)
        protocol = Protocol(with_ct=False)
        write_study(make_case(fresh_bilateral(), morphology=morphology, protocol=protocol), folder)
        files[morphology] = sorted(folder.rglob("*.dcm"))
    first, second, third = YEARS
    return {
        first: [_dated(path, first) for path in files[Morphology.NONE]],
        second: [_dated(path, second) for path in files[Morphology.BILATERAL]],
        third: [_moved(_dated(path, third)) for path in files[Morphology.BILATERAL]],
    }


@pytest.fixture(scope="module")
def told(
    studies: dict[str, list[pydicom.Dataset]],
    tool: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Told]]:
    """The first study lies in Orthanc; the next two are sent from there to the node, in turn."""
    folder, port, move_port = tmp_path_factory.mktemp("hospital"), free_port(), free_port()
    peers = {PEER: (AE_TITLE, port), PRIORS[1]: (PRIORS[0], move_port)}
    more = f"""
[archive]
destination = "pacs"
retrieve = "c-move"
move_ae_title = "{PRIORS[0]}"
move_port = {move_port}
[priors]
enabled = true
"""
    with (
        Orthanc(tool("Orthanc"), folder / "orthanc", peers) as pacs,
        Node(folder / "node", port, Destination(pacs.ae_title, pacs.dicom_port), more=more) as node,
    ):
        for one in studies[YEARS[0]]:
            pacs.upload(_part10(one))
        yield {day: _sent(pacs, node, studies[day]) for day in YEARS[1:]}


def _sent(pacs: Orthanc, node: Node, study: list[pydicom.Dataset]) -> Told:
    (study_id,) = {pacs.upload(_part10(one)) for one in study}
    pacs.send_study(study_id, PEER)
    uid = str(study[0].StudyInstanceUID)
    _await(node, uid)
    (report,) = pacs.find_instances(uid, SOPClassUID=Comprehensive3DSRStorage)
    folder = node.spool / "studies" / name_of(uid)
    (findings,) = folder.glob("reports/*/results/**/findings.json")
    return Told(
        findings=json.loads(findings.read_text()),
        report=pacs.retrieve(report),
        fetched=frozenset(
            str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
            for path in folder.glob("prior/images/*")
        ),
    )


def test_the_earlier_study_is_fetched_whole(
    told: dict[str, Told], studies: dict[str, list[pydicom.Dataset]]
) -> None:
    """By C-MOVE, while the next still arrives, and it becomes no study of its own: the newest."""
    for before, day in pairwise(YEARS):
        assert told[day].fetched == {str(one.SOPInstanceUID) for one in studies[before]}


def test_what_was_not_there_last_year_is_new(told: dict[str, Told]) -> None:
    """Each fracture of today is named as new, laid over the sacrum of the earlier date."""
    findings = told["20240105"].findings
    compared = findings["comparison"]
    assert findings["presence"] == "present"
    assert compared["prior_date"] == "2023-01-05"
    assert compared["days"] == 365
    assert compared["registration"]["accepted"]
    changes = {(one["side"], one["change"]) for one in compared["changes"]}
    assert changes == {("left", "new"), ("right", "new")}


def test_what_is_as_it_was_is_unchanged(told: dict[str, Told]) -> None:
    """The fractures of a year ago, on a table that has moved, are neither new nor gone."""
    findings = told["20250105"].findings
    compared = findings["comparison"]
    assert findings["presence"] == "present"
    assert (compared["prior_date"], compared["days"]) == ("2024-01-05", 366)
    assert compared["registration"]["accepted"]
    moved = compared["registration"]["shift_mm"]
    assert moved == pytest.approx(math.hypot(*MOVED_MM), abs=2.0)
    changes = {(one["side"], one["change"]) for one in compared["changes"]}
    assert changes == {("left", "unchanged"), ("right", "unchanged")}


@pytest.mark.parametrize(
    ("day", "before", "word"),
    [("20240105", "2023-01-05", "new"), ("20250105", "2024-01-05", "unchanged")],
)
def test_the_archive_gets_a_report_that_says_so(
    told: dict[str, Told], day: str, before: str, word: str
) -> None:
    """In its text, with the date of the study that it was compared with."""
    report = told[day].report
    words = [str(one.value) for one in report.iterall() if one.keyword == "TextValue"]
    said = " ".join(words)
    assert before in said
    assert word in said.lower()


def _dated(path: Path, day: str) -> pydicom.Dataset:
    """An instance as it was made on that day: a study of its own, in a space of its own."""
    made = pydicom.dcmread(path)
    for keyword in ("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate"):
        setattr(made, keyword, day)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(made, keyword, f"{made[keyword].value[:50].rstrip('.')}.{day}")
    made.FrameOfReferenceUID = f"{made.FrameOfReferenceUID[:50].rstrip('.')}.{day}"
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.StudyDescription = "MR Becken"
    for keyword, value in PATIENT.items():
        setattr(made, keyword, value)
    return made


def _moved(made: pydicom.Dataset) -> pydicom.Dataset:
    """An instance as it is with the table moved."""
    places = zip(made.ImagePositionPatient, MOVED_MM, strict=True)
    made.ImagePositionPatient = [round(float(at) + by, 4) for at, by in places]
    return made


def _part10(dataset: pydicom.Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _await(node: Node, uid: str) -> None:
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < deadline:
        reports = node.study(uid)["reports"]
        if reports and reports[-1]["state"] == "sent":
            return
        time.sleep(1)
    raise AssertionError(f"no answer in {ANSWER_TIMEOUT_S} s:\n{node.log()}")
