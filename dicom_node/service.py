"""The node put together: receiver, spool, stages, job engine, analysis, HTTP port."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dicom_node import logs
from dicom_node.analysis import Analyst, Analyze, analyze_with_sifdetect
from dicom_node.auditlog import Auditor
from dicom_node.commit import CommitListener, Commitments
from dicom_node.completion import archive_of
from dicom_node.config import Config
from dicom_node.desk import Arrival, Desk
from dicom_node.durable import OTHERS, OWN_FOLDER, make_folder, write_json
from dicom_node.guard import FolderLock, Guard
from dicom_node.http_port import HttpPort, http_keyring
from dicom_node.intake import Kind
from dicom_node.jobs import retry
from dicom_node.keyring import Keyring, Renewals, dicom_keyring
from dicom_node.killpoint import reach
from dicom_node.lifelines import DatabaseLifelines, FileLifelines, Lifelines
from dicom_node.priors import Priors
from dicom_node.receive import Receiver
from dicom_node.reconcile import reconcile
from dicom_node.spool import Spool
from dicom_node.stages import Stages
from dicom_node.status import STATUS_FILE
from dicom_node.vitals import Vitals, Waiting
from dicom_node.web import Backstage, application
from dicom_node.workflow import Workflows
from sifdetect.errors import ConfigurationError

_SWEEP_SECONDS = 1.0


def serve(
    config: Config,
    *,
    analyze: Analyze | None = None,
    now: Callable[[], float] = time.time,
    ready: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Run the node until SIGTERM or SIGINT; at SIGHUP certificates are read again.

    Args:
        analyze: makes the results; the analysis of the settings where there is none.
        now: seconds since the epoch, by which attempts grow too old.
        ready: called once with what is in the status file, when studies can be sent.

    Raises:
        ConfigurationError: the data folder cannot be used, or another node uses it.
        NetworkError: a port is taken.
    """
    logs.log_thread_failures()
    warnings.simplefilter("ignore")  # pydicom's quote the values that they complain about
    node = Node(config, analyze=analyze or _analysis(config), now=now)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: node.renew())
    try:
        ready(node.start())
        stop.wait()
        logs.info("stopping")
    finally:
        node.stop()
    logs.info("stopped")


def _analysis(config: Config) -> Analyze:
    return analyze_with_sifdetect(replace(config.analysis, outputs=config.outputs))


def _lifelines(config: Config) -> Lifelines:
    database = config.jobs.database
    return DatabaseLifelines(database) if database else FileLifelines(config.storage.folder)


def _priors(
    config: Config, spool: Spool, auditor: Auditor, now: Callable[[], float], keys: Keyring | None
) -> Priors | None:
    if not config.priors.enabled:
        return None
    archive = archive_of(config, keys)
    return Priors(config, spool=spool, archive=archive, now=now, auditor=auditor)


