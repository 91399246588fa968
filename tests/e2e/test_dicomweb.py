"""Our results in a PACS: found by a query, and returned to the bit as they were sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom import AE

from tests.e2e.orthanc import Orthanc
from tests.result_objects import results_of, with_findings

pytestmark = pytest.mark.e2e

KINDS = {"seg": "SEG", "sr": "SR", "summary": "OT"}
"""Modality under which each object is found."""


@pytest.fixture(scope="module")
def pacs(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Orthanc]:
    """An empty PACS."""
    folder = tmp_path_factory.mktemp("dicomweb")
    with Orthanc(tool("Orthanc"), folder / "orthanc", {}) as orthanc:
        yield orthanc


@pytest.fixture(scope="module")
def sent(pacs: Orthanc) -> dict[str, Dataset]:
    """Results of a study with three findings, sent by C-STORE as the node sends them."""
    results = results_of(with_findings(3))
    client = AE(ae_title="SENDER")
    for result in results.values():
        client.add_requested_context(result.SOPClassUID, result.file_meta.TransferSyntaxUID)
    association = client.associate("127.0.0.1", pacs.dicom_port, ae_title=pacs.ae_title)
    assert association.is_established
    try:
        states = [association.send_c_store(result).Status for result in results.values()]
    finally:
        association.release()
    assert set(states) == {0x0000}
    return results


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_found_by_its_modality(
    pacs: Orthanc, sent: dict[str, Dataset], kind: str
) -> None:
    """QIDO-RS lists it in its study, with its patient, and no other object of that modality."""
    result = sent[kind]
    (found,) = pacs.find_instances(result.StudyInstanceUID, Modality=KINDS[kind])
    assert found.SOPInstanceUID == result.SOPInstanceUID
    assert found.SeriesInstanceUID == result.SeriesInstanceUID
    assert found.PatientName == result.PatientName


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_over_the_web_is_what_was_stored(
    pacs: Orthanc, sent: dict[str, Dataset], kind: str
) -> None:
    """Every byte of the data set; the file meta header is the archive's own (PS3.10 7.1)."""
    assert _data_set(pacs.retrieve_bytes(sent[kind])) == _data_set(_file(sent[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_archive_writes_a_file_header_of_its_own(
    pacs: Orthanc, sent: dict[str, Dataset], kind: str
) -> None:
    """It names the same object and transfer syntax, and the archive as its writer (PS3.10 7.1)."""
    ours, theirs = sent[kind].file_meta, pacs.retrieve(sent[kind]).file_meta
    for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"):
        assert ours[keyword].value == theirs[keyword].value
    assert ours.ImplementationClassUID != theirs.ImplementationClassUID


def _file(result: Dataset) -> bytes:
    stream = BytesIO()
    result.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _data_set(part10: bytes) -> bytes:
    """What follows the file meta information, whose length its first element tells (PS3.10 7.1)."""
    length = int.from_bytes(part10[140:144], "little")
    return part10[144 + length :]
