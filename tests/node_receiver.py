"""A storage SCP at work, for the tests of receiving."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node import logs
from dicom_node.config import DicomConfig
from dicom_node.desk import Arrival
from dicom_node.limits import LimitsConfig
from dicom_node.receive import Receiver
from dicom_node.spool import Spool

STORAGE = "1.2.840.10008.5.1.4.1.1."
MISUNDERSTOOD, MISMATCH, FULL = 0xC000, 0xA900, 0xA700


@dataclass
class Received:
    """A receiver at work."""

    port: int
    spool: Spool
    receiver: Receiver
    log: io.StringIO
    arrivals: list[Arrival] = field(default_factory=list)

    def stored(self) -> list[Path]:
        """Every instance on the disk."""
        return sorted(self.spool.folder.rglob("*.dcm"))

    def events(self, name: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]


@contextmanager
def receiving(
    folder: Path, *, min_free_mb: int = 1, limits: LimitsConfig | None = None, **settings: object
) -> Iterator[Received]:
    """A receiver on a free port that writes below ``folder``."""
    log = io.StringIO()
    logs.set_up("info", log)
    spool = Spool(folder / "data")
    spool.prepare()
    arrivals: list[Arrival] = []
    config = DicomConfig(**{"port": 0, "timeout_seconds": 5.0, **settings})  # type: ignore[arg-type]  # tests choose
    receiver = Receiver(
        config, spool=spool, min_free_mb=min_free_mb, arrived=arrivals.append, limits=limits
    )
    port = receiver.start()
    try:
        yield Received(port, spool, receiver, log, arrivals)
    finally:
        receiver.stop()


def echoes(tool: Callable[[str], Path], port: int, *options: str) -> bool:
    """Whether dcmtk's C-ECHO is answered with success."""
    command = [str(tool("echoscu")), "-to", "5", *options, "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
