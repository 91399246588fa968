"""Whether an association is let in: the rules in their order, and the counts that they need."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dicom_node import logs, metrics
from dicom_node.config import DicomConfig
from dicom_node.intake import may_call
from dicom_node.limits import LimitsConfig, Pace

Answer = tuple[int, int, int]
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""


class Counted(Protocol):
    """An association that takes a place as long as it lives."""

    def is_alive(self) -> bool:
        """Whether it still takes its place."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Who asks for an association, and whom it calls."""

    called: str
    calling: str
    address: str


@dataclass(frozen=True)
class Rejection:
    """How an association is rejected, and why in words.

    Attributes:
        is_intrusion: whether somebody tried what is not theirs, rather than too much.
    """

    answer: Answer
    reason: str
    is_intrusion: bool


CALLED = Rejection((0x01, 0x01, 0x07), "another AE title was called", True)
CALLING = Rejection((0x01, 0x01, 0x03), "the caller is not listed with that address", True)
CONGESTED = Rejection((0x02, 0x03, 0x01), "the address asks too often", False)
PEER_LIMIT = Rejection((0x02, 0x03, 0x02), "the address has too many associations", False)
LIMIT = Rejection((0x02, 0x03, 0x02), "there are too many associations", False)


class Admission:
    """Judges who asks, and counts who was let in; several threads ask.

    Args:
        refused: is told of each rejection.
    """

    def __init__(
        self,
        dicom: DicomConfig,
        limits: LimitsConfig,
        refused: Callable[[Asking, Rejection], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dicom = dicom
        self._limits = limits
        self._refused = refused
        self._clock = clock
        self._pace = Pace(limits.requests_per_minute)
        self._lock = threading.Lock()
        self._places: list[tuple[str, Counted]] = []

    @property
    def admitted(self) -> list[Counted]:
        """Who was let in and has not gone."""
        with self._lock:
            return [one for _, one in self._places if one.is_alive()]

    def judge(self, asking: Asking, association: Counted) -> Answer | None:
        """Let it in and count it, or say how it is rejected; a rejection stands in the log."""
        rejection = self._judged(asking, association)
        metrics.ASSOCIATIONS.add(answer="refused" if rejection else "accepted")
        if rejection is None:
            return None
        logs.warning(
            "association refused",
            answer="/".join(map(str, rejection.answer)),
            reason=rejection.reason,
            caller=asking.calling,
            address=asking.address,
        )
        self._refused(asking, rejection)
        return rejection.answer

    def _judged(self, asking: Asking, association: Counted) -> Rejection | None:
        dicom = self._dicom
        if dicom.check_called_ae and asking.called != dicom.ae_title.strip():
            return CALLED
        if not may_call(asking.calling, asking.address, dicom.allowed_callers):
            return CALLING
        if not self._pace.allows(asking.address, self._clock()):
            return CONGESTED
        return self._take_place(asking.address, association)

    def _take_place(self, address: str, association: Counted) -> Rejection | None:
        """Count only those who asked: a health check that just connects takes nobody's place."""
        with self._lock:
            self._places = [place for place in self._places if place[1].is_alive()]
            if len(self._places) >= self._dicom.max_associations:
                return LIMIT
            of_peer = sum(held == address for held, _ in self._places)
            if of_peer >= self._limits.associations_per_peer:
                return PEER_LIMIT
            self._places.append((address, association))
            return None
