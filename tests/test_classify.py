"""Classes of the phantom's patterns, with the rule that fired and what it could not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sifdetect.anatomy import LesionBit, Modality, SacralLevel, Side
from sifdetect.classify import Classification, Context, classify
from sifdetect.denis import DENIS_OF_SIDE
from sifdetect.findings import BakkerType, FfpType, Morphology, Presence, Warning
from sifdetect.measure import measure
from sifdetect.patterns import MORPHOLOGY
from sifdetect.volume import SacralFrame
from tests.phantoms import (
    ACROSS_MM,
    FULL,
    PATTERNS,
    Phantom,
    h_shape,
    lambda_shape,
    oblique_frame,
    straight_frame,
)

SIDES = (Side.RIGHT, Side.LEFT)
WHOLE = Context(coverage=FULL)


def on_mr(phantom: Phantom, context: Context = WHOLE) -> Classification:
    """Read as an MR with fat suppression."""
    measured = measure(phantom.segmentation(), fluid_sensitive=True, modality=Modality.MR)
    return classify(measured, context)


def on_ct(phantom: Phantom, context: Context = WHOLE) -> Classification:
    """Read as a CT."""
    measured = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    return classify(measured, context)


def seen_to(share: float, *levels: SacralLevel) -> Context:
    """A whole sacrum but for some levels, of which only a share is in view."""
    return Context(coverage=FULL | dict.fromkeys(levels, share))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("frame", [oblique_frame, straight_frame])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_each_pattern_is_named(
    pattern: Morphology, frame: Callable[[], SacralFrame], side: Side
) -> None:
    """As drawn and mirrored, in a frame along the patient's axes and in an oblique one."""
    stated = on_ct(PATTERNS[pattern](Phantom(frame=frame()), side))
    assert stated.presence is Presence.PRESENT
    assert stated.morphology.value is pattern
    assert stated.morphology.rule in {rule.name for rule in MORPHOLOGY}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("x_mm", "zone"), [(38.0, 1), (28.5, 2), (22.0, 2), (14.0, 3)])
def test_denis_follows_the_place_of_the_line(x_mm: float, zone: int, side: Side) -> None:
    """Lateral to the foramina 1; at or through a foramen 2; medial to them 3."""
    denis = on_ct(Phantom().line(side, 0.2, 2.5, x_mm=x_mm)).denis
    stated = {Side.RIGHT: denis.right, Side.LEFT: denis.left}
    assert (denis.zone, stated[side], stated[side.opposite]) == (zone, zone, 0)
    assert denis.rule in {rule.name for rule in DENIS_OF_SIDE}


@pytest.mark.parametrize(("x_mm", "zone"), [(38.0, 1), (22.0, 2)])
def test_edema_without_a_line_counts_where_most_of_it_lies(x_mm: float, zone: int) -> None:
    """Edema centred on the foramina is Denis 2, and says that it is edema."""
    denis = on_mr(Phantom().edema(Side.LEFT, 0.2, 2.0, x_mm=x_mm)).denis
    assert (denis.zone, denis.left, denis.right) == (zone, zone, 0)
    assert "edema without a line" in denis.rule


def test_a_transverse_limb_makes_both_sides_central() -> None:
    """The zone of each ala's own line is kept in the evidence; no subtype where nothing moved."""
    denis = on_ct(h_shape(Phantom(), Side.RIGHT)).denis
    assert (denis.zone, denis.right, denis.left, denis.subtype) == (3, 3, 3, None)
    assert denis.evidence["right_ala_zone"] == 1
    assert denis.evidence["subtype_rule"] == "no step and no angle"
    assert denis.evidence["wall_level"] == "S2"


def test_edema_around_the_ends_of_a_transverse_line_is_its_own() -> None:
    """Two balls of 2 ml in the alae beside its ends make no A1, and no C3 of a C1."""
    phantom = Phantom().across(1.5, 24, 24)
    z = float(phantom.z[phantom.lesions > 0].mean())
    for x in (-31.0, 31.0):
        phantom.ball(LesionBit.EDEMA, (x, -9.0, z), 8.0)
    bakker = on_mr(phantom).bakker
    assert (bakker.right, bakker.left, bakker.corpus) == (None, None, BakkerType.C1)


def test_edema_beside_a_mass_is_not_called_a_fracture() -> None:
    """Edema too far from the mass to be its own is indeterminate, by a rule with a name."""
    phantom = Phantom().ball(LesionBit.MASS_LIKE, (-38, -9, -20), 6).edema(Side.RIGHT, 0.1, 1.2)
    stated = on_mr(phantom)
    assert stated.presence is Presence.INDETERMINATE
    assert stated.presence_reason.rule == "edema without a line, beside a mass-like finding"


