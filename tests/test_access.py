"""Sacroplasty as geometry: against closed forms, on a phantom, and through the findings' JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from sifdetect.access import access
from sifdetect.access_words import access_said
from sifdetect.anatomy import AnatomyLabel, LesionBit, SacralLevel, Side
from sifdetect.approach import described, share_reached
from sifdetect.cement import cement_of
from sifdetect.components import describe
from sifdetect.findings import Basis, Fracture, from_json, to_json
from sifdetect.sacroplasty import (
    AlaAccess,
    Approach,
    Cement,
    CementSide,
    Sacroplasty,
    Trajectory,
)
from sifdetect.trajectory import CLEAR_MM, TIP_MM, Ala, Lines
from sifdetect.volume import LabelMap, SacralFrame, Segmentation
from tests.phantoms import SPACING_MM, Phantom, oblique_frame, straight_frame
from tests.result_cases import bilateral

SCHEMA = Path(__file__).parents[1] / "docs" / "findings.schema.json"
S1, S2, S3, _, _ = SacralLevel
SPHERE_MM, RADIUS_MM = np.array([30.0, -4.0, 6.0]), 6.0


def fracture(side: Side, **changes: Any) -> Fracture:
    """A fracture as it is measured, as far as access looks at it."""
    one = Fracture(
        id="F1",
        side=side,
        levels=(S1, S2),
        basis=Basis.LINE,
        volume_mm3=4000.0,
        length_mm=60.0,
        centroid_lps_mm=(0.0, 0.0, 0.0),
    )
    return replace(one, **changes)


def stated(phantom: Phantom, *fractures: Fracture) -> Sacroplasty:
    """Of a phantom and what was measured on it."""
    return access(phantom.segmentation(), fractures)


def ala_with_sphere() -> Ala:
    """A left ala as a block, its ventral face at y = 20, with a ball of foramen in it."""
    frame = oblique_frame()
    grid = frame.grid((0, -40, -30), (60, 40, 40), SPACING_MM)
    at = frame.to_frame_mm(grid.index_to_mm(np.argwhere(np.ones(grid.shape))))
    values = np.where(np.abs(at[:, 1]) < 20, AnatomyLabel.SACRAL_ALA_LEFT, 0)
    inside = np.linalg.norm(at - SPHERE_MM, axis=1) < RADIUS_MM
    values[inside] = AnatomyLabel.SACRAL_FORAMEN_LEFT
    shape = grid.shape
    anatomy = LabelMap(values.reshape(shape).astype(np.uint8), grid)
    nothing = LabelMap(np.zeros(shape, np.uint8), grid)
    segmentation = Segmentation(
        anatomy=anatomy,
        lesions=nothing,
        probability=np.zeros((5, *shape), np.float32),
        level=np.ones(shape, np.float32),
        frame=frame,
        in_view=np.ones(shape, np.bool_),
    )
    return Ala(describe(segmentation), Side.LEFT, np.zeros((0, 3)))


def one_line(entry: tuple[float, ...], target: tuple[float, ...]) -> Lines:
    """A single line."""
    return Lines(np.array([entry], float), np.array([target], float))


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        ((30, -20, 20), (30, 12, 20)),
        ((42, -20, -10), (38, 5, 30)),
        ((30, -20, 6), (30, -14, 6)),
        ((30, -20, 6), (31, 10, 7)),
        ((15, -18, -20), (26, 14, 33)),
    ],
)
def test_distances_of_a_known_line_are_within_a_voxel(
    entry: tuple[float, ...], target: tuple[float, ...]
) -> None:
    """Past a ball, along it, short of it, through it, and to a plane in front of it."""
    ala, line = ala_with_sphere(), one_line(entry, target)
    measured = described(ala, Approach.SHORT_AXIS, line, clear=True)
    a, b = np.array(entry, float), np.array(target, float)
    share = np.clip((SPHERE_MM - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    truth = max(0.0, float(np.linalg.norm(a + share * (b - a) - SPHERE_MM)) - RADIUS_MM)
    assert measured.foramen_distance_mm[S1] == pytest.approx(truth, abs=SPACING_MM)
    ventral = measured.anterior_cortex_distance_mm
    assert ventral == pytest.approx(20 - max(a[1], b[1]), abs=SPACING_MM)
    assert measured.length_mm == pytest.approx(np.linalg.norm(b - a))
    assert (measured.canal_distance_mm, measured.joint_distance_mm) == (None, None)


def test_entry_tip_and_direction_are_in_patient_coordinates() -> None:
    """The frame lies oblique; the direction is of length 1 from entry to tip."""
    frame, line = oblique_frame(), one_line((30, -20, 20), (36, 12, 24))
    measured = described(ala_with_sphere(), Approach.SHORT_AXIS, line, clear=True)
    assert measured.entry_lps_mm == pytest.approx(frame.to_lps_mm([30, -20, 20]))
    way = np.array(measured.target_lps_mm) - measured.entry_lps_mm
    assert measured.direction_lps == pytest.approx(way / np.linalg.norm(way))


def test_the_share_of_a_fracture_near_a_line_is_that_of_a_band() -> None:
    """A sheet 40 mm square with a line along its middle, 30 mm long: 30 x 10 and two half discs."""
    y, z = np.meshgrid(np.arange(-20, 20, 0.5) + 0.25, np.arange(-20, 20, 0.5) + 0.25)
    sheet = np.stack([np.zeros(y.size), y.ravel(), z.ravel()], axis=1)
    share = share_reached(one_line((0, -15, 0), (0, 15, 0)), sheet)
    assert share == pytest.approx((300 + np.pi * 25) / 1600, abs=0.01)
    assert share_reached(one_line((9, -15, 0), (9, 15, 0)), sheet) == 0.0


@pytest.fixture(scope="module")
def right() -> AlaAccess:
    """Access to a right ala with a line along it."""
    (ala,) = stated(Phantom().line(Side.RIGHT, 0.2, 2.2, x_mm=36), fracture(Side.RIGHT)).alae
    return ala


def test_both_approaches_keep_clear_of_what_is_dangerous(right: AlaAccess) -> None:
    """Foramina, canal, joint and ventral cortex; each reaches a part of the fracture."""
    assert [one.approach for one in right.trajectories] == list(Approach)
    assert right.against == ()
    for one in right.trajectories:
        gaps = [*one.foramen_distance_mm.values(), one.canal_distance_mm, one.joint_distance_mm]
        assert min(gap for gap in gaps if gap is not None) >= CLEAR_MM - 0.1
        assert one.anterior_cortex_distance_mm is not None
        assert one.anterior_cortex_distance_mm >= TIP_MM - SPACING_MM
        assert one.clear
        assert one.fracture_share > 0.1


def test_the_short_axis_goes_in_from_behind_and_outwards(right: AlaAccess) -> None:
    """From the dorsal surface to the front, medial to lateral, along the level it enters at."""
    x, y, z = in_frame(right.trajectories[0], oblique_frame())
    assert y > 0.8
    assert x <= 0
    assert abs(z) < 0.4


def test_the_long_axis_runs_along_the_ala_to_s1(right: AlaAccess) -> None:
    """From S3 upwards; most of its way is along the sacrum."""
    frame, one = oblique_frame(), right.trajectories[1]
    x, y, z = in_frame(one, frame)
    assert z > 0.8
    assert y > 0
    assert abs(x) < 0.5
    assert frame.to_frame_mm(one.entry_lps_mm)[2] < -14
    assert frame.to_frame_mm(one.target_lps_mm)[2] > 14


def test_mirroring_the_patient_swaps_the_sides_and_nothing_else(right: AlaAccess) -> None:
    """Distances, length and share are those of the other side."""
    (left,) = stated(Phantom().line(Side.LEFT, 0.2, 2.2, x_mm=36), fracture(Side.LEFT)).alae
    assert left.side is Side.LEFT
    for one, other in zip(left.trajectories, right.trajectories, strict=True):
        assert one.length_mm == pytest.approx(other.length_mm, abs=SPACING_MM)
        assert one.fracture_share == pytest.approx(other.fracture_share, abs=0.05)
        assert one.canal_distance_mm == pytest.approx(other.canal_distance_mm, abs=SPACING_MM)


def test_a_scan_that_lies_otherwise_gives_the_same_lines(right: AlaAccess) -> None:
    """Along the patient's axes instead of oblique."""
    phantom = Phantom(straight_frame()).line(Side.RIGHT, 0.2, 2.2, x_mm=36)
    (straight,) = stated(phantom, fracture(Side.RIGHT)).alae
    for one, other in zip(straight.trajectories, right.trajectories, strict=True):
        here = straight_frame().to_frame_mm(one.target_lps_mm)
        there = oblique_frame().to_frame_mm(other.target_lps_mm)
        assert here == pytest.approx(there, abs=SPACING_MM)


