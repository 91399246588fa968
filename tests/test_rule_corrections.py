"""What single synthetic cases once were read wrongly for, each on a phantom or on bare measures."""

from __future__ import annotations

import numpy as np
import pytest

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, SacralLevel, Side
from sifdetect.components import describe
from sifdetect.findings import BakkerType, Basis
from sifdetect.fragility import BAKKER_OF_ALA
from sifdetect.measure import measure
from sifdetect.measurements import Course, SideMeasurements
from sifdetect.ring import ring_of
from sifdetect.rules import first_match
from sifdetect.volume import LabelMap
from tests.phantoms import BOUND_MM, Phantom, straight_frame


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
