"""An earlier study beside this one: what may be compared, what is said, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from sifdetect import app
from sifdetect.anatomy import Side
from sifdetect.app import Options, analyze_to_folder, compare_studies
from sifdetect.changes import Change
from sifdetect.cli import main
from sifdetect.dicom.identity import Identity
from sifdetect.dicom.write import SeriesHeader, write_series
from sifdetect.errors import UnreadableInput, UnsuitablePrior
from sifdetect.findings import from_json, to_json
from sifdetect.volume import Grid, Volume
from tests.bundles import LINE, PaintedModels, Painting
from tests.test_pipeline import CENTER, axial, broken_on_the_left, empty

MOVED_MM = np.array([9.0, -6.0, 14.0])
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every analysis in this module reads painted scans."""
    monkeypatch.setattr(app, "load_models", lambda options: PaintedModels())


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a volume as a study of its own; gives its folder."""

    def written(volume: Volume, name: str, day: str, patient: str = "P-1") -> Path:
        header = SeriesHeader(seed=name, patient_id=patient, date=day)
        write_series(volume, tmp_path / name, header=header)
        return tmp_path / name

    return written


def elsewhere(grid: Grid) -> Grid:
    """The stack with the table moved."""
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] += MOVED_MM
    return Grid(grid.shape, affine, "1.77")


def intact() -> Volume:
    """A sacrum without a line, on another day's table."""
    return Painting(elsewhere(axial()), CENTER + MOVED_MM).volume()


def right_before() -> Volume:
    """The same with a line in the right ala."""
    painting = Painting(elsewhere(axial()), CENTER + MOVED_MM)
    return painting.paint((-37, -12, -20), (-33, 12, 40), LINE).volume()


def both_now() -> Volume:
    """Lines in both alae."""
    painting = broken_on_the_left(axial())
    return painting.paint((-37, -12, -20), (-33, 12, 40), LINE).volume()


def test_a_new_contralateral_ala_is_said_first_everywhere(tmp_path: Path, write: Write) -> None:
    """In the findings, the report, the summary's own headline and on the terminal."""
    prior = write(right_before(), "prior", "20260105")
    now = write(both_now(), "now", "20260406")
    (done,) = analyze_to_folder([now], tmp_path / "out", options=Options(prior=(prior,)))
    assert done.findings is not None
    told = done.findings.comparison
    assert told is not None
    assert told.new_contralateral == (Side.LEFT,)
    assert [(one.side, one.change) for one in told.changes] == [
        (Side.LEFT, Change.NEW),
        (Side.RIGHT, Change.UNCHANGED),
    ]
    assert (told.prior_date, told.days) == ("2026-01-05", 91)
    assert told.registration is not None
    assert told.registration.accepted
    assert told.registration.shift_mm == pytest.approx(np.linalg.norm(MOVED_MM), abs=1.5)
    report = pydicom.dcmread(done.folder / "sr.dcm").to_json()
    first = "New contralateral finding in the left ala, opposite the earlier one on the right."
    assert first in report
    assert report.index(first) < report.index("like a sacral insufficiency")
    assert from_json(json.loads((done.folder / "findings.json").read_text())) == done.findings


def test_what_was_written_before_can_be_the_prior(tmp_path: Path, write: Write) -> None:
    """A results folder: its findings, whose they are from its SR, its labels to register by."""
    prior = write(right_before(), "prior", "20260105")
    outputs = ("sr", "nifti")
    (before,) = analyze_to_folder([prior], tmp_path / "out", outputs=outputs)
    now = write(both_now(), "now", "20260406")
    told = compare_studies([now], [before.folder])
    assert told.new_contralateral == (Side.LEFT,)
    assert (told.days, told.limits) == (91, ())
    assert told.registration is not None
    assert told.registration.accepted
    (right,) = (one for one in told.changes if one.side is Side.RIGHT)
    assert right.change is Change.UNCHANGED
    assert right.overlap is not None
    assert right.overlap > 0.7


def test_findings_alone_are_compared_side_by_side_and_it_is_said(
    tmp_path: Path, write: Write
) -> None:
    """Without labels and result objects neither place nor patient can be checked."""
    prior = write(right_before(), "prior", "20260105")
    (before,) = analyze_to_folder([prior], tmp_path / "out", outputs=())
    told = compare_studies([write(both_now(), "now", "20260406")], [before.files[0]])
    assert told.new_contralateral == (Side.LEFT,)
    assert told.registration is None
    said = " ".join(told.limits)
    assert "one patient could not be checked" in said
    assert "no labels" in said


