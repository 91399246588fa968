"""When a study that went quiet is closed: the rules of ``completeness`` over spool and archive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dicom_node import logs
from dicom_node.archive import Archive
from dicom_node.circuit import Circuit
from dicom_node.circumstances import Circumstances
from dicom_node.completeness import Counted, Held, Verdict, judge, lacking
from dicom_node.config import Config
from dicom_node.durable import read_json, write_json
from dicom_node.intake import Kind
from dicom_node.inventory import series_in
from dicom_node.keyring import Keyring
from dicom_node.priors import prior_of, prior_paths
from dicom_node.reports import Report
from dicom_node.spool import StudyFolder
from sifdetect.errors import ConfigurationError, NetworkError

WAITING_FILE = "waiting.json"
_PRIOR_LOOK_SECONDS = 1.0
_LOOK_SECONDS = 30.0
"""A study that lacks something is looked at so often, or every quiet time if that is shorter."""


class Completion:
    """Looks at studies; ``folder`` is the data folder, ``now`` seconds since the epoch."""

    def __init__(self, config: Config, folder: Path, now: Callable[[], float]) -> None:
        self._config = config
        self._folder = folder
        self._now = now

    def look(self, study: StudyFolder) -> Verdict:
        """What a study lacks now, and whether to wait for it; kept for ``sifnode status``."""
        settings = self._config.study
        verdict = judge(
            self._lacks(study),
            age_seconds=self._now() - _first_arrival(study),
            force_seconds=settings.max_wait_seconds,
            look_seconds=min(settings.quiet_seconds, _LOOK_SECONDS),
        )
        awaited = list(verdict.lacks)
        if not verdict.wait_seconds and self._awaits_prior(study):
            verdict = Verdict(lacks=verdict.lacks, wait_seconds=_PRIOR_LOOK_SECONDS)
            awaited = ["an earlier study is being fetched"]
        waiting = study.path / WAITING_FILE
        if verdict.wait_seconds:
            if (read_json(waiting) or {}).get("lacks") != awaited:
                logs.info("study waits", study=study.study_instance_uid, lacks=len(awaited))
                write_json(waiting, {"lacks": awaited})
        else:
            waiting.unlink(missing_ok=True)
        return verdict

    def tell(self, study: StudyFolder, report: Report, verdict: Verdict) -> None:
        """Have the result say what its study lacked, and compare it with its prior."""
        remarks = [
            f"The study was not complete when it was analysed: {one}" for one in verdict.lacks
        ]
        known = prior_of(study.path) if self._config.priors.enabled else {}
        if known.get("state") in ("asking", "failed"):
            reason = known.get("reason") or "it did not come in time"
            remarks.append(f"An earlier study could not be looked at: {reason}")
        prior = prior_paths(study.path) if self._config.priors.enabled else ()
        Circumstances(remarks=tuple(remarks), prior=prior).keep(report.folder)

    def _awaits_prior(self, study: StudyFolder) -> bool:
        """Whether its prior is under way, and it has not waited long for it."""
        settings = self._config
        if not settings.priors.enabled or prior_of(study.path).get("state") != "asking":
            return False
        folder = study.path / Kind.IMAGE.value
        last = max((folder / name).stat().st_mtime for name in study.names(Kind.IMAGE))
        limit = settings.study.quiet_seconds + settings.priors.wait_seconds
        return self._now() - last < limit

    def _lacks(self, study: StudyFolder) -> list[str]:
        config = self._config
        asks = config.archive.destination and config.archive.expect != "nothing"
        if not (asks or config.study.check_gaps):
            return []
        folder = study.path / Kind.IMAGE.value
        held = series_in(folder / name for name in study.names(Kind.IMAGE))
        expected = self._expected(study.study_instance_uid) if asks else None
        if not config.study.check_gaps:
            held = [_without_planes(one) for one in held]
        return lacking(held, expected, config.archive.expect)

    def _expected(self, study_instance_uid: str) -> dict[str, Counted] | None:
        """What the archive says; None where it says nothing, and the quiet time alone decides."""
        name = self._config.archive.destination
        if Circuit(
            self._folder / "destinations" / f"{name}.json", self._config.send, self._now
        ).is_open:
            return None
        try:
            return archive_of(self._config).counts(study_instance_uid)
        except NetworkError as error:
            logs.warning("archive not asked", destination=name, error=error.reason)
        except Exception as error:  # noqa: BLE001  # whatever it answers, the study must be closed
            logs.warning("archive not understood", destination=name, error=type(error).__name__)
        return None


def archive_of(config: Config, keys: Keyring | None = None) -> Archive:
    """The archive of the settings; ``keys`` are those that C-MOVE's listener uses.

    Raises:
        ConfigurationError: they name none.
    """
    if not config.archive.destination:
        raise ConfigurationError(
            "The settings name no archive to ask", hint="Set archive.destination to a destination"
        )
    return Archive(
        config.destination[config.archive.destination],
        own_title=config.dicom.ae_title,
        timeout_seconds=config.archive.timeout_seconds,
        door=config.dicom,
        keys=keys,
    )


def _without_planes(one: Held) -> Held:
    return Held(
        series_instance_uid=one.series_instance_uid, number=one.number, instances=one.instances
    )


def _first_arrival(study: StudyFolder) -> float:
    """When the first image came that is in no report yet."""
    known = {name for report in study.reports() for name in report.image_names}
    folder = study.path / Kind.IMAGE.value
    times = [
        (folder / name).stat().st_mtime for name in study.names(Kind.IMAGE) if name not in known
    ]
    return min(times, default=0.0)
