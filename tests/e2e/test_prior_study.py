"""A study of today and one of last year that the archive holds: the report says what is new."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import Comprehensive3DSRStorage

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
PATIENT = {"PatientID": "P-77", "PatientName": "Prior^Paula", "PatientBirthDate": "19400101"}


@dataclass(frozen=True)
class Told:
    """What came of today's study.

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
    """One patient without a fracture in 2023, and with one in both alae in 2024."""
    made = {}
    for day, morphology in (("20230105", Morphology.NONE), ("20240105", Morphology.BILATERAL)):
        folder = tmp_path_factory.mktemp(f"study-{day}")
        protocol = Protocol(with_ct=False)
        write_study(make_case(fresh_bilateral(), morphology=morphology, protocol=protocol), folder)
        made[day] = [_dated(path, day) for path in sorted(folder.rglob("*.dcm"))]
    return made


@pytest.fixture(scope="module")
def told(
    studies: dict[str, list[pydicom.Dataset]],
    tool: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Told]:
    """The earlier study lies in Orthanc, today's is sent from there to the node."""
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
    before, now = studies["20230105"], studies["20240105"]
    with (
        Orthanc(tool("Orthanc"), folder / "orthanc", peers) as pacs,
        Node(folder / "node", port, Destination(pacs.ae_title, pacs.dicom_port), more=more) as node,
    ):
        for one in before:
            pacs.upload(_part10(one))
        (study_id,) = {pacs.upload(_part10(one)) for one in now}
        pacs.send_study(study_id, PEER)
        uid = str(now[0].StudyInstanceUID)
        _await(node, uid)
        (report,) = pacs.find_instances(uid, SOPClassUID=Comprehensive3DSRStorage)
        yield Told(
            findings=json.loads(_one(node, "reports/*/results/**/findings.json").read_text()),
            report=pacs.retrieve(report),
            fetched=frozenset(
                str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
                for path in node.spool.glob("studies/*/prior/images/*")
            ),
        )


def test_the_earlier_study_is_fetched_whole(
    told: Told, studies: dict[str, list[pydicom.Dataset]]
) -> None:
    """By C-MOVE, while today's still arrives, and it becomes no study of its own."""
    assert told.fetched == {str(one.SOPInstanceUID) for one in studies["20230105"]}


def test_what_was_not_there_last_year_is_new(told: Told) -> None:
    """Each fracture of today is named as new, laid over the sacrum of the earlier date."""
    compared = told.findings["comparison"]
    assert told.findings["presence"] == "present"
    assert compared["prior_date"] == "2023-01-05"
    assert compared["days"] == 365
    assert compared["registration"]["accepted"]
    changes = {(one["side"], one["change"]) for one in compared["changes"]}
    assert changes == {("left", "new"), ("right", "new")}


def test_the_archive_gets_a_report_that_says_so(told: Told) -> None:
    """In its text, with the date of the study that it was compared with."""
    words = [str(one.value) for one in told.report.iterall() if one.keyword == "TextValue"]
    said = " ".join(words)
    assert "2023-01-05" in said
    assert "new" in said.lower()


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


def _one(node: Node, pattern: str) -> Path:
    (found,) = node.spool.glob(f"studies/*/{pattern}")
    return found
