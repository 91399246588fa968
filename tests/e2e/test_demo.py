"""The demonstration does what ``make demo`` promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

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
