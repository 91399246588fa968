"""How fast studies come in: this node (with fsync), Debian's Orthanc and dcmtk's storescp, in turn.

    python benchmarks/receive.py [--slices 400] [--associations 1 4] [--repeat 5]

Each association is one storescu that sends a study of its own, 512×512, uncompressed; Nagle's
algorithm is off on both ends (TCP_NODELAY=1 for dcmtk and Orthanc). The receivers take turns in
every round, so that a busy machine slows all of them; the median of the rounds counts, and the
ratios are medians of each round's own ratio. What one has written is synced before the next begins,
six seconds later, and nothing is removed before the end: ext4 looks at every inode that was freed
in the last five seconds when it makes a new one, and whoever came next would pay for it. Processor
time (of the receiver in its own code and in the kernel, and of the senders) is that of the
processes alone: a busy machine hardly touches it.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import node_world as world
from tests.conftest import find_tool
from tests.e2e.orthanc import Orthanc
from tests.ports import free_port, wait_until_it_listens

PIXELS = 512
_FORGOTTEN_SECONDS = 6.0
NODELAY = os.environ | {"TCP_NODELAY": "1"}
RECEIVER = """
import sys, time
from pathlib import Path
from dicom_node import logs
from dicom_node.config import DicomConfig
from dicom_node.receive import Receiver
from dicom_node.spool import Spool
logs.set_up("info", sys.stderr)
spool = Spool(Path(sys.argv[1]))
spool.prepare()
config = DicomConfig(port=int(sys.argv[2]))
Receiver(config, spool=spool, min_free_mb=1, arrived=lambda _: None).start()
time.sleep(1e6)
"""


def main() -> int:
    """Write the studies, let each receiver take them in every round, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--slices", type=int, default=400)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    print(
        f"{options.slices} slices of {PIXELS}×{PIXELS} an association, median of {options.repeat};"
        f" {os.cpu_count()} cores ({platform.machine()}), load {os.getloadavg()[0]:.1f},"
        f" Python {platform.python_version()}\n"
    )
    print(
        "| receiver | associations | instances/s | of Orthanc | of storescp "
        "| ms of processor an instance: own code | kernel | sender | of Orthanc's |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        studies = _studies(Path(folder) / "studies", options.slices, max(options.associations))
        for count in options.associations:
            rounds = [
                _round(studies[:count], options.slices, Path(folder) / f"{count}-{number}")
                for number in range(options.repeat)
            ]
            _show(rounds, count)
    return 0


@dataclass(frozen=True)
class Cost:
    """What one receiver took for one instance: seconds on the clock and of the processors."""

    wall: float
    own_code: float
    kernel: float
    sender: float

    @property
    def rate(self) -> float:
        """Instances a second."""
        return 1 / self.wall

    @property
    def receiver(self) -> float:
        """Seconds of the processors that the receiver took."""
        return self.own_code + self.kernel


def _show(rounds: list[dict[str, Cost]], count: int) -> None:
    for name in RECEIVERS:
        took = [one[name] for one in rounds]
        figures = [f"{statistics.median(one.rate for one in took):.1f}"]
        figures += [
            f"{statistics.median(one[name].rate / one[other].rate for one in rounds):.2f}"
            for other in ("Orthanc", "storescp")
        ]
        figures += [
            f"{1e3 * statistics.median(getattr(one, part) for one in took):.2f}"
            for part in ("own_code", "kernel", "sender")
        ]
        ratios = [one["Orthanc"].receiver / one[name].receiver for one in rounds]
        figures.append(f"1/{statistics.median(ratios):.2f}")
        print(f"| {name} | {count} | {' | '.join(figures)} |", flush=True)


def _round(studies: list[Path], slices: int, folder: Path) -> dict[str, Cost]:
    """What each receiver took, one after the other."""
    costs, instances = {}, len(studies) * slices
    for name, receiver in RECEIVERS.items():
        with receiver(folder / name) as (port, process):
            os.sync()
            time.sleep(_FORGOTTEN_SECONDS)
            before, senders = _processor(process), _senders()
            wall = _seconds(studies, port)
            own_code, kernel = (b - a for a, b in zip(before, _processor(process), strict=True))
            parts = (wall, own_code, kernel, _senders() - senders)
            costs[name] = Cost(*(part / instances for part in parts))
    return costs


def _processor(process: int) -> tuple[float, float]:
    """Seconds that a process and its children took in their own code and in the kernel."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # a child that ended: its parent counts it
        return 0.0, 0.0
    user, kernel, *of_ended = (int(one) / os.sysconf("SC_CLK_TCK") for one in fields[11:15])
    parts = [(user, kernel), (of_ended[0], of_ended[1]), *map(_processor, map(int, children))]
    return sum(one for one, _ in parts), sum(one for _, one in parts)


def _senders() -> float:
    """Seconds that children which were waited for took; receivers are not among them yet."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _seconds(studies: list[Path], port: int) -> float:
    command = [str(find_tool("storescu")), "-pdu", "131072", "-aec", "SIFDETECT", "+sd"]
    started = time.perf_counter()
    senders = [
        subprocess.Popen([*command, "127.0.0.1", str(port), str(study)], env=NODELAY)
        for study in studies
    ]
    codes = [sender.wait() for sender in senders]
    seconds = time.perf_counter() - started
    if any(codes):
        raise SystemExit(f"a sender failed: {codes}")
    return seconds


def _studies(folder: Path, slices: int, count: int) -> list[Path]:
    noise = np.random.default_rng(0).integers(0, 2000, PIXELS * PIXELS, dtype=np.uint16).tobytes()
    return [
        world.files(
            world.study(slices, Rows=PIXELS, Columns=PIXELS, PixelData=noise),
            folder / str(number),
        )
        for number in range(count)
    ]


@contextmanager
def _node(folder: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-c", RECEIVER, str(folder), str(port)]
    with _process(command, folder, port) as process:
        yield port, process


@contextmanager
def _storescp(folder: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [str(find_tool("storescp")), "--fork", "-pdu", "131072", "-od", str(folder)]
    with _process([*command, str(port)], folder, port) as process:
        yield port, process


@contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[int, int]]:
    with Orthanc(find_tool("Orthanc"), folder, {}) as one:
        yield one.dicom_port, one.process_id


@contextmanager
def _process(command: list[str], folder: Path, port: int) -> Iterator[int]:
    folder.mkdir(parents=True)
    environment = NODELAY | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(port, process)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


RECEIVERS: dict[str, Callable[[Path], AbstractContextManager[tuple[int, int]]]] = {
    "this node, with fsync": _node,
    "Orthanc": _orthanc,
    "storescp": _storescp,
}


if __name__ == "__main__":
    sys.exit(main())
