"""Senders, destinations and databases that come and go while the node works."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from dicom_node.jobs import retry
from tests import dialogue
from tests import fault_world as faults
from tests import node_world as world
from tests.ports import free_port
from tests.postgres_server import Postgres

pytestmark = pytest.mark.fault


def test_a_database_that_is_stopped_costs_no_study(tmp_path: Path, postgres: Postgres) -> None:
    """Studies are taken while it is down; what ran and what came goes on when it is back."""
    scanner, port = faults.Scanner(), free_port()
    url = postgres.url("stopped")
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}, JOBS_DATABASE=url) as node,
    ):
        node.start()
        slow = world.study(2, StudyDescription="slow")
        assert scanner.send(node.port, slow)
        node.wait_for(str(slow[0].StudyInstanceUID), "analysing")
        postgres.stop()
        try:
            assert scanner.send(node.port, world.study(2))
            time.sleep(2)
            assert scanner.send(node.port, world.study(1))
        finally:
            postgres.start()
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)


def test_a_destination_that_is_down_for_hours_gets_everything_then(tmp_path: Path) -> None:
    """Two days later it is up and gets what waited; after three days a report is given up."""
    scanner, late, port = faults.Scanner(), faults.Scanner(), free_port()
    clock = tmp_path / "node.clock"
    clock.write_text("0")
    settings = {"SEND_CIRCUIT_FAILURES": 2, "SEND_CIRCUIT_PROBE_SECONDS": 1}
    with faults.quick_node(tmp_path, destinations={"PACS1": port}, **settings) as node:
        node.environment["SIFDETECT_TEST_CLOCK"] = str(clock)
        node.start()
        assert scanner.send(node.port, [*world.study(1), *world.study(2)])
        for hours in (1, 20, 48):
            clock.write_text(str(hours * 3600))
            _wait_for_attempts(node, list(scanner.studies), node.events("delivery"))
        with world.choosy_pacs(port, {}) as arrived:
            faults.settle(node, scanner)
        assert late.send(node.port, world.study(1))
        (uid,) = late.studies
        _wait_for_attempts(node, [uid], node.events("delivery"))
        clock.write_text(str((48 + 73) * 3600))
        node.wait_for(uid, "undelivered")
        with world.choosy_pacs(port, {}) as again:
            retry(node.folder, uid)
            node.wait_for(uid, "sent")
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)
    assert len(set(again)) == 3


def _wait_for_attempts(
    node: world.Node, studies: list[str], before: list[dict[str, object]]
) -> None:
    """Wait until another attempt was made, and see that each study still waits."""
    world.wait_until(
        lambda: {one["study"] for one in node.events("delivery")[len(before) :]},
        lambda seen: seen >= set(studies),
        trouble=node.log,
    )
    assert {node.study(uid)["state"] for uid in studies} == {"sending"}


def test_the_same_study_from_many_senders_at_once_is_one_report(tmp_path: Path) -> None:
    """Six associations send it in orders of their own, twice each: one report, no conflict."""
    scanner, port, study = faults.Scanner(), free_port(), world.study(6)
    generator = np.random.default_rng(7)
    orders = [[study[n] for n in generator.permutation(6)] * 2 for _ in range(6)]
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}, STUDY_QUIET_SECONDS=3) as node,
    ):
        node.start()
        statuses: list[int] = []
        senders = [
            threading.Thread(
                target=lambda order=order: statuses.extend(world.push(order, node.port))
            )
            for order in orders
        ]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        assert statuses == [0] * 72
        scanner.send(node.port, study)
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)
    assert len(set(arrived)) == 3


@pytest.mark.parametrize("ending", ["abort", "reset", "silence"])
def test_a_sender_that_ends_within_a_data_set_loses_only_that(tmp_path: Path, ending: str) -> None:
    """What was acknowledged stays; the broken instance comes again and completes the study."""
    scanner, study = faults.Scanner(), world.study(2)
    uid = str(study[0].StudyInstanceUID)
    with faults.quick_node(tmp_path, STUDY_QUIET_SECONDS=4, DICOM_TIMEOUT_SECONDS=2) as node:
        node.start()
        assert world.push(study[:1], node.port) == [0]
        said = dialogue.store(uid)[:1500]
        with socket.create_connection(("127.0.0.1", node.port), timeout=30) as visitor:
            visitor.sendall(said + (dialogue.pdu(7, bytes(4)) if ending == "abort" else b""))
            if ending == "reset":
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if ending == "silence":
                while visitor.recv(4096):
                    pass
        assert scanner.send(node.port, study)
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_spool_is_tidy(node.folder)
    assert node.study(uid)["reports"][-1]["images"] == 2


def test_a_study_is_reported_beside_eighty_silent_connections(tmp_path: Path) -> None:
    """Forty that say nothing, forty that broke off within a request: a whole study goes through."""
    scanner, port = faults.Scanner(), free_port()
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}) as node,
        ExitStack() as silent,
    ):
        node.start()
        for number in range(80):
            visitor = socket.create_connection(("127.0.0.1", node.port), timeout=30)
            silent.enter_context(visitor)
            if number % 2:
                visitor.sendall(dialogue.request()[:50])
        assert scanner.send(node.port, world.study(20))
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)
