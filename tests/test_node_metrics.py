"""Metrics in the format that Prometheus reads, and readiness in words."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from dicom_node.config import Config, StorageConfig
from dicom_node.metrics import CONTENT_TYPE, Counter, Histogram, Moment, render
from dicom_node.spool import Spool
from dicom_node.vitals import Vitals, Waiting
from tests import node_world as world
from tests.node_http import body_of, serving
from tests.node_world import study

LINE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)+\})? [-+0-9.eInf]+')


def vitals(folder: Path, **given: object) -> Vitals:
    """The vitals of a node with a spool below ``folder``."""
    spool = Spool(folder / "data")
    if not given.get("unprepared"):
        spool.prepare()
    config = Config(
        storage=StorageConfig(folder=folder, min_free_mb=int(str(given.get("floor", 1))))
    )
    jobs = [
        Waiting(stage="send", status="delayed", since=time.time() - 90),
        Waiting(stage="send", status="delayed", since=time.time() - 5),
        Waiting(stage="infer", status="pending", since=time.time()),
    ]
    listening = bool(given.get("listening", True))
    return Vitals(config, spool, listening=lambda: (listening, 3), waiting=lambda: jobs)


def test_every_line_is_one_that_prometheus_reads(tmp_path: Path) -> None:
    """Comments, names, labels, numbers; each family is introduced once."""
    text = render(vitals(tmp_path).measured())
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith("# ") and not LINE.fullmatch(line)] == []
    introduced = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(introduced) == len(set(introduced))
    assert text.endswith("\n")


def test_labels_are_escaped() -> None:
    """A quote, a backslash or a line break in a value breaks no line."""
    made = Counter("a_total", "A.")
    made.add(2, name='q" b\\ n\n')
    assert made.family().text().splitlines()[-1] == r'a_total{name="q\" b\\ n\n"} 2'


def test_buckets_count_what_lies_below_them() -> None:
    """Cumulative, with the bound itself inside, and sum and count."""
    made = Histogram("s", "S.", (1, 2.5))
    for value in (0.5, 1, 2, 99):
        made.observe(value)
    assert made.family().text().splitlines()[2:] == [
        's_bucket{le="1"} 2',
        's_bucket{le="2.5"} 3',
        's_bucket{le="+Inf"} 4',
        "s_sum 102.5",
        "s_count 4",
    ]


def test_a_moment_has_no_sample_before_it_happened() -> None:
    """0 would read as 1970."""
    made = Moment("at", "When.")
    assert made.family().samples == []
    made.happened(5.0)
    assert made.family().text().endswith("at 5\n")


def test_queues_have_a_depth_and_an_age(tmp_path: Path) -> None:
    """By stage; the age is that of the oldest job."""
    text = render(vitals(tmp_path).measured())
    assert 'sifnode_jobs{stage="send",status="delayed"} 2' in text
    assert 'sifnode_jobs{stage="infer",status="pending"} 1' in text
    (age,) = re.findall(r'oldest_job_seconds\{stage="send"\} (\d+)', text)
    assert int(age) in (89, 90, 91)
    assert "sifnode_associations_active 3" in text
    assert "sifnode_ready 1" in text


def test_each_obstacle_is_named(tmp_path: Path) -> None:
    """Spool, disk, DICOM port, job engine, job database."""
    assert vitals(tmp_path).obstacles() == []
    assert vitals(tmp_path, listening=False).obstacles() == ["DICOM is not listening"]
    assert vitals(tmp_path, floor=10**9).obstacles() == ["the disk is nearly full"]
    gone = vitals(tmp_path / "none", unprepared=True)
    assert gone.obstacles() == ["the spool cannot be written"]
    sick = vitals(tmp_path)
    sick.beat("job database", failed=True)
    assert sick.obstacles() == ["the job database does not answer"]
    sick.beat("job database")
    assert sick.obstacles() == []


def test_what_is_received_is_counted_and_no_patient_is_named(tmp_path: Path) -> None:
    """The page over HTTP: instances, bytes, the last store; the sender's data nowhere."""
    with serving(tmp_path) as port:
        before = _received(port.ask("/metrics").body.decode())
        sent = study(2)
        assert port.store(body_of(sent)).status == 200
        time.sleep(2.1)  # the page is remembered for two seconds
        answer = port.ask("/metrics")
        text = answer.body.decode()
        assert answer.headers["content-type"] == CONTENT_TYPE
        assert _received(text) == before + 2
        assert "sifnode_last_store_timestamp_seconds 1" in text
        for secret in ("Secret", "SECRET-42", str(sent[0].StudyInstanceUID)):
            assert secret not in text + port.log.getvalue()


def test_a_node_stays_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part that readiness waits for says that it is well, for longer than silence is borne."""
    monkeypatch.setenv("SIFDETECT_TEST_STUCK_SECONDS", "5")
    with world.node(tmp_path) as node:
        url = f"http://127.0.0.1:{node.ready['http_port']}/readyz"
        time.sleep(7)
        world.wait_until(
            lambda: subprocess.run(["curl", "-s", url], capture_output=True, check=False).stdout,
            lambda told: b'"ready"' in told,
            trouble=node.log,
        )


def test_readiness_is_503_with_the_reasons(tmp_path: Path) -> None:
    """And health stays 200: a process that is alive is not to be killed for a full disk."""
    with serving(tmp_path) as port:
        port.obstacles.append("the disk is nearly full")
        answer = port.ask("/readyz")
        assert (answer.status, answer.document["obstacles"]) == (503, ["the disk is nearly full"])
        assert port.ask("/healthz").document == {"status": "alive"}
        assert port.ask("/nowhere").status == 404
        assert port.ask("/healthz", method="DELETE").status == 405


def _received(text: str) -> int:
    found = re.findall(r'instances_received_total\{outcome="new",protocol="stow"\} (\d+)', text)
    return int(found[0]) if found else 0
