"""The job engine's names and rows: how jobs are called and kept, and which are forgotten."""

from __future__ import annotations

from pathlib import Path

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

from dicom_node.config import Config

APPLICATION = "sifnode"
APPLICATION_VERSION = "pipeline-1"  # fixed: another one would strand the jobs of the old
ACTIVE = ["PENDING", "ENQUEUED", "DELAYED"]
DEAD = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


def database_url(folder: Path, database: str = "") -> str:
    """Where the jobs of a data folder are kept. Never on NFS: SQLite's locks fail there."""
    return database or f"sqlite:///{folder / 'jobs.sqlite'}"


def job_id(stage: str, study_instance_uid: str, manifest_hash: str, *more: object) -> str:
    """The name of a job, which makes it unique."""
    return ":".join([stage, study_instance_uid, manifest_hash, *map(str, more)])


def forget_ended(uid: str, manifest_hash: str) -> None:
    """Remove the jobs of a report that is begun anew: a job of the same name would be none."""
    names = [job_id(stage, uid, manifest_hash) for stage in ("infer", "send", "cleanup")]
    rows = DBOS.list_workflows(workflow_id_prefix=names, load_input=False, load_output=False)
    DBOS.delete_workflows([row.workflow_id for row in rows if str(row.status) not in ACTIVE])


def forget_done(uid: str, manifest_hash: str) -> None:
    """Remove the rows of what is done; the spool's markers keep it from being done again."""
    report = [job_id(stage, uid, manifest_hash) for stage in ("infer", "send", "cleanup")]
    done = DBOS.list_workflows(
        workflow_id_prefix=[*report, f"close:{uid}:"],
        status="SUCCESS",
        load_input=False,
        load_output=False,
    )
    DBOS.delete_workflows([row.workflow_id for row in done])


def engine_settings(config: Config, executor: str) -> DBOSConfig:
    """How this process takes part in the work on a data folder's jobs."""
    return DBOSConfig(
        name=APPLICATION,
        system_database_url=database_url(config.storage.folder, config.jobs.database),
        application_version=APPLICATION_VERSION,
        executor_id=executor,
        serializer=DBOSPortableJSONSerializer(),
        log_level="WARNING",
    )
