"""What the page shows of each study: whose it is, where it stands, what was found, and when.

Everything is read from the spool, as `sifnode status` does; of many studies only those that are
shown are looked at closely.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom import Dataset, dcmread

from dicom_node import logs
from dicom_node.intake import Kind
from dicom_node.reports import Marker, Report
from dicom_node.spool import Spool, StudyFolder
from dicom_node.status import sentence_of, state_of
from sifdetect.findings import from_json

PAGE_LENGTH = 50
ATTENTION, PROGRESS, DONE = "attention", "progress", "done"
_GROUPS = {
    "failed": ATTENTION,
    "undelivered": ATTENTION,
    "withheld": ATTENTION,
    "receiving": PROGRESS,
    "analysing": PROGRESS,
    "sending": PROGRESS,
}
"""Any other state is ``done``."""

_ACTIONS = {
    "failed": "Analyse again",
    "undelivered": "Send again",
    "sending": "Send now",
    "sent": "Send again",
}
_PRESENCE = {
    "present": "Finding like a sacral insufficiency fracture.",
    "absent": "No finding like a sacral insufficiency fracture was seen.",
    "indeterminate": "Indeterminate.",
}
_WANTED = ("PatientName", "PatientID", "StudyDate", "StudyDescription", "AccessionNumber")


@dataclass(frozen=True, kw_only=True)
class Whose:
    """What tells a reader which study it is; empty where the header does not say."""

    name: str = ""
    patient_id: str = ""
    date: str = ""
    description: str = ""
    accession: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One study on the page.

    Attributes:
        group: attention, progress or done.
        sentence: what was found; empty while nothing is known.
        reason: why it failed, where it did.
        times: what happened when, and how long it took, each with its word.
        action: what the button says; empty where nothing could be done again.
    """

    uid: str
    state: str
    group: str
    whose: Whose
    images: int
    sentence: str
    presence: str
    reason: str
    times: tuple[tuple[str, str], ...]
    deliveries: tuple[str, ...]
    action: str


@dataclass(frozen=True, kw_only=True)
class Board:
    """One page of studies, the newest first.

    Attributes:
        counts: of all studies, by group.
        total: of the studies in the chosen group.
    """

    rows: tuple[Row, ...]
    counts: dict[str, int]
    total: int
    page: int
    pages: int


def board_of(spool: Spool, *, group: str = "", page: int = 1) -> Board:
    """The studies of a group (of all, where it is empty), ``PAGE_LENGTH`` on a page."""
    found = [(_changed_at(study), study) for study in spool.studies()]
    found.sort(key=lambda pair: (-pair[0], pair[1].study_instance_uid))
    states = [(study, state_of(study)) for _, study in found]
    counts = Counter(_group(state) for _, state in states)
    chosen = [(study, state) for study, state in states if group in ("", _group(state))]
    pages = max(1, -(-len(chosen) // PAGE_LENGTH))
    page = min(max(page, 1), pages)
    shown = chosen[(page - 1) * PAGE_LENGTH : page * PAGE_LENGTH]
    return Board(
        rows=tuple(_row(study, state) for study, state in shown),
        counts={name: counts[name] for name in (ATTENTION, PROGRESS, DONE)},
        total=len(chosen),
        page=page,
        pages=pages,
    )


def _group(state: str) -> str:
    return _GROUPS.get(state, DONE)


def _changed_at(study: StudyFolder) -> float:
    """When the study last got something: an instance, or a report."""
    places = (study.path, study.path / Kind.IMAGE.value, study.path / "reports")
    return max(place.stat().st_mtime for place in places if place.exists())


def _row(study: StudyFolder, state: str) -> Row:
    reports = study.reports()
    report = reports[-1] if reports else None
    outcome = (report.outcome if report else None) or {}
    closing = report.closing() if report else {}
    whole = [one for one in reports if one.marker is not Marker.WITHHELD]
    is_known = report is not None and state != "receiving"
    return Row(
        uid=study.study_instance_uid,
        state=state,
        group=_group(state),
        whose=_whose(study, reports),
        images=len(study.names(Kind.IMAGE)) or (len(report.image_names) if report else 0),
        sentence=_sentence(report, outcome) if report and is_known else "",
        presence=outcome.get("presence", "") if is_known else "",
        reason=(outcome.get("reason", "") or closing.get("reason", "")) if is_known else "",
        times=_times(study, report, outcome, closing),
        deliveries=tuple(sentence_of(one) for one in report.deliveries()) if report else (),
        action=_ACTIONS.get(state, "") if whole else "",
    )


def _sentence(report: Report, outcome: dict[str, str]) -> str:
    for path in sorted(report.folder.glob("results/**/findings.json")):
        try:
            # Heavy, and not needed before the first report is shown.
            from sifdetect.dicom.sentences import headline  # noqa: PLC0415  # see above

            return headline(from_json(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError) as error:
            logs.warning("findings unreadable", error=type(error).__name__)
    return _PRESENCE.get(outcome.get("presence", ""), "")


def _times(
    study: StudyFolder, report: Report | None, outcome: dict[str, float], closing: dict[str, float]
) -> tuple[tuple[str, str], ...]:
    first = (study.path / "study.json").stat().st_mtime
    images = study.path / Kind.IMAGE.value
    last = images.stat().st_mtime if images.exists() and study.names(Kind.IMAGE) else first
    told = [("First image", _clock(first))]
    if last - first >= 1:
        told.append(("Transfer", _duration(last - first)))
    if "seconds" in outcome:
        told.append(("Analysis", _duration(float(outcome["seconds"]))))
    if report is not None and "at" in closing:
        told.append(("Ended", _clock(float(closing["at"]))))
        if float(closing["at"]) > first:  # files that were copied are younger than they say
            told.append(("In all", _duration(float(closing["at"]) - first)))
    return tuple(told)


def _whose(study: StudyFolder, reports: list[Report]) -> Whose:
    images = [study.path / Kind.IMAGE.value / name for name in study.names(Kind.IMAGE)[:1]]
    objects = [path for report in reversed(reports) for path in report.objects[:1]]
    others = [study.path / Kind.OTHER.value / name for name in study.names(Kind.OTHER)[:1]]
    for path in (*images, *objects, *others):
        found = _read_whose(path)
        if found is not None:
            return found
    return Whose()


@lru_cache(maxsize=4096)
def _read_whose(path: Path) -> Whose | None:
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED))
        date = _text(header, "StudyDate")
        return Whose(
            name=_person(header),
            patient_id=_text(header, "PatientID"),
            date=f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else date,
            description=_text(header, "StudyDescription"),
            accession=_text(header, "AccessionNumber"),
        )
    except Exception as error:  # noqa: BLE001  # whatever a broken header leads to, the page is shown
        logs.warning("header unreadable", error=type(error).__name__)
        return None


def _person(header: Dataset) -> str:
    """Family name, given name: the first component group that holds anything (PS3.5 6.2.1)."""
    groups = _text(header, "PatientName").split("=")
    name = next((group for group in groups if group.strip("^ ")), "")
    family, _, rest = name.partition("^")
    given = " ".join(part for part in rest.split("^") if part)
    return ", ".join(part for part in (family, given) if part)


def _text(header: Dataset, keyword: str) -> str:
    value = str(header.get(keyword) or "")
    return "".join(sign if sign.isprintable() else " " for sign in value).strip()


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} d"
