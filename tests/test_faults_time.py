"""What time does to a node: many peers, and an upgrade while jobs are in flight."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests import fault_world as faults
from tests import node_world as world
from tests.conftest import ROOT
from tests.ports import free_port
from tests.soaking import soak

pytestmark = pytest.mark.fault
_MORE_MB = 6.0


@pytest.mark.slow
def test_memory_stays_flat_over_associations_and_health_checks(tmp_path: Path) -> None:
    """The whole count, 10⁴ and 10⁵, is `python benchmarks/soak.py`; this is a fifteenth of it."""
    with faults.quick_node(tmp_path, STUDY_QUIET_SECONDS=3600, STUDY_MAX_WAIT_SECONDS=3600) as node:
        node.start()
        done = soak(node.port, node.process.pid, associations=700, checks=7000)
        assert node.stop() == 0
    assert done.after_mb - done.before_mb < _MORE_MB
    assert done.threads_after <= done.threads_before + 1


def test_jobs_in_flight_survive_an_upgrade(tmp_path: Path) -> None:
    """What the code of the commit before wrote and left half done is taken up by this one's."""
    scanner, port = faults.Scanner(), free_port()
    old = tmp_path / "node.old"
    _check_out("HEAD^", old)
    slow = world.study(2, StudyDescription="slow")
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        earlier = _started(node, old)
        try:
            done = world.study(1)
            assert scanner.send(node.port, done)
            node.wait_for(str(done[0].StudyInstanceUID), "sent")
            assert scanner.send(node.port, slow)
            world.wait_until(
                lambda: list(node.folder.glob("studies/*/reports/*/work-*")),
                bool,
                trouble=node.log,
            )
            assert scanner.send(node.port, world.study(2))
        finally:
            earlier.kill()
            earlier.wait()
        node.start()
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)


def _check_out(revision: str, folder: Path) -> None:
    """The tree of an earlier commit in ``folder``."""
    command = ["git", "archive", revision, "dicom_node", "sifdetect", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"the commit before is not here: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _started(node: faults.QuickNode, code: Path) -> subprocess.Popen[str]:
    """A node of other code on the same folder, ready."""
    earlier = world.Node(node.folder, {**node.environment, "PYTHONPATH": str(code)})
    with earlier.log.open("a") as log:
        process = subprocess.Popen(
            [sys.executable, str(code / "tests" / "node_runner.py")],
            env=earlier.environment,
            cwd=code,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, earlier.log.read_text()
    node.ready = json.loads(line)
    return process
