"""Measurements on a phantom of known shape, lying oblique to the patient's axes."""

from __future__ import annotations

import numpy as np
import pytest

from sifdetect.anatomy import DenisZone, LesionBit, Modality, SacralLevel, Side
from sifdetect.classify import classify
from sifdetect.findings import Basis, Fracture, Presence
from sifdetect.measure import Measurements, measure
from sifdetect.mimics import SACROILIAC_EDEMA_AND_LINE
from sifdetect.rules import Context
from tests.phantoms import ALA_MM, SPACING_MM, Phantom, straight_frame

S1, S2, S3, S4, _ = SacralLevel
SIDES = (Side.RIGHT, Side.LEFT)
COMPLETE = Context(coverage=dict.fromkeys(SacralLevel, 1.0))


def on_mr(phantom: Phantom) -> Measurements:
    """Measured as an MR with fat suppression."""
    return measure(phantom.segmentation(), fluid_sensitive=True, modality=Modality.MR)


def on_ct(phantom: Phantom) -> Measurements:
    """Measured as a CT."""
    return measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)


def only(measurements: Measurements) -> Fracture:
    """The one fracture that was found."""
    (fracture,) = measurements.fractures
    return fracture


def test_a_sacrum_without_lesions_has_no_fracture() -> None:
    """Nothing is found, nothing is marked, and the score is that of the background."""
    measured = on_mr(Phantom())
    assert measured.fractures == ()
    assert not measured.components.values.any()
    assert measured.score == pytest.approx(0.05)


@pytest.mark.parametrize("side", SIDES)
def test_a_line_is_found_on_the_side_where_it_lies(side: Side) -> None:
    """Side, levels and basis of a line through the ala from S1 into S3."""
    measured = on_ct(Phantom().line(side, 0.2, 2.5))
    fracture = only(measured)
    assert (fracture.side, fracture.basis) == (side, Basis.LINE)
    assert fracture.levels == (S1, S2, S3)
    assert measured.sides[side.opposite].basis is None


@pytest.mark.parametrize("side", SIDES)
def test_volume_length_and_centroid_are_those_of_the_sheet(side: Side) -> None:
    """A sheet 3 mm thick, 36 mm deep, from z 38.8 to z -26: its box in closed form."""
    phantom = Phantom().line(side, 0.2, 2.5, x_mm=37.5)
    fracture = only(on_ct(phantom))
    high, low = 45 - 0.2 * 31, -14 - 0.5 * 24
    assert fracture.volume_mm3 == pytest.approx(3 * 36 * (high - low), rel=0.08)
    assert fracture.length_mm == pytest.approx(high - low, abs=3)
    sign = 1 if side is Side.LEFT else -1
    center = phantom.frame.to_lps_mm([sign * 37.5, -9, (high + low) / 2])
    assert np.linalg.norm(np.array(fracture.centroid_lps_mm) - center) < SPACING_MM


def test_distances_to_foramina_and_canal_are_gaps_between_walls() -> None:
    """The lateral wall of S1 and S2 foramen is 9 mm from the line; S3's is further below it."""
    phantom = Phantom().line(Side.RIGHT, 0.2, 2.5, x_mm=37.5)
    fracture = only(on_ct(phantom))
    assert fracture.foramen_distance_mm[S1] == pytest.approx(36 - 27, abs=SPACING_MM)
    assert fracture.foramen_distance_mm[S2] == pytest.approx(36 - 27, abs=SPACING_MM)
    below = -26 - (-38 + 4.5)
    assert fracture.foramen_distance_mm[S3] == pytest.approx(np.hypot(9, below), abs=SPACING_MM)
    assert fracture.canal_distance_mm == pytest.approx(36 - 10.5, abs=SPACING_MM)


def test_a_line_that_touches_a_foramen_is_told_from_one_that_crosses_it() -> None:
    """Along the lateral wall the line touches; through the middle it reaches opposite walls."""
    beside = on_ct(Phantom().line(Side.LEFT, 0.2, 2.5, x_mm=28.5)).sides[Side.LEFT]
    through = on_ct(Phantom().line(Side.LEFT, 0.2, 2.5, x_mm=22.5)).sides[Side.LEFT]
    assert beside.touched_foramina == (S1, S2)
    assert beside.crossed_foramina == ()
    assert through.touched_foramina == (S1, S2)
    assert through.crossed_foramina == (S1, S2)
    assert through.foramen_distance_mm[S1] == 0


def test_zones_share_out_the_volume_of_a_line() -> None:
    """A line in the ala lies in zone 1, one in the corridor in zone 2."""
    ala = on_ct(Phantom().line(Side.RIGHT, 0.2, 2.5)).sides[Side.RIGHT]
    corridor = on_ct(Phantom().line(Side.RIGHT, 0.2, 2.5, x_mm=22)).sides[Side.RIGHT]
    assert ala.zone_mm3[DenisZone.ALAR] == ala.line_mm3
    assert corridor.zone_mm3[DenisZone.FORAMINAL] == corridor.line_mm3