def test_what_speaks_against_is_said() -> None:
    """Open foramina, a step in the midline, and a sacrum cut below S2, which has no long axis."""
    phantom = Phantom().line(Side.RIGHT, 0.2, 1.2, x_mm=36)
    open_to = fracture(Side.RIGHT, foramen_distance_mm={S1: 0.0, S2: 0.0, S3: 4.0})
    step = fracture(Side.MIDLINE, id="F2", step_mm=4.0)
    (ala,) = stated(phantom.without(phantom.z < -12), open_to, step).alae
    assert [one.approach for one in ala.trajectories] == [Approach.SHORT_AXIS]
    assert ala.against == (
        "the posterior wall has a step of 4.0 mm",
        "the fracture line touches the S1, S2 foramen",
        "long axis: no straight line through the bone was found",
    )


def test_cement_is_counted_where_it_lies() -> None:
    """Balls in the right ala, the left S1 foramen and the canal, and one that bulges out."""
    phantom = Phantom().ball(LesionBit.CEMENT, (-38, -9, 20), 8.0)
    around = {"foramen": (22.5, -9, 14), "canal": (0, -20, 10), "outside": (38, 9, 20)}
    for x, y, z in around.values():
        near = (phantom.x - x) ** 2 + (phantom.y - y) ** 2 + (phantom.z - z) ** 2 < 36
        phantom.lesions[near] |= LesionBit.CEMENT.value
    found = cement_of(describe(phantom.segmentation()))
    assert found is not None
    right, left = found.sides
    assert right.bone_mm3 == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.05)
    assert right.foramen_mm3 == {}
    assert set(left.foramen_mm3) == {S1}
    assert left.foramen_mm3[S1] == pytest.approx(foramen_volume(phantom), rel=0.01)
    assert found.canal_mm3 == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.06)
    # The cap of a ball beyond a plane through its middle, less what lies within 1.5 voxels of it.
    assert 0 < found.outside_mm3 < 2 / 3 * np.pi * 6**3


