"""Fractures run where their course says, look as old as their stage, and make their classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, Side
from sifdetect.findings import BakkerType, Basis, FfpType, Morphology, Presence
from sifdetect.synth.anterior_ring import AnteriorRing, RamusFracture
from sifdetect.synth.confounders import ConfounderParams
from sifdetect.synth.displacement import Displacement, Part
from sifdetect.synth.fracture import THROUGH, FractureParams, Stage
from sifdetect.synth.noise import Points
from sifdetect.synth.scene import CaseParams, Scene, sample_case, scene_at
from sifdetect.synth.sheets import Course, Limb
from sifdetect.synth.truth import ffp_of, subtype, truth_of

SEED = 11
STEP_MM = 1.5
ALAE = (AnatomyLabel.SACRAL_ALA_LEFT, AnatomyLabel.SACRAL_ALA_RIGHT)
LATERAL = {Course.FORAMINAL: 1.5, Course.INTO_JOINT: 2.4, Course.RIM: 2.6}
DORSAL = {Course.RIM: 0.3, Course.BUCKLE: 0.35, Course.INTO_JOINT: 0.8}


def unbroken(seed: int = SEED) -> CaseParams:
    """A patient without fracture and without anything that looks like one."""
    case = sample_case(seed, morphology=Morphology.NONE)
    plain = ConfounderParams.sample(np.random.default_rng(0), 0.0)
    quiet = replace(case.ring, fractures=())
    return replace(case, confounders=plain, ring=quiet, displacement=None)


def one_limb(course: Course, stage: Stage = Stage.ACUTE) -> CaseParams:
    """The patient with one limb of a course on the left."""
    case = unbroken()
    drawn = FractureParams.sample(np.random.default_rng(5), Morphology.UNILATERAL)
    limb = replace(
        drawn.limbs[0],
        side=Side.LEFT,
        course=course,
        lateral=LATERAL.get(course, 2.5),
        upper=0.2,
        lower=1.3 if course in (Course.RIM, Course.BUCKLE) else 2.6,
        dorsal=DORSAL.get(course, 1.0),
        width_mm=2.0,
        occult=False,
    )
    return replace(case, fracture=replace(drawn, stage=stage, limbs=(limb,)))


def seen(case: CaseParams, low: tuple[float, ...], high: tuple[float, ...]) -> Scene:
    """The patient within a box of the pelvic frame."""
    axes = [np.arange(a, b, STEP_MM) for a, b in zip(low, high, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return scene_at(case, Points(*(axis.astype(np.float32) for axis in grid)), STEP_MM)


def sacrum(case: CaseParams) -> Scene:
    """The left half of the sacrum and its joint."""
    return seen(case, (-30, -80, -110), (75, 25, 15))


def has(scene: Scene, bit: LesionBit) -> NDArray[np.bool_]:
    """Voxels with a lesion."""
    return (scene.lesion_bits() & bit) > 0


@pytest.mark.parametrize("course", [Course.PARALLEL, Course.INTO_JOINT, Course.RIM])
def test_alar_lines_stay_in_the_ala(course: Course) -> None:
    """Denis 1 as drawn is Denis 1 in the image: the line spares corridor and foramina."""
    scene = sacrum(one_limb(course))
    line = has(scene, LesionBit.FRACTURE_LINE)
    assert line.sum() > 40
    share = np.isin(scene.anatomy()[line], ALAE).mean()
    assert share > 0.97


def test_a_foraminal_line_runs_through_the_corridor_and_meets_foramina() -> None:
    """Denis 2, Bakker B3."""
    scene = sacrum(one_limb(Course.FORAMINAL))
    line = has(scene, LesionBit.FRACTURE_LINE)
    corridor = scene.anatomy() == AnatomyLabel.SACRAL_CORRIDOR_LEFT
    foramen = scene.anatomy() == AnatomyLabel.SACRAL_FORAMEN_LEFT
    assert (line & corridor).sum() > 0.8 * line.sum()
    assert (ndimage.binary_dilation(line, iterations=2) & foramen).any()


def test_a_line_into_the_joint_reaches_it_and_a_parallel_one_does_not() -> None:
    """What tells Bakker B2 from B1."""
    touched = {}
    for course in (Course.INTO_JOINT, Course.PARALLEL):
        scene = sacrum(one_limb(course))
        # The face towards the hip bone; the gap reaches round its ventral and dorsal edges.
        face = scene.bones.joint & (np.abs(scene.bones.lateral) > 2.95)
        line = has(scene, LesionBit.FRACTURE_LINE)
        touched[course] = int((line & ndimage.binary_dilation(face, iterations=2)).sum())
    assert touched[Course.INTO_JOINT] > 10
    assert touched[Course.PARALLEL] == 0


def test_a_rim_fracture_is_shallow() -> None:
    """Anterolateral rim: no more than 1 cm and a bit deep (Bakker A3)."""
    scene = sacrum(one_limb(Course.RIM))
    line = has(scene, LesionBit.FRACTURE_LINE)
    assert scene.bones.v_mm[line].min() > -14


def test_a_bent_cortex_stands_out_and_has_edema_and_no_line() -> None:
    """Bakker A2: bone where there was none, in front of the ala only."""
    case = one_limb(Course.BUCKLE)
    bent, straight = sacrum(case), sacrum(replace(case, fracture=unbroken().fracture))
    bone = [np.isin(s.anatomy(), [int(label) for label in SACRUM_LABELS]) for s in (bent, straight)]
    new = bone[0] & ~bone[1]
    assert new.sum() > 10
    assert not (bone[1] & ~bone[0]).any()
    assert np.isin(bent.anatomy()[new], ALAE[:1]).all()
    assert has(bent, LesionBit.EDEMA).any()
    assert not has(bent, LesionBit.FRACTURE_LINE).any()


@pytest.mark.parametrize(
    ("stage", "bits"),
    [
        (Stage.ACUTE, LesionBit.EDEMA | LesionBit.FRACTURE_LINE),
        (Stage.SUBACUTE, LesionBit.EDEMA | LesionBit.FRACTURE_LINE | LesionBit.SCLEROSIS),
        (Stage.CHRONIC, LesionBit.FRACTURE_LINE | LesionBit.SCLEROSIS),
        (Stage.HEALED, LesionBit.SCLEROSIS),
    ],
)
def test_a_stage_shows_its_signs_and_no_others(stage: Stage, bits: LesionBit) -> None:
    """Edema, line and sclerosis by age; a healed fracture keeps its band alone."""
    found = np.bitwise_or.reduce(sacrum(one_limb(Course.PARALLEL, stage)).lesion_bits(), axis=None)
    assert LesionBit(int(found)) == bits


def test_a_healed_fracture_is_indeterminate_by_its_sclerosis() -> None:
    """Nothing tells an old band from sclerosis of another cause."""
    truth = truth_of(one_limb(Course.PARALLEL, Stage.HEALED))
    assert truth.presence is Presence.INDETERMINATE
    assert [one.basis for one in truth.fractures] == [Basis.SCLEROSIS]
    assert truth.fractures[0].volume_mm3 > 0
    assert truth.ffp.value is None


def test_a_comminuted_first_segment_falls_into_pieces() -> None:
    """Subtype 4: the lines leave at least three pieces of the S1 body."""
    seeds = (s for s in range(400) if sample_case(s, morphology=Morphology.U).fracture.fragments)
    case = sample_case(next(seeds), morphology=Morphology.U)
    still = replace(case, displacement=None)
    scene = seen(still, (-45, -50, -60), (45, 30, 10))
    body = (scene.anatomy() == AnatomyLabel.SACRAL_BODY) & (scene.bones.level < 1.2)
    body &= scene.bones.v_mm > -14
    parts, _ = ndimage.label(body & ~has(scene, LesionBit.FRACTURE_LINE))
    assert (np.bincount(parts.ravel())[1:] * STEP_MM**3 > 300).sum() >= 3
    assert subtype(case) == 4
    assert truth_of(case).denis.subtype == 4


def test_a_displaced_hemipelvis_moves_up_and_the_other_side_stays() -> None:
    """The hip bone of the fractured side moves by the drawn step; truth and FFP say so."""
    case = one_limb(Course.PARALLEL)
    (limb,) = case.fracture.limbs
    whole = replace(limb, upper=THROUGH[0], lower=THROUGH[1])
    case = replace(case, fracture=replace(case.fracture, limbs=(whole,)))
    moved = replace(case, displacement=Displacement(Part.HEMIPELVIS, 0.0, 6.0, side=Side.LEFT))
    before, after = (seen(c, (-110, -60, -90), (111, 30, 60)).anatomy() for c in (case, moved))
    for label, lift in ((AnatomyLabel.HIP_LEFT, 6.0), (AnatomyLabel.HIP_RIGHT, 0.0)):
        inner = (before == label)[:, :, 20:-20]
        here = np.argwhere(inner)[::7] + np.array([0, 0, 20 + round(lift / STEP_MM)])
        assert (after[tuple(here.T)] == label).mean() > 0.98
    truth = truth_of(moved)
    assert truth.fractures[0].step_mm == 6.0
    assert truth.ffp.value is FfpType.IIIC


def test_a_ramus_fracture_cuts_its_ramus_and_is_told_as_such() -> None:
    """The line lies in the hip bone of its side, in front, and the truth has its place."""
    ramus = RamusFracture.sample(np.random.default_rng(3), Side.RIGHT, superior=True)
    ramus = replace(ramus, x_mm=35.0, tilt=0.0, width_mm=2.0)
    case = unbroken()
    case = replace(case, ring=AnteriorRing((ramus,), Stage.ACUTE, case.ring.margin))
    y, z = case.shape.symphysis_mm
    scene = seen(case, (-75, y - 60, z - 60), (75, y + 30, z + 45))
    line = has(scene, LesionBit.FRACTURE_LINE)
    assert line.sum() > 20
    assert (scene.anatomy()[line] == AnatomyLabel.HIP_RIGHT).all()
    (found,) = truth_of(case).other_findings
    assert (found.kind, found.side) == ("line in the hip bone", Side.RIGHT)
    place = case.pose.to_pelvis(np.array(found.centroid_lps_mm))
    assert place.x.item() == pytest.approx(-35.0, abs=3)
    assert place.z.item() > z - 10


def ramus_on(*sides: Side) -> AnteriorRing:
    """Superior ramus fractures of some sides."""
    rng = np.random.default_rng(1)
    drawn = tuple(RamusFracture.sample(rng, side, superior=True) for side in sides)
    return replace(unbroken().ring, fractures=drawn)


@pytest.mark.parametrize(
    ("morphology", "sides", "expected"),
    [
        (Morphology.NONE, (), None),
        (Morphology.NONE, (Side.LEFT,), FfpType.IA),
        (Morphology.NONE, (Side.LEFT, Side.RIGHT), FfpType.IB),
        (Morphology.BILATERAL, (), FfpType.IIA),
        (Morphology.BILATERAL, (Side.LEFT,), FfpType.IIC),
        (Morphology.H, (), FfpType.IVB),
        (Morphology.U, (Side.RIGHT,), FfpType.IVB),
    ],
)
def test_the_ffp_type_follows_from_both_rings(
    morphology: Morphology, sides: tuple[Side, ...], expected: FfpType | None
) -> None:
    """Undisplaced; clinical.md §3."""
    case = sample_case(2, morphology=morphology)
    limbs = tuple(replace(one, course=Course.PARALLEL, occult=False) for one in case.fracture.limbs)
    broken = replace(case.fracture, limbs=limbs, stage=Stage.ACUTE)
    case = replace(case, fracture=broken, ring=ramus_on(*sides), displacement=None)
    assert ffp_of(case) is expected


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        (Course.BUCKLE, BakkerType.A2),
        (Course.RIM, BakkerType.A3),
        (Course.PARALLEL, BakkerType.B1),
        (Course.INTO_JOINT, BakkerType.B2),
        (Course.FORAMINAL, BakkerType.B3),
    ],
)
def test_the_bakker_type_follows_from_the_course(course: Course, expected: BakkerType) -> None:
    """Left as drawn, nothing on the right, no corpus; bruise and rim with a ramus are IIb."""
    case = one_limb(course)
    truth = truth_of(case)
    assert (truth.bakker.left, truth.bakker.right, truth.bakker.corpus) == (expected, None, None)
    crushed = course in (Course.BUCKLE, Course.RIM)
    ring = replace(case, ring=ramus_on(Side.LEFT))
    assert ffp_of(ring) is (FfpType.IIB if crushed else FfpType.IIC)


def test_every_course_stage_and_ring_occurs() -> None:
    """Over 400 drawn patients; what is rare is there at all."""
    cases = [sample_case(seed) for seed in range(400)]
    limbs: list[Limb] = [limb for case in cases for limb in case.fracture.limbs]
    assert {limb.course for limb in limbs} >= set(Course) - {Course.MIDLINE}
    assert {case.fracture.stage for case in cases} == set(Stage)
    broken = [case for case in cases if case.fracture.sheets]
    with_ramus = np.mean([bool(case.ring.fractures) for case in broken])
    assert 0.2 < with_ramus < 0.42
    assert {subtype(case) for case in cases} == {None, 1, 2, 3, 4}
    assert {ffp_of(case) for case in cases} >= {FfpType.IA, FfpType.IIC, FfpType.IIIC, FfpType.IVB}
