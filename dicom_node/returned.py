"""What a destination answered to results, and what was fetched from it, for the audit log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from dicom_node.audit import Party
from dicom_node.auditlog import Auditor
from dicom_node.config import Destination


def record_answers(
    auditor: Auditor, peer: Destination, objects: list[Path], answers: list[dict[str, Any]]
) -> None:
    """Write down what was accepted and what was refused, if anything was offered.

    Args:
        objects: files of the results, which name the study and the patient.
        answers: of this attempt, one for each object (see ``dicom_node.answers``).
    """
    if not answers or not objects:
        return
    told = [
        (str(one["sop_class_uid"]), bool(one["accepted"]), f"{one['status']} {one['reason']}")
        for one in answers
    ]
    auditor.returned(_party(peer), _named(objects[0]), told)


def record_fetched(auditor: Auditor, peer: Destination, files: list[Path]) -> None:
    """Write down that an archive sent these files of one study, as it was asked to."""
    kinds = [str(read_file_meta_info(path).MediaStorageSOPClassUID) for path in files]
    auditor.fetched(_party(peer), _named(files[0]), Counter(kinds))


def _party(peer: Destination) -> Party:
    return Party(title="" if peer.url else peer.ae_title, place=peer.url or peer.host)


def _named(result: Path) -> tuple[str, str]:
    tags: list[Any] = ["StudyInstanceUID", "PatientID", "SpecificCharacterSet"]
    try:
        found = dcmread(result, stop_before_pixels=True, specific_tags=tags)
    except (OSError, InvalidDicomError):
        return "", ""
    return str(found.get("StudyInstanceUID") or ""), str(found.get("PatientID") or "")
