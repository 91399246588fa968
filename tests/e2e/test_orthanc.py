"""The main job with a real PACS: a study goes in, its report comes back, over the network."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from sifdetect.anatomy import Side
from sifdetect.findings import Morphology, StudyFindings
from sifdetect.learn.scanned import write_study
from sifdetect.synth.case import Protocol, make_case
from sifdetect.volume import Floats
from tests.e2e.node import AE_TITLE, QUIET_SECONDS, Destination, Node
from tests.e2e.orthanc import Orthanc
from tests.fresh import fresh_bilateral
from tests.ports import free_port

pytestmark = pytest.mark.e2e

ANSWER_TIMEOUT_S = 300.0
PEER = "sifdetect"
CENTROID_MM = 5.0


@dataclass(frozen=True)
class Hospital:
    """A PACS and the node that it sends to."""

    pacs: Orthanc
    node: Node

    def submit(self, study: Sequence[bytes]) -> str:
        """Upload a study to the PACS, have it sent to the node; gives Orthanc's identifier."""
        study_id = {self.pacs.upload(instance) for instance in study}
        assert len(study_id) == 1
        self.pacs.send_study(next(iter(study_id)), PEER)
        return next(iter(study_id))

    def await_results(self, study_uid: str) -> list[pydicom.Dataset]:
        """Wait until the node has delivered its report on a study; read what the PACS then has."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while time.monotonic() < deadline:
            reports = self.node.study(study_uid)["reports"]
            if reports and reports[-1]["state"] == "sent":
                return [self.pacs.retrieve(item) for item in self.results(study_uid)]
            time.sleep(1)
        raise AssertionError(f"no answer in {ANSWER_TIMEOUT_S} s:\n{self.node.log()}")

    def results(self, study_uid: str) -> list[pydicom.Dataset]:
        """What the PACS lists of the study that is a report, a segmentation or a picture."""
        ours = (
            EnhancedSRStorage,
            Comprehensive3DSRStorage,
            SegmentationStorage,
            SecondaryCaptureImageStorage,
        )
        return [i for i in self.pacs.find_instances(study_uid) if i.SOPClassUID in ours]


@pytest.fixture(scope="module")
def hospital(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """Orthanc and the node, each knowing the other."""
    folder = tmp_path_factory.mktemp("hospital")
    port = free_port()
    with (
        Orthanc(tool("Orthanc"), folder / "orthanc", {PEER: (AE_TITLE, port)}) as pacs,
        Node(folder / "node", port, Destination(pacs.ae_title, pacs.dicom_port)) as node,
    ):
        yield Hospital(pacs, node)


@dataclass(frozen=True)
class Round:
    """One study that went through: what was sent, and what came back."""

    study_uid: str
    study_id: str
    sent: frozenset[str]
    results: tuple[pydicom.Dataset, ...]

    def of(self, sop_class: UID) -> pydicom.Dataset:
        """The one result of a SOP class."""
        found = self.all_of(sop_class)
        assert len(found) == 1, f"{len(found)} results are {sop_class.name}"
        return found[0]

    def all_of(self, sop_class: UID) -> list[pydicom.Dataset]:
        """Every result of a SOP class."""
        return [item for item in self.results if sop_class == item.SOPClassUID]


@pytest.fixture(scope="module")
def cut_ct(hospital: Hospital, real_scans: Path) -> Round:
    """The real CT whose sacrum is cut at about S3, sent once."""
    with zipfile.ZipFile(real_scans / "ct_partial_dicom" / "study.zip") as archive:
        files = [archive.read(name) for name in archive.namelist() if name.endswith(".dcm")]
    return _round(hospital, files)


@pytest.fixture(scope="module")
def broken_mr(
    hospital: Hospital, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Round, StudyFindings]:
    """A synthetic STIR + T1 study with a fracture in both alae, and its truth."""
    folder = tmp_path_factory.mktemp("broken_mr")
    case = make_case(
        fresh_bilateral(), morphology=Morphology.BILATERAL, protocol=Protocol(with_ct=False)
    )
    truth = write_study(case, folder)
    files = [path.read_bytes() for path in sorted(folder.rglob("*.dcm"))]
    return _round(hospital, files), truth


@pytest.mark.real
def test_a_cut_sacrum_is_reported_as_indeterminate(cut_ct: Round) -> None:
    """The text report says indeterminate, how much was covered, and which levels were not seen."""
    text = _text(cut_ct.of(EnhancedSRStorage))
    assert "Indeterminate" in text
    assert "only partly covered" in text
    assert "not seen" in text
    assert "S5" in text
    assert "No finding like a sacral insufficiency fracture" not in text


@pytest.mark.real
def test_the_report_of_a_real_ct_belongs_to_its_study(hospital: Hospital, cut_ct: Round) -> None:
    """Every result is of the same study, and every instance it refers to is in the PACS."""
    stored = {item.SOPInstanceUID for item in hospital.pacs.find_instances(cut_ct.study_uid)}
    for result in cut_ct.results:
        assert result.StudyInstanceUID == cut_ct.study_uid
        assert _referenced(result) <= stored
    assert _referenced(cut_ct.of(EnhancedSRStorage)) & cut_ct.sent


@pytest.mark.real
def test_the_summary_of_a_real_ct_comes_with_its_report(cut_ct: Round) -> None:
    """One text report and one picture, and no segmentation of what was not found."""
    kinds = sorted(item.SOPClassUID for item in cut_ct.results)
    assert kinds == sorted([EnhancedSRStorage, SecondaryCaptureImageStorage])


@pytest.mark.real
def test_a_second_push_makes_no_second_report(hospital: Hospital, cut_ct: Round) -> None:
    """The same study again, its own reports with it, leaves node and PACS as they were."""
    before = {item.SOPInstanceUID for item in hospital.pacs.find_instances(cut_ct.study_uid)}
    hospital.pacs.send_study(cut_ct.study_id, PEER)
    time.sleep(5 * QUIET_SECONDS)  # long enough for the node to take the study as complete again
    study = hospital.node.study(cut_ct.study_uid)
    after = {item.SOPInstanceUID for item in hospital.pacs.find_instances(cut_ct.study_uid)}
    assert (len(study["reports"]), study["state"]) == (1, "sent")
    assert study["returned"] == len(cut_ct.results)
    assert after == before


def test_a_bilateral_fracture_is_reported_on_both_sides(
    broken_mr: tuple[Round, StudyFindings],
) -> None:
    """The measurement report names a finding of each ala, on the patient's sides."""
    text = _text(broken_mr[0].of(Comprehensive3DSRStorage))
    assert "right ala" in text
    assert "left ala" in text


