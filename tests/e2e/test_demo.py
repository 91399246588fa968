"""The demonstration does what ``make demo`` promises, and its answer is seen in a real viewer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike
from pydicom import dcmread

from sifdetect.anatomy import Side
from sifdetect.dicom.seg import color_of
from sifdetect.findings import StudyFindings, from_json
from tests.conftest import ROOT
from tests.e2e.browser import Viewing, mask_of
from tests.e2e.desk import Desk

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demonstration printed, and the folder that it filled."""
    out = tmp_path_factory.mktemp("demo") / "out"
    command: list[str | Path] = [sys.executable, ROOT / "examples" / "demo.py", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def test_the_report_agrees_with_the_truth(shown: tuple[str, Path]) -> None:
    """The table shows a fracture that was there and was found, with its pattern beside it."""
    printed, _ = shown
    lines = {line.partition("  ")[0]: line for line in printed.splitlines()}
    assert lines["finding like a fracture"].split()[-2:] == ["present", "Present"]
    assert "mm away" in lines["fracture SIF-1"]


def test_everything_that_came_back_is_kept(shown: tuple[str, Path]) -> None:
    """Report, segmentation and summary lie there as DICOM, the picture as PNG, and the page."""
    _, out = shown
    kept = {path.name for path in (out / "results").iterdir()}
    assert {"sr-1.dcm", "seg-1.dcm", "summary-1.dcm"} <= kept
    assert (out / "index.html").is_file()
    assert (out / "summary.png").read_bytes().startswith(b"\x89PNG")


def test_what_was_started_is_stopped(shown: tuple[str, Path]) -> None:
    """The node said that it stopped."""
    _, out = shown
    assert '"event": "stopped"' in (out / "node.log").read_text()


@dataclass(frozen=True)
class Opened:
    """The demonstration's study with its results in OHIF, and the truth about it."""

    viewing: Viewing
    truth: StudyFindings
    out: Path

    def off_mm(self, place_lps_mm: ArrayLike, side: Side) -> float:
        """How far a place lies from the true fracture of that side, along right to left."""
        (there,) = (one.centroid_lps_mm for one in self.truth.fractures if one.side is side)
        return abs(float(np.asarray(place_lps_mm)[0]) - there[0])


@pytest.fixture(scope="module")
def opened(shown: tuple[str, Path], desk: Desk) -> Opened:
    """What was sent and what came back, in a PACS, opened in a browser."""
    _, out = shown
    truth = from_json(json.loads((out / "truth.json").read_text(encoding="utf-8")))
    paths = (*sorted((out / "study").rglob("*.dcm")), *(out / "results").glob("*.dcm"))
    viewing = desk.read(truth.study_instance_uid, (path.read_bytes() for path in paths))
    return Opened(viewing, truth, out)


def test_what_the_networks_found_shows_over_the_true_fracture(opened: Opened) -> None:
    """The first finding's colour on the CT lies on its side of the patient, where the truth is."""
    viewing = opened.viewing
    segmentations = map(dcmread, sorted((opened.out / "results").glob("seg-*.dcm")))
    name, label = next(
        (one.SeriesDescription, one.SegmentSequence[0].SegmentLabel)
        for one in segmentations
        if "PELVIS" in one.SeriesDescription
    )
    viewing.show("PELVIS BONEPLUS", whole=True)
    assert mask_of(viewing.pixels(), color_of(1)).sum() == 0
    viewing.show(name, until="SEG")
    assert mask_of(viewing.pixels(), color_of(1)).sum() > 0
    # The viewer opens a segmentation at its tip.
    viewing.scroll(5)
    viewing.keep("demo-seg")
    colored = mask_of(viewing.pixels(), color_of(1))
    assert colored.sum() > 100
    row, column = (float(places.mean()) for places in np.nonzero(colored))
    (place,) = viewing.places_lps_mm([(column, row)])
    side = Side.RIGHT if "right" in label else Side.LEFT
    assert opened.off_mm(place, side) < 15.0
    assert viewing.orientation() == "R"


def test_the_contours_of_the_report_lie_on_the_true_fractures(opened: Opened) -> None:
    """One on each side, where the truth has a fracture of that side."""
    viewing = opened.viewing
    viewing.show("findings, report", until="SIF-1")
    viewing.keep("demo-sr")
    middles = [np.mean(one["points_lps_mm"], axis=0) for one in viewing.state()["contours"]]
    assert opened.off_mm(min(middles, key=lambda one: float(one[0])), Side.RIGHT) < 15.0
    assert opened.off_mm(max(middles, key=lambda one: float(one[0])), Side.LEFT) < 15.0
    assert "SIF-1 " in viewing.text()


def test_the_summary_of_the_demonstration_shows(opened: Opened) -> None:
    """The page is there with the colours of both sides, and no script has failed."""
    opened.viewing.show("SIF summary")
    opened.viewing.keep("demo-summary")
    picture = opened.viewing.pixels()
    assert min(mask_of(picture, color_of(number)).sum() for number in (1, 2)) > 300
    assert opened.viewing.errors == []
