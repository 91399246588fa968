"""How the node is: what keeps it from taking studies, and what is measured for metrics."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicom_node.config import Config
from dicom_node.metrics import Family, Labels, gauge, plain_gauge
from dicom_node.spool import Spool
from sifdetect import __version__

_STUCK_SECONDS = 120.0
_MB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One job that waits or runs; ``since`` in seconds since the epoch."""

    stage: str
    status: str
    since: float


class Vitals:
    """Asked by health checks; told by the node's own threads that they are well.

    Args:
        listening: whether senders can connect, and how many associations there are.
        waiting: the jobs; asked when metrics are read.
    """

    def __init__(
        self,
        config: Config,
        spool: Spool,
        *,
        listening: Callable[[], tuple[bool, int]],
        waiting: Callable[[], Sequence[Waiting]],
    ) -> None:
        self._config, self._spool = config, spool
        self._listening, self._waiting = listening, waiting
        now = time.monotonic()
        self._beats = {"job engine": now, "job database": now}
        self._failing: set[str] = set()

    def beat(self, part: str, *, failed: bool = False) -> None:
        """A part says that it is well, or that what it tried failed."""
        self._beats[part] = time.monotonic()
        (self._failing.add if failed else self._failing.discard)(part)

    def obstacles(self) -> list[str]:
        """What keeps the node from taking studies; empty when it is ready."""
        found = []
        if not self._listening()[0]:
            found.append("DICOM is not listening")
        try:
            if self._spool.free_bytes() < self._config.storage.min_free_mb * _MB:
                found.append("the disk is nearly full")
            self._spool.begin().discard()
        except OSError:
            found.append("the spool cannot be written")
        now = time.monotonic()
        for part, last in sorted(self._beats.items()):
            if part in self._failing or now - last > _STUCK_SECONDS:
                found.append(f"the {part} does not answer")
        return found

    def measured(self) -> list[Family]:
        """Gauges for the metrics page."""
        ready = not self.obstacles()
        floor = self._config.storage.min_free_mb * _MB
        version: Labels = (("version", __version__),)
        return [
            gauge("sifnode_build_info", "The version that runs.", [("", version, 1)]),
            plain_gauge("sifnode_ready", "Whether studies can be sent.", ready),
            plain_gauge(
                "sifnode_disk_free_bytes", "Room on the spool's disk.", self._spool.free_bytes()
            ),
            plain_gauge("sifnode_disk_floor_bytes", "Below it instances are refused.", floor),
            plain_gauge(
                "sifnode_associations_active", "DICOM associations now.", self._listening()[1]
            ),
            *_queues(self._waiting(), time.time()),
        ]


def _queues(jobs: Sequence[Waiting], now: float) -> list[Family]:
    depths = Counter((job.stage, job.status) for job in jobs)
    oldest: dict[str, float] = {}
    for job in jobs:
        oldest[job.stage] = max(oldest.get(job.stage, 0.0), now - job.since)
    depth_samples: list[tuple[str, Labels, float]] = [
        ("", (("stage", stage), ("status", status)), count)
        for (stage, status), count in sorted(depths.items())
    ]
    age_samples: list[tuple[str, Labels, float]] = [
        ("", (("stage", stage),), round(age, 3)) for stage, age in sorted(oldest.items())
    ]
    return [
        gauge("sifnode_jobs", "Jobs that wait or run, by stage and status.", depth_samples),
        gauge("sifnode_oldest_job_seconds", "Age of the oldest job of each stage.", age_samples),
    ]
