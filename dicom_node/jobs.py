"""The jobs seen from outside the node's process: listing them, and having a report done again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions

from dicom_node.engine import (
    ACTIVE,
    APPLICATION,
    APPLICATION_VERSION,
    DEAD,
    database_url,
    job_id,
)
from dicom_node.intake import is_valid_uid
from dicom_node.lifelines import database_is_there
from dicom_node.reports import Marker, Report
from dicom_node.spool import Spool, StudyFolder
from dicom_node.workflow import ROUTINE_PRIORITY
from sifdetect.errors import UsageError

_RETRIABLE = (None, Marker.SENT, Marker.FAILED, Marker.UNDELIVERED)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of the queue.

    Attributes:
        created_at, delayed_until: seconds since the epoch; None where not known or not delayed.
    """

    id: str
    stage: str
    study_instance_uid: str
    status: str
    executor: str
    attempts: int
    created_at: float | None
    delayed_until: float | None


def list_jobs(folder: Path, database: str = "") -> list[Job]:
    """The jobs that are waiting, running or dead, oldest first."""
    with job_client(folder, database) as client:
        if client is None:
            return []
        rows = client.list_workflows(
            status=[*ACTIVE, *DEAD], load_input=False, load_output=False, queues_only=False
        )
    return [
        Job(
            id=row.workflow_id,
            stage=row.name,
            study_instance_uid=_study_of(row.workflow_id),
            status=str(row.status),
            executor=row.executor_id or "",
            attempts=row.recovery_attempts or 0,
            created_at=_seconds(row.created_at),
            delayed_until=_seconds(row.delay_until_epoch_ms) if row.status == "DELAYED" else None,
        )
        for row in rows
    ]


def retry(folder: Path, identifier: str, database: str = "") -> Report:
    """Have the latest report on a study done again: the analysis if it failed, else the sending.

    Args:
        identifier: a Study Instance UID, or the name of one of its jobs.

    Raises:
        UsageError: there is nothing of that name, or nothing that could be done again.
    """
    study, report = _find(folder, identifier)
    marker = report.marker
    if marker not in _RETRIABLE:
        assert marker is not None
        raise UsageError(f"The report is {marker.value} and cannot be done again")
    uid, manifest_hash = study.study_instance_uid, report.manifest_hash
    with job_client(folder, database) as client:
        if client is not None:
            _forget(client, uid, manifest_hash)
        if marker is not None:
            report.start_over()
        if client is not None:
            _enqueue(client, uid, manifest_hash)
    return report


def _find(folder: Path, identifier: str) -> tuple[StudyFolder, Report]:
    uid = identifier if is_valid_uid(identifier) else _study_of(identifier)
    study = Spool(folder).study(uid)
    reports = [one for one in study.reports() if one.marker is not Marker.WITHHELD]
    if not reports:
        raise UsageError(
            f"There is no report on {identifier!r}", hint="`sifnode status` lists what there is"
        )
    return study, reports[-1]


def _forget(client: DBOSClient, uid: str, manifest_hash: str) -> None:
    """Forget the finished and the waiting jobs of a report; one that runs goes on."""
    prefixes = [job_id(stage, uid, manifest_hash) for stage in ("infer", "send")]
    rows = client.list_workflows(workflow_id_prefix=prefixes, load_input=False, load_output=False)
    client.delete_workflows([row.workflow_id for row in rows if row.status != "PENDING"])


def _enqueue(client: DBOSClient, uid: str, manifest_hash: str) -> None:
    options = EnqueueOptions(
        workflow_name="infer",
        queue_name="infer",
        workflow_id=job_id("infer", uid, manifest_hash),
        app_version=APPLICATION_VERSION,
        priority=ROUTINE_PRIORITY,
    )
    client.enqueue(options, uid, manifest_hash)


@contextmanager
def job_client(folder: Path, database: str) -> Iterator[DBOSClient | None]:
    """A client of the folder's jobs, or None where no node ever ran.

    Raises:
        NetworkError: the database of the settings does not answer.
    """
    made = database_is_there(database) if database else (folder / "jobs.sqlite").exists()
    if not made:
        yield None
        return
    client = DBOSClient(
        system_database_url=database_url(folder, database),
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
    )
    try:
        yield client
    finally:
        client.destroy()


def _study_of(job: str) -> str:
    parts = job.split(":")
    return parts[1] if len(parts) > 1 else ""


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