def test_another_patient_is_refused_before_anything_is_written(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, the input's exit code, and no folder."""
    prior = write(right_before(), "prior", "20260105", "P-2")
    now = write(both_now(), "now", "20260406")
    out = tmp_path / "out"
    assert main(["analyze", str(now), "--prior", str(prior), "-o", str(out), "-q"]) == 4
    said = capsys.readouterr().err
    assert "is of another patient" in said
    assert "P-2" not in said
    assert not out.exists()


def test_a_prior_that_is_newer_is_refused(write: Write) -> None:
    """The two were given in the wrong order."""
    older, newer = write(intact(), "a", "20260105"), write(both_now(), "b", "20260406")
    with pytest.raises(UnsuitablePrior, match=r"2026-04-06 is newer than .* 2026-01-05"):
        compare_studies([older], [newer])


def test_a_study_is_not_its_own_prior(write: Write) -> None:
    """The same folder twice."""
    now = write(both_now(), "now", "20260406")
    with pytest.raises(UnsuitablePrior, match="is the study itself"):
        compare_studies([now], [now])


def test_two_studies_as_prior_are_refused(tmp_path: Path, write: Write) -> None:
    """Which of them is meant cannot be told."""
    write(intact(), "old/a", "20250105")
    write(right_before(), "old/b", "20260105")
    now = write(both_now(), "now", "20260406")
    with pytest.raises(UnsuitablePrior, match="2 studies lie in"):
        compare_studies([now], [tmp_path / "old"])


def test_a_prior_without_a_sacrum_costs_the_comparison_alone(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """The study is still reported, with the reason; compare has nothing to say and refuses."""
    prior, now = write(empty(), "prior", "20260105"), write(both_now(), "now", "20260406")
    (done,) = analyze_to_folder([now], tmp_path / "out", options=Options(prior=(prior,)))
    assert done.findings is not None
    assert done.findings.comparison is None
    (warning,) = (one for one in done.findings.warnings if one.code == "prior-not-compared")
    assert "could not be assessed (No sacrum in the field of view" in warning.text
    assert main(["compare", str(now), str(prior)]) == 4
    assert "No sacrum in the field of view" in capsys.readouterr().err


def test_nothing_in_common_is_said(write: Write) -> None:
    """A prior that ends in S2: what lies below was not there to be compared."""
    short = axial(slices=24, low_mm=5.0)
    painting = Painting(short, CENTER).paint((33, -12, 5), (37, 12, 40), LINE)
    prior, now = (
        write(painting.volume(), "prior", "20260105"),
        write(both_now(), "now", "20260406"),
    )
    told = compare_studies([now], [prior])
    assert {one.change for one in told.changes} == {Change.NOT_COMPARED}
    assert any("not wholly in view on both dates" in limit for limit in told.limits)


def test_what_is_no_findings_file_is_refused(tmp_path: Path, write: Write) -> None:
    """Damaged, of another schema, or not there."""
    now = write(both_now(), "now", "20260406")
    for content in ("{", "[]", '{"schema_version": 9}'):
        (tmp_path / "findings.json").write_text(content)
        with pytest.raises(UnreadableInput, match="holds no findings that can be read"):
            compare_studies([now], [tmp_path / "findings.json"])
    with pytest.raises(UnreadableInput, match="does not exist"):
        compare_studies([now], [tmp_path / "none.json"])


def test_the_command_prints_what_has_changed(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new ala in the first line; with --json the comparison of the findings' schema."""
    prior, now = write(right_before(), "a", "20260105"), write(both_now(), "b", "20260406")
    assert main(["compare", str(now), str(prior)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("New contralateral finding in the left ala")
    assert lines[1] == "Compared with the CT study of 2026-01-05 (91 days earlier)."
    assert main(["compare", str(now), str(prior), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new_contralateral"] == ["left"]


def test_a_comparison_makes_another_report(tmp_path: Path, write: Write) -> None:
    """With and without a prior the report says different things: its UID must differ."""
    prior, now = write(right_before(), "a", "20260105"), write(both_now(), "b", "20260406")
    uids = set()
    for options in (Options(), Options(prior=(prior,))):
        (done,) = analyze_to_folder([now], tmp_path / "out", outputs=("sr",), options=options)
        assert done.findings is not None
        assert (to_json(done.findings)["comparison"] is None) == (not options.prior)
        uids.add(pydicom.dcmread(done.folder / "sr.dcm").SOPInstanceUID)
    assert len(uids) == 2


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"patient_id": "P-2"}, False),
        ({"birth_date": "19440204"}, False),
        ({"patient_id": "X", "issuer": "OTHER"}, True),
        ({"patient_id": "X", "issuer": "OTHER", "name": "ROEJANE"}, False),
        ({"patient_id": "", "name": ""}, None),
    ],
)
def test_one_patient_is_told_from_another(changes: dict[str, str], same: bool | None) -> None:
    """By ID within one issuer, by date of birth, else by name and date of birth."""
    one = Identity("P-1", "HERE", "DOEJANE", "19440203", date(2026, 1, 5))
    assert one.same_patient(replace(one, **changes)) is same
