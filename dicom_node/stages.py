"""What each stage does to the spool: close, analyse, deliver, finish, clean. No job engine here.

Each stage may be repeated after a kill at any point: it looks at the spool first, and what is done
stays done.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dicom_node import logs
from dicom_node.analysis import Outcome
from dicom_node.auditlog import Auditor
from dicom_node.circumstances import withdraw_prior
from dicom_node.completion import Completion
from dicom_node.config import Config
from dicom_node.delivery import Courier, fresh, told
from dicom_node.durable import make_folder
from dicom_node.failed import write_failure_report
from dicom_node.intake import Kind, name_of
from dicom_node.killpoint import reach
from dicom_node.priors import forget_prior
from dicom_node.reports import Marker, Report, hash_of, open_report, report_of
from dicom_node.returned import record_answers
from dicom_node.spool import Spool
from dicom_node.tally import count_analysis, count_delivery, log_delivery

_TO_RETRY = (Marker.FAILED, Marker.UNDELIVERED)
"""What `sifnode retry` may still be asked for, of a study's last report; it needs the images."""
_HELD = ("images", "others", "returned", "conflicts")
_REPLACEABLE = (None, Marker.SENT, Marker.UNDELIVERED)


class Analyse(Protocol):
    """Analyses the images of one study into an empty folder."""

    def __call__(self, images: Sequence[Path], out: Path) -> Outcome:
        """Raises OSError where results cannot be written."""


@dataclass(frozen=True, kw_only=True)
class Closed:
    """What came of closing a study: the report that is due, if there is one.

    Attributes:
        manifest_hash: names the report; empty where the study holds no image.
        due: whether there is something to analyse or to send.
        fresh: whether the analysis is still to be done, whatever earlier jobs of that name say.
        wait_seconds: until the study is looked at again, because something is missing; 0 if not.
    """

    manifest_hash: str
    due: bool
    fresh: bool = False
    wait_seconds: float = 0.0


