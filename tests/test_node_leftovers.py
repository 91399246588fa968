"""What killed processes left in a data folder goes at a start, and what is needed stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from dicom_node.commit import Commitments
from dicom_node.durable import make_folder
from dicom_node.intake import Header, Kind, name_of
from dicom_node.leftovers import OUTGOING, sweep
from dicom_node.reports import Marker, Report, open_report
from dicom_node.spool import Spool
from tests.node_receiver import STORAGE

STUDY = "1.2.3"


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """An unfinished report on one image."""
    spool = Spool(tmp_path)
    spool.prepare()
    header = Header(
        sop_class_uid=f"{STORAGE}2",
        sop_instance_uid=f"{STUDY}.1",
        study_instance_uid=STUDY,
        series_instance_uid=f"{STUDY}.2",
    )
    spool.store(header, Kind.IMAGE, (b"pixels",))
    study = spool.study(STUDY)
    return open_report(study.path, study.names(Kind.IMAGE))


def left(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def half_written(path: Path) -> Path:
    """A folder that an analysis or a campaign was writing to."""
    make_folder(path)
    (path / "seg.dcm").write_bytes(b"half")
    return path


def aged(path: Path) -> None:
    """Make it two hours old."""
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))


def test_folders_that_were_written_to_go_with_what_is_in_them(
    tmp_path: Path, report: Report
) -> None:
    """A kill while the analysis writes its results must not keep the node from starting."""
    before = left(tmp_path)
    half_written(report.folder / ".1.2.3.x.part")
    half_written(tmp_path / OUTGOING / "sifnode-x")
    Spool(tmp_path).prepare()
    assert left(tmp_path) == before


def test_a_campaign_that_may_run_keeps_what_it_fetches(tmp_path: Path) -> None:
    """It is a process of its own; after an hour its folder belongs to nobody."""
    fetched = half_written(tmp_path / "campaigns" / "spring.part")
    sweep(tmp_path, shared=False)
    assert fetched.exists()
    aged(fetched)
    sweep(tmp_path, shared=False)
    assert not fetched.exists()


def test_what_workers_may_be_writing_stays_for_an_hour(tmp_path: Path) -> None:
    """A receiver starts while workers are at work."""
    sent, asked = half_written(tmp_path / OUTGOING / "sifnode-x"), Commitments(tmp_path)
    asked.begin("PACS1")
    sweep(tmp_path, shared=True)
    (commitment,) = (tmp_path / "commitments").iterdir()
    assert sent.exists()
    for path in (sent, commitment):
        aged(path)
    sweep(tmp_path, shared=True)
    assert left(tmp_path) == []


def test_a_commitment_stays_while_a_delivery_waits_for_it(tmp_path: Path, report: Report) -> None:
    """One that was begun and never noted by its delivery goes, and so do those of ended reports."""
    asked = Commitments(tmp_path)
    asked.begin("PACS1")  # and killed
    awaited = asked.begin("PACS1")
    report.record_delivery("PACS1", {"state": "committing", "commit": {"transaction": awaited}})
    sweep(tmp_path, shared=False)
    assert left(tmp_path / "commitments") == [f"{name_of(awaited)}.json"]
    report.mark(Marker.UNDELIVERED)
    sweep(tmp_path, shared=False)
    assert list((tmp_path / "commitments").iterdir()) == []


def test_folders_of_what_never_came_go(tmp_path: Path, report: Report) -> None:
    """A study of which no instance is safe, and a report whose manifest was not written."""
    before = left(tmp_path)
    make_folder(report.folder.parent / "f00d")
    for name in ("a1", "b2"):
        make_folder(tmp_path / "studies" / name / "images")
    (tmp_path / "studies" / "b2" / "study.json").write_text("{}")
    sweep(tmp_path, shared=False)
    assert left(tmp_path) == before
    assert [path.name for path in (tmp_path / "studies").iterdir()] == [
        report.folder.parent.parent.name
    ]
    assert list(report.folder.parent.iterdir()) == [report.folder]
