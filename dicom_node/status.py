"""What the spool says of each study, for `sifnode status`: read from the files, node or no node."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dicom_node.completion import WAITING_FILE
from dicom_node.durable import read_json
from dicom_node.guard import FolderLock
from dicom_node.intake import Kind
from dicom_node.reports import Report, hash_of
from dicom_node.spool import Spool, StudyFolder

STATUS_FILE = "node.json"


def status_of(folder: Path) -> dict[str, Any]:
    """The node and every study in its data folder, as plain JSON values."""
    spool = Spool(folder)
    studies = [_study(one) for one in spool.studies()] if (folder / "studies").is_dir() else []
    running = FolderLock(folder).is_held()
    return {
        "node": {
            "running": running,
            **((read_json(folder / STATUS_FILE) or {}) if running else {}),
        },
        "folder": str(folder),
        "free_mb": spool.free_bytes() // (1024 * 1024) if folder.is_dir() else None,
        "counts": dict(Counter(study["state"] for study in studies)),
        "studies": studies,
    }


def as_lines(status: dict[str, Any]) -> list[str]:
    """The status for a reader: the node, then a line for each study and each delivery."""
    node = status["node"]
    lines = [
        f"node {node['ae_title']} listens on {node['bind']}:{node['port']} (pid {node['pid']})"
        if node["running"]
        else f"no node runs on {status['folder']}"
    ]
    for study in status["studies"]:
        lines += study_lines(study)
    return lines


def study_lines(study: dict[str, Any]) -> list[str]:
    """One study for a reader: its state, what it waits for, its last report, its deliveries."""
    lines = [f"{study['study_instance_uid']}  {study['state']}  images {study['images']}"]
    lines += [f"  waits: {one}" for one in study["waits_for"]]
    for report in study["reports"][-1:]:
        told = " ".join(filter(None, [report["outcome"], report["presence"]]))
        lines.append(f"  report {report['report']}: {told or report['state']}")
        lines += [f"    {report['reason']}"] if report["reason"] else []
        lines += [f"    {one['sentence']}" for one in report["deliveries"]]
    return lines


def sentence_of(delivery: dict[str, Any]) -> str:
    """One delivery in words, such as "SEG accepted, SR refused 0x0122 by PACS1"."""
    answers = [_said(one) for _, one in sorted(delivery["objects"].items())]
    told = ", ".join(answers) + f" by {delivery['destination']}" if answers else ""
    trouble = f"{delivery['destination']}: {delivery['error']}" if delivery["error"] else ""
    end = f" ({delivery['state']}, attempts: {delivery['attempts']})"
    return "; ".join(filter(None, [told, trouble])) + end


def _said(one: dict[str, Any]) -> str:
    if one["accepted"]:
        return f"{one['word']} {'committed' if one.get('committed') else 'accepted'}"
    return f"{one['word']} refused {one['status'] or '(' + one['reason'] + ')'}"


def _study(study: StudyFolder) -> dict[str, Any]:
    images = study.names(Kind.IMAGE)
    reports = study.reports()
    return {
        "study_instance_uid": study.study_instance_uid,
        "state": _state(images, reports),
        "images": len(images),
        "others": len(study.names(Kind.OTHER)),
        "returned": len(study.names(Kind.RETURNED)),
        "conflicts": len(study.conflicts()),
        "waits_for": (read_json(study.path / WAITING_FILE) or {}).get("lacks", []),
        "reports": [_report(one) for one in reports],
    }


def state_of(study: StudyFolder) -> str:
    """Where a study is, in one word."""
    return _state(study.names(Kind.IMAGE), study.reports())


def _state(images: list[str], reports: list[Report]) -> str:
    if images and hash_of(images) not in {report.manifest_hash for report in reports}:
        return "receiving"
    return _report_state(reports[-1]) if reports else "no image"


def _report_state(report: Report) -> str:
    if report.marker is not None:
        return report.marker.value
    return "analysing" if report.outcome is None else "sending"


def _report(report: Report) -> dict[str, Any]:
    outcome = report.outcome or {}
    deliveries = report.deliveries()
    return {
        "report": report.manifest_hash,
        "sequence": report.sequence,
        "state": _report_state(report),
        "images": len(report.image_names),
        "outcome": outcome.get("state", ""),
        "presence": outcome.get("presence", ""),
        "reason": outcome.get("reason", "") or report.closing().get("reason", ""),
        "exit_code": outcome.get("exit_code"),
        "seconds": outcome.get("seconds"),
        "objects": [path.name for path in report.objects],
        "deliveries": [{**one, "sentence": sentence_of(one)} for one in deliveries],
    }
