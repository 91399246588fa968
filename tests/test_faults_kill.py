"""Kill -9 at every stage boundary and at random moments, on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests import fault_world as faults
from tests import node_world as world
from tests.ports import free_port
from tests.test_node_delivery import Archive, archive

pytestmark = pytest.mark.fault
_BASES = ("sqlite", "postgresql")
_RANDOM_KILLS = 20


@pytest.mark.parametrize("base", _BASES)
@pytest.mark.parametrize(
    "places",
    [faults.PLACES_OF_RECEIVING, faults.PLACES_OF_ANALYSING, faults.PLACES_OF_SENDING],
    ids=["receiving", "analysing", "sending"],
)
def test_a_kill_at_a_boundary_loses_nothing(
    tmp_path: Path, database: Callable[[str], str], base: str, places: tuple[str, ...]
) -> None:
    """One kill after another, each in the node that takes up what the last one left."""
    scanner, port = faults.Scanner(), free_port()
    settings = {"JOBS_DATABASE": database(base), "DESTINATION_PACS1_TRANSFER_SYNTAX": "implicit"}
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}, **settings) as node,
    ):
        for place in places:
            node.start(kill_at=place)
            scanner.send(node.ready.get("port"), world.study(2))
            assert (place, node.dies()) == (place, faults.KILLED)
        node.start()
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)


def test_a_kill_while_results_are_written_keeps_nobody_from_starting(tmp_path: Path) -> None:
    """The folder that the analysis was writing to is removed, and the analysis is done again."""
    scanner, port = faults.Scanner(), free_port()
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}) as node,
    ):
        node.start()
        assert scanner.send(node.port, world.study(2, StudyDescription="slow"))
        world.wait_until(
            lambda: list(node.folder.glob("studies/*/reports/*/work-*/.*.part")),
            bool,
            trouble=node.log,
        )
        node.kill()
        node.start()
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)


@pytest.mark.parametrize("base", _BASES)
def test_a_kill_while_images_are_removed_loses_no_report(
    tmp_path: Path, database: Callable[[str], str], base: str
) -> None:
    """What is half removed is removed; the report stays, and is not made again."""
    scanner, port = faults.Scanner(), free_port()
    settings = {"JOBS_DATABASE": database(base), "STORAGE_KEEP_HOURS": 0}
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}, **settings) as node,
    ):
        for place in faults.PLACES_OF_CLEANING:
            node.start(kill_at=place)
            world.wait_until(
                lambda: scanner.send(
                    node.ready.get("port"), [] if scanner.sent else world.study(2)
                ),
                bool,
                trouble=node.log,
            )
            assert (place, node.dies()) == (place, faults.KILLED)
        node.start()
        (uid,) = scanner.studies
        told = world.wait_until(
            lambda: node.study(uid), lambda one: one["images"] == 0, trouble=node.log
        )
        assert node.stop() == 0
    assert [one["state"] for one in told["reports"]] == ["sent"]
    assert len(set(arrived)) == 3
    faults.assert_spool_is_tidy(node.folder)


@pytest.mark.parametrize("base", _BASES)
def test_kills_at_random_moments_lose_nothing(
    tmp_path: Path, database: Callable[[str], str], base: str
) -> None:
    """Twenty moments from a seeded generator while study after study comes in."""
    scanner, port = faults.Scanner(), free_port()
    moments = np.random.default_rng(_BASES.index(base)).uniform(0.0, 2.5, _RANDOM_KILLS)
    settings = {"JOBS_DATABASE": database(base)}
    with (
        world.choosy_pacs(port, {}) as arrived,
        faults.quick_node(tmp_path, destinations={"PACS1": port}, **settings) as node,
    ):
        for moment in moments:
            node.start()
            end = time.monotonic() + moment
            scanner.send(node.port, world.study(2))
            time.sleep(max(0.0, end - time.monotonic()))
            node.kill()
        node.start()
        faults.settle(node, scanner)
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, arrived)


@pytest.mark.parametrize("base", _BASES)
def test_a_kill_within_storage_commitment_loses_no_answer(
    tmp_path: Path, database: Callable[[str], str], base: str
) -> None:
    """Once when it was asked for, once when the answer has just come: nothing is sent unproven."""
    scanner, port, told_at = faults.Scanner(), free_port(), free_port()
    settings = {
        "JOBS_DATABASE": database(base),
        "COMMIT_PORT": told_at,
        "COMMIT_TIMEOUT_SECONDS": 5,
        "DESTINATION_PACS1_COMMIT": "true",
        "DESTINATION_PACS1_AE_TITLE": "ARCHIVE",
    }
    with (
        archive(port) as pacs,
        faults.quick_node(tmp_path, destinations={"PACS1": port}, **settings) as node,
    ):
        pacs.report_to = told_at
        node.start(kill_at="commitment asked for")
        assert scanner.send(node.port, world.study(2))
        assert node.dies() == faults.KILLED
        before = len(pacs.asked)
        node.start(kill_at="commitment recorded")
        world.wait_until(lambda: len(pacs.asked) > before, bool, trouble=node.log)
        with suppress(AttributeError):  # no status: the node dies before it answers
            pacs.report()
        assert node.dies() == faults.KILLED
        (uid,) = scanner.studies
        node.start()
        _report_until_sent(pacs, node, uid, len(pacs.asked))
        said = node.study(uid)["reports"][-1]["deliveries"][0]["sentence"]
        assert node.stop() == 0
    faults.assert_nothing_is_lost(node, scanner, [str(one.SOPInstanceUID) for one in pacs.stored])
    assert said.startswith("SEG committed, SR committed, summary committed by PACS1 (delivered")


def _report_until_sent(pacs: Archive, node: faults.QuickNode, uid: str, told: int) -> None:
    """Answer each request that comes yet, until the study's report counts as sent."""

    def look() -> str:
        nonlocal told
        if len(pacs.asked) > told:
            told = len(pacs.asked)
            assert pacs.report() == 0
        return str(node.study(uid)["state"])

    world.wait_until(look, lambda state: state == "sent", trouble=node.log)
