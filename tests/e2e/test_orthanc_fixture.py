"""The PACS under the end-to-end tests does itself what they rely on."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from tests.e2e.orthanc import Orthanc
from tests.ports import free_port, wait_until_it_listens

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def archive(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Orthanc, Path]]:
    """An Orthanc with one peer, dcmtk's storescp, and the folder that peer writes into."""
    folder = tmp_path_factory.mktemp("archive")
    port = free_port()
    receiver = subprocess.Popen([tool("storescp"), "--output-directory", folder, str(port)])
    try:
        wait_until_it_listens(port, receiver)
        with Orthanc(tool("Orthanc"), folder / "orthanc", {"peer": ("PEER", port)}) as orthanc:
            yield orthanc, folder
    finally:
        receiver.terminate()
        receiver.wait()


def test_an_uploaded_instance_is_found_and_read_back(archive: tuple[Orthanc, Path]) -> None:
    """QIDO-RS finds what was uploaded and WADO-RS returns it unchanged."""
    orthanc, _ = archive
    sent = _instance(patient_name="Sender^Upload")
    orthanc.upload(_part10(sent))
    found = orthanc.find_instances(sent.StudyInstanceUID)
    read = orthanc.retrieve(found[0])
    assert [item.SOPInstanceUID for item in found] == [sent.SOPInstanceUID]
    assert (read.PatientName, read.Rows) == (sent.PatientName, sent.Rows)


def test_a_query_by_attribute_leaves_the_others_out(archive: tuple[Orthanc, Path]) -> None:
    """A match on Modality gives only the instances of that modality."""
    orthanc, _ = archive
    sent = _instance(patient_name="Sender^Query")
    orthanc.upload(_part10(sent))
    assert len(orthanc.find_instances(sent.StudyInstanceUID, Modality="OT")) == 1
    assert orthanc.find_instances(sent.StudyInstanceUID, Modality="SR") == []


def test_a_study_is_pushed_to_a_peer(archive: tuple[Orthanc, Path]) -> None:
    """The C-STORE that Orthanc's REST starts arrives at the peer."""
    orthanc, folder = archive
    sent = _instance(patient_name="Sender^Push")
    orthanc.send_study(orthanc.upload(_part10(sent)), "peer")
    assert [path.name for path in folder.glob("*" + sent.SOPInstanceUID)] != []


def _instance(*, patient_name: str) -> pydicom.Dataset:
    """A Secondary Capture of 4 × 6 black pixels."""
    data = pydicom.Dataset()
    data.SOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = generate_uid()
    data.StudyInstanceUID = generate_uid()
    data.SeriesInstanceUID = generate_uid()
    data.PatientName = patient_name
    data.PatientID = data.SOPInstanceUID[-16:]
    data.Modality = "OT"
    data.Rows, data.Columns = 4, 6
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelRepresentation = 0
    data.PixelData = bytes(24)
    return data


def _part10(data: pydicom.Dataset) -> bytes:
    data.ensure_file_meta()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, data, enforce_file_format=True)
    return buffer.getvalue()