@pytest.mark.parametrize("side", SIDES)
def test_a_limb_of_edema_counts_as_a_limb(side: Side) -> None:
    """An H whose one vertical limb shows edema and no line is an H."""
    phantom = Phantom().edema(side, 0.1, 2.9).line(side.opposite, 0.2, 2.6)
    stated = on_mr(phantom.across(1.5, ACROSS_MM, ACROSS_MM))
    assert stated.morphology.value is Morphology.H
    assert any(f"no line seen in the {side.value} ala" in t for t in stated.morphology.unseen)


def test_limbs_that_leave_the_field_of_view_are_not_called_a_u() -> None:
    """Two limbs above a transverse line at S2/S3 may go on where nothing is seen."""
    phantom = Phantom().line(Side.RIGHT, 0.2, 2.0).line(Side.LEFT, 0.2, 2.0)
    phantom.across(2.0, ACROSS_MM, ACROSS_MM)
    whole = on_ct(phantom)
    cut = on_ct(phantom, seen_to(0.1, SacralLevel.S3, SacralLevel.S4, SacralLevel.S5))
    assert whole.morphology.value is Morphology.U
    assert cut.morphology.value is Morphology.INDETERMINATE
    assert "below the field of view" in cut.morphology.rule


def test_one_ala_is_not_called_unilateral_when_the_other_is_out_of_view() -> None:
    """Side and zone of the hidden ala are not known."""
    phantom = Phantom()
    stated = on_ct(phantom.without(phantom.x > 12).line(Side.RIGHT, 0.2, 2.5))
    assert stated.presence is Presence.PRESENT
    assert stated.morphology.value is Morphology.INDETERMINATE
    assert (stated.denis.right, stated.denis.left) == (1, None)
    assert "the left ala is not in view" in stated.morphology.unseen


def test_edema_without_a_line_is_present_and_says_so() -> None:
    """Denis 1 by the edema, Bakker A1, and the reader is warned."""
    stated = on_mr(Phantom().edema(Side.RIGHT, 0.2, 2.0))
    assert stated.presence_reason.rule == "alar edema without a line"
    assert (stated.presence, stated.denis.zone) == (Presence.PRESENT, 1)
    assert stated.bakker.right is BakkerType.A1
    assert [warning.code for warning in stated.warnings] == ["no-line"]


def test_sclerosis_alone_stays_indeterminate() -> None:
    """A late sign with other causes; the untouched ala is not cleared either."""
    stated = on_ct(Phantom().sclerosis(Side.RIGHT, 0.2, 2.0, x_mm=36))
    assert stated.presence is Presence.INDETERMINATE
    assert (stated.denis.right, stated.denis.left) == (1, None)
    assert stated.ffp.value is None


def test_a_whole_sacrum_without_findings_on_stir_is_absent() -> None:
    """Zones are 0 and no class is stated."""
    stated = on_mr(Phantom())
    assert stated.presence is Presence.ABSENT
    assert (stated.denis.zone, stated.denis.left, stated.denis.right) == (None, 0, 0)
    assert stated.morphology.value is Morphology.NONE
    assert (stated.bakker.left, stated.bakker.corpus, stated.ffp.value) == (None, None, None)
    assert stated.warnings == ()


def test_a_negative_ct_says_what_ct_misses() -> None:
    """Absent, with the share that CT misses and the advice that goes with it."""
    stated = on_ct(Phantom())
    assert stated.presence is Presence.ABSENT
    (warning,) = stated.warnings
    assert "25–40 %" in warning.text
    assert "MRI is advised if suspicion stays (ACR appropriateness 9)" in warning.text
    assert warning.text in stated.presence_reason.unseen


@pytest.mark.parametrize("level", [SacralLevel.S1, SacralLevel.S2, SacralLevel.S3])
def test_a_partly_imaged_sacrum_is_never_absent(level: SacralLevel) -> None:
    """Indeterminate with the level that is cut, and zones unknown."""
    stated = on_mr(Phantom(), seen_to(0.6, level))
    assert stated.presence is Presence.INDETERMINATE
    assert stated.coverage.limits == (f"{level.name} is only in view to 60 %",)
    assert (stated.denis.left, stated.denis.right) == (None, None)
    assert stated.morphology.value is Morphology.INDETERMINATE
    assert "sacrum-partly-covered" in {warning.code for warning in stated.warnings}


def test_a_cut_at_s5_does_not_matter_for_absence() -> None:
    """The tip at S5 bears no load; the limit is named all the same."""
    stated = on_mr(Phantom(), seen_to(0.0, SacralLevel.S5))
    assert stated.presence is Presence.ABSENT
    assert stated.coverage.limits == ("S5 is not in view",)
    assert stated.coverage.sacrum == pytest.approx(0.93)


def test_a_finding_in_a_cut_sacrum_is_present() -> None:
    """What is seen is stated; what is not is named."""
    stated = on_mr(Phantom().line(Side.LEFT, 0.2, 1.5), seen_to(0.3, SacralLevel.S3))
    assert stated.presence is Presence.PRESENT
    assert stated.denis.right is None
    assert "S3 is only in view to 30 %" in stated.coverage.limits


