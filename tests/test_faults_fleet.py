"""Several processes on one spool and one PostgreSQL: a receiver, workers, and one that dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from dicom_node.jobs import list_jobs
from dicom_node.lifelines import DatabaseLifelines
from tests import fault_world as faults
from tests import node_world as world
from tests.ports import free_port
from tests.postgres_server import Postgres

pytestmark = pytest.mark.fault
_TAKEN_OVER_SECONDS = 5.0
_SEEN_SECONDS = 60.0


class Fleet:
    """A receiver and two workers."""

    def __init__(self, folder: Path, url: str, port: int, stack: ExitStack) -> None:
        self.url = url
        self.receiver, *self.workers = (
            stack.enter_context(
                faults.quick_node(
                    folder, destinations={"PACS1": port}, JOBS_DATABASE=url, JOBS_ROLE=role
                )
            )
            for role in ("receiver", "worker", "worker")
        )
        for node in (self.receiver, *self.workers):
            node.start()

    def by_executor(self, executor: str) -> faults.QuickNode:
        """The worker of that name."""
        return next(one for one in self.workers if one.ready["executor"] == executor)

    def analysing(self, uid: str) -> str:
        """The executor that analyses a study, empty while there is none."""
        found = [
            job.executor
            for job in list_jobs(self.receiver.folder, self.url)
            if job.stage == "infer" and job.study_instance_uid == uid and job.status == "PENDING"
        ]
        return found[0] if found else ""

    def stop(self) -> None:
        """End all that still run."""
        for node in (self.receiver, *self.workers):
            if node.process.poll() is None:
                assert node.stop() == 0


def test_one_receiver_and_two_workers_share_the_work(tmp_path: Path, postgres: Postgres) -> None:
    """Studies come in at one process and are analysed by both of the others, each once."""
    scanner, port = faults.Scanner(), free_port()
    with world.choosy_pacs(port, {}) as arrived, ExitStack() as stack:
        fleet = Fleet(tmp_path, postgres.url("shared"), port, stack)
        for _ in range(4):
            assert scanner.send(fleet.receiver.port, world.study(2, StudyDescription="slow"))
        faults.settle(fleet.receiver, scanner)
        analysed = fleet.receiver.events("study analysed")
        fleet.stop()
    assert len(analysed) == 4
    assert {one.ready["port"] for one in fleet.workers} == {None}
    faults.assert_nothing_is_lost(fleet.receiver, scanner, arrived)


def test_the_work_of_a_killed_worker_is_taken_over(tmp_path: Path, postgres: Postgres) -> None:
    """Within five seconds another one has its study, and each object is reported once."""
    scanner, port = faults.Scanner(), free_port()
    study = world.study(2, StudyDescription="slow")
    with world.choosy_pacs(port, {}) as arrived, ExitStack() as stack:
        fleet = Fleet(tmp_path, postgres.url("killed"), port, stack)
        assert scanner.send(fleet.receiver.port, study)
        uid = str(study[0].StudyInstanceUID)
        first = world.wait_until(lambda: fleet.analysing(uid), bool, trouble=fleet.receiver.log)
        fleet.by_executor(first).kill()
        killed_at = time.monotonic()
        world.wait_until(
            lambda: fleet.analysing(uid),
            lambda now: now not in ("", first),
            trouble=fleet.receiver.log,
        )
        seconds = time.monotonic() - killed_at
        faults.settle(fleet.receiver, scanner)
        fleet.stop()
    assert seconds <= _TAKEN_OVER_SECONDS
    faults.assert_nothing_is_lost(fleet.receiver, scanner, arrived)


def test_a_lifeline_ends_with_its_session_and_comes_back(postgres: Postgres) -> None:
    """Who lives is not buried; who lost the session is, and takes it again at the next look."""
    url = postgres.url("postgres")
    one, other = DatabaseLifelines(url), DatabaseLifelines(url)
    one.hold("one")
    other.hold("other")
    with other.claimed("one") as is_dead:
        assert not is_dead
    session_of(one).close()
    with found_dead(other, "one"):
        assert not one.renew()  # while it is being buried
    assert not one.renew()
    session_of(one)
    with other.claimed("one") as is_dead:
        assert not is_dead


@contextmanager
def found_dead(lifelines: DatabaseLifelines, executor: str) -> Iterator[None]:
    """A context in which nobody else takes that executor for dead.

    The server needs a moment to see that a session has ended.
    """
    deadline = time.monotonic() + _SEEN_SECONDS
    while time.monotonic() < deadline:
        with lifelines.claimed(executor) as is_dead:
            if is_dead:
                yield
                return
        time.sleep(0.05)
    raise AssertionError(f"{executor} still lives after {_SEEN_SECONDS} s")


def session_of(lifelines: DatabaseLifelines) -> psycopg.Connection[tuple[bool]]:
    """The session that holds the lock."""
    assert lifelines._session is not None
    return lifelines._session
