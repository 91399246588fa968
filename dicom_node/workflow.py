"""The stages as short durable workflows on named queues: close → infer → send → cleanup.

A job's name is ``stage:StudyInstanceUID:manifest-hash``; doing it again under the same name is no
second job. Storage commitment is part of ``send``: a chain of attempts ends when all is committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ParamSpec, TypeVar

from dbos import (
    DBOS,
    Debouncer,
    SetEnqueueOptions,
    SetWorkflowID,
    StepOptions,
)
from sqlalchemy.exc import OperationalError

from dicom_node.config import Config
from dicom_node.engine import ACTIVE, engine_settings, forget_done, forget_ended, job_id
from dicom_node.killpoint import reach
from dicom_node.stages import Stages
from dicom_node.vitals import Waiting
from sifdetect.errors import NetworkError

ROUTINE_PRIORITY, ARCHIVE_PRIORITY = 100, 1000
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_SENDS_PER_DESTINATION = 2
_WRITE_TRIES, _WRITE_WAIT_SECONDS = 4, 15.0


QUEUES = {
    "all": ["close", "infer", "send", "cleanup"],
    "receiver": ["close", "cleanup"],
    "worker": ["infer", "send"],
}
"""Which stages run where, by ``jobs.role``: what adds and removes images is done by one process."""


class Workflows:
    """The job engine of this process, running the stages. One a process: the engine allows no more.

    Usage: construct, ``launch``, then ``arrived`` for each study that changed; ``stop`` at last.
    """

    def __init__(self, config: Config, *, stages: Stages, executor: str) -> None:
        self._config = config
        self._stages = stages
        self.running: set[str] = set()
        self._dbos = DBOS(config=engine_settings(config, executor))
        self._define()
        self._define_look()

    def launch(self) -> None:
        """Open the database and begin to work off the queues.

        Raises:
            NetworkError: the database does not answer.
        """
        DBOS.listen_queues(QUEUES[self._config.jobs.role])
        try:
            DBOS.launch()
        except OperationalError as error:
            raise NetworkError(
                "The database of the settings does not answer",
                hint="Check jobs.database, and whether PostgreSQL runs",
            ) from error
        poll = self._config.jobs.poll_seconds
        DBOS.register_queue("close", worker_concurrency=2, polling_interval_sec=poll)
        DBOS.register_queue("infer", worker_concurrency=1, polling_interval_sec=poll)
        DBOS.register_queue(
            "send", partition_concurrency=_SENDS_PER_DESTINATION, polling_interval_sec=poll
        )
        DBOS.register_queue("cleanup", worker_concurrency=1, polling_interval_sec=poll)

    def stop(self) -> None:
        """Stop taking jobs; those that run are taken up again by the next process."""
        DBOS.destroy()

    def arrived(self, study_instance_uid: str) -> None:
        """An instance came: the study is closed once it has been quiet for long enough."""
        debouncer = Debouncer.create(
            self._close,
            debounce_timeout_sec=self._config.study.max_wait_seconds,
            queue="close",
        )
        with SetWorkflowID(job_id("close", study_instance_uid, str(time.time_ns()))):
            debouncer.debounce(
                study_instance_uid, self._config.study.quiet_seconds, study_instance_uid
            )

    def infer(self, study_instance_uid: str, manifest_hash: str) -> None:
        """Have a report made and sent, unless that job exists."""
        archived = self._stages.is_archived(study_instance_uid)
        with (
            SetWorkflowID(job_id("infer", study_instance_uid, manifest_hash)),
            SetEnqueueOptions(priority=ARCHIVE_PRIORITY if archived else ROUTINE_PRIORITY),
        ):
            DBOS.enqueue_workflow("infer", self._infer, study_instance_uid, manifest_hash)

    def pending(self) -> dict[str, str]:
        """The jobs that are marked as running, and by which executor."""
        rows = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        return {row.workflow_id: row.executor_id or "" for row in rows}

    def waiting(self) -> list[Waiting]:
        """The jobs that wait or run."""
        rows = DBOS.list_workflows(status=ACTIVE, load_input=False, load_output=False)
        return [
            Waiting(
                stage=str(row.queue_name or row.name),
                status=str(row.status).lower(),
                since=(row.created_at or 0) / 1000,
            )
            for row in rows
        ]

    def recover(self, executor: str) -> None:
        """Put the jobs of a dead executor back into their queues."""
        self._dbos._recover_pending_workflows([executor])  # private: hence the pin below 4

    def resume(self, job: str) -> None:
        """Put a job of this executor that nobody runs back into its queue."""
        DBOS.resume_workflow(job, queue_name=job.partition(":")[0])

    def statuses(self, prefix: str) -> dict[str, str]:
        """The jobs whose name begins with ``prefix``, and how each stands."""
        rows = DBOS.list_workflows(workflow_id_prefix=prefix, load_input=False, load_output=False)
        return {row.workflow_id: str(row.status) for row in rows}

    def send_again(self, study_instance_uid: str, manifest_hash: str, destination: str) -> None:
        """Start a new chain of attempts, numbered after the jobs that are there."""
        tried = len(
            self.statuses(job_id("send", study_instance_uid, manifest_hash, destination, ""))
        )
        self._enqueue_send(study_instance_uid, manifest_hash, destination, attempt=tried)

    def hurry(self, destination: str) -> None:
        """Have the attempts that wait for a destination made now."""
        waiting = DBOS.list_workflows(
            status="DELAYED", queue_name="send", load_input=False, load_output=False
        )
        for row in waiting:
            if row.queue_partition_key == destination:
                DBOS.set_workflow_delay(row.workflow_id, delay_seconds=0)

    def _define(self) -> None:
        """Register the workflows; they are functions, because the debouncer takes no methods."""
        stages, started = self._stages, self._started

        @DBOS.workflow(name="close")
        def close(uid: str) -> None:
            with started() as job:
                closed = _step({"name": "close"}, lambda: asdict(stages.close(uid)))
                self._closed(uid, closed, job.rpartition(":")[2])

        @DBOS.workflow(name="infer")
        def infer(uid: str, manifest_hash: str) -> None:
            with started():
                if _step(_ANALYSE, stages.analyse, uid, manifest_hash):
                    for name in DBOS.run_step({"name": "destinations"}, stages.destinations):
                        self._enqueue_send(uid, manifest_hash, name)
                    self._finish(uid, manifest_hash)

        @DBOS.workflow(name="send")
        def send(uid: str, manifest_hash: str, destination: str, attempt: int) -> None:
            with started():
                report = (uid, manifest_hash, destination)
                delay = _step({"name": "deliver"}, stages.deliver, *report)
                if delay > 0:
                    self._enqueue_send(*report, attempt=attempt + 1, delay_seconds=delay)
                else:
                    DBOS.run_step({"name": "hurry"}, self._hurry, *report)
                    self._finish(uid, manifest_hash)

        @DBOS.workflow(name="cleanup")
        def cleanup(uid: str, manifest_hash: str) -> None:
            with started():
                _step({"name": "clean"}, stages.clean, uid)
                DBOS.run_step({"name": "forget"}, forget_done, uid, manifest_hash)

        self._close, self._infer, self._send, self._cleanup = close, infer, send, cleanup

    def _define_look(self) -> None:
        """Another look at a study that lacks something."""
        stages, started = self._stages, self._started

        @DBOS.workflow(name="look again")
        def look_again(uid: str, manifest_hash: str, occasion: str) -> None:
            with started():
                closed = DBOS.run_step(
                    {"name": "close"}, lambda: asdict(stages.close(uid, unless_not=manifest_hash))
                )
                self._closed(uid, closed, occasion)

        self._look_again = look_again

    def _closed(self, uid: str, closed: dict[str, Any], occasion: str) -> None:
        """What follows from looking at a study that went quiet."""
        if closed["wait_seconds"]:
            occasion += "+"
            with (
                SetWorkflowID(job_id("close", uid, occasion)),
                SetEnqueueOptions(delay_seconds=closed["wait_seconds"]),
            ):
                DBOS.enqueue_workflow(
                    "close", self._look_again, uid, closed["manifest_hash"], occasion
                )
            return
        if closed["fresh"]:
            DBOS.run_step(_START_OVER, forget_ended, uid, closed["manifest_hash"])
        if closed["due"]:
            self.infer(uid, closed["manifest_hash"])
        elif closed["manifest_hash"]:
            self._enqueue_cleanup(uid, closed["manifest_hash"], occasion)

    @contextmanager
    def _started(self) -> Iterator[str]:
        job = DBOS.workflow_id or ""
        self.running.add(job)
        try:
            yield job
        finally:
            self.running.discard(job)

    def _finish(self, uid: str, manifest_hash: str) -> None:
        if DBOS.run_step({"name": "finish"}, self._stages.finish, uid, manifest_hash):
            self._enqueue_cleanup(uid, manifest_hash, "0")

    def _enqueue_send(
        self,
        uid: str,
        manifest_hash: str,
        destination: str,
        *,
        attempt: int = 0,
        delay_seconds: float | None = None,
    ) -> None:
        with (
            SetWorkflowID(job_id("send", uid, manifest_hash, destination, attempt)),
            SetEnqueueOptions(queue_partition_key=destination, delay_seconds=delay_seconds),
        ):
            DBOS.enqueue_workflow("send", self._send, uid, manifest_hash, destination, attempt)

    def _enqueue_cleanup(self, uid: str, manifest_hash: str, occasion: str) -> None:
        with (
            SetWorkflowID(job_id("cleanup", uid, manifest_hash, occasion)),
            SetEnqueueOptions(delay_seconds=self._config.storage.keep_hours * 3600),
        ):
            DBOS.enqueue_workflow("cleanup", self._cleanup, uid, manifest_hash)

    def _hurry(self, uid: str, manifest_hash: str, destination: str) -> None:
        """A destination that answers again gets at once what waits for it."""
        if self._stages.is_delivered(uid, manifest_hash, destination):
            self.hurry(destination)


def _step(
    options: StepOptions,
    function: Callable[_Arguments, _Result],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Run a step of the workflow; what follows it is a boundary that a test may kill at."""
    result = DBOS.run_step(options, function, *arguments, **named)
    reach(f"{options.get('name')} done")
    return result


_START_OVER = StepOptions(name="start over")
_ANALYSE = StepOptions(
    name="analyse",
    retries_allowed=True,
    max_attempts=_WRITE_TRIES,
    interval_seconds=_WRITE_WAIT_SECONDS,
    should_retry=lambda error: isinstance(error, OSError),
)
