"""The circuit of one destination: after repeated failures nothing is sent until it answers again.

Closed, it lets every attempt through. After ``circuit_failures`` attempts in a row without an
association it opens: attempts are held back, and every ``circuit_probe_seconds`` one of them asks
with C-ECHO whether the destination is back. An object that is refused is no failure of this kind.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dicom_node.config import SendConfig
from dicom_node.durable import make_folder, read_json, write_json


class Circuit:
    """The circuit of one destination, kept in a file so that a restart does not forget it."""

    def __init__(self, path: Path, config: SendConfig, now: Callable[[], float]) -> None:
        self._path = path
        self._config = config
        self._now = now

    @property
    def is_open(self) -> bool:
        """Whether the destination has failed too often in a row."""
        return self._failures >= self._config.circuit_failures

    @property
    def hold_seconds(self) -> float:
        """How long to hold an attempt back; 0 where it may go, or should ask first."""
        if not self.is_open:
            return 0.0
        last = float((read_json(self._path) or {}).get("failed_at", 0.0))
        return max(0.0, last + self._config.circuit_probe_seconds - self._now())

    def failed(self, reason: str) -> None:
        """There was no association."""
        make_folder(self._path.parent)
        document = {"failures": self._failures + 1, "failed_at": self._now(), "reason": reason}
        write_json(self._path, document)

    def answered(self) -> None:
        """There was one."""
        self._path.unlink(missing_ok=True)

    @property
    def _failures(self) -> int:
        return int((read_json(self._path) or {}).get("failures", 0))
