"""The page on why: every class with its rule and source, and what was nearly stated otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sifdetect.anatomy import Side
from sifdetect.borders import BORDERS, nearly
from sifdetect.classify import Context, classify
from sifdetect.cli import main
from sifdetect.denis import BENT_DEG, COMMINUTED_MM3, TRANSLATED_MM
from sifdetect.dicom.explanation import SOURCES, explanation
from sifdetect.dicom.quantities import QUANTITIES
from sifdetect.findings import (
    BakkerFinding,
    BakkerType,
    Classified,
    DenisFinding,
    FfpFinding,
    OtherFinding,
    Presence,
    StudyFindings,
    to_json,
)
from sifdetect.fragility import CONTACT_MM, INTO_JOINT_DEG
from sifdetect.measurements import UNCERTAIN, Measurements
from tests.phantoms import FULL
from tests.result_cases import bilateral
from tests.test_quantities import everything_measured


def of_rules(measured: Measurements) -> StudyFindings:
    """Findings as the rules state them of some measurements."""
    stated = classify(measured, Context(coverage=FULL))
    return replace(
        bilateral().findings,
        presence_reason=stated.presence_reason,
        presence=stated.presence,
        denis=stated.denis,
        morphology=stated.morphology,
        bakker=stated.bakker,
        ffp=stated.ffp,
    )


def moved(step_mm: float, angle_deg: float, lines_mm3: float = 0.0) -> StudyFindings:
    """A fracture of zone 3 with a posterior wall that moved."""
    measured = everything_measured()
    assert measured.wall is not None
    wall = replace(measured.wall, step_mm=step_mm, angle_deg=angle_deg)
    return of_rules(replace(measured, wall=wall, comminution_mm3=lines_mm3))


def crossing(**classes: Any) -> StudyFindings:
    """An examination whose classes are these."""
    return replace(bilateral().findings, **classes)


@pytest.mark.parametrize(
    ("step_mm", "angle_deg", "lines_mm3", "quantities"),
    [
        (0.0, 0.0, 0.0, []),
        (TRANSLATED_MM - 0.3, 0.0, 0.0, [("wall_step_mm", False)]),
        (-TRANSLATED_MM - 0.3, BENT_DEG, 0.0, [("wall_step_mm", True)]),
        (0.2, BENT_DEG - 1, 0.0, [("wall_angle_deg", False)]),
        (0.2, BENT_DEG + 1, 0.0, [("wall_angle_deg", True)]),
        (0.2, -BENT_DEG, 0.0, []),
        (6.0, BENT_DEG, 0.0, []),
        (6.0, 0.0, COMMINUTED_MM3 - 20, [("s1_lines_mm3", False)]),
        (TRANSLATED_MM, 0.0, COMMINUTED_MM3 + 200, []),
    ],
)
def test_a_wall_near_a_least_is_named_and_one_far_from_it_is_not(
    step_mm: float, angle_deg: float, lines_mm3: float, quantities: list[tuple[str, bool]]
) -> None:
    """On both sides of it; an angle under a step decides nothing, nor a step in a crushed S1."""
    near = [
        one
        for one in nearly(moved(step_mm, angle_deg, lines_mm3))
        if "wall" in one.border.of or one.border.quantity.startswith(("wall", "s1"))
    ]
    assert [(one.border.quantity, one.beyond) for one in near] == quantities


@pytest.mark.parametrize(
    ("lean_deg", "contact_mm", "kind", "said"),
    [
        (INTO_JOINT_DEG - 3, CONTACT_MM + 5, BakkerType.B1, "from 25.0° on it would be B2"),
        (INTO_JOINT_DEG + 3, CONTACT_MM + 5, BakkerType.B2, "just over the 25.0° that make B2"),
        (INTO_JOINT_DEG + 3, CONTACT_MM - 1, BakkerType.B1, "from 6.0 mm on it would be B2"),
        (INTO_JOINT_DEG - 3, 0.0, BakkerType.B1, ""),
        (INTO_JOINT_DEG - 3, CONTACT_MM + 5, BakkerType.B3, ""),
    ],
)
def test_a_course_near_that_of_another_type_is_named_with_its_side(
    lean_deg: float, contact_mm: float, kind: BakkerType, said: str
) -> None:
    """Unless the line goes into a foramen, which decides before."""
    evidence: dict[str, float | str | bool] = {
        "left_lean_deg": lean_deg,
        "left_joint_contact_mm": contact_mm,
        "left_foramen_contact_mm2": 0.0,
    }
    page = explanation(crossing(bakker=BakkerFinding(left=kind, evidence=evidence)))
    told = " ".join(page.partition("Nearly otherwise:")[2].partition("Not assessed:")[0].split())
    assert ("Bakker: left ala, " in told) == bool(said)
    assert said in told


def test_distances_shifts_and_probabilities_near_a_border_are_named() -> None:
    """A line near the canal, one side nearly displaced, and a study just called absent."""
    found = crossing(
        denis=DenisFinding(zone=1, left=1, evidence={"left_canal_mm": 2.1}),
        ffp=FfpFinding(evidence={"fractured_alae": 1.0, "right_shift_mm": -1.2}),
    )
    page = explanation(found)
    assert "Denis: left ala, 2.1 mm to the sacral canal; reaching it would make zone 3" in page
    assert "FFP: right ala, bone lateral of the line 1.2 mm too low; from 1.5 mm on" in page
    reason = Classified(rule="no finding on CT", evidence={"probability": 0.46})
    quiet = replace(
        found, fractures=(), presence=Presence.ABSENT, probability=0.46, presence_reason=reason
    )
    assert "Presence: probability 46 %; from 50 % on it would be not excluded" in explanation(quiet)


def test_the_page_names_every_class_with_its_rule_and_source() -> None:
    """Fired rules with where they come from, what was too uncertain, and what was not seen."""
    held = OtherFinding(
        kind=UNCERTAIN, side=Side.RIGHT, centroid_lps_mm=(0.0, 0.0, 0.0), volume_mm3=2100.0
    )
    page = explanation(replace(of_rules(everything_measured()), other_findings=(held,)))
    for line in (
        "Fracture: present, probability 96 %",
        'rule "fracture line seen" (reviews: a line is seen in 93 % on MRI)',
        "Denis: zone 3, subtype 2",
        "Pattern: H",
        "Rommens and Hofmann 2013, Injury 44:1733",
        "MR shows the anterior cortex less well than CT",
        "right, 2.1 ml: not certain enough to be called a fracture",
    ):
        assert line in " ".join(page.split()), line
    assert max(map(len, page.splitlines())) <= 100
    assert len(page.splitlines()) <= 66


def test_every_border_has_words_and_every_rule_a_source() -> None:
    """A quantity without a row, or a rule that cites nothing, would print a gap."""
    assert {border.quantity for border in BORDERS} <= set(QUANTITIES)
    assert all(SOURCES.values())


def test_the_command_takes_a_file_a_results_folder_and_a_folder_of_one_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``analyze -o`` leaves them; the page is the same."""
    study = tmp_path / "1.2.3"
    study.mkdir()
    document = study / "findings.json"
    document.write_text(json.dumps(to_json(of_rules(everything_measured()))))
    pages = []
    for path in (document, study, tmp_path):
        assert main(["explain", str(path)]) == 0
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1] == pages[2]
    assert pages[0].startswith("Study ")
    assert "Nearly otherwise:" in pages[0]


@pytest.mark.parametrize("studies", [0, 2])
def test_a_folder_of_no_study_or_of_several_is_refused_in_a_sentence(
    studies: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 4, and what to name instead."""
    for number in range(studies):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "findings.json").write_text("{}")
    assert main(["explain", str(tmp_path)]) == 4
    said = capsys.readouterr().err
    assert ("several" if studies else "no") + " findings.json" in said


def test_what_holds_no_findings_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither JSON of another kind nor a file that is not there."""
    other = tmp_path / "other.json"
    other.write_text("[]")
    for path in (other, tmp_path / "absent.json"):
        assert main(["explain", str(path)]) == 4
        assert str(path) in capsys.readouterr().err
