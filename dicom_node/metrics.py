"""What is counted while the node runs, and its text for Prometheus (exposition format 0.0.4).

Labels are AE-free words of our own, names of destinations and DIMSE statuses: nothing that a data
set says ever becomes one, so that neither a patient nor an endless list of values gets in.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ANALYSIS_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One metric with its samples, as it stands at one moment.

    Attributes:
        samples: suffix of the name (mostly empty), labels, value.
    """

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[str, Labels, float]]

    def text(self) -> str:
        """Its lines."""
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        lines += [
            _line(self.name + suffix, labels, value) for suffix, labels, value in self.samples
        ]
        return "\n".join(lines) + "\n"


class Counter:
    """Something that only grows; threads may add at the same time."""

    def __init__(self, name: str, help_text: str) -> None:
        self._name, self._help = name, help_text
        self._values: dict[Labels, float] = defaultdict(float)
        self._lock = threading.Lock()

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count ``amount`` more for these labels."""
        with self._lock:
            self._values[tuple(sorted(labels.items()))] += amount

    def family(self) -> Family:
        """How it stands; one that never grew and has no labels is 0."""
        with self._lock:
            values = sorted(self._values.items())
        samples = [("", labels, value) for labels, value in values]
        return Family(name=self._name, kind="counter", help=self._help, samples=samples)


class Histogram:
    """How long something took, in buckets of seconds."""

    def __init__(self, name: str, help_text: str, bounds: Sequence[float]) -> None:
        self._name, self._help, self._bounds = name, help_text, tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, value: float) -> None:
        """Count one that took ``value``."""
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def family(self) -> Family:
        """How it stands; each bucket counts those below it too."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        samples: list[tuple[str, Labels, float]] = []
        below = 0
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            below += count
            samples.append(("_bucket", (("le", _number(bound)),), below))
        samples += [("_sum", (), total), ("_count", (), below)]
        return Family(name=self._name, kind="histogram", help=self._help, samples=samples)


class Moment:
    """When something last happened, in seconds since the epoch; no sample before the first time."""

    def __init__(self, name: str, help_text: str) -> None:
        self._name, self._help = name, help_text
        self._at: float | None = None

    def happened(self, at: float) -> None:
        """It happened at ``at``."""
        self._at = at

    def family(self) -> Family:
        """How it stands."""
        samples = [] if self._at is None else [("", (), self._at)]
        return gauge(self._name, self._help, samples)


INSTANCES = Counter(
    "sifnode_instances_received_total",
    "Instances that are safe in the spool, by protocol and by what became of them.",
)
BYTES = Counter("sifnode_received_bytes_total", "Bytes of instances that are safe in the spool.")
REFUSED = Counter(
    "sifnode_instances_refused_total", "Instances that were not taken, by protocol and status."
)
LAST_STORE = Moment(
    "sifnode_last_store_timestamp_seconds", "When an instance was last taken (C-STORE or STOW-RS)."
)
ASSOCIATIONS = Counter("sifnode_associations_total", "DICOM associations asked for, by answer.")
REQUESTS = Counter("sifnode_http_requests_total", "HTTP requests, by page and status.")
ANALYSES = Counter("sifnode_analyses_total", "Analyses that ended, by how.")
ANALYSIS_SECONDS = Histogram(
    "sifnode_analysis_seconds", "Seconds that one analysis took.", _ANALYSIS_SECONDS
)
DELIVERIES = Counter(
    "sifnode_deliveries_total", "Attempts to deliver a report, by destination and outcome."
)
FAILURES = Counter("sifnode_failures_total", "What needs an administrator, by kind.")

_ALL = (
    INSTANCES,
    BYTES,
    REFUSED,
    LAST_STORE,
    ASSOCIATIONS,
    REQUESTS,
    ANALYSES,
    ANALYSIS_SECONDS,
    DELIVERIES,
    FAILURES,
)


def gauge(name: str, help_text: str, samples: Sequence[tuple[str, Labels, float]]) -> Family:
    """Something that is measured when it is asked for."""
    return Family(name=name, kind="gauge", help=help_text, samples=samples)


def plain_gauge(name: str, help_text: str, value: float) -> Family:
    """A gauge of one value without labels."""
    return gauge(name, help_text, [("", (), value)])


def render(measured: Iterable[Family] = ()) -> str:
    """Everything that was counted since the process began, and what was measured just now."""
    families = [*(one.family() for one in _ALL), *measured]
    return "".join(family.text() for family in families)


def _line(name: str, labels: Labels, value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if float(value).is_integer() else repr(float(value))