@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_the_segmentations_lie_on_the_fracture(
    broken_mr: tuple[Round, StudyFindings], side: Side
) -> None:
    """The centroid of each side's segments lies within 5 mm of the truth, in every series."""
    round_trip, truth = broken_mr
    true = next(one.centroid_lps_mm for one in truth.fractures if one.side is side)
    segmentations = round_trip.all_of(SegmentationStorage)
    found = [_segment_centroid_lps_mm(one, side) for one in segmentations]
    away = [float(np.linalg.norm(centroid - np.array(true))) for centroid in found]
    assert away
    assert max(away) < CENTROID_MM


def test_results_of_a_synthetic_study_refer_to_what_is_stored(
    hospital: Hospital, broken_mr: tuple[Round, StudyFindings]
) -> None:
    """Report and segmentations refer to images, and to each other, that the PACS holds."""
    round_trip, _ = broken_mr
    stored = {i.SOPInstanceUID for i in hospital.pacs.find_instances(round_trip.study_uid)}
    report = round_trip.of(Comprehensive3DSRStorage)
    segmentations = round_trip.all_of(SegmentationStorage)
    assert set().union(*map(_referenced, [report, *segmentations])) <= stored
    assert {one.SOPInstanceUID for one in segmentations} <= _referenced(report)


def _round(hospital: Hospital, files: Sequence[bytes]) -> Round:
    headers = [_header(file) for file in files]
    study_uid = headers[0].StudyInstanceUID
    study_id = hospital.submit(files)
    results = hospital.await_results(study_uid)
    sent = frozenset(header.SOPInstanceUID for header in headers)
    return Round(study_uid, study_id, sent, tuple(results))


def _header(part10: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(part10), stop_before_pixels=True)


def _text(report: pydicom.Dataset) -> str:
    """All text values and code meanings of a structured report."""
    words = [
        str(element.value)
        for element in report.iterall()
        if element.keyword in ("TextValue", "CodeMeaning")
    ]
    return "\n".join(words)


def _referenced(result: pydicom.Dataset) -> set[str]:
    """Every instance that a result refers to, at any depth."""
    return {
        str(element.value)
        for element in result.iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }


def _segment_centroid_lps_mm(result: pydicom.Dataset, side: Side) -> Floats:
    """(3,) mean position of the voxels of all segments whose label names the side."""
    segmentation = highdicom.seg.Segmentation.from_dataset(result)
    numbers = [
        int(segment.SegmentNumber)
        for segment in segmentation.SegmentSequence
        if side.value in segment.SegmentLabel
    ]
    volume = segmentation.get_volume(segment_numbers=numbers)
    index = np.argwhere(volume.array.reshape(*volume.spatial_shape, -1).any(axis=-1))
    return np.asarray(volume.map_indices_to_reference(index).mean(axis=0))
