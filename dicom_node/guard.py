"""Who is alive, and what becomes of the jobs of those who are not.

The job engine lets nobody take over a dead peer's work; this does. A finding counts once it was
made twice, so that a process that is just starting or just finishing is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from dicom_node.lifelines import Lifelines, acquired, locked
from sifdetect.errors import ConfigurationError


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
        self._file = acquired(self._path)
        if self._file is None:
            raise ConfigurationError(
                f"Another node uses the data folder {self._path.parent}",
                hint="Stop it, or give this one another storage.folder",
            )

    def is_held(self) -> bool:
        """Whether some process uses the folder."""
        probe = locked(self._path) if self._path.exists() else None
        if probe is not None:
            probe.close()
        return self._path.exists() and probe is None


class Guard:
    """Watches the jobs that are marked as running, for those whose executor is gone."""

    def __init__(self, lifelines: Lifelines, executor: str) -> None:
        self._lifelines = lifelines
        self._executor = executor
        self._suspected: set[tuple[str, str]] = set()

    def hold(self) -> None:
        """Show that this executor lives, until its process ends."""
        self._lifelines.hold(self._executor)

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
        if not self._lifelines.renew():
            self._suspected = set()
            return
        others = {executor for executor in pending.values() if executor != self._executor}
        dead = {executor for executor in others if self._is_dead(executor)}
        found = {
            (job, executor)
            for job, executor in pending.items()
            if (job not in running if executor == self._executor else executor in dead)
        }
        confirmed = found & self._suspected
        self._suspected = found - confirmed
        for executor in {executor for _, executor in confirmed if executor != self._executor}:
            with self._lifelines.claimed(executor) as is_dead:
                if is_dead:
                    recover(executor)
        for job in sorted(job for job, executor in confirmed if executor == self._executor):
            resume(job)
        self._lifelines.forget_dead(set(pending.values()))

    def _is_dead(self, executor: str) -> bool:
        with self._lifelines.claimed(executor) as is_dead:
            return is_dead
