"""Earlier studies, fetched while a new one still arrives, so that nobody waits for them.

What is fetched lies in the folder of the study that it is for (``prior/``), is analysed with it as
its prior and never as a study of its own. ``prior.json`` says how far it is.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from dicom_node import logs
from dicom_node.archive import Archive
from dicom_node.auditlog import Auditor
from dicom_node.config import Config
from dicom_node.durable import read_json, write_json
from dicom_node.earlier import Sought, candidates, own_report, query_of, worth_fetching
from dicom_node.intake import Kind
from dicom_node.retrieve import Basket, fetch
from dicom_node.returned import record_fetched
from dicom_node.spool import Spool, StudyFolder
from sifdetect.dicom.identity import identity_of
from sifdetect.errors import NetworkError, SifdetectError

STATE_FILE, FOLDER = "prior.json", "prior"
_MOST_TRIED = 3
_MOST_REPORTS = 20


class Priors:
    """Fetches one prior after another in a thread of its own.

    Args:
        archive: who is asked.
        now: seconds since the epoch.
        auditor: writes down what came.
    """

    def __init__(
        self,
        config: Config,
        *,
        spool: Spool,
        archive: Archive,
        now: Callable[[], float],
        auditor: Auditor,
    ) -> None:
        self._config = config
        self._spool = spool
        self._archive = archive
        self._now, self._auditor = now, auditor
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="priors")
        self._asked: set[str] = set()

    def seek(self, study_instance_uid: str) -> None:
        """See to it that the prior of a study that arrives is fetched, once."""
        study = self._spool.study(study_instance_uid)
        known = prior_of(study.path).get("state", "asking")
        if known != "asking" or study_instance_uid in self._asked:
            return
        try:
            if study.names(Kind.IMAGE):
                write_json(study.path / STATE_FILE, {"state": "asking", "at": self._now()})
                self._asked.add(study_instance_uid)
                self._pool.submit(self._fetch, study)
        except OSError as error:
            logs.warning("prior not sought", reason=error.strerror)

    def carry_on(self) -> None:
        """Fetch anew what a killed process was fetching; what no report waits for is let go."""
        for study in self._spool.studies():
            if prior_of(study.path).get("state") == "asking":
                reports = study.reports()
                if not reports or any(one.marker is None for one in reports):
                    self.seek(study.study_instance_uid)
                else:
                    forget_prior(study.path)

    def stop(self) -> None:
        """Begin nothing more; who is at work is left alone."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, study: StudyFolder) -> None:
        """Fetch, and say what came of it; nothing that goes wrong here goes further."""
        begun = time.monotonic()
        try:
            found = self._sought(study)
        except SifdetectError as error:
            found = {"state": "failed", "reason": error.reason}
        except Exception as error:  # noqa: BLE001  # the study itself must go on
            found = {"state": "failed", "reason": f"{type(error).__name__} at the archive"}
        write_json(study.path / STATE_FILE, {**found, "at": self._now()})
        self._asked.discard(study.study_instance_uid)
        seconds = round(time.monotonic() - begun, 3)
        told = {key: found[key] for key in ("state", "kind", "instances", "reason") if key in found}
        logs.info("prior", study=study.study_instance_uid, seconds=seconds, **told)

    def _sought(self, study: StudyFolder) -> dict[str, Any]:
        sought = _sought_of(study)
        query = query_of(sought)
        if query is None:
            return {"state": "none", "reason": "the study has no Patient ID or no date"}
        years = self._config.priors.max_years
        listed = candidates(sought, self._archive.studies(query), max_years=years)
        deadline = time.monotonic() + self._config.priors.timeout_seconds
        trouble = ""
        for one in listed[:_MOST_TRIED]:
            try:
                came = self._take(study, sought, one, deadline)
            except SifdetectError as error:
                trouble = error.reason
                continue
            if came is not None:
                return came | {"date": str(one.get("StudyDate") or "")}
        if trouble:
            raise NetworkError(trouble)
        return {"state": "none", "reason": "the archive lists no earlier study of this region"}

    def _take(
        self, study: StudyFolder, sought: Sought, one: Dataset, deadline: float
    ) -> dict[str, Any] | None:
        """Its images; its report where they are too many or do not come; None for neither."""
        uid = str(one.StudyInstanceUID)
        series = self._archive.series(uid)
        most = self._config.priors.max_instances
        wanted = worth_fetching(series, modality=sought.modality, most=most)
        report = own_report(series)
        if wanted:
            try:
                count = self._into("images", study, uid, wanted, deadline)
            except NetworkError:
                if report is None:
                    raise
            else:
                return {"state": "found", "kind": "images", "study": uid, "instances": count}
        if report is None:
            return None
        count = self._into("results", study, uid, [report], deadline)
        _read_back(study.path / FOLDER / "results", uid)
        return {"state": "found", "kind": "results", "study": uid, "instances": count}

    def _into(
        self, kind: str, study: StudyFolder, uid: str, series: Sequence[Dataset], deadline: float
    ) -> int:
        """Fetch series whole, or leave nothing."""
        settings = self._config.priors
        folder = study.path / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        most = settings.max_instances if kind == "images" else _MOST_REPORTS
        basket = Basket(folder / kind, uid, most=most, most_mb=settings.max_mb, deadline=deadline)
        named = [(uid, str(one.SeriesInstanceUID)) for one in series]
        try:
            fetch(self._archive, self._config.archive, named, basket)
            if not basket.count:
                raise NetworkError("The archive sent nothing of a study that it lists")
            record_fetched(self._auditor, self._archive.peer, sorted((folder / kind).iterdir()))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return basket.count


def prior_of(study: Path) -> dict[str, Any]:
    """How far the prior of the study in that folder is: ``state``, and what came of it."""
    return read_json(study / STATE_FILE) or {}


def prior_paths(study: Path) -> tuple[Path, ...]:
    """What was fetched for the study in that folder; empty where nothing was."""
    known = prior_of(study)
    folder = study / FOLDER / str(known.get("kind", ""))
    return (folder,) if known.get("state") == "found" and folder.is_dir() else ()


def forget_prior(study: Path) -> None:
    """Remove what was fetched for the study in that folder."""
    shutil.rmtree(study / FOLDER, ignore_errors=True)
    (study / STATE_FILE).unlink(missing_ok=True)


def _sought_of(study: StudyFolder) -> Sought:
    path = study.path / Kind.IMAGE.value / study.names(Kind.IMAGE)[0]
    header = dcmread(path, stop_before_pixels=True)
    return Sought(
        study_instance_uid=study.study_instance_uid,
        patient_id=str(header.get("PatientID") or "").strip(),
        identity=identity_of(header),
        modality=str(header.get("Modality") or ""),
    )


def _read_back(folder: Path, uid: str) -> None:
    """Our own report of an earlier study as the results folder that it was made from.

    Raises:
        SifdetectError: none of the files is a report of ours on that study.
    """
    # Heavy, and needed only where an archive has our report and its images are too many.
    from sifdetect.dicom.read_sr import read_findings  # noqa: PLC0415  # see above
    from sifdetect.findings import to_json  # noqa: PLC0415  # see above

    reason = "no report"
    for path in sorted(folder.glob("*.dcm")):
        try:
            findings = read_findings(path)
        except SifdetectError as error:
            reason = error.reason
            path.unlink()
            continue
        if findings.study_instance_uid == uid:
            (folder / "findings.json").write_text(json.dumps(to_json(findings)), encoding="utf-8")
            return
    raise NetworkError(f"The report of the earlier study cannot be used ({reason})")
