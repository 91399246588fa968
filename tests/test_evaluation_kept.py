"""Made cases that stay for the next networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sifdetect.anatomy import MrWeighting
from sifdetect.cli import main
from sifdetect.learn import cases
from sifdetect.learn.cases import Making
from sifdetect.learn.evaluation.sources import Generated
from sifdetect.synth.case import Protocol
from sifdetect.synth.protocol import MrSeries

SEED = 640010


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a profile that takes seconds."""
    box = Protocol().mr_series[0].field
    series = (MrSeries(MrWeighting.STIR, (5.0, 6.0, 5.0), box),)
    monkeypatch.setitem(cases.PROFILES, "coarse", Protocol(False, (), series=series))
    return "coarse"


def test_a_kept_case_is_made_once_and_is_the_case_that_is_thrown_away(
    tmp_path: Path, coarse: str
) -> None:
    """The next one who asks gets the same folder; without one to keep it in, nothing stays."""
    kept, name = tmp_path / "kept", f"case-{SEED}"
    images, places = [], []
    for folder in (None, kept, kept):
        source = Generated(1, SEED, (coarse,), Making(shifted=1.0), folder)
        with source.opened(name) as case:
            (series,) = case.study().series
            images.append(series.volume.values)
            places.append((case.folder, case.folder.stat().st_ino, case.about.shifted))
    assert not places[0][0].exists()
    assert places[1] == places[2] == (kept / name, (kept / name).stat().st_ino, True)
    assert np.array_equal(images[0], images[1])
    assert np.array_equal(images[1], images[2])


def test_a_case_of_another_order_is_not_taken_for_it(tmp_path: Path, coarse: str) -> None:
    """The same seed, not shifted, is another case and takes its place."""
    found = []
    for share in (1.0, 0.0):
        source = Generated(1, SEED, (coarse,), Making(shifted=share), tmp_path)
        with source.opened(f"case-{SEED}") as case:
            found.append(case.about.shifted)
    assert found == [True, False]


def test_cases_that_are_read_cannot_be_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They stay where they are; one sentence says so."""
    assert main(["evaluate", str(tmp_path), "--keep", str(tmp_path), "-o", str(tmp_path)]) == 2
    assert "kept anyway" in capsys.readouterr().err
