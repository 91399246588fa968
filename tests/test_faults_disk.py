"""A disk that is full, for real: the node's folder lies on a small file system of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset

from dicom_node.durable import PARTIAL
from tests import fault_world as faults
from tests import node_world as world
from tests.ports import free_port

pytestmark = pytest.mark.fault
FULL = 0xA700
_SIZE_MB = 24


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 24 MB; mounting takes root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={_SIZE_MB}m", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a tmpfs cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave_kb: int) -> Path:
    """A file that takes up all of ``disk`` but so much."""
    ballast = disk / "node.ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)) == 4096:
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave_kb * 1024))
    return ballast


def big(count: int = 1) -> list[Dataset]:
    """A study of slices of 2 MB, half of it a private element behind the header."""
    study = world.study(count)
    for one in study:
        one.add_new(0x00990010, "LO", "FILLER")
        one.add_new(0x00991001, "OB", bytes(2_000_000))
    return study


def test_a_disk_that_runs_full_refuses_and_recovers(disk: Path) -> None:
    """Below the limit nothing is written; without one the write itself fails: 0xA700 both times."""
    scanner, study = faults.Scanner(), big(2)
    for limit_mb in (4, 0):
        with faults.quick_node(disk / str(limit_mb), STORAGE_MIN_FREE_MB=limit_mb) as node:
            node.start()
            ballast = fill(disk, leave_kb=1500)
            assert world.push(study, node.port) == [FULL, FULL]
            assert not list(node.folder.glob("studies/*/images/*"))
            assert not [path for path in node.folder.rglob("*") if path.name.endswith(PARTIAL)]
            ballast.unlink()
            scanner = faults.Scanner()
            assert scanner.send(node.port, study)
            faults.settle(node, scanner)
            assert node.stop() == 0
            for path in sorted(node.folder.rglob("*.dcm")):
                path.unlink()


def test_a_disk_that_fills_up_while_jobs_run_costs_time_and_no_report(disk: Path) -> None:
    """Neither results nor jobs can be written; with room again both are, and all is sent once."""
    scanner, port = faults.Scanner(), free_port()
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(disk / "x", destinations={"PACS1": port}, STORAGE_MIN_FREE_MB=0) as node,
    ):
        node.start()
        study = world.study(2, StudyDescription="slow")
        assert scanner.send(node.port, study)
        world.wait_until(
            lambda: list(node.folder.glob("studies/*/reports/*/work-*")), bool, trouble=node.log
        )
        ballast = fill(disk, leave_kb=0)
        (refused,) = world.push(world.study(1), node.port)
        assert refused == FULL
        world.wait_until(
            lambda: "Errno 28" in node.log.read_text() or _has_waited(node), bool, trouble=node.log
        )
        ballast.unlink()
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)


def _has_waited(node: world.Node) -> bool:
    """Whether the analysis ended, and its results were not written."""
    return not list(node.folder.glob("studies/*/reports/*/work-*/*/summary.dcm"))