class Stages:
    """The work of the node, over one spool."""

    def __init__(
        self,
        config: Config,
        *,
        spool: Spool,
        analyse: Analyse,
        now: Callable[[], float],
        auditor: Auditor | None = None,
    ) -> None:
        self._auditor = auditor
        self._config = config
        self._spool = spool
        self._analyse = analyse
        self._now = now
        self._courier = Courier(config, spool.folder, now)
        self._completion = Completion(config, spool.folder, now)

    def close(self, study_instance_uid: str, *, unless_not: str = "") -> Closed:
        """Say which images the report on a study rests on, unless some are still waited for.

        Args:
            unless_not: the hash of the images that were there when this look was asked for; where
                others came since, theirs is another look.
        """
        study = self._spool.study(study_instance_uid)
        names = study.names(Kind.IMAGE)
        if not names or unless_not not in ("", hash_of(names)):
            return Closed(manifest_hash="", due=False)
        verdict = self._completion.look(study)
        if verdict.wait_seconds:
            return Closed(
                manifest_hash=hash_of(names), due=False, wait_seconds=verdict.wait_seconds
            )
        report = open_report(study.path, names)
        if report.marker is Marker.FAILED:  # sent again, so somebody still wants an answer
            report.start_over()
        if report.marker is None and _is_remainder(report, study.reports()):
            report.mark(
                Marker.WITHHELD,
                reason="Images came after the others were removed; send the whole study again",
            )
            logs.warning("report withheld", study=study_instance_uid, images=len(names))
        due = report.marker is None
        event = "study closed" if due else "study unchanged"
        logs.info(event, study=study_instance_uid, report=report.manifest_hash, images=len(names))
        fresh = due and report.outcome is None
        if fresh:
            self._completion.tell(study, report, verdict)
        return Closed(manifest_hash=report.manifest_hash, due=due, fresh=fresh)

    def analyse(self, study_instance_uid: str, manifest_hash: str) -> bool:
        """Make the results, unless they are there; returns whether there are objects to send.

        Raises:
            OSError: the results could not be written; another attempt may succeed.
        """
        report = self.report(study_instance_uid, manifest_hash)
        if self._is_over(study_instance_uid, report):
            return False
        if report.outcome is None:
            outcome = self._made(report)
            logs.info(
                "study analysed",
                study=study_instance_uid,
                report=manifest_hash,
                state=outcome.state,
                exit_code=outcome.exit_code,
                seconds=outcome.seconds,
            )
            count_analysis(outcome)
        if not report.objects:
            report.mark(Marker.FAILED, reason=(report.outcome or {}).get("reason", ""))
        return bool(report.objects)

    def deliver(self, study_instance_uid: str, manifest_hash: str, destination: str) -> float:
        """Send what a destination has not accepted yet; returns seconds to wait for the next try.

        0 means that there is none: all is accepted, or too old, or there is a newer report.
        """
        report = self.report(study_instance_uid, manifest_hash)
        if destination not in self._config.destination or self._is_over(study_instance_uid, report):
            return 0.0
        before = report.delivery(destination)
        document, delay = self._courier.attempt(report, destination)
        reach("results sent")
        report.record_delivery(destination, document)
        count_delivery(document)
        reach("delivery recorded")
        log_delivery(study_instance_uid, document, told(before, document))
        if self._auditor is not None:
            peer = self._config.destination[destination]
            record_answers(self._auditor, peer, report.objects, fresh(before, document))
        return delay

    def is_archived(self, study_instance_uid: str) -> bool:
        """Whether a study was handed in by a campaign, so that all others go before it."""
        return _archive_mark(self._spool.folder, study_instance_uid).exists()

    def destinations(self) -> list[str]:
        """Who gets the results."""
        return sorted(self._config.destination)

    def is_delivered(self, study_instance_uid: str, manifest_hash: str, destination: str) -> bool:
        """Whether a destination has accepted everything."""
        known = self.report(study_instance_uid, manifest_hash).delivery(destination)
        return known is not None and known["state"] == "delivered"

    def finish(self, study_instance_uid: str, manifest_hash: str) -> bool:
        """Set the terminal marker once no destination waits; returns whether it is set."""
        report = self.report(study_instance_uid, manifest_hash)
        states = {
            name: (report.delivery(name) or {}).get("state") for name in self._config.destination
        }
        if any(state not in ("delivered", "given up") for state in states.values()):
            return report.marker is not None
        given_up = sorted(name for name, state in states.items() if state == "given up")
        ended = Marker.FAILED if report.failed else Marker.SENT
        marker = Marker.UNDELIVERED if given_up else ended
        reason = {"reason": (report.outcome or {}).get("reason", "")} if report.failed else {}
        report.mark(marker, destinations=sorted(states), given_up=given_up, **reason)
        reach("report finished")
        return True

    def clean(self, study_instance_uid: str) -> bool:
        """Remove a study's instances once nothing needs them; returns whether any were removed.

        Reports stay. Nothing needs what came ``storage.keep_hours`` ago to a study whose reports
        have all ended, the last of them not in a way that ``sifnode retry`` could still mend.
        """
        study = self._spool.study(study_instance_uid)
        held = [path for kind in _HELD for path in (study.path / kind).glob("*.dcm")]
        reports = study.reports() if held else []
        whole = [one for one in reports if one.marker is not Marker.WITHHELD]
        if any(one.marker is None for one in reports) or (whole and whole[-1].marker in _TO_RETRY):
            return False
        ended = [float(one.closing().get("at", 0)) for one in reports]
        known = {name for one in reports for name in one.image_names}
        waiting = any(name not in known for name in study.names(Kind.IMAGE))
        last = max([*ended, *(path.stat().st_mtime for path in held)], default=0.0)
        if not held or waiting or self._now() - last < self._config.storage.keep_hours * 3600:
            return False
        self._spool.remove_instances(study, sorted(known))
        forget_prior(study.path)
        logs.info("instances removed", study=study_instance_uid, instances=len(held))
        return True

    def fail(self, study_instance_uid: str, manifest_hash: str, reason: str) -> bool:
        """End a report whose job is dead; returns whether there is something to send of it.

        What was made is still sent; where nothing was, a text report says so.
        """
        report = self.report(study_instance_uid, manifest_hash)
        if report.outcome is None:
            work = report.begin_results()
            write_failure_report(report.images, work, "The analysis was given up")
            document = Outcome(state="failed", reason=reason, exit_code=1).as_document()
            report.finish_results(work, document)
            logs.error("report failed", study=study_instance_uid, report=manifest_hash)
        if not report.objects:
            report.mark(Marker.FAILED, reason=reason)
        return bool(report.objects)

    def report(self, study_instance_uid: str, manifest_hash: str) -> Report:
        """The report of that hash on that study."""
        return report_of(self._spool.study(study_instance_uid).path, manifest_hash)

    def _made(self, report: Report) -> Outcome:
        """Make the results; what cannot be finished leaves no trace on a disk that may be full."""
        work = report.begin_results()
        try:
            outcome = self._analyse(report.images, work)
            reach("study analysed")
            if outcome.state == "failed" and withdraw_prior(report.folder, outcome.told):
                logs.warning("prior withdrawn", report=report.manifest_hash)
                work = report.begin_results()
                outcome = self._analyse(report.images, work)
            if not any(work.rglob("*.dcm")):
                write_failure_report(report.images, work, outcome.told)
            report.finish_results(work, outcome.as_document())
        except OSError:
            shutil.rmtree(work, ignore_errors=True)
            raise
        return outcome

    def _is_over(self, study_instance_uid: str, report: Report) -> bool:
        if report.marker is not None:
            return True
        reports = self._spool.study(study_instance_uid).reports()
        newer = [other for other in reports if other.sequence > report.sequence]
        if any(other.marker in _REPLACEABLE for other in newer):
            report.mark(Marker.SUPERSEDED, by=newer[-1].manifest_hash)
            return True
        return False


def mark_archived(folder: Path, study_instance_uid: str) -> None:
    """Have a study of the data folder analysed after all others."""
    mark = _archive_mark(folder, study_instance_uid)
    make_folder(mark.parent)
    mark.touch()


def _archive_mark(folder: Path, study_instance_uid: str) -> Path:
    return folder / "campaigns" / "studies" / name_of(study_instance_uid)


def _is_remainder(report: Report, reports: list[Report]) -> bool:
    """Whether images of an earlier report are gone, so that this one would rest on the rest."""
    earlier = [
        other
        for other in reports
        if other.sequence < report.sequence and other.marker is not Marker.WITHHELD
    ]
    return bool(earlier) and not earlier[-1].identities <= report.identities