def test_a_line_that_fades_is_one_finding() -> None:
    """Two parts of a line on one side, 8 mm apart, are one fracture with both volumes."""
    upper = only(on_ct(Phantom().line(Side.LEFT, 0.2, 0.9)))
    lower = only(on_ct(Phantom().line(Side.LEFT, 1.2, 2.0)))
    both = only(on_ct(Phantom().line(Side.LEFT, 0.2, 0.9).line(Side.LEFT, 1.2, 2.0)))
    assert both.volume_mm3 == pytest.approx(upper.volume_mm3 + lower.volume_mm3)


def test_specks_are_no_line() -> None:
    """A ball of line 4 mm across is less than the least line."""
    speck = Phantom().ball(LesionBit.FRACTURE_LINE, (38, -9, 20), 2.0)
    assert on_ct(speck).fractures == ()


def test_a_transverse_line_is_one_finding_of_the_midline() -> None:
    """It crosses the midline at its level, and its ends in the corridors are its own."""
    measured = on_ct(Phantom().across(1.5, right_mm=24, left_mm=24))
    fracture = only(measured)
    assert (fracture.side, fracture.crosses_midline) == (Side.MIDLINE, True)
    assert fracture.levels == (S2,)
    assert fracture.length_mm == pytest.approx(48, abs=3)
    assert measured.transverse[0].level == pytest.approx(1.5, abs=0.06)


def test_limbs_and_transverse_line_of_an_h_are_told_apart() -> None:
    """Two vertical findings and one of the midline; each voxel belongs to one of them."""
    phantom = Phantom().line(Side.RIGHT, 0.2, 2.6).line(Side.LEFT, 0.2, 2.6)
    measured = on_ct(phantom.across(1.5, 38, 38))
    assert [f.side for f in measured.fractures] == [Side.RIGHT, Side.LEFT, Side.MIDLINE]
    line = measured.components.values > 0
    assert np.array_equal(line, phantom.lesions == LesionBit.FRACTURE_LINE)
    assert measured.sides[Side.RIGHT].zone_mm3[DenisZone.FORAMINAL] == 0


def test_components_carry_the_number_and_volume_of_their_fracture() -> None:
    """Value n marks the voxels that fracture n was measured on."""
    measured = on_ct(Phantom().line(Side.RIGHT, 0.2, 2.5).line(Side.LEFT, 0.2, 1.5))
    components = measured.components
    for number, fracture in enumerate(measured.fractures, start=1):
        volume = (components.values == number).sum() * components.grid.voxel_volume_mm3
        assert fracture.volume_mm3 == pytest.approx(volume)
        centroid = components.centroid_lps_mm(number)
        assert fracture.centroid_lps_mm == pytest.approx(centroid)


def test_edema_alone_is_a_basis_on_fluid_sensitive_mr_only() -> None:
    """Without fat suppression, and on CT, the same voxels say nothing."""
    segmentation = Phantom().edema(Side.RIGHT, 0.2, 2.0).segmentation()
    seen = measure(segmentation, fluid_sensitive=True, modality=Modality.MR)
    t1 = measure(segmentation, fluid_sensitive=False, modality=Modality.MR)
    ct = measure(segmentation, fluid_sensitive=False, modality=Modality.CT)
    assert only(seen).basis is Basis.EDEMA
    assert only(seen).foramen_distance_mm == {}
    assert t1.fractures == ct.fractures == ()
    assert t1.sides[Side.RIGHT].edema_mm3 is None


def test_edema_around_a_line_is_measured_apart() -> None:
    """Outlined are both; length and zones stay the line's, and the edema has its own volume."""
    bare = only(on_mr(Phantom().line(Side.LEFT, 0.2, 2.0)))
    swollen = only(on_mr(Phantom().line(Side.LEFT, 0.2, 2.0).edema(Side.LEFT, 0.2, 2.0)))
    assert (bare.basis, swollen.basis) == (Basis.LINE, Basis.LINE_AND_EDEMA)
    assert swollen.length_mm == bare.length_mm
    assert swollen.edema_mm3 is not None
    assert swollen.edema_mm3 > 4 * bare.volume_mm3
    assert swollen.volume_mm3 == pytest.approx(swollen.edema_mm3, rel=0.2)


def test_a_band_of_sclerosis_is_a_basis_on_ct() -> None:
    """A bone island of 10 mm is not."""
    band = only(on_ct(Phantom().sclerosis(Side.RIGHT, 0.2, 2.0, x_mm=36)))
    island = on_ct(Phantom().ball(LesionBit.SCLEROSIS, (-36, -9, 20), 5))
    assert (band.basis, band.side) == (Basis.SCLEROSIS, Side.RIGHT)
    assert island.fractures == ()


