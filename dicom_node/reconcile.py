"""Compare the spool with the jobs, and start what is missing: the spool is right.

This covers a kill between the sender's answer and the first job, a lost database, a job that died,
and studies that no job will ever clean away, such as those without an image.
"""

from __future__ import annotations

from dicom_node import logs
from dicom_node.engine import ACTIVE, DEAD, forget_ended, job_id
from dicom_node.intake import Kind
from dicom_node.reports import Report, hash_of
from dicom_node.spool import Spool, StudyFolder
from dicom_node.stages import Stages
from dicom_node.workflow import Workflows


def reconcile(spool: Spool, stages: Stages, workflows: Workflows) -> int:
    """Look at every study once; returns how many jobs were started."""
    started = 0
    for study in spool.studies():
        started += _close_if_open(study, workflows)
        for report in study.unfinished():
            started += _carry_on(study.study_instance_uid, report, stages, workflows)
        stages.clean(study.study_instance_uid)
    if started:
        logs.info("reconciled", jobs=started)
    return started


def _close_if_open(study: StudyFolder, workflows: Workflows) -> int:
    names = study.names(Kind.IMAGE)
    if not names or (study.path / "reports" / hash_of(names) / "manifest.json").exists():
        return 0
    uid = study.study_instance_uid
    if _is_active(workflows.statuses(f"close:{uid}:")):
        return 0
    workflows.arrived(uid)
    return 1


def _carry_on(uid: str, report: Report, stages: Stages, workflows: Workflows) -> int:
    name = job_id("infer", uid, report.manifest_hash)
    status = workflows.statuses(name).get(name)
    if status is None:
        workflows.infer(uid, report.manifest_hash)
        return 1
    if status in DEAD and not stages.fail(uid, report.manifest_hash, f"Its job ended as {status}"):
        return 0
    if status in ACTIVE:
        return 0
    if report.outcome is None:  # killed between starting over and the new job
        forget_ended(uid, report.manifest_hash)
        workflows.infer(uid, report.manifest_hash)
        return 1
    return _send_what_is_left(uid, report, stages, workflows)


def _send_what_is_left(uid: str, report: Report, stages: Stages, workflows: Workflows) -> int:
    if stages.finish(uid, report.manifest_hash):
        return 0
    started = 0
    for name in stages.destinations():
        final = (report.delivery(name) or {}).get("state") in ("delivered", "given up")
        jobs = workflows.statuses(job_id("send", uid, report.manifest_hash, name, ""))
        if not final and not _is_active(jobs):
            workflows.send_again(uid, report.manifest_hash, name)
            started += 1
    return started


def _is_active(jobs: dict[str, str]) -> bool:
    return any(status in ACTIVE for status in jobs.values())
