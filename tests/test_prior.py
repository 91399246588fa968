"""An earlier study beside this one: what may be compared, what is said, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from sifdetect import app
from sifdetect.anatomy import Side
from sifdetect.app import analyze_to_folder, compare_studies
from sifdetect.changes import Change
from sifdetect.cli import main
from sifdetect.dicom.identity import Identity
from sifdetect.dicom.write import SeriesHeader, write_series
from sifdetect.errors import InputError, UnreadableInput, UnsuitablePrior
from sifdetect.findings import from_json
from sifdetect.followup import read_prior
from sifdetect.prior import without_comparison
from sifdetect.volume import Grid, Volume
from tests.bundles import LINE, PaintedModels, Painting
from tests.test_pipeline import CENTER, axial, broken_on_the_left, empty

MOVED_MM = np.array([9.0, -6.0, 14.0])
FIRST = "New contralateral finding in the left ala, opposite the earlier one on the right."


@pytest.fixture(scope="module")
def _painted() -> Iterator[None]:
    """Every analysis in this module reads painted scans."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "load_models", lambda options: PaintedModels())
        yield


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory, _painted: None) -> dict[str, Path]:
    """Results of two dates: the right ala in January, both in April, on another table."""
    home = tmp_path_factory.mktemp("dates")
    write(right_before(), home / "images", "prior", "20260105")
    write(both_now(), home / "images", "now", "20260406")
    folders = {}
    for name in ("prior", "now"):
        images, outputs = home / "images" / name, ("sr", "nifti")
        (done,) = analyze_to_folder([images], home / "results", outputs=outputs)
        folders[name] = done.folder
    return folders | {"images": home / "images"}


def write(volume: Volume, home: Path, name: str, day: str) -> None:
    """The volume as a study of its own."""
    write_series(volume, home / name, header=SeriesHeader(seed=name, patient_id="P-1", date=day))


def elsewhere(grid: Grid) -> Grid:
    """The stack with the table moved."""
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] += MOVED_MM
    return Grid(grid.shape, affine, "1.77")


def right_before() -> Volume:
    """A line in the right ala."""
    painting = Painting(elsewhere(axial()), CENTER + MOVED_MM)
    return painting.paint((-37, -12, -20), (-33, 12, 40), LINE).volume()


def both_now() -> Volume:
    """Lines in both alae."""
    painting = broken_on_the_left(axial())
    return painting.paint((-37, -12, -20), (-33, 12, 40), LINE).volume()


def copied(folder: Path, to: Path, *names: str) -> Path:
    """A results folder, or some files of it."""
    shutil.copytree(folder, to)
    for path in to.iterdir():
        if names and path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return to


def test_a_new_contralateral_ala_is_found_after_registration(analysed: dict[str, Path]) -> None:
    """The left one first; the right one overlaps itself although the table has moved."""
    told = compare_studies([analysed["now"]], [analysed["prior"]])
    assert told.new_contralateral == (Side.LEFT,)
    assert [(one.side, one.change) for one in told.changes] == [
        (Side.LEFT, Change.NEW),
        (Side.RIGHT, Change.UNCHANGED),
    ]
    assert (told.prior_date, told.days, told.limits) == ("2026-01-05", 91, ())
    assert told.registration is not None
    assert told.registration.accepted
    assert told.registration.shift_mm == pytest.approx(np.linalg.norm(MOVED_MM), abs=1.5)
    assert told.changes[1].overlap is not None
    assert told.changes[1].overlap > 0.3  # a line 4 mm wide; slices are 2.5 mm apart


