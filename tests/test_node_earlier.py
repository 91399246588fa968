"""Which earlier study is compared with, and what an archive's multipart answer holds."""

from __future__ import annotations

from datetime import date
from io import BytesIO

import pytest
from pydicom import Dataset

from dicom_node.earlier import Sought, candidates, own_report, query_of, worth_fetching
from dicom_node.retrieve import parts
from sifdetect.dicom.identity import Identity
from sifdetect.errors import NetworkError

NOW = Sought(
    study_instance_uid="1.2.9",
    patient_id="p-1",
    identity=Identity(patient_id="P-1", birth_date="19400101", day=date(2024, 1, 5)),
    modality="CT",
)


def listed(uid: str, day: str, words: str = "", *, modality: str = "CT") -> Dataset:
    """A study as an archive lists it."""
    made = Dataset()
    made.StudyInstanceUID, made.StudyDate, made.StudyDescription = uid, day, words
    made.PatientID, made.PatientBirthDate = "P-1", "19400101"
    made.ModalitiesInStudy = [modality]
    return made


def series(modality: str, count: str, words: str = "") -> Dataset:
    """A series as an archive lists it."""
    made = Dataset()
    made.Modality, made.SeriesDescription = modality, words
    made.NumberOfSeriesRelatedInstances = count
    return made


def test_the_best_earlier_study_comes_first() -> None:
    """Named after the pelvis before nameless, then the same modality, then the newest."""
    studies = [
        listed("1", "20230101"),
        listed("2", "20200101", "Becken"),
        listed("3", "20230601", "MRI pelvis", modality="MR"),
        listed("4", "20220101", "CT Pelvis"),
    ]
    found = candidates(NOW, studies, max_years=5)
    assert [one.StudyInstanceUID for one in found] == ["4", "2", "3", "1"]


def test_what_is_no_earlier_study_of_the_patient_is_left_out() -> None:
    """Itself, a later one, one too old, another birth date, another region, another modality."""
    other = listed("5", "20230101", "Becken")
    other.PatientBirthDate = "19500101"
    studies = [
        listed("1.2.9", "20230101"),
        listed("1", "20240201"),
        listed("2", "20150101"),
        listed("3", "20230101", "CT Thorax"),
        listed("4", "20230101", modality="US"),
        other,
    ]
    assert candidates(NOW, studies, max_years=5) == []


def test_nobody_is_asked_about_a_patient_without_an_id() -> None:
    """The ID is asked for as the study spells it."""
    assert query_of(NOW) == {"PatientID": "p-1", "StudyDate": "-20240105"}
    nameless = Sought(study_instance_uid="1", patient_id="", identity=Identity(), modality="CT")
    assert query_of(nameless) is None


def test_series_are_chosen_within_the_limit() -> None:
    """Of the same modality first; no localizers, no reports; our own is known by its name."""
    offered = [
        series("CT", "2", "topogram"),
        series("MR", "30", "STIR"),
        series("CT", "300", "Becken"),
        series("SR", "1", "SIF-like findings, report (research)"),
    ]
    chosen = worth_fetching(offered, modality="CT", most=320)
    assert [one.SeriesDescription for one in chosen] == ["Becken"]
    assert len(worth_fetching(offered, modality="CT", most=330)) == 2
    assert worth_fetching([series("CT", "")], modality="CT", most=9) != []
    assert own_report(offered) is offered[3]


def test_a_multipart_answer_falls_into_its_parts() -> None:
    """Whatever their bytes; an answer that breaks off, or is no multipart answer, is an error."""
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\nA\r\n-B\r\n--b\r\n\r\n\r\n--b--\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    assert list(parts(BytesIO(body), kind, most_bytes=9)) == [b"A\r\n-B", b""]
    with pytest.raises(NetworkError, match="ends within an image"):
        list(parts(BytesIO(body[:-9]), kind, most_bytes=9))
    with pytest.raises(NetworkError, match="no multipart answer"):
        list(parts(BytesIO(body), "application/json", most_bytes=9))
    endless = BytesIO(body[:-9] + bytes(4 << 20))
    with pytest.raises(NetworkError, match="without an end"):
        list(parts(endless, kind, most_bytes=1 << 20))
    assert endless.read(1)  # no more of it was taken in than the limit allows