class Node:
    """One node in this process."""

    def __init__(self, config: Config, *, analyze: Analyze, now: Callable[[], float]) -> None:
        self._config = config
        self._folder = config.storage.folder
        self._executor = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        self._lock = FolderLock(self._folder)
        self._guard = Guard(_lifelines(config), self._executor)
        self._receives = config.jobs.role != "worker"
        keys = self._keys = dicom_keyring(config.dicom) if self._receives else None
        self._http_keys = http_keyring(config.http) if config.http.enabled else None
        self._renewals = Renewals([one for one in (keys, self._http_keys) if one is not None])
        self._spool = Spool(self._folder)
        self._analyst = Analyst(analyze, config.analysis.timeout_seconds)
        self._auditor = Auditor(config.audit, self._folder, title=config.dicom.ae_title)
        self._stages = Stages(
            config,
            spool=self._spool,
            analyse=self._analyst.analyse,
            now=now,
            auditor=self._auditor,
        )
        self._workflows: Workflows | None = None
        self._receiver = Receiver(
            config.dicom,
            spool=self._spool,
            min_free_mb=config.storage.min_free_mb,
            arrived=self._arrived,
            limits=config.limits,
            auditor=self._auditor,
        )
        self._vitals = Vitals(config, self._spool, listening=self._listening, waiting=self._waiting)
        self._http: HttpPort | None = None
        self._commit = CommitListener(config, Commitments(self._folder), self._hurry)
        self._priors = _priors(config, self._spool, self._auditor, now, keys)
        self._changed: set[str] = set()
        self._changed_lock = threading.Lock()
        self._stopping = threading.Event()

    def start(self) -> dict[str, Any]:
        """Take the folder, open the ports, begin to work; returns what the status file says."""
        self._take_folder()
        workflows = Workflows(self._config, stages=self._stages, executor=self._executor)
        workflows.launch()
        self._workflows = workflows
        self._guard.hold()  # now, because launching may have made the database
        port = commit_port = None
        if self._receives:
            if self._priors is not None:
                self._priors.carry_on()
            reconcile(self._spool, self._stages, workflows)
            port = self._receiver.start(self._keys)
            commit_port = self._commit.start(self._keys) if self._commits() else None
        http_port = self._start_http() if self._config.http.enabled else None
        for target in (self._tick, self._maintain, self._renew):
            threading.Thread(target=target, daemon=True, name=target.__name__).start()
        status = {
            "ae_title": self._config.dicom.ae_title,
            "role": self._config.jobs.role,
            "bind": self._config.dicom.bind,
            "port": port,
            "http_port": http_port,
            "commit_port": commit_port,
            "pid": os.getpid(),
            "executor": self._executor,
            "folder": str(self._folder),
            "destinations": sorted(self._config.destination),
            "started_at": time.time(),
        }
        if self._receives:
            write_json(self._folder / STATUS_FILE, status)
        self._auditor.activity(starts=True)
        logs.info("ready", **status)
        return status

    def stop(self) -> None:
        """Let nothing more in, hand over what was let in, and leave the rest to the next start."""
        self._stopping.set()
        if self._receiver.is_listening:
            self._receiver.stop()
        self._commit.stop()
        if self._http is not None:
            self._http.stop()
        if self._workflows is not None:
            self._auditor.activity(starts=False)
        self._analyst.stop()
        if self._priors is not None:
            self._priors.stop()
        if self._workflows is not None:
            self._workflows.stop()

    def renew(self) -> None:
        """Have the certificates read again, soon."""
        self._renewals.ask()

    def _renew(self) -> None:
        self._renewals.run(self._stopping)

    def _start_http(self) -> int:
        config = self._config
        min_free_mb = config.storage.min_free_mb
        backstage = Backstage(
            folder=self._folder,
            desk=Desk(
                spool=self._spool,
                min_free_mb=min_free_mb,
                arrived=self._arrived,
                limits=config.limits,
                auditor=self._auditor,
            ),
            accepted=self._receiver.accepted,
            obstacles=self._vitals.obstacles,
            measured=lambda: [*self._vitals.measured(), *self._renewals.measured()],
            retry=lambda study: retry(self._folder, study, config.jobs.database),
        )
        self._http = HttpPort(config.http, application(config.http, backstage), self._http_keys)
        return self._http.start()

    def _listening(self) -> tuple[bool, int]:
        return not self._receives or self._receiver.is_listening, self._receiver.associations

    def _waiting(self) -> list[Waiting]:
        return self._workflows.waiting() if self._workflows is not None else []

    def _take_folder(self) -> None:
        os.umask(OTHERS)  # images and reports are for nobody else on this machine
        try:
            make_folder(self._folder)
            if self._folder.stat().st_mode & OTHERS:
                self._folder.chmod(OWN_FOLDER)
                logs.warning("data folder was open to others", folder=str(self._folder))
            if self._receives:
                self._lock.hold()
                self._spool.prepare(shared=self._config.jobs.role != "all")
        except OSError as error:
            raise ConfigurationError(
                f"The data folder {self._folder} cannot be used: {error.strerror}",
                hint="Set storage.folder to a folder that can be written",
            ) from error

    def _commits(self) -> bool:
        return any(one.commit for one in self._config.destination.values())

    def _hurry(self, destination: str) -> None:
        if self._workflows is not None:
            self._workflows.hurry(destination)

    def _arrived(self, arrival: Arrival) -> None:
        if arrival.kind is not Kind.RETURNED:
            with self._changed_lock:
                self._changed.add(arrival.study_instance_uid)

    def _tick(self) -> None:
        """Tell the job engine of changed studies, at most once a second each."""
        period = min(1.0, self._config.study.quiet_seconds / 4)
        while not self._stopping.wait(period):
            with self._changed_lock:
                changed, self._changed = self._changed, set()
            if changed:
                reach("arrivals taken")
            told = [self._tell(one) for one in changed]
            self._vitals.beat("job engine", failed=not all(told))

    def _tell(self, study_instance_uid: str) -> bool:
        assert self._workflows is not None
        if self._priors is not None:
            self._priors.seek(study_instance_uid)
        try:
            self._workflows.arrived(study_instance_uid)
        except Exception as error:  # noqa: BLE001  # the database may be busy; ask again
            logs.error("job engine refused", error=type(error).__name__)
            with self._changed_lock:
                self._changed.add(study_instance_uid)
            return False
        return True

    def _maintain(self) -> None:
        """Take over what nobody works on, and compare the spool with the jobs."""
        last = time.monotonic()
        while not self._stopping.wait(_SWEEP_SECONDS):
            try:
                self._auditor.settle()
                self._sweep()
                if (
                    self._receives
                    and time.monotonic() - last >= self._config.jobs.reconcile_seconds
                ):
                    last = time.monotonic()
                    assert self._workflows is not None
                    reconcile(self._spool, self._stages, self._workflows)
                self._vitals.beat("job database")
            except Exception as error:  # noqa: BLE001  # the next round may succeed
                self._vitals.beat("job database", failed=True)
                logs.error("maintenance failed", error=type(error).__name__)

    def _sweep(self) -> None:
        workflows = self._workflows
        assert workflows is not None
        self._guard.sweep(
            workflows.pending(),
            running=workflows.running,
            recover=workflows.recover,
            resume=workflows.resume,
        )
