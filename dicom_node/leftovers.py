"""What killed processes leave in a data folder, and its removal at a start.

Nothing here decides what is true: a file that is still being written, a version of a result on its
way to a destination, a folder that was made for what never came, a storage commitment that no
delivery waits for.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from dicom_node import logs
from dicom_node.durable import PARTIAL
from dicom_node.intake import name_of
from dicom_node.reports import reports_of

OUTGOING = "outgoing"
"""Where versions of results lie while they are sent."""
_ABANDONED_SECONDS = 3600.0
"""No document takes so long to be written; what is left of an older one belongs to nobody."""


def sweep(folder: Path, *, shared: bool) -> None:
    """Remove what was left; what cannot be removed is told in the log and keeps nobody waiting.

    Args:
        shared: whether other processes may be at work below ``folder``; what could be theirs is
            left alone for an hour, as what belongs to a campaign always is.
    """
    hour_ago = time.time() - _ABANDONED_SECONDS
    latest = hour_ago if shared else float("inf")
    for path in sorted(folder.rglob(f"*{PARTIAL}")):
        of_campaign = path.relative_to(folder).parts[0] == "campaigns"
        _remove(path, hour_ago if of_campaign else latest)
    for path in (folder / OUTGOING).glob("*"):
        _remove(path, latest)
    for path in _unawaited(folder):
        _remove(path, latest)
    for path in (folder / "studies").glob("*"):
        _sweep_study(path)


def _unawaited(folder: Path) -> Iterator[Path]:
    """The commitments that no unfinished delivery has asked for."""
    found = {path.stem: path for path in (folder / "commitments").glob("*.json")}
    if found:
        for study in (folder / "studies").glob("*"):
            for report in reports_of(study):
                for delivery in report.deliveries() if report.marker is None else ():
                    asked = delivery.get("commit") or {}
                    found.pop(name_of(str(asked.get("transaction", ""))), None)
    yield from found.values()


def _sweep_study(study: Path) -> None:
    """Only who holds the folder's lock makes studies and opens reports: nobody does so now."""
    for report in study.glob("reports/*"):
        if not (report / "manifest.json").exists():
            _remove(report)
    held = (path for path in study.rglob("*") if path.is_file() and path.name != "study.json")
    if next(held, None) is None:
        _remove(study)


def _remove(path: Path, latest: float = float("inf")) -> None:
    """Remove a file or a folder that was last changed no later than ``latest``."""
    try:
        if path.lstat().st_mtime > latest:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return  # with the folder that it lay in
    except OSError as error:
        logs.warning("leftover not removed", path=str(path), reason=error.strerror)