def test_cement_below_a_fifth_segment_is_not_called_the_fourth_foramens() -> None:
    """A sacrum of six segments has a foramen around 5 on the level scale."""
    phantom = Phantom()
    phantom.level = np.clip(phantom.level + 1, 0, 5)
    near = (phantom.x - 22.5) ** 2 + (phantom.y + 9) ** 2 + (phantom.z + 58) ** 2 < 36
    phantom.lesions[near] |= LesionBit.CEMENT.value
    found = cement_of(describe(phantom.segmentation()))
    assert found is not None
    assert set(found.sides[1].foramen_mm3) == {SacralLevel.S5}


def test_without_cement_nothing_is_said_of_it() -> None:
    """None, and no sentence."""
    assert cement_of(describe(Phantom().segmentation())) is None


def test_access_survives_its_json_and_fits_the_schema(right: AlaAccess) -> None:
    """Beside the findings that it belongs to."""
    cement = Cement(sides=(CementSide(side=Side.LEFT, bone_mm3=9.0, foramen_mm3={S1: 2.0}),))
    asked = replace(bilateral().findings, access=Sacroplasty(alae=(right,), cement=cement))
    document = json.loads(json.dumps(to_json(asked), allow_nan=False))
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(document)
    assert from_json(document) == asked


def test_what_is_said_names_geometry_and_no_treatment(right: AlaAccess) -> None:
    """Nothing where it was not asked for; else what it is, each line and the literature's range."""
    findings = bilateral().findings
    assert access_said(findings) == ()
    said = access_said(replace(findings, access=Sacroplasty(alae=(right,))))
    assert "no advice to treat" in said[0]
    assert "3-8 ml" in said[1]
    assert [text.split(",")[0] for text in said[2:4]] == ["Short axis", "Long axis"]
    assert not any("recommend" in text or "indicated" in text for text in said)


def in_frame(one: Trajectory, frame: SacralFrame) -> tuple[float, float, float]:
    """Direction of a trajectory along the sacral frame's axes; x positive to the left."""
    x, y, z = (frame.axes @ np.array(one.direction_lps)).tolist()
    return (x, y, z)


def foramen_volume(phantom: Phantom) -> float:
    """Volume of the left foramina that holds cement, mm³."""
    hole = phantom.anatomy == AnatomyLabel.SACRAL_FORAMEN_LEFT
    return float((hole & (phantom.lesions > 0)).sum() * SPACING_MM**3)