def test_mr_without_a_fluid_sensitive_series_excludes_nothing() -> None:
    """Edema cannot be judged: indeterminate, with a warning."""
    segmentation = Phantom().edema(Side.LEFT, 0.2, 2.0).segmentation()
    measured = measure(segmentation, fluid_sensitive=False, modality=Modality.MR)
    stated = classify(measured, Context(coverage=FULL))
    assert stated.presence is Presence.INDETERMINATE
    texts = [warning.text for warning in stated.warnings]
    assert texts == [
        "no fluid-sensitive series, edema can't be judged: MRI with fat suppression is advised"
        " (ACR appropriateness 9)"
    ]


def test_a_likely_fracture_that_was_not_outlined_is_not_called_absent() -> None:
    """The calibrated probability speaks against absence."""
    measured = measure(Phantom().segmentation(), fluid_sensitive=True, modality=Modality.MR)
    stated = classify(measured, Context(coverage=FULL, probability=0.7))
    assert (stated.presence, stated.probability) == (Presence.INDETERMINATE, 0.7)


def test_warnings_about_quality_are_handed_on() -> None:
    """They come first, before those of the rules."""
    thick = Warning(code="thick-slices", text="slices are 8 mm thick")
    stated = on_ct(Phantom(), Context(coverage=FULL, warnings=(thick,)))
    assert [warning.code for warning in stated.warnings] == ["thick-slices", "ct-sensitivity"]


def test_a_mass_is_not_called_a_fracture_and_is_warned_of() -> None:
    """Another cause is named, no diagnosis."""
    place = (38.0, -9.0, 20.0)
    phantom = Phantom().ball(LesionBit.MASS_LIKE, place, 8).ball(LesionBit.EDEMA, place, 14)
    stated = on_mr(phantom)
    assert stated.presence is Presence.ABSENT
    assert [warning.code for warning in stated.warnings] == ["mass-like"]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("x_mm", "expected"), [(37.5, BakkerType.B1), (52.0, BakkerType.B2), (22.0, BakkerType.B3)]
)
def test_bakker_of_an_ala_follows_the_course_of_its_line(
    x_mm: float, expected: BakkerType, side: Side
) -> None:
    """Parallel to the joint B1, into the joint B2, into a foramen B3."""
    bakker = on_ct(Phantom().line(side, 0.2, 1.4, x_mm=x_mm)).bakker
    stated = {Side.RIGHT: bakker.right, Side.LEFT: bakker.left}
    assert (stated[side], stated[side.opposite], bakker.corpus) == (expected, None, None)


@pytest.mark.parametrize(
    ("pattern", "corpus", "ffp"),
    [
        (Morphology.UNILATERAL, None, FfpType.IIA),
        (Morphology.BILATERAL, None, FfpType.IIA),
        (Morphology.TRANSVERSE, BakkerType.C1, FfpType.IIA),
        (Morphology.T, BakkerType.C2, FfpType.IIA),
        (Morphology.U, BakkerType.C3, FfpType.IVB),
        (Morphology.H, BakkerType.C3, FfpType.IVB),
    ],
)
def test_corpus_and_ffp_follow_the_pattern(
    pattern: Morphology, corpus: BakkerType | None, ffp: FfpType
) -> None:
    """FFP is always "at least": the anterior ring is out of view."""
    stated = on_ct(PATTERNS[pattern](Phantom(), Side.LEFT))
    assert (stated.bakker.corpus, stated.ffp.value) == (corpus, ffp)
    assert stated.ffp.at_least
    assert "the anterior ring lies outside of what was examined" in stated.ffp.unseen


def test_every_class_of_a_fracture_carries_rule_evidence_and_unseen() -> None:
    """A reader can check each statement."""
    stated = on_ct(h_shape(Phantom(), Side.RIGHT))
    for finding in (stated.denis, stated.morphology, stated.bakker, stated.ffp):
        assert finding.rule
        assert finding.evidence
        assert finding.unseen


def test_mirroring_the_patient_swaps_the_sides_and_nothing_else() -> None:
    """Denis, Bakker and morphology of a lopsided pattern."""
    drawn = on_ct(lambda_shape(Phantom(), Side.RIGHT).line(Side.RIGHT, 0.2, 1.0, x_mm=22))
    mirror = on_ct(lambda_shape(Phantom(), Side.LEFT).line(Side.LEFT, 0.2, 1.0, x_mm=22))
    assert drawn.morphology.value is mirror.morphology.value
    assert (drawn.denis.left, drawn.denis.right) == (mirror.denis.right, mirror.denis.left)
    assert (drawn.bakker.left, drawn.bakker.right) == (mirror.bakker.right, mirror.bakker.left)
    assert replace(drawn.ffp, evidence={}) == replace(mirror.ffp, evidence={})
