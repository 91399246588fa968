"""What single synthetic cases once were read wrongly for, each on a phantom or on bare measures."""

from __future__ import annotations

import numpy as np
import pytest

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, SacralLevel, Side
from sifdetect.classify import Context, classify
from sifdetect.components import describe
from sifdetect.denis import COMMINUTED_MM3
from sifdetect.findings import BakkerType, Basis, Morphology
from sifdetect.fragility import ALONG_JOINT, BAKKER_OF_ALA
from sifdetect.measure import measure
from sifdetect.measurements import Course, SideMeasurements
from sifdetect.ring import ring_of
from sifdetect.rules import first_match
from sifdetect.volume import LabelMap
from sifdetect.wall import wall_break
from tests.phantoms import BOUND_MM, FULL, Phantom, straight_frame, t_shape


def bakker(half: SideMeasurements) -> BakkerType | None:
    """The type of one ala."""
    return first_match(BAKKER_OF_ALA, half).result


@pytest.mark.parametrize(("z", "broken"), [(-70.0, True), (70.0, False)])
def test_a_line_in_the_ramus_of_the_ischium_breaks_the_ring(z: float, broken: bool) -> None:
    """Of two lines 85 mm from the symphysis only the lower one is of the anterior ring."""
    frame = straight_frame()
    grid = frame.grid((-80, 40, -90), (80, 140, 90), 2.5)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    place = frame.to_frame_mm(grid.index_to_mm(index))
    bone = (np.abs(place[..., 1] - 90) < 6) & (place[..., 0] > 2)
    anatomy = np.where(bone, np.uint8(AnatomyLabel.HIP_LEFT), np.uint8(0))
    near = np.linalg.norm(place - [48.0, 90.0, z], axis=-1) < 7
    lesions = np.where(bone & near, np.uint8(LesionBit.FRACTURE_LINE), np.uint8(0))
    ring = ring_of(LabelMap(anatomy, grid), LabelMap(lesions, grid), frame)
    assert (Side.LEFT in ring.broken) is broken


@pytest.mark.parametrize("aside_mm", [-11.0, 0.0, 11.0])
def test_the_symphysis_may_lie_beside_the_midline_of_the_sacrum(aside_mm: float) -> None:
    """As where the pelvis is turned; the pubis on the far side was once not found."""
    frame = straight_frame()
    grid = frame.grid((-80, 60, -50), (80, 130, 50), 2.5)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    place = frame.to_frame_mm(grid.index_to_mm(index))
    from_symphysis = place[..., 0] - aside_mm
    rami = (np.abs(place[..., 1] - 95) < 8) & (np.abs(place[..., 2]) < 10)
    anatomy = np.zeros(grid.shape, dtype=np.uint8)
    anatomy[rami & (from_symphysis > 2)] = AnatomyLabel.HIP_LEFT
    anatomy[rami & (from_symphysis < -2)] = AnatomyLabel.HIP_RIGHT
    crack = (anatomy > 0) & (np.abs(np.abs(from_symphysis) - 28) < 2)
    lesions = np.where(crack, np.uint8(LesionBit.FRACTURE_LINE), np.uint8(0))
    ring = ring_of(LabelMap(anatomy, grid), LabelMap(lesions, grid), frame)
    assert ring.seen == ring.broken == {Side.RIGHT, Side.LEFT}


@pytest.mark.parametrize(("contact_mm", "kind"), [(21.0, BakkerType.A3), (0.0, None)])
def test_a_line_across_the_corner_is_of_the_rim(contact_mm: float, kind: BakkerType | None) -> None:
    """From the anterior cortex into the joint at 58°, though half of it is 14 mm from the joint."""
    course = Course(
        lean_deg=58.0,
        joint_depth_mm=13.8,
        joint_contact_mm=contact_mm,
        anterior_contact_mm=22.0,
        joint_contact_share=0.1,
    )
    assert bakker(SideMeasurements(basis=Basis.LINE, course=course)) is kind


@pytest.mark.parametrize(
    ("ridge_mm", "bent_mm", "kind"),
    [
        (2.9, 0.4, BakkerType.A1),
        (2.0, 1.4, BakkerType.A2),
        (2.9, None, BakkerType.A2),
        (1.2, None, BakkerType.A1),
    ],
)
def test_a_bent_cortex_is_told_by_the_other_ala(
    ridge_mm: float, bent_mm: float | None, kind: BakkerType
) -> None:
    """A ridge that both alae have is the bone's own; alone, its height decides."""
    half = SideMeasurements(basis=Basis.EDEMA, cortex_ridge_mm=ridge_mm, cortex_bent_mm=bent_mm)
    assert bakker(half) is kind


