"""What becomes of studies that fail, come again, or hold no image: stages over a spool alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from dicom_node.analysis import Outcome
from dicom_node.config import Config, StorageConfig
from dicom_node.intake import Header, Kind
from dicom_node.reports import Marker, Report
from dicom_node.spool import Spool
from dicom_node.stages import Stages
from tests import node_world as world
from tests.node_runner import small_analysis

HOUR = 3600.0


def broken(images: Sequence[Path], out: Path) -> Outcome:
    """An analysis that ends with an error of its own."""
    return Outcome(
        state="failed", reason="The analysis failed with ValueError: /secret", exit_code=1
    )


def mended(images: Sequence[Path], out: Path) -> Outcome:
    """The small analysis."""
    small_analysis(images, out)
    return Outcome(state="reported", presence="absent")


class House:
    """Stages over a spool in ``folder``, with a clock that is told the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = time.time()
        self.config = Config(storage=StorageConfig(folder=folder / "data", keep_hours=1))
        self.spool = Spool(self.config.storage.folder)
        self.spool.prepare()
        self.analyse: Any = broken
        self.stages = Stages(
            self.config,
            spool=self.spool,
            analyse=self._analyse,
            now=lambda: self.now,
        )

    def _analyse(self, images: Sequence[Path], out: Path) -> Outcome:
        outcome = self.analyse(images, out)
        assert isinstance(outcome, Outcome)
        return outcome

    def store(self, dataset: Dataset, kind: Kind = Kind.IMAGE) -> None:
        """Keep one instance as the receiver would."""
        path = world.files([dataset], self.folder / "one") / "0.dcm"
        header = Header(
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            study_instance_uid=str(dataset.StudyInstanceUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
        )
        self.spool.store(header, kind, (path.read_bytes(),))

    def run(self, uid: str) -> Report:
        """Close, analyse and finish, with no destination."""
        closed = self.stages.close(uid)
        if self.stages.analyse(uid, closed.manifest_hash):
            self.stages.finish(uid, closed.manifest_hash)
        return self.stages.report(uid, closed.manifest_hash)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Stages whose analysis is broken until it is mended."""
    return House(tmp_path)


def test_a_failed_analysis_is_told_in_a_text_report(house: House) -> None:
    """The report names the patient and the failure, and nothing of the machine it failed on."""
    (image,) = world.study(1)
    house.store(image)
    report = house.run(str(image.StudyInstanceUID))
    (path,) = report.objects
    sent = dcmread(path)
    told = [element.value for element in sent.iterall() if element.keyword == "TextValue"]
    assert (sent.StudyInstanceUID, sent.PatientID) == (image.StudyInstanceUID, "SECRET-42")
    assert "The study could not be assessed." in told
    assert "The analysis failed with ValueError" in told
    assert "/secret" not in "".join(told)
    assert report.marker is Marker.FAILED
    assert "ValueError: /secret" in report.closing()["reason"]


def test_the_same_failure_makes_the_same_report(house: House) -> None:
    """What is sent twice is a duplicate to the archive."""
    (image,) = world.study(1)
    house.store(image)
    uid = str(image.StudyInstanceUID)
    first = house.run(uid).objects[0].read_bytes()
    assert house.run(uid).objects[0].read_bytes() == first


def test_an_image_without_a_readable_header_is_passed_over(house: House) -> None:
    """The next image says whose report it is; where none can, the report just fails."""
    first, second = world.study(2)
    for image in (first, second):
        house.store(image)
    uid = str(first.StudyInstanceUID)
    images = house.stages.report(uid, house.stages.close(uid).manifest_hash).images
    images[0].write_bytes(b"no DICOM")
    assert len(house.run(uid).objects) == 1
    images[1].write_bytes(b"no DICOM")
    report = house.run(uid)
    assert (report.objects, report.marker) == ([], Marker.FAILED)


def test_a_failed_study_that_comes_again_is_analysed_again(house: House) -> None:
    """The same images reopen the failed report; a report that was sent stays as it is."""
    (image,) = world.study(1)
    house.store(image)
    uid = str(image.StudyInstanceUID)
    assert house.run(uid).marker is Marker.FAILED
    house.analyse = mended
    closed = house.stages.close(uid)
    assert (closed.due, closed.fresh) == (True, True)
    report = house.run(uid)
    assert (report.marker, len(report.objects), report.sequence) == (Marker.SENT, 3, 1)
    assert not house.stages.close(uid).due


def test_later_images_of_a_failed_study_are_reported_and_all_is_cleaned(house: House) -> None:
    """The newer report stands for the study; the failure before it keeps no image for ever."""
    first, second = world.study(2)
    house.store(first)
    uid = str(first.StudyInstanceUID)
    assert house.run(uid).marker is Marker.FAILED
    house.store(second)
    house.analyse = mended
    assert house.run(uid).marker is Marker.SENT
    assert not house.stages.clean(uid)
    house.now += 2 * HOUR
    assert house.stages.clean(uid)
    assert house.spool.study(uid).names(Kind.IMAGE) == []
    assert len(house.spool.study(uid).reports()) == 2


def test_a_failed_study_keeps_its_images(house: House) -> None:
    """`sifnode retry` needs them, however late."""
    (image,) = world.study(1)
    house.store(image)
    uid = str(image.StudyInstanceUID)
    house.run(uid)
    house.now += 1000 * HOUR
    assert not house.stages.clean(uid)


@pytest.mark.parametrize("kind", [Kind.OTHER, Kind.RETURNED])
def test_a_study_without_images_is_cleaned_away(house: House, kind: Kind) -> None:
    """Nothing was ever analysed of it; after its time its objects go like all others."""
    (other,) = world.study(1)
    house.store(other, kind)
    uid = str(other.StudyInstanceUID)
    assert not house.stages.clean(uid)
    house.now += 2 * HOUR
    assert house.stages.clean(uid)
    assert house.spool.study(uid).names(kind) == []
    assert not house.stages.clean(uid)


def test_images_that_wait_for_their_report_are_not_cleaned(house: House) -> None:
    """However long a study is not closed, its images stay."""
    (image,) = world.study(1)
    house.store(image)
    house.now += 1000 * HOUR
    assert not house.stages.clean(str(image.StudyInstanceUID))


def test_a_dead_job_is_told_like_a_failure(house: House) -> None:
    """A report whose job died gets its text report, and ends as failed once that is sent."""
    (image,) = world.study(1)
    house.store(image)
    uid = str(image.StudyInstanceUID)
    closed = house.stages.close(uid)
    assert house.stages.fail(uid, closed.manifest_hash, "Its job ended as ERROR")
    assert house.stages.finish(uid, closed.manifest_hash)
    report = house.stages.report(uid, closed.manifest_hash)
    assert (report.marker, len(report.objects)) == (Marker.FAILED, 1)