@pytest.mark.parametrize("side", SIDES)
def test_edema_on_both_sides_of_a_joint_is_no_fracture(side: Side) -> None:
    """It is named as sacroiliac edema of that side."""
    measured = on_mr(Phantom().joint_edema(side, 8.0))
    assert measured.fractures == ()
    assert [(f.kind, f.side) for f in measured.other_findings] == [("sacroiliac edema", side)]


def test_a_line_beside_an_edematous_joint_stays_a_fracture() -> None:
    """Joint edema does not void a line in the same ala that runs away from the joint."""
    measured = on_mr(Phantom().joint_edema(Side.LEFT, 8.0).line(Side.LEFT, 0.2, 2.0, x_mm=30.0))
    assert only(measured).basis is Basis.LINE_AND_EDEMA
    assert measured.other_findings == ()


@pytest.mark.parametrize("side", SIDES)
def test_a_line_along_an_edematous_joint_is_told_with_it(side: Side) -> None:
    """Neither a fracture of that ala nor a reason to call it intact; the other ala's stays."""
    swollen = Phantom().joint_edema(side, 8.0).line(side, 0.2, 1.0, x_mm=ALA_MM[0] - 5)
    measured = on_mr(swollen)
    assert measured.fractures == ()
    (joint,) = measured.other_findings
    assert (joint.kind, joint.side) == (SACROILIAC_EDEMA_AND_LINE, side)
    assert measured.score < 0.1
    assert classify(measured, COMPLETE).presence is Presence.INDETERMINATE
    both = on_mr(swollen.line(side.opposite, 0.2, 2.0).edema(side.opposite, 0.2, 2.0))
    assert only(both).side is side.opposite


def test_a_mass_takes_the_edema_around_it() -> None:
    """A round lesion with edema is mass-like, not a fracture."""
    place = (38.0, -9.0, 20.0)
    phantom = Phantom().ball(LesionBit.MASS_LIKE, place, 8).ball(LesionBit.EDEMA, place, 14)
    measured = on_mr(phantom)
    assert measured.fractures == ()
    (mass,) = measured.other_findings
    assert (mass.kind, mass.side) == ("mass-like", Side.LEFT)
    assert mass.volume_mm3 == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.1)


def test_cement_is_named_with_its_place() -> None:
    """Dense cement in the right ala, centred where it was put."""
    phantom = Phantom().ball(LesionBit.CEMENT, (-38, -9, 20), 7)
    (cement,) = on_ct(phantom).other_findings
    assert (cement.kind, cement.side) == ("cement", Side.RIGHT)
    center = phantom.frame.to_lps_mm([-38, -9, 20])
    assert np.linalg.norm(np.array(cement.centroid_lps_mm) - center) < SPACING_MM


def test_a_line_in_the_hip_bone_is_no_sacral_fracture() -> None:
    """It is named among the other findings."""
    (line,) = on_ct(Phantom().ball(LesionBit.FRACTURE_LINE, (66, -9, 20), 5)).other_findings
    assert (line.kind, line.side) == ("line in the hip bone", Side.LEFT)


def test_the_course_of_an_alar_line_is_measured_against_the_joint() -> None:
    """A sagittal sheet runs along a nearly sagittal joint, up to the joint's first voxels."""
    half = on_ct(Phantom().line(Side.RIGHT, 0.1, 0.5, x_mm=37.5)).sides[Side.RIGHT]
    assert half.joint_distance_mm == pytest.approx(54 - SPACING_MM - 39, abs=SPACING_MM / 2)
    assert half.joint_angle_deg is not None
    assert half.joint_angle_deg < 15  # the joint narrows by steps towards S3


def test_the_patients_position_changes_no_measure() -> None:
    """An oblique and a straight sacral frame give the same numbers."""
    oblique, straight = (
        only(on_ct(phantom.line(Side.RIGHT, 0.2, 2.5)))
        for phantom in (Phantom(), Phantom(frame=straight_frame()))
    )
    assert oblique.volume_mm3 == pytest.approx(straight.volume_mm3)
    assert oblique.length_mm == pytest.approx(straight.length_mm)
    assert oblique.foramen_distance_mm == pytest.approx(straight.foramen_distance_mm)


def test_an_ala_outside_the_field_of_view_is_told() -> None:
    """The share of each ala in view follows the edge of the scan."""
    phantom = Phantom()
    measured = on_mr(phantom.without(phantom.x > 12))
    assert measured.sides[Side.LEFT].in_view == 0
    assert measured.sides[Side.RIGHT].in_view == 1


def test_a_region_without_a_sacrum_has_no_findings() -> None:
    """An empty anatomy is measured as nothing, whatever bits are set."""
    phantom = Phantom().line(Side.RIGHT, 0.2, 2.5)
    phantom.anatomy[:] = 0
    measured = on_ct(phantom)
    assert (measured.fractures, measured.score) == ((), 0.0)
