"""The node as a whole: a study pushed to it comes back as a report, whatever happens between."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from pathlib import Path

import pytest

from dicom_node.guard import Guard
from dicom_node.jobs import list_jobs
from dicom_node.lifelines import FileLifelines
from tests import node_world as world
from tests.ports import free_port


def test_a_pushed_study_comes_back_as_results(tmp_path: Path) -> None:
    """dcmtk sends a study to the node, and SEG, SR and summary arrive at dcmtk's storage SCP."""
    study = world.study(3)
    port = free_port()
    with (
        world.pacs(tmp_path / "pacs", port) as pacs,
        world.node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        world.storescu(world.files(study, tmp_path / "study"), node.port)
        told = node.wait_for(study[0].StudyInstanceUID, "sent")
        results = world.received(pacs)
    assert set(results) == {"SEG", "SR", "OT"}
    assert {one.StudyInstanceUID for one in results.values()} == {study[0].StudyInstanceUID}
    (report,) = told["reports"]
    assert (report["outcome"], report["presence"], report["images"]) == ("reported", "absent", 3)
    assert report["deliveries"][0]["sentence"].startswith(
        "SEG accepted, SR accepted, summary accepted by PACS1"
    )


def test_a_second_push_of_the_same_study_makes_no_second_report(tmp_path: Path) -> None:
    """Images in another order, with the results that the PACS has got meanwhile: nothing new."""
    study, port = world.study(2), free_port()
    uid = str(study[0].StudyInstanceUID)
    with (
        world.pacs(tmp_path / "pacs", port) as pacs,
        world.node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        assert world.push(study, node.port) == [0, 0]
        node.wait_for(uid, "sent")
        results = list(world.received(pacs).values())
        assert world.push([*study[::-1], *results], node.port) == [0] * 5
        world.wait_until(
            lambda: node.events("study unchanged"), lambda seen: len(seen) == 1, trouble=node.log
        )
        told = node.study(uid)
        assert (told["images"], told["returned"], len(told["reports"])) == (2, 3, 1)
        assert len(node.events("study analysed")) == 1


def test_late_slices_make_one_superseding_report(tmp_path: Path) -> None:
    """Slices after the report give a second one, over all slices, with UIDs of its own."""
    study = world.study(5)
    uid = study[0].StudyInstanceUID
    with world.node(tmp_path) as node:
        world.push(study[:3], node.port)
        node.wait_for(uid, "sent")
        world.push(study[3:], node.port)
        told = node.wait_for(uid, "sent", reports=2)
    assert [(one["sequence"], one["images"]) for one in told["reports"]] == [(1, 3), (2, 5)]


@pytest.mark.fault
def test_a_node_killed_after_success_still_sends_the_report(tmp_path: Path) -> None:
    """Kill -9 right after the last Success: the next start closes, analyses and sends."""
    study = world.study(3)
    port = free_port()
    with world.node(tmp_path, destinations={"PACS1": port}) as node:
        assert world.push(study, node.port) == [0, 0, 0]
        node.kill()
        with world.pacs(tmp_path / "pacs", port) as pacs:
            node.start()
            told = node.wait_for(study[0].StudyInstanceUID, "sent")
            assert set(world.received(pacs)) == {"SEG", "SR", "OT"}
    assert told["reports"][0]["images"] == 3


@pytest.mark.fault
def test_a_node_killed_during_the_analysis_takes_it_up_again(tmp_path: Path) -> None:
    """The job that ran when the node was killed is found without an executor, and done."""
    study = world.study(2, StudyDescription="slow")
    uid = study[0].StudyInstanceUID
    with world.node(tmp_path) as node:
        world.push(study, node.port)
        node.wait_for(uid, "analysing")
        world.wait_until(
            lambda: list(node.folder.glob("studies/*/reports/*/work-*")), bool, trouble=node.log
        )
        node.kill()
        node.start()
        told = node.wait_for(uid, "sent")
        assert told["reports"][0]["outcome"] == "reported"
        assert not list(node.folder.glob("studies/*/reports/*/work-*"))


@pytest.mark.fault
def test_a_lost_database_loses_no_study(tmp_path: Path) -> None:
    """Without its database the node finds the unfinished study in the spool and goes on."""
    study = world.study(2)
    with world.node(tmp_path, STUDY_QUIET_SECONDS=15) as node:
        world.push(study, node.port)
        node.kill()
        (node.folder / "jobs.sqlite").unlink()
        node.environment["SIFNODE_STUDY_QUIET_SECONDS"] = "0.5"
        node.start()
        assert node.wait_for(study[0].StudyInstanceUID, "sent")["images"] == 2


@pytest.mark.fault
@pytest.mark.slow
def test_a_node_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    """Kill -9 at six moments between the first Success and the last: each object arrives, once."""
    study, port = world.study(3), free_port()
    uid = str(study[0].StudyInstanceUID)
    with (
        world.choosy_pacs(port, {}) as arrived,
        world.node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        assert world.push(study, node.port) == [0, 0, 0]
        for seconds in (0.0, 0.7, 1.3, 2.1, 3.0, 4.2):
            time.sleep(seconds)
            node.kill()
            node.start()
        told = node.wait_for(uid, "sent")
    assert len(set(arrived)) == 3
    assert [one["images"] for one in told["reports"]] == [3]


def test_a_study_that_never_pauses_is_closed_at_the_limit(tmp_path: Path) -> None:
    """With a slice every second and a longer quiet time, the first report comes at the cap."""
    study = world.study(8)
    with world.node(tmp_path, STUDY_QUIET_SECONDS=3, STUDY_MAX_WAIT_SECONDS=4) as node:
        for one in study:
            world.push([one], node.port)
            time.sleep(1)
        told = node.wait_for(str(study[0].StudyInstanceUID), "sent", reports=2)
    assert told["reports"][0]["images"] < 8
    assert told["reports"][-1]["images"] == 8


@pytest.mark.parametrize("wish", ["break", "die"])
def test_an_analysis_that_fails_is_told_and_does_not_stop_the_node(
    tmp_path: Path, wish: str
) -> None:
    """A study that kills or breaks the analysis is marked as failed; the next one is reported."""
    bad, good = world.study(1, StudyDescription=wish), world.study(1)
    with world.node(tmp_path) as node:
        world.push(bad, node.port)
        told = node.wait_for(bad[0].StudyInstanceUID, "failed")
        world.push(good, node.port)
        node.wait_for(good[0].StudyInstanceUID, "sent")
    expected = {"break": "broken on purpose", "die": "died twice"}[wish]
    assert expected in told["reports"][0]["reason"]


def test_a_failed_study_is_told_and_taken_up_again_when_it_comes_again(tmp_path: Path) -> None:
    """The archive gets a text report; the same images, sent again, are analysed and reported."""
    study, port = world.study(1, StudyDescription="flaky"), free_port()
    uid = str(study[0].StudyInstanceUID)
    with (
        world.pacs(tmp_path / "pacs", port) as pacs,
        world.node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        world.push(study, node.port)
        node.wait_for(uid, "failed")
        assert set(world.received(pacs)) == {"SR"}
        world.push(study, node.port)
        told = node.wait_for(uid, "sent")
        assert len(list(pacs.iterdir())) == 4
    assert [one["outcome"] for one in told["reports"]] == ["reported"]


def test_an_analysis_that_hangs_is_stopped(tmp_path: Path) -> None:
    """After its time the process is ended and the study marked as failed."""
    study = world.study(1, StudyDescription="hang")
    with world.node(tmp_path, ANALYSIS_TIMEOUT_SECONDS=6) as node:
        world.push(study, node.port)
        told = node.wait_for(study[0].StudyInstanceUID, "failed")
    assert "took longer than 6 s" in told["reports"][0]["reason"]


def test_an_unsuitable_study_is_answered_with_its_text_report(tmp_path: Path) -> None:
    """Where the analysis refuses a study, the report that says so is sent like any other."""
    study = world.study(1, StudyDescription="refuse")
    port = free_port()
    with (
        world.pacs(tmp_path / "pacs", port) as pacs,
        world.node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        world.push(study, node.port)
        told = node.wait_for(study[0].StudyInstanceUID, "sent")
        assert set(world.received(pacs)) == {"SR"}
    assert told["reports"][0]["exit_code"] == 4


def test_images_leave_the_spool_after_their_time_and_the_report_stays(tmp_path: Path) -> None:
    """With no time to keep, images go once the report is sent; late slices alone are withheld."""
    study = world.study(4)
    uid = study[0].StudyInstanceUID
    with world.node(tmp_path, STORAGE_KEEP_HOURS=0) as node:
        world.push(study[:3], node.port)
        world.wait_until(
            lambda: node.study(uid),
            lambda one: one["state"] == "sent" and one["images"] == 0,
            trouble=node.log,
        )
        world.wait_until(lambda: list_jobs(node.folder), lambda jobs: jobs == [], trouble=node.log)
        world.push(study[3:], node.port)
        told = node.wait_for(uid, "withheld", reports=2)
    assert "send the whole study again" in told["reports"][1]["reason"]
    assert told["reports"][0]["objects"] == ["seg.dcm", "sr.dcm", "summary.dcm"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_ends_cleanly_when_asked(tmp_path: Path, number: int) -> None:
    """SIGTERM and SIGINT end it with exit code 0, and its ports are free again."""
    with world.node(tmp_path) as node:
        assert node.stop(number) == 0
        assert node.events("stopped")
        node.environment["SIFNODE_DICOM_PORT"] = str(node.port)
        node.start()
        assert node.stop() == 0


def test_a_second_node_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    """Two nodes would store into one spool; the second one says so and ends."""
    with world.node(tmp_path) as first:
        second = world.Node(first.folder, first.environment)
        with pytest.raises(AssertionError, match="Another node uses the data folder"):
            second.start()
        assert second.process.wait() == 3


def test_health_checks_answer_over_http(tmp_path: Path) -> None:
    """/healthz and /readyz answer on the port that the ready line names."""
    with world.node(tmp_path) as node:
        for page, word in (("healthz", "alive"), ("readyz", "ready")):
            url = f"http://127.0.0.1:{node.ready['http_port']}/{page}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                assert json.load(answer)["status"] == word
        assert json.loads((node.folder / "node.json").read_text())["port"] == node.port


def test_logs_hold_no_patient(tmp_path: Path) -> None:
    """Neither the name nor the identifier of the patient is in the log, whatever happens."""
    fine, broken = world.study(2), world.study(1, StudyDescription="break")
    with world.node(tmp_path, LOG_LEVEL="debug") as node:
        world.push([*fine, *broken], node.port)
        node.wait_for(fine[0].StudyInstanceUID, "sent")
        node.wait_for(broken[0].StudyInstanceUID, "failed")
        log = node.log.read_text().lower()
    assert "secret" not in log
    assert "study analysed" in log


def test_a_guard_acts_on_what_it_saw_twice(tmp_path: Path) -> None:
    """Jobs of a dead executor and idle jobs of its own are taken up at the second look only."""
    lifeline = FileLifelines(tmp_path)
    dead, idle = Guard(lifeline, "other"), Guard(FileLifelines(tmp_path), "own")
    idle.hold()
    dead.hold()
    assert lifeline._file is not None
    lifeline._file.close()  # what the system does when the process dies
    recovered: list[str] = []
    resumed: list[str] = []
    for _ in range(2):
        assert (recovered, resumed) == ([], [])
        idle.sweep(
            {"a": "other", "b": "own", "c": "own"},
            running={"c"},
            recover=recovered.append,
            resume=resumed.append,
        )
    assert (recovered, resumed) == (["other"], ["b"])


def test_a_guard_leaves_a_living_executor_alone(tmp_path: Path) -> None:
    """While another process holds its lock, its jobs stay its own."""
    other, own = (Guard(FileLifelines(tmp_path), name) for name in ("other", "own"))
    other.hold()
    own.hold()
    taken: list[str] = []
    for _ in range(3):
        own.sweep({"a": "other"}, running=set(), recover=taken.append, resume=taken.append)
    assert taken == []
