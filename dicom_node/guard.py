"""Who is alive: a lock for each executor, which the system drops when its process dies.

The job engine lets nobody take over a dead peer's work; this does. A finding counts once it was
made twice, so that a process that is just starting or just finishing is left alone.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from dicom_node.durable import make_folder
from sifdetect.errors import ConfigurationError

_LOCK_SUFFIX = ".lock"
_PROBE_SECONDS = 1.0


class FolderLock:
    """The right to use one data folder; a second node is refused."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "node.lock"
        self._file: IO[str] | None = None

    def hold(self) -> None:
        """Take the lock until this process ends.

        Raises:
            ConfigurationError: another process holds it.
        """
        self._file = _acquired(self._path)
        if self._file is None:
            raise ConfigurationError(
                f"Another node uses the data folder {self._path.parent}",
                hint="Stop it, or give this one another storage.folder",
            )

    def is_held(self) -> bool:
        """Whether some process uses the folder."""
        probe = _locked(self._path) if self._path.exists() else None
        if probe is not None:
            probe.close()
        return self._path.exists() and probe is None


class Guard:
    """Watches the jobs that are marked as running, for those whose executor is gone."""

    def __init__(self, folder: Path, executor: str) -> None:
        self._folder = folder / "executors"
        self._executor = executor
        self._suspected: set[tuple[str, str]] = set()
        self._file: IO[str] | None = None

    def hold(self) -> None:
        """Show that this executor lives, until its process ends."""
        make_folder(self._folder)
        self._file = _acquired(self._path(self._executor))

    def sweep(
        self,
        pending: dict[str, str],
        *,
        running: set[str],
        recover: Callable[[str], None],
        resume: Callable[[str], None],
    ) -> None:
        """Look once at the jobs that are marked as running.

        Args:
            pending: executor by job.
            running: the jobs that this process really runs.
            recover: called with an executor that was found dead twice.
            resume: called with a job that is this executor's and was found idle twice.
        """
        found = {
            (job, executor)
            for job, executor in pending.items()
            if (job not in running if executor == self._executor else self._is_dead(executor))
        }
        confirmed = found & self._suspected
        self._suspected = found - confirmed
        for executor in {executor for _, executor in confirmed if executor != self._executor}:
            recover(executor)
        for job in sorted(job for job, executor in confirmed if executor == self._executor):
            resume(job)
        self._forget_dead(set(pending.values()))

    def _is_dead(self, executor: str) -> bool:
        probe = _locked(self._path(executor))
        if probe is None:
            return False
        probe.close()
        return True

    def _forget_dead(self, named: set[str]) -> None:
        for path in self._folder.glob(f"*{_LOCK_SUFFIX}"):
            executor = path.name.removesuffix(_LOCK_SUFFIX)
            if executor not in named and executor != self._executor and self._is_dead(executor):
                path.unlink(missing_ok=True)

    def _path(self, executor: str) -> Path:
        return self._folder / f"{os.path.basename(executor)}{_LOCK_SUFFIX}"


def _acquired(path: Path) -> IO[str] | None:
    """The lock, also where somebody just looks whether it is free."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while (file := _locked(path)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return file


def _locked(path: Path) -> IO[str] | None:
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