@pytest.mark.slow
def test_analyze_says_it_first_everywhere(
    analysed: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From images of both dates: in the findings, the report and on the terminal."""
    now, prior = (str(analysed["images"] / name) for name in ("now", "prior"))
    assert main(["analyze", now, "--prior", prior, "-o", str(tmp_path / "out"), "-q"]) == 0
    assert FIRST.removesuffix(", opposite the earlier one on the right.") in capsys.readouterr().out
    (folder,) = (tmp_path / "out").iterdir()
    told = from_json(json.loads((folder / "findings.json").read_text())).comparison
    assert told is not None
    assert told.new_contralateral == (Side.LEFT,)
    report = pydicom.dcmread(folder / "sr.dcm")
    texts = [str(one.value) for one in report.iterall() if one.keyword == "TextValue"]
    assert any(text.startswith(FIRST) for text in texts)
    alone = pydicom.dcmread(analysed["now"] / "sr.dcm")
    assert report.SOPInstanceUID != alone.SOPInstanceUID


def test_findings_alone_are_compared_side_by_side_and_it_is_said(
    analysed: dict[str, Path], tmp_path: Path
) -> None:
    """Without labels and result objects neither place nor patient can be checked."""
    prior = copied(analysed["prior"], tmp_path / "prior", "findings.json")
    told = compare_studies([analysed["now"]], [prior / "findings.json"])
    assert told.new_contralateral == (Side.LEFT,)
    assert (told.registration, told.days) == (None, None)
    said = " ".join(told.limits)
    assert "one patient could not be checked" in said
    assert "which study is the earlier one could not be checked" in said
    assert "no labels" in said


def test_findings_of_another_version_say_so(analysed: dict[str, Path], tmp_path: Path) -> None:
    """Two versions may outline one finding differently."""
    prior = copied(analysed["prior"], tmp_path / "prior")
    document = json.loads((prior / "findings.json").read_text())
    document["algorithm"]["version"] = "0.0.9"
    (prior / "findings.json").write_text(json.dumps(document))
    (said,) = compare_studies([analysed["now"]], [prior]).limits
    assert "another version" in said


def test_another_patient_is_refused_in_one_sentence(
    analysed: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The input's exit code, nobody's ID on the terminal, and nothing written."""
    prior = copied(analysed["prior"], tmp_path / "prior")
    report = pydicom.dcmread(prior / "sr.dcm")
    report.PatientID = "P-2"
    report.save_as(prior / "sr.dcm")
    now, out = str(analysed["images"] / "now"), tmp_path / "out"
    assert main(["analyze", now, "--prior", str(prior), "-o", str(out), "-q"]) == 4
    said = capsys.readouterr().err
    assert "is of another patient" in said
    assert "P-2" not in said
    assert not out.exists()


def test_a_prior_that_is_newer_is_refused(analysed: dict[str, Path]) -> None:
    """The two were given in the wrong order."""
    with pytest.raises(UnsuitablePrior, match=r"2026-04-06 is newer than .* 2026-01-05"):
        compare_studies([analysed["prior"]], [analysed["now"]])


def test_a_study_is_not_its_own_prior(analysed: dict[str, Path]) -> None:
    """The same folder twice."""
    with pytest.raises(UnsuitablePrior, match="is the study itself"):
        compare_studies([analysed["now"]], [analysed["now"]])


def test_two_studies_as_prior_are_refused(analysed: dict[str, Path]) -> None:
    """Which of them is meant cannot be told."""
    with pytest.raises(UnsuitablePrior, match="2 studies lie in"):
        compare_studies([analysed["now"]], [analysed["images"]])


def test_a_prior_without_a_sacrum_has_nothing_to_compare(
    analysed: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``compare`` refuses; a study beside it is still reported, with the reason."""
    write(empty(), tmp_path, "chest", "20260105")
    assert main(["compare", str(analysed["now"]), str(tmp_path / "chest")]) == 4
    assert "No sacrum in the field of view" in capsys.readouterr().err
    lost = read_prior([tmp_path / "chest"], PaintedModels(), modality=None, weightings=())
    assert isinstance(lost, InputError)
    before = from_json(json.loads((analysed["now"] / "findings.json").read_text()))
    after = without_comparison(before, lost)
    assert after.warnings[-1].code == "prior-not-compared"
    assert "could not be assessed (No sacrum in the field of view" in after.warnings[-1].text


def test_what_was_not_in_view_is_not_compared(analysed: dict[str, Path], tmp_path: Path) -> None:
    """A prior that ended in S1: nothing in common but a part, and that is said."""
    prior = copied(analysed["prior"], tmp_path / "prior")
    document = json.loads((prior / "findings.json").read_text())
    document["coverage"]["by_level"] = {"S1": 0.7, "S2": 0.0}
    document["fractures"] = []
    (prior / "findings.json").write_text(json.dumps(document))
    told = compare_studies([analysed["now"]], [prior])
    assert {one.change for one in told.changes} == {Change.NOT_COMPARED}
    assert any("not wholly in view on both dates" in limit for limit in told.limits)


def test_what_is_no_findings_file_is_refused(analysed: dict[str, Path], tmp_path: Path) -> None:
    """Damaged, of another schema, or not there."""
    for content in ("{", "[]", '{"schema_version": 9}'):
        (tmp_path / "findings.json").write_text(content)
        with pytest.raises(UnreadableInput, match="holds no findings that can be read"):
            compare_studies([analysed["now"]], [tmp_path])
    with pytest.raises(UnreadableInput, match="does not exist"):
        compare_studies([analysed["now"]], [tmp_path / "none.json"])


def test_the_command_prints_what_has_changed(
    analysed: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The new ala in the first line; with --json the comparison of the findings' schema."""
    now, prior = str(analysed["now"]), str(analysed["prior"])
    assert main(["compare", now, prior]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [FIRST, "Compared with the CT study of 2026-01-05 (91 days earlier)."]
    assert main(["compare", now, prior, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new_contralateral"] == ["left"]


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
def test_one_patient_is_told_from_another(changes: dict[str, Any], same: bool | None) -> None:
    """By ID within one issuer, by date of birth, else by name and date of birth."""
    one = Identity("P-1", "HERE", "DOEJANE", "19440203", date(2026, 1, 5))
    assert one.same_patient(replace(one, **changes)) is same
