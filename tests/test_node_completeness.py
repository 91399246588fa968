"""When a study that went quiet is whole: rules over what came and what the archive holds."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pydicom import Dataset

from dicom_node.circumstances import circumstances_of
from dicom_node.completeness import Counted, Held, Plane, judge, lacking, missing_slices
from dicom_node.config import Config, StorageConfig, StudyConfig
from dicom_node.intake import Header, Kind
from dicom_node.spool import Spool
from dicom_node.stages import Stages
from dicom_node.status import as_lines, status_of
from tests import node_world as world
from tests.test_node_stages import mended

OBLIQUE = (0.96, 0.28, 0.0, -0.2688, 0.9216, 0.28)
UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def planes(
    *numbers: int, orientation: tuple[float, ...] = OBLIQUE, stack: str = "one"
) -> tuple[Plane, ...]:
    """Slices 3.5 mm apart along the normal, in the order that is given."""
    normal = (0.0784, -0.2688, 0.96) if orientation == OBLIQUE else (0.0, 0.0, 1.0)
    return tuple(
        Plane(
            stack=(stack,),
            orientation=orientation,
            position=tuple(10.0 + 3.5 * number * along for along in normal),
        )
        for number in numbers
    )


def held(instances: int, *, uid: str = "1.2", stack: tuple[Plane, ...] = ()) -> Held:
    """A series of which so many images came."""
    return Held(series_instance_uid=uid, number="3", instances=instances, planes=stack)


def counted(instances: int, modality: str = "CT") -> Counted:
    """A series at the archive."""
    return Counted(number="3", modality=modality, instances=instances)


def test_a_hole_in_a_stack_is_counted() -> None:
    """Whatever the order and the tilt; doubles are no slices."""
    assert missing_slices(planes(*range(20))) == 0
    assert missing_slices(planes(9, 0, 1, 2, 3, 8, 7, 1)) == 3
    assert missing_slices(planes(0, 1, 2, 3, 5, 6, 7, 9)) == 2


def test_two_stacks_of_one_series_are_no_hole() -> None:
    """Slabs far apart, two orientations, two contrasts, and a few images that are no stack."""
    assert missing_slices(planes(0, 1, 2, 3, 4, 40, 41, 42, 43, 44)) == 0
    other = planes(0, 1, 2, 3, 4, orientation=UPRIGHT)
    assert missing_slices(planes(*range(6)) + other) == 0
    assert missing_slices(planes(0, 2, 4, 6, 8) + planes(1, 3, 5, 7, 9, stack="two")) == 0
    assert missing_slices(planes(0, 1, 5)) == 0


def test_a_series_is_short_where_the_archive_holds_more() -> None:
    """More here than there is no lack; a silent archive says nothing."""
    told = lacking([held(40)], {"1.2": counted(80)}, "series")
    assert told == ["series 3 has 40 of the 80 images that the archive holds"]
    assert lacking([held(80)], {"1.2": counted(40)}, "series") == []
    assert lacking([held(40)], None, "series") == []
    assert lacking([held(40)], {"1.2": counted(80)}, "nothing") == []


def test_other_series_are_waited_for_where_the_whole_study_is_expected() -> None:
    """Those that are analysed: CT and MR."""
    there = {"1.2": counted(40), "1.3": counted(25, "MR"), "1.4": counted(1, "SR")}
    assert lacking([held(40)], there, "series") == []
    told = lacking([held(40)], there, "study")
    assert told == ["series 3 (MR, 25 images) has not come"]


def test_a_hole_that_the_archive_has_too_is_none() -> None:
    """It would never be filled."""
    stack = planes(0, 1, 2, 3, 5, 6, 7)
    alone = lacking([held(7, stack=stack)], None, "series")
    assert alone == ["series 3 lacks 1 slices between others"]
    assert lacking([held(7, stack=stack)], {"1.2": counted(7)}, "series") == []


def test_nothing_is_waited_for_beyond_the_force_limit() -> None:
    """The last look comes when the limit is reached."""
    times = {"force_seconds": 100.0, "look_seconds": 30.0}
    assert judge(["a hole"], age_seconds=10, **times).wait_seconds == 30
    assert judge(["a hole"], age_seconds=90, **times).wait_seconds == 10
    assert judge(["a hole"], age_seconds=100, **times).wait_seconds == 0
    assert judge(["a hole"], age_seconds=100, **times).lacks == ("a hole",)
    assert judge([], age_seconds=10, **times).wait_seconds == 0


def test_a_study_with_a_hole_waits_and_is_then_said_to_have_one(tmp_path: Path) -> None:
    """Stages over a spool: wait, force, remark; the late slice makes one new report without it."""
    clock = [time.time()]
    config = Config(
        storage=StorageConfig(folder=tmp_path / "data"),
        study=StudyConfig(quiet_seconds=5, max_wait_seconds=60),
    )
    spool = Spool(config.storage.folder)
    spool.prepare()
    stages = Stages(config, spool=spool, analyse=mended, now=lambda: clock[0])
    slices = _stack(8)
    late = slices.pop(4)
    for one in slices:
        _store(spool, one, tmp_path)
    waits = stages.close("1.2.3")
    assert (waits.due, waits.wait_seconds) == (False, 5.0)
    told = status_of(config.storage.folder)
    assert told["studies"][0]["state"] == "receiving"
    assert "  waits: series 3 lacks 1 slices between others" in as_lines(told)
    clock[0] += 61
    first = stages.close("1.2.3", unless_not=waits.manifest_hash)
    assert (first.due, first.wait_seconds) == (True, 0.0)
    report = stages.report("1.2.3", first.manifest_hash)
    remark = (
        "The study was not complete when it was analysed: series 3 lacks 1 slices between others"
    )
    assert circumstances_of(report.folder).remarks == (remark,)
    _store(spool, late, tmp_path)
    assert stages.close("1.2.3", unless_not=first.manifest_hash).manifest_hash == ""
    second = stages.close("1.2.3")
    assert second.due
    assert second.manifest_hash != first.manifest_hash
    assert circumstances_of(stages.report("1.2.3", second.manifest_hash).folder).remarks == ()
    assert status_of(config.storage.folder)["studies"][0]["waits_for"] == []


def _stack(count: int) -> list[Dataset]:
    return [
        world.image(
            "1.2.3",
            number,
            SeriesNumber=3,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            ImagePositionPatient=[0, 0, 2.5 * number],
        )
        for number in range(1, count + 1)
    ]


def _store(spool: Spool, dataset: Dataset, folder: Path) -> None:
    path = world.files([dataset], folder / "one") / "0.dcm"
    header = Header(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
    )
    spool.store(header, Kind.IMAGE, (path.read_bytes(),))
    os.utime(path)
