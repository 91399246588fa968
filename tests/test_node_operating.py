"""Commands of who operates the node, their answers and exit codes: trial, queue, campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_node.campaign import Campaign, parse_query
from dicom_node.cli import main
from dicom_node.config import load
from dicom_node.lifelines import database_is_there
from dicom_node.trial import anonymous
from sifdetect.errors import ConfigurationError, UsageError
from tests import node_world as world
from tests.ports import free_port
from tests.postgres_server import Postgres
from tests.test_node_cli import ask, settings


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[world.Node]:
    """A node whose one destination is not there, so that a delivery waits."""
    folder = tmp_path_factory.mktemp("operating")
    with world.node(
        folder,
        destinations={"PACS1": free_port()},
        SEND_FIRST_RETRY_SECONDS=600,
        SEND_MAX_RETRY_SECONDS=600,
        JOBS_RECONCILE_SECONDS=1,
    ) as made:
        yield made


def test_a_trial_goes_through_and_is_a_study_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images of a folder under nobody's name and identifiers; what becomes of them is shown."""
    images = world.files(world.study(3), tmp_path / "images")
    file = settings(tmp_path)
    assert main(["send-test", str(images), "--config", file]) == 3
    assert "No node runs on" in capsys.readouterr().err
    with world.node(tmp_path):
        told = ask(capsys, "send-test", str(images), "--config", file)
        assert (told["images"], told["study"]["state"]) == (3, "sent")
        uid = told["study"]["study_instance_uid"]
        assert main(["send-test", str(images), "--config", file, "--timeout", "0"]) == 6
        assert main(["send-test", str(tmp_path / "none"), "--config", file]) == 4
    assert uid != str(dcmread(images / "0.dcm").StudyInstanceUID)


def test_a_trial_keeps_what_belongs_together(tmp_path: Path) -> None:
    """One study, the same series, other identifiers, the test's name; other files are left out."""
    folder = world.files(world.study(3), tmp_path)
    (folder / "notes.txt").write_text("no image")
    study, uid = anonymous(sorted(folder.iterdir()))
    assert {str(one.StudyInstanceUID) for one in study} == {uid}
    assert len({str(one.SOPInstanceUID) for one in study}) == 3
    assert len({str(one.SeriesInstanceUID) for one in study}) == 1
    assert {str(one.PatientName) for one in study} == {"TEST^SIFNODE"}


def test_a_job_is_shown_dropped_and_taken_up_again(
    node: world.Node, capsys: pytest.CaptureFixture[str]
) -> None:
    """A delivery that waits is shown; given up it is undelivered, and `retry` revives it."""
    file, study = settings(node.folder.parent), world.study(1)
    uid = str(study[0].StudyInstanceUID)
    world.push(study, node.port)
    name = _waiting(node, capsys, file, uid)
    shown = ask(capsys, "queue", "show", name, "--config", file)
    assert (shown["stage"], shown["status"], shown["study"]["state"]) == (
        "send",
        "DELAYED",
        "sending",
    )
    assert ask(capsys, "queue", "cancel", name, "--config", file)["job"] == name
    assert ask(capsys, "queue", "list", "--config", file) == []
    told = node.wait_for(uid, "undelivered")
    assert "dropped by hand" in told["reports"][0]["deliveries"][0]["sentence"]
    assert main(["queue", "drop", name, "--config", file]) == 2
    assert f"There is no job {name!r}" in capsys.readouterr().err
    assert ask(capsys, "queue", "recover", uid, "--config", file)["report"]
    assert _waiting(node, capsys, file, uid)


def test_a_database_that_does_not_answer_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """6 for everything that asks it, `check` too; and no address that could be one."""
    for url in (f"postgresql://x@127.0.0.1:{free_port()}/jobs", "postgresql://x@127.0.0.1:y/jobs"):
        file = settings(tmp_path)
        with Path(file).open("a") as more:
            more.write(f'[jobs]\ndatabase = "{url}"\n')
        for command in (["queue", "list"], ["queue", "show", "a"], ["queue", "cancel", "a"]):
            assert main([*command, "--json", "--config", file]) == 6
            told = capsys.readouterr()
            assert told.out == ""
            assert told.err.splitlines() == [
                "sifnode: The database of the settings does not answer. "
                "Check jobs.database, and whether PostgreSQL runs."
            ]
        main(["check", "--json", "--config", file])
        checks = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
        assert checks["job database"]["exit_code"] == 6


def test_a_database_that_is_not_made_yet_holds_no_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], postgres: Postgres
) -> None:
    """The first process makes it; `check` and `queue list` find nothing wrong until then."""
    url = postgres.url("not_made_yet")
    assert not database_is_there(url)
    assert database_is_there(postgres.url("postgres"))
    file = settings(tmp_path)
    with Path(file).open("a") as more:
        more.write(f'[jobs]\ndatabase = "{url}"\n')
    assert ask(capsys, "queue", "list", "--config", file) == []


def test_a_query_is_refused_where_it_means_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown keyword, no node, a name that is a path: one sentence and an exit code."""
    assert parse_query(["StudyDate=2024-", "ModalitiesInStudy=CT"])["StudyDate"] == "2024-"
    file = settings(tmp_path)
    command = ["reanalyze", "--config", file, "--campaign", "spring"]
    assert main([*command, "--query", "Colour=red"]) == 2
    assert main([*command, "--query", "StudyDate=2024-"]) == 3
    told = capsys.readouterr().err
    assert "'Colour=red' is no query" in told
    assert "No node runs on" in told
    with pytest.raises(ConfigurationError, match="no archive to ask"):
        Campaign(load(Path(file)), "spring").plan({"StudyDate": "2024-"})
    with pytest.raises(UsageError, match="no name for a campaign"):
        Campaign(load(Path(file)), "../spring")


def _waiting(node: world.Node, capsys: pytest.CaptureFixture[str], file: str, uid: str) -> str:
    def look() -> list[dict[str, Any]]:
        jobs = ask(capsys, "queue", "list", "--config", file)
        return [
            one
            for one in jobs
            if one["study_instance_uid"] == uid
            and (one["stage"], one["status"]) == ("send", "DELAYED")
        ]

    jobs = world.wait_until(look, bool, trouble=node.log)
    assert json.dumps(jobs)
    return str(jobs[0]["id"])