@pytest.mark.parametrize(("both", "expected_mm"), [(False, 3.0), (True, 0.0)])
def test_the_ridge_of_one_ala_stands_out_of_the_other(both: bool, expected_mm: float) -> None:
    """A ridge 3 mm high over edema of the left ala, or over both alae."""
    phantom = Phantom()
    ridge = (np.abs(np.abs(phantom.x) - 38) < 2.5) & (phantom.y > 8) & (phantom.y < 12)
    ridge &= (phantom.level > 0.2) & (phantom.level < 1.8) & (phantom.anatomy == 0)
    phantom.anatomy[ridge & (phantom.x > 0)] = AnatomyLabel.SACRAL_ALA_LEFT
    if both:
        phantom.anatomy[ridge & (phantom.x < 0)] = AnatomyLabel.SACRAL_ALA_RIGHT
    bruised = phantom.edema(Side.LEFT, 0.2, 1.8).segmentation()
    half = measure(bruised, fluid_sensitive=True, modality=Modality.MR).sides[Side.LEFT]
    assert half.cortex_bent_mm == pytest.approx(expected_mm, abs=0.4)


def test_a_transverse_limb_is_told_from_the_fragments_of_s1() -> None:
    """An upright and a lying fragment hang together with it; the whole is one component."""
    phantom = Phantom().across(0.8).across(0.3, 10.0, 14.0)
    phantom.line(Side.LEFT, 0.05, 0.8, x_mm=6.0).line(Side.RIGHT, 0.05, 0.8, x_mm=2.0)
    found = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    (limb,) = found.transverse
    assert limb.level == pytest.approx(0.8, abs=0.05)
    assert list(limb.junction.values()) == pytest.approx([0.8, 0.8], abs=0.05)


def test_the_foramen_below_s5_is_none_of_the_four() -> None:
    """Of a sacrum with six segments; it once counted as the S4 foramen."""
    phantom = Phantom()
    low = np.abs(phantom.z - BOUND_MM[5]) < 4
    low &= (np.abs(phantom.x) > 18) & (np.abs(phantom.x) < 27) & phantom.sacrum
    phantom.anatomy[low & (phantom.x > 0)] = AnatomyLabel.SACRAL_FORAMEN_LEFT
    foramina = describe(phantom.segmentation()).foramina_mm
    assert {level for _, level in foramina} == set(tuple(SacralLevel)[:4])
    assert foramina[Side.LEFT, SacralLevel.S4][:, 2].min() > BOUND_MM[4] - 6


@pytest.mark.parametrize(
    ("tall_mm", "sides"), [(9.0, {Side.LEFT}), (24.0, {Side.LEFT, Side.RIGHT})]
)
def test_edema_beside_a_transverse_line_is_an_alas_own_where_it_leaves_its_height(
    tall_mm: float, sides: set[Side]
) -> None:
    """Edema of a T that spreads 26 mm beyond its end; once it made a second fractured ala."""
    phantom = t_shape(Phantom(), Side.LEFT)
    z = float(np.interp(1.5, np.arange(6.0), BOUND_MM))
    spread = (np.abs(phantom.z - z) < tall_mm) & (phantom.x < -20) & (phantom.x > -50)
    phantom.lesions[spread & phantom.sacrum] |= LesionBit.EDEMA.value
    found = measure(phantom.segmentation(), fluid_sensitive=True, modality=Modality.MR)
    assert {one.side for one in found.fractures} - {Side.MIDLINE} == sides


def test_limbs_of_a_third_of_a_segment_are_limbs() -> None:
    """Above a transverse line high in S1 there is no room for longer ones: a U, once a T."""
    phantom = Phantom().across(0.7, 38.0, 38.0)
    phantom.line(Side.LEFT, 0.3, 0.75).line(Side.RIGHT, 0.34, 0.75)
    found = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    stated = classify(found, Context(coverage=FULL))
    assert stated.morphology.value is Morphology.U
    assert stated.bakker.corpus is BakkerType.C3


def test_the_limb_that_leaves_the_bodies_is_the_one() -> None:
    """A lying fragment of S1 ends in its body, of which it takes up more: the limb gapes there."""
    phantom = Phantom().across(0.9, 38.0, 38.0)
    phantom.lesions[(phantom.anatomy == AnatomyLabel.SACRAL_BODY) & (phantom.y > -3)] = 0
    phantom.across(0.3, 14.0, 14.0)
    phantom.line(Side.LEFT, 0.05, 0.9, x_mm=6.0)
    phantom.line(Side.LEFT, 0.1, 0.95).line(Side.RIGHT, 0.1, 0.95)
    found = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    assert found.transverse[0].level == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(("upright", "broken"), [(True, True), (False, False)])
