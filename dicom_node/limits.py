"""How much one sender may ask of the node: the settings, and the pace of requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from dicom_node.settings import number

_REMEMBERED_PEERS = 1024
_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class LimitsConfig:
    """Bounds that hold whoever sends; those of associations are counted by address.

    Attributes:
        associations_per_peer: at the same time; ``dicom.max_associations`` holds for all together.
        requests_per_minute: associations that one address may ask for; 0 for any number.
        object_mb: of one instance.
        study_mb, study_instances: of what the spool holds of one study.
    """

    associations_per_peer: int = number(16, 1, 1000)
    requests_per_minute: int = number(0, 0, 10**6)
    object_mb: int = number(4096, 1, 10**6)
    study_mb: int = number(32768, 1, 10**7)
    study_instances: int = number(20000, 1, 10**7)

    @property
    def object_bytes(self) -> int:
        """The bound of one instance."""
        return self.object_mb << 20

    def study_excess(self, instances: int, size: int) -> str:
        """Which bound a study of so many instances and bytes is beyond; empty for none."""
        if instances > self.study_instances:
            return f"The study has more than {self.study_instances} instances"
        return f"The study is larger than {self.study_mb} MB" if size > self.study_mb << 20 else ""


class Pace:
    """Lets each address ask so often a minute, in bursts of as many; threads may ask."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, address: str, now: float) -> bool:
        """Whether ``address`` may ask at ``now`` (seconds of any clock); counts it if so."""
        if not self._per_minute:
            return True
        with self._lock:
            left, last = self._left.pop(address, (float(self._per_minute), now))
            left = min(left + (now - last) * self._per_minute / _SECONDS, float(self._per_minute))
            allowed = left >= 1.0
            self._left[address] = (left - allowed, now)
            if len(self._left) > _REMEMBERED_PEERS:
                self._left.popitem(last=False)
            return allowed
