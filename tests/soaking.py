"""Many associations and many bare TCP connections, and what they do to a node's memory.

Each association stores one small slice that the node has already, by sockets without a library, so
that the node and not the sender is what is measured.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import psutil

from tests import dialogue

_PARTS = 10
_STUDY = "1.2.826.0.1.3680043.8.498.1"


@dataclass(frozen=True, kw_only=True)
class Soaked:
    """What came of it; memory in MB, ``curve_mb`` after each tenth."""

    associations: int
    checks: int
    seconds: float
    before_mb: float
    after_mb: float
    threads_before: int
    threads_after: int
    curve_mb: tuple[float, ...]


def soak(port: int, pid: int, *, associations: int, checks: int) -> Soaked:
    """Let a node meet so many peers; it is measured after each tenth, the first time to compare."""
    process, begun = psutil.Process(pid), time.monotonic()
    measured = []
    for _ in range(_PARTS):
        _meet(port, associations // _PARTS, checks // _PARTS)
        measured.append(_settled(process))
    return Soaked(
        associations=associations,
        checks=checks,
        seconds=round(time.monotonic() - begun, 1),
        before_mb=measured[0][0],
        after_mb=measured[-1][0],
        threads_before=measured[0][1],
        threads_after=measured[-1][1],
        curve_mb=tuple(memory for memory, _ in measured),
    )


def _meet(port: int, associations: int, checks: int) -> None:
    said = dialogue.store(_STUDY)
    for _ in range(associations):
        answered = dialogue.answers(port, said)
        assert [kind for kind, _ in answered] == [
            dialogue.ACCEPTED,
            dialogue.DATA,
            dialogue.RELEASED,
        ]
        assert dialogue.status_in(answered[1][1]) == 0
    for _ in range(checks):
        socket.create_connection(("127.0.0.1", port), timeout=30).close()


def _settled(process: psutil.Process) -> tuple[float, int]:
    """Memory and threads once the threads of the last connections have ended."""
    deadline = time.monotonic() + 10
    threads = process.num_threads()
    while time.monotonic() < deadline:
        time.sleep(1.0)
        if (now := process.num_threads()) == threads:
            break
        threads = now
    return round(process.memory_info().rss / 1e6, 1), threads