def test_s1_is_comminuted_by_lines_in_two_directions(upright: bool, broken: bool) -> None:
    """Above a transverse limb in S3; one more lying line parts the body of S1 in two."""
    phantom = Phantom().across(2.4).across(0.4, 14.0, 3.0)
    if upright:
        phantom.line(Side.LEFT, 0.02, 0.98, x_mm=2.0)
    found = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    assert (found.comminution_mm3 >= COMMINUTED_MM3) is broken
    stated = classify(found, Context(coverage=FULL))
    assert (stated.denis.subtype == 4) is broken


@pytest.mark.parametrize(
    ("lean_deg", "kind"), [(-27.0, BakkerType.B1), (27.0, BakkerType.B2), (-50.0, None)]
)
def test_a_line_runs_into_the_joint_where_it_nears_it(
    lean_deg: float, kind: BakkerType | None
) -> None:
    """From the front to the back; one that leaves it there, as in a displaced sacrum, does not."""
    course = Course(lean_deg=lean_deg, joint_contact_mm=40.0)
    assert bakker(SideMeasurements(basis=Basis.LINE, course=course)) is kind


@pytest.mark.parametrize(("x_mm", "least", "most"), [(38.0, 0.0, 0.0), (51.5, ALONG_JOINT, 1.0)])
def test_a_line_is_in_the_joint_where_it_lies_beside_it(
    x_mm: float, least: float, most: float
) -> None:
    """And not where the hip bone reaches around the ala and the line ends at its front and back."""
    phantom = Phantom().line(Side.LEFT, 0.1, 0.9, x_mm=x_mm)
    beside = (phantom.x > 30) & (phantom.level < 1) & (phantom.level > 0)
    around = beside & (np.abs(phantom.y + 9) > 20) & (phantom.anatomy == 0)
    phantom.anatomy[around] = AnatomyLabel.HIP_LEFT
    found = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    course = found.sides[Side.LEFT].course
    assert course.joint_contact_mm > 20
    assert least <= course.joint_contact_share <= most


def test_a_ridge_is_read_along_the_bruise_that_it_runs_with() -> None:
    """12 mm outwards over 40 mm of height; at one place in x hardly a fifth of it was seen."""
    phantom = Phantom()
    middle = 36.0 + 0.3 * phantom.z
    bruise = (np.abs(phantom.x - middle) < 8) & (phantom.level > 0.2) & (phantom.level < 1.8)
    phantom.lesions[bruise & phantom.sacrum] |= LesionBit.EDEMA.value
    ridge = bruise & (np.abs(phantom.x - middle) < 2.5) & (phantom.y > 8) & (phantom.y < 12)
    phantom.anatomy[ridge & (phantom.anatomy == 0)] = AnatomyLabel.SACRAL_ALA_LEFT
    bruised = phantom.segmentation()
    half = measure(bruised, fluid_sensitive=True, modality=Modality.MR).sides[Side.LEFT]
    assert half.cortex_bent_mm == pytest.approx(3.0, abs=0.5)


def test_an_ala_with_a_line_still_tells_the_others_natural_roundness() -> None:
    """Only edema without a line may itself lie over a bent cortex."""
    bruised = Phantom().edema(Side.LEFT, 0.2, 1.8).line(Side.RIGHT, 0.2, 2.5).segmentation()
    half = measure(bruised, fluid_sensitive=True, modality=Modality.MR).sides[Side.LEFT]
    assert half.cortex_bent_mm == pytest.approx(0.0, abs=0.1)
    both = Phantom().edema(Side.LEFT, 0.2, 1.8).edema(Side.RIGHT, 0.2, 2.5).segmentation()
    half = measure(both, fluid_sensitive=True, modality=Modality.MR).sides[Side.LEFT]
    assert half.cortex_bent_mm is None


def walled(step_mm: float) -> Phantom:
    """A wall that leans, and bends forward on both sides of the midline; stepped at S1/S2."""
    phantom = Phantom(straight_frame())
    front = -12.0 + 0.12 * phantom.z - 0.012 * phantom.x**2
    front += np.where(phantom.level > 1, -step_mm, 0.0)
    near = np.isin(phantom.anatomy, (AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_CANAL))
    near &= (np.abs(phantom.x) < 15) & (phantom.y > -27)
    phantom.anatomy[near] = AnatomyLabel.SACRAL_BODY
    phantom.anatomy[near & (phantom.y < front)] = AnatomyLabel.SACRAL_CANAL
    return phantom


@pytest.mark.parametrize("step_mm", [0.5, 1.0, 2.0, 3.3])
def test_a_step_is_read_to_a_third_of_a_voxel(step_mm: float) -> None:
    """Beside the same wall without one."""
    whole, broken = (wall_break(describe(walled(mm).segmentation()), 1.0) for mm in (0.0, step_mm))
    assert whole is not None
    assert broken is not None
    assert broken.step_mm - whole.step_mm == pytest.approx(step_mm, abs=0.5)
