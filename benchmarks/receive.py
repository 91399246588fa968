"""How fast studies come in: this node (with fsync), Debian's Orthanc and dcmtk's storescp, in turn.

    python benchmarks/receive.py [--slices 400] [--associations 1 4] [--repeat 5]

Each association is one storescu that sends a study of its own, 512×512, uncompressed; Nagle's
algorithm is off on both ends (TCP_NODELAY=1 for dcmtk and Orthanc). The receivers take turns in
every round, so that a busy machine slows all of them; the median of the rounds counts, and the
ratios are medians of each round's own ratio.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import node_world as world
from tests.conftest import find_tool
from tests.e2e.orthanc import Orthanc
from tests.ports import free_port, wait_until_it_listens

PIXELS = 512
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
    print("| receiver | associations | instances/s | of Orthanc | of storescp |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        studies = _studies(Path(folder) / "studies", options.slices, max(options.associations))
        for count in options.associations:
            rounds = [
                _round(studies[:count], options.slices, Path(folder) / f"{count}-{number}")
                for number in range(options.repeat)
            ]
            _show(rounds, count)
    return 0


def _show(rounds: list[dict[str, float]], count: int) -> None:
    for name in RECEIVERS:
        rate, *ratios = (
            statistics.median(one[name] / (one[other] if other else 1) for one in rounds)
            for other in ("", "Orthanc", "storescp")
        )
        print(f"| {name} | {count} | {rate:.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |", flush=True)


def _round(studies: list[Path], slices: int, folder: Path) -> dict[str, float]:
    """Instances a second of each receiver, one after the other."""
    rates = {}
    for name, receiver in RECEIVERS.items():
        with receiver(folder / name) as port:
            rates[name] = len(studies) * slices / _seconds(studies, port)
    return rates


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
def _node(folder: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-c", RECEIVER, str(folder), str(port)]
    with _process(command, folder, port):
        yield port


@contextmanager
def _storescp(folder: Path) -> Iterator[int]:
    port = free_port()
    command = [str(find_tool("storescp")), "--fork", "-pdu", "131072", "-od", str(folder)]
    with _process([*command, str(port)], folder, port):
        yield port


@contextmanager
def _orthanc(folder: Path) -> Iterator[int]:
    with Orthanc(find_tool("Orthanc"), folder, {}) as one:
        yield one.dicom_port


@contextmanager
def _process(command: list[str], folder: Path, port: int) -> Iterator[None]:
    folder.mkdir(parents=True)
    environment = NODELAY | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


RECEIVERS: dict[str, Callable[[Path], AbstractContextManager[int]]] = {
    "this node, with fsync": _node,
    "Orthanc": _orthanc,
    "storescp": _storescp,
}


if __name__ == "__main__":
    sys.exit(main())
