"""Every result lies in the study of its source: what it copies, cites, declares, never invents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread

from sifdetect.anatomy import Modality
from sifdetect.dicom.codes import SCHEME, SCHEME_UID
from sifdetect.dicom.results import KINDS, encode_results
from sifdetect.dicom.write import SeriesHeader
from sifdetect.findings import Presence
from sifdetect.folder import is_result
from sifdetect.study import Analysis
from tests.result_cases import PATIENT, Case, bilateral, without_finding

COPIED = {
    "PatientID": "P-17",
    "PatientBirthDate": "19440203",
    "PatientSex": "F",
    "StudyDate": "20240506",
    "StudyTime": "082233",
    "AccessionNumber": "A-99",
}
NAMES = {
    "ISO_IR 100": "Müller-Lüdenscheidt^Änne",
    "ISO_IR 126": "Παπαδοπούλου^Ελένη",
    "ISO_IR 192": "Yamada^Hanako=山田^花子=やまだ^はなこ",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ISO_IR 144": "Иванова^Ольга",
}


@cache
def _objects(about: SeriesHeader = PATIENT, modality: Modality = Modality.CT) -> dict[str, Dataset]:
    return _made(bilateral(modality, about=about))


def _made(case: Case) -> dict[str, Dataset]:
    made = encode_results(Analysis(case.findings, case.labels), case.study, set(KINDS) - {"text"})
    return {name: _stored(dataset) for name, dataset in made.items()}


def _stored(dataset: Dataset) -> Dataset:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    stream.seek(0)
    return dcmread(stream)


def _bytes(case: Case) -> list[bytes]:
    streams = []
    for dataset in encode_results(
        Analysis(case.findings, case.labels), case.study, set(KINDS) - {"text"}
    ).values():
        streams.append(BytesIO())
        dataset.save_as(streams[-1], enforce_file_format=True)
    return [stream.getvalue() for stream in streams]


def test_there_are_seven_kinds_of_result() -> None:
    """A study with findings has every object that this file looks at."""
    assert sorted(_objects()) == [
        "anatomy.dcm", "gsps.dcm", "report.pdf.dcm", "seg.dcm", "sr-data.dcm", "sr.dcm",
        "summary.dcm",
    ]  # fmt: skip
    with_files = {*_objects(), "findings.json", "labels.json", "fhir.json", "series-1"}
    assert all(is_result(name) for name in with_files)


def test_patient_and_study_are_copied() -> None:
    """As the source spells them, in every object."""
    for name, dataset in _objects().items():
        stated = {keyword: str(dataset.get(keyword)) for keyword in COPIED}
        assert stated == COPIED, name
        assert dataset.StudyInstanceUID == PATIENT.study_instance_uid, name


def test_what_the_source_leaves_out_is_not_invented() -> None:
    """Nobody gets an identity, a date of birth, a sex or an accession number from us."""
    case = bilateral(Modality.CT)
    left_out = ("PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "PatientName")
    for dataset in case.study.series[0].datasets:
        for keyword in left_out:
            if keyword in dataset:
                delattr(dataset, keyword)
    for name, dataset in _made(case).items():
        assert {keyword: str(dataset.get(keyword) or "") for keyword in left_out} == dict.fromkeys(
            left_out, ""
        ), name


@pytest.mark.slow
@pytest.mark.parametrize(("character_set", "patient_name"), NAMES.items())
def test_names_keep_their_script(character_set: str, patient_name: str) -> None:
    """Stored and read again, the name is the source's, letter by letter."""
    sets = character_set.split("\\") if "\\" in character_set else character_set
    about = replace(PATIENT, character_set="ISO_IR 192", patient_name=patient_name)
    case = bilateral(Modality.CT, about=about)
    for dataset in case.study.series[0].datasets:
        dataset.SpecificCharacterSet = sets
        dataset.StudyDescription = "Pelvis"
    for name, dataset in _made(case).items():
        assert str(dataset.PatientName) == patient_name, name


def test_each_bundle_contributed_with_its_checksum() -> None:
    """One Contributing Equipment item a bundle; its serial number is the SHA-256 of its weights."""
    bundles = bilateral().findings.algorithm.bundles
    for name, dataset in _objects().items():
        items = dataset.ContributingEquipmentSequence
        told = {item.get("ManufacturerModelName"): item.get("DeviceSerialNumber") for item in items}
        assert {key: told.get(key) for key in bundles} == bundles, name
        assert len({item.DeviceUID for item in items if "DeviceUID" in item}) == len(bundles)


def test_uids_and_bytes_depend_on_the_input_alone() -> None:
    """Made twice they are equal; other images or other weights give other instances."""
    assert _bytes(bilateral()) == _bytes(bilateral())
    case = bilateral(Modality.CT)
    newer = replace(case.findings.algorithm, bundles={"sacrum_region": "ef" * 32})
    other = _made(replace(case, findings=replace(case.findings, algorithm=newer)))
    for name, dataset in _objects().items():
        assert dataset.SOPInstanceUID != other[name].SOPInstanceUID, name
        assert dataset.SeriesInstanceUID != other[name].SeriesInstanceUID, name
    assert len({one.SeriesInstanceUID for one in _objects().values()}) == len(_objects())


def test_private_codes_are_declared() -> None:
    """Whoever meets our scheme finds its UID in the same object."""
    for name, dataset in _objects().items():
        used = {e.value for e in dataset.iterall() if e.keyword == "CodingSchemeDesignator"}
        declared = {
            item.CodingSchemeDesignator: item.CodingSchemeUID
            for item in dataset.get("CodingSchemeIdentificationSequence", [])
        }
        assert (SCHEME in used) == (SCHEME in declared), name
        if SCHEME in used:
            assert declared[SCHEME] == SCHEME_UID
    assert "CodingSchemeIdentificationSequence" in _objects()["sr.dcm"]


@pytest.mark.parametrize("name", ["sr.dcm", "sr-data.dcm"])
def test_all_that_a_report_cites_is_in_its_evidence(name: str) -> None:
    """Images, segmentations: every reference in the tree is listed, and in its study and series."""
    report = _objects()[name]
    cited = {
        str(reference.ReferencedSOPInstanceUID)
        for node in _nodes(report)
        for reference in node.get("ReferencedSOPSequence", [])
    }
    listed = {
        str(reference.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert cited
    assert cited <= listed
    assert str(_objects()["seg.dcm"].SOPInstanceUID) in listed


def test_a_negative_study_outlines_no_finding() -> None:
    """Text, picture and document; the bones, where they are asked for."""
    made = _made(without_finding(Presence.ABSENT))
    assert sorted(made) == ["anatomy.dcm", "report.pdf.dcm", "sr.dcm", "summary.dcm"]


def _nodes(node: Dataset) -> Iterator[Dataset]:
    for child in node.get("ContentSequence") or []:
        yield child
        yield from _nodes(child)
