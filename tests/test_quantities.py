"""What rules fire on, in words: every name has a row, every sign and unit its phrase."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from sifdetect.anatomy import DenisZone, Modality, SacralLevel, Side
from sifdetect.classify import Classification, Context, classify
from sifdetect.dicom.quantities import QUANTITIES, evidence_said, parted
from sifdetect.dicom.reasons import reason
from sifdetect.findings import Basis, DenisFinding
from sifdetect.measurements import (
    SIDES,
    Course,
    Measurements,
    Ring,
    SideMeasurements,
    TransverseLimb,
    VerticalLimb,
    WallBreak,
)
from sifdetect.volume import LabelMap
from tests.phantoms import FULL
from tests.result_cases import bilateral, oblique_grid


def everything_measured() -> Measurements:
    """An H with a step in which nothing is left unmeasured."""
    course = Course(lean_deg=12.0, depth_mm=20.0, joint_contact_mm=3.0)
    side = SideMeasurements(
        basis=Basis.LINE_AND_EDEMA,
        line_mm3=900.0,
        zone_mm3=dict.fromkeys(DenisZone, 300.0),
        edema_mm3=4000.0,
        sclerosis_mm3=200.0,
        foramen_distance_mm=dict.fromkeys(SacralLevel, 2.0),
        touched_foramina=(SacralLevel.S1,),
        crossed_foramina=(SacralLevel.S2,),
        canal_distance_mm=1.0,
        joint_distance_mm=2.0,
        joint_angle_deg=30.0,
        course=course,
        shift_mm=1.0,
        cortex_ridge_mm=1.4,
        cortex_bent_mm=1.2,
        limb=VerticalLimb(basis=Basis.LINE, upper=0.2, lower=2.4),
    )
    limb = TransverseLimb(
        basis=Basis.LINE, level=1.6, junction=dict.fromkeys(SIDES, 1.6), width_mm=60.0
    )
    grid = oblique_grid()
    return Measurements(
        fractures=bilateral().findings.fractures,
        components=LabelMap(np.zeros(grid.shape, np.uint8), grid),
        sides=dict.fromkeys(SIDES, side),
        transverse=(limb,),
        wall=WallBreak(level=1.6, step_mm=7.7, angle_deg=14.0, body_depth_mm=20.0),
        comminution_mm3=50.0,
        ring=Ring(seen=frozenset(SIDES), broken=frozenset((Side.LEFT,))),
        midline_line=True,
        modality=Modality.MR,
        fluid_sensitive=True,
    )


def stated() -> Classification:
    """All classes of that sacrum."""
    return classify(everything_measured(), Context(coverage=FULL))


def test_the_sample_leaves_no_measure_of_a_side_out() -> None:
    """A measure that is added later is None here until the sample has it too."""
    side = everything_measured().sides[Side.LEFT]
    assert [one.name for one in fields(side) if getattr(side, one.name) is None] == []


def test_every_name_that_a_rule_uses_has_words_and_every_row_is_used() -> None:
    """A name without a row would reach the report as a programmer wrote it."""
    made = stated()
    told = (made.presence_reason, made.denis, made.morphology, made.bakker, made.ffp)
    used = {parted(name)[1] for one in told for name in one.evidence}
    assert used == set(QUANTITIES)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("right_alar_mm3", 641.2, "right: 0.64 ml of line in the alar zone"),
        ("left_central_mm3", 0.0, "left: no line in the central zone"),
        ("left_canal_mm", 0.0, "left: reaches the sacral canal"),
        ("right_canal_mm", 1.46, "right: 1.5 mm to the sacral canal"),
        ("wall_step_mm", 7.7, "step of the posterior wall 7.7 mm, the upper part forward"),
        ("wall_step_mm", -2.5, "step of the posterior wall 2.5 mm, the upper part backward"),
        ("wall_angle_deg", 14.0, "kyphotic angle 14.0°"),
        ("wall_angle_deg", -10.5, "kyphotic angle 0° (the wall bends 10.5° the other way)"),
        ("transverse_level", 2.1, "transverse limb at S2/S3"),
        ("transverse_basis", "line", "transverse limb seen as fracture line"),
        ("right_shift_mm", -0.04, "right: bone lateral of the line in its place"),
        ("corpus_rule", "no line in the corpus", "corpus: no line in the corpus"),
        ("transverse", False, "no transverse limb"),
        ("transverse", True, "a transverse limb"),
        ("ct_left_lean_deg", -12.0, "on CT, left: leaves the joint dorsally by 12.0°"),
        ("ct_wall_level", "S1/S2", "on CT: step and angle at S1/S2"),
        ("of_another_version_mm", 2.0, "of another version mm 2.0"),
    ],
)
def test_a_quantity_is_said_with_side_unit_and_direction(
    name: str, value: float | str | bool, said: str
) -> None:
    """As a radiologist would, and never with a sign or an underscore."""
    assert evidence_said({name: value}) == [said]


def test_what_belongs_to_one_side_is_said_together_and_its_rule_once() -> None:
    """The sentence on the class names the rule; a side that has another names its own."""
    why = DenisFinding(
        rule="line lateral to the foramina",
        evidence={
            "right_rule": "line lateral to the foramina",
            "right_canal_mm": 9.0,
            "left_rule": "nothing seen in the ala",
        },
        unseen=("the pubic rami",),
    )
    assert reason("Denis", "zone 1", why) == (
        'Denis: zone 1, by rule "line lateral to the foramina". Right: 9.0 mm to the sacral canal. '
        "Left: nothing seen in the ala. Not assessed: the pubic rami."
    )


def test_two_rules_of_one_class_are_told_with_their_sides() -> None:
    """Which of them holds for which ala is what the reader asks."""
    rules: dict[str, float | str | bool] = {
        "right_rule": "alar line into a foramen",
        "left_rule": "course not certain",
    }
    why = replace(DenisFinding(), rule="; ".join(map(str, rules.values())), evidence=rules)
    assert reason("Bakker", "right B3", why) == (
        "Bakker: right B3. Right: alar line into a foramen. Left: course not certain."
    )
