"""Studies an hour of one receiver and 1, 2 and 4 workers on one spool and one PostgreSQL.

    python benchmarks/scaling.py --studies 10 --workers 1 2 4

The analysis is a stand-in that sleeps two seconds: what is measured is what the node itself costs,
and whether workers share the work. Each study has two slices of 32×40; results go to a storage SCP
on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import fault_world as faults  # noqa: E402  # of the repository, once it can be found
from tests import node_world as world  # noqa: E402  # as above
from tests.ports import free_port  # noqa: E402  # as above
from tests.postgres_server import Postgres, postgres_server  # noqa: E402  # as above


def measured(server: Postgres, workers: int, studies: int) -> float:
    """Seconds from the first analysis to the last report that was sent."""
    port = free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(world.choosy_pacs(port, {}))
        url = server.url(f"scaling_{os.urandom(3).hex()}")
        nodes = [
            stack.enter_context(
                faults.quick_node(
                    folder,
                    destinations={"PACS1": port},
                    JOBS_DATABASE=url,
                    JOBS_ROLE=role,
                    JOBS_POLL_SECONDS=0.2,
                )
            )
            for role in ("receiver", *["worker"] * workers)
        ]
        for node in nodes:
            node.start()
        scanner = faults.Scanner()
        for _ in range(studies):
            scanner.send(nodes[0].port, world.study(2, StudyDescription="slow"))
        while len(_sent(folder)) < studies:
            time.sleep(0.1)
        for node in nodes:
            assert node.stop() == 0
        analysed = nodes[0].events("study analysed")
        begun = min(_seconds(one["time"]) - float(one["seconds"]) for one in analysed)
        ended = max(float(json.loads(path.read_text())["at"]) for path in _sent(folder))
        return ended - begun


def _sent(folder: Path) -> list[Path]:
    return list(folder.glob("node/studies/*/reports/*/sent.json"))


def _seconds(told: str) -> float:
    return datetime.fromisoformat(told).timestamp()


def main() -> None:
    """Measure each number of workers, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=10, help="for each worker")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    print("| workers | studies | seconds | studies an hour |\n|---|---|---|---|", flush=True)
    with postgres_server() as server:
        for workers in options.workers:
            studies = options.studies * workers
            seconds = measured(server, workers, studies)
            rate = 3600 * studies / seconds
            print(f"| {workers} | {studies} | {seconds:.1f} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
