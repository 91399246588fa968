"""The node put together: receiver, spool, stages, job engine, analysis, health checks."""

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
from dicom_node.commit import CommitListener, Commitments
from dicom_node.completion import archive_of
from dicom_node.config import Config
from dicom_node.desk import Arrival
from dicom_node.durable import make_folder, write_json
from dicom_node.guard import FolderLock, Guard
from dicom_node.health import Health
from dicom_node.intake import Kind
from dicom_node.priors import Priors
from dicom_node.receive import Receiver
from dicom_node.reconcile import reconcile
from dicom_node.spool import Spool
from dicom_node.stages import Stages
from dicom_node.workflow import Workflows
from sifdetect.errors import ConfigurationError

STATUS_FILE = "node.json"
_SWEEP_SECONDS = 1.0
_STUCK_SECONDS = 120.0
_ONLY_OWNER = 0o077


def serve(
    config: Config,
    *,
    analyze: Analyze | None = None,
    now: Callable[[], float] = time.time,
    ready: Callable[[dict[str, Any]], None] = lambda _: None,
) -> None:
    """Run the node until SIGTERM or SIGINT.

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
    try:
        ready(node.start())
        stop.wait()
        logs.info("stopping")
    finally:
        node.stop()
    logs.info("stopped")


def _analysis(config: Config) -> Analyze:
    return analyze_with_sifdetect(replace(config.analysis, outputs=config.outputs))


def _priors(config: Config, spool: Spool, now: Callable[[], float]) -> Priors | None:
    if not config.priors.enabled:
        return None
    return Priors(config, spool=spool, archive=archive_of(config), now=now)


class Node:
    """One node in this process."""

    def __init__(self, config: Config, *, analyze: Analyze, now: Callable[[], float]) -> None:
        self._config = config
        self._folder = config.storage.folder
        self._executor = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        self._lock = FolderLock(self._folder)
        self._guard = Guard(self._folder, self._executor)
        self._spool = Spool(self._folder)
        self._analyst = Analyst(analyze, config.analysis.timeout_seconds)
        self._stages = Stages(config, spool=self._spool, analyse=self._analyst.analyse, now=now)
        self._workflows: Workflows | None = None
        self._receiver = Receiver(
            config.dicom,
            spool=self._spool,
            min_free_mb=config.storage.min_free_mb,
            arrived=self._arrived,
        )
        self._health = Health(config.http, self.obstacles)
        self._commit = CommitListener(config, Commitments(self._folder), self._hurry)
        self._priors = _priors(config, self._spool, now)
        self._changed: set[str] = set()
        self._changed_lock = threading.Lock()
        self._stopping = threading.Event()
        self._last_beat = time.monotonic()

    def start(self) -> dict[str, Any]:
        """Take the folder, open the ports, begin to work; returns what the status file says."""
        self._take_folder()
        workflows = Workflows(self._config, stages=self._stages, executor=self._executor)
        workflows.launch()
        self._workflows = workflows
        reconcile(self._spool, self._stages, workflows)
        port = self._receiver.start()
        commit_port = self._commit.start() if self._commits() else None
        http_port = self._health.start() if self._config.http.enabled else None
        for target in (self._tick, self._maintain):
            threading.Thread(target=target, daemon=True, name=target.__name__).start()
        status = {
            "ae_title": self._config.dicom.ae_title,
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
        write_json(self._folder / STATUS_FILE, status)
        logs.info("ready", **status)
        return status

    def stop(self) -> None:
        """Let nothing more in, hand over what was let in, and leave the rest to the next start."""
        self._stopping.set()
        if self._receiver.is_listening:
            self._receiver.stop()
        self._commit.stop()
        self._health.stop()
        self._analyst.stop()
        if self._priors is not None:
            self._priors.stop()
        if self._workflows is not None:
            self._workflows.stop()

    def obstacles(self) -> list[str]:
        """What keeps the node from taking studies; empty when it is ready."""
        found = []
        if not self._receiver.is_listening:
            found.append("DICOM is not listening")
        if self._spool.free_bytes() < self._config.storage.min_free_mb * 1024 * 1024:
            found.append("the disk is nearly full")
        if time.monotonic() - self._last_beat > _STUCK_SECONDS:
            found.append("the job engine does not answer")
        return found

    def _take_folder(self) -> None:
        os.umask(_ONLY_OWNER)  # images and reports are for nobody else on this machine
        try:
            make_folder(self._folder)
            self._lock.hold()
            self._spool.prepare()
            self._guard.hold()
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
            for study_instance_uid in changed:
                if self._priors is not None:
                    self._priors.seek(study_instance_uid)
                self._tell(study_instance_uid)
            self._last_beat = time.monotonic()

    def _tell(self, study_instance_uid: str) -> None:
        assert self._workflows is not None
        try:
            self._workflows.arrived(study_instance_uid)
        except Exception as error:  # noqa: BLE001  # the database may be busy; ask again
            logs.error("job engine refused", error=type(error).__name__)
            with self._changed_lock:
                self._changed.add(study_instance_uid)

    def _maintain(self) -> None:
        """Take over what nobody works on, and compare the spool with the jobs."""
        last = time.monotonic()
        while not self._stopping.wait(_SWEEP_SECONDS):
            try:
                self._sweep()
                if time.monotonic() - last >= self._config.jobs.reconcile_seconds:
                    last = time.monotonic()
                    assert self._workflows is not None
                    reconcile(self._spool, self._stages, self._workflows)
            except Exception as error:  # noqa: BLE001  # the next round may succeed
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
