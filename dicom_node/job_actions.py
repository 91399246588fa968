"""One job seen and dropped from outside the node's process: ``sifnode queue show``, ``cancel``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from dicom_node.intake import is_valid_uid
from dicom_node.jobs import Job, job_client, list_jobs
from dicom_node.reports import Marker, Report, report_of
from dicom_node.spool import Spool
from dicom_node.status import status_of
from sifdetect.errors import UsageError

BY_HAND = "dropped by hand"


def show_job(folder: Path, name: str, database: str = "") -> dict[str, Any]:
    """A job that waits, runs or is dead, the steps it has done, and its study.

    Raises:
        UsageError: there is no such job.
    """
    job = _job(folder, name, database)
    with job_client(folder, database) as client:
        steps = client.list_workflow_steps(name, load_output=False) if client else []
    studies = status_of(folder)["studies"]
    return {
        **asdict(job),
        "steps": [str(step["function_name"]) for step in steps],
        "study": next(
            (one for one in studies if one["study_instance_uid"] == job.study_instance_uid), None
        ),
    }


def drop_job(folder: Path, name: str, database: str = "") -> str:
    """Give a job up for good; returns what follows, in a sentence.

    The spool is told as well, so that the node does not start it again: a delivery is given up, a
    report that is still to be made has failed. ``sifnode retry`` takes either up again.

    Raises:
        UsageError: there is no such job, it runs just now, or its study is still being received.
    """
    job = _job(folder, name, database)
    stage, uid, manifest_hash, *more = f"{name}:::".split(":")
    if job.status == "PENDING":
        raise UsageError(f"The job {name} is running", hint="Wait for its end, or stop the node")
    if stage == "close":
        raise UsageError(
            f"The study {uid} is still being received and has nothing to drop",
            hint="Wait until it is closed; `sifnode status` says what it waits for",
        )
    told = "the job is gone"
    if stage in ("send", "infer"):
        report = _report(folder, uid, manifest_hash)
        told = _give_up(report, more[0]) if stage == "send" else _fail(report)
    with job_client(folder, database) as client:
        if client is not None:
            client.delete_workflows([name])
    return told


def _job(folder: Path, name: str, database: str) -> Job:
    for job in list_jobs(folder, database):
        if job.id == name:
            return job
    raise UsageError(f"There is no job {name!r}", hint="`sifnode queue list` names them")


def _report(folder: Path, uid: str, manifest_hash: str) -> Report:
    report = report_of(Spool(folder).study(uid).path, manifest_hash)
    if not is_valid_uid(uid) or not (report.folder / "manifest.json").exists():
        raise UsageError(f"The spool holds no report of the study {uid!r}")
    return report


def _give_up(report: Report, destination: str) -> str:
    known = report.delivery(destination) or {
        "destination": destination,
        "attempts": 0,
        "objects": {},
        "commit": None,
    }
    report.record_delivery(destination, known | {"state": "given up", "error": BY_HAND})
    return f"nothing more is sent to {destination}; `sifnode retry` sends again"


def _fail(report: Report) -> str:
    report.mark(Marker.FAILED, reason=BY_HAND)
    return "the study is not analysed; `sifnode retry` takes it up again"
