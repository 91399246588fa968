"""The posterior wall of a phantom whose upper part has slid or tipped."""

from __future__ import annotations

import numpy as np
import pytest

from sifdetect.anatomy import Modality, SacralLevel
from sifdetect.classify import Context, classify
from sifdetect.components import describe
from sifdetect.findings import DenisFinding
from sifdetect.measure import measure
from sifdetect.wall import boundary_breaks, wall_break
from tests.phantoms import FULL, SPACING_MM, Phantom


def slid(voxels: int) -> Phantom:
    """A transverse line through S2, the part above it moved ventrally by whole voxels."""
    phantom = Phantom().across(1.5)
    upper = phantom.z > phantom.z[phantom.level >= 1.5].max()
    for values in (phantom.anatomy, phantom.lesions):
        moved = np.roll(values, voxels, axis=1)
        values[upper] = moved[upper]
    return phantom


def denis(phantom: Phantom) -> DenisFinding:
    """Denis' zones of a CT."""
    measured = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    return classify(measured, Context(coverage=FULL)).denis


@pytest.mark.parametrize("voxels", [-3, 0, 2, 4])
def test_the_step_is_how_far_the_upper_part_has_slid(voxels: int) -> None:
    """Positive where it lies ventral; the bends of the mean wall, which it lacks, are taken off."""
    rest = wall_break(describe(slid(0).segmentation()), 1.5)
    found = wall_break(describe(slid(voxels).segmentation()), 1.5)
    assert rest is not None
    assert found is not None
    assert found.step_mm - rest.step_mm == pytest.approx(voxels * SPACING_MM, abs=0.3)
    assert found.angle_deg == pytest.approx(0, abs=1)


def test_a_wall_that_is_whole_is_measured_at_each_boundary() -> None:
    """S1/S2 to S3/S4, none of them bent."""
    found = boundary_breaks(describe(Phantom().segmentation()))
    assert list(found) == list(SacralLevel)[:3]
    assert all(abs(one.angle_deg) < 1 for one in found.values())


def test_the_finding_of_the_midline_carries_step_and_angle() -> None:
    """The size of the step; an angle of no kyphosis is 0."""
    measured = measure(slid(4).segmentation(), fluid_sensitive=False, modality=Modality.CT)
    (fracture,) = measured.fractures
    assert measured.wall is not None
    assert fracture.step_mm == abs(measured.wall.step_mm)
    assert fracture.angle_deg == max(measured.wall.angle_deg, 0.0)


def test_without_a_canal_there_is_no_wall() -> None:
    """Nothing is made up where the canal is not seen."""
    phantom = Phantom()
    phantom.anatomy[phantom.anatomy == 8] = 0
    assert wall_break(describe(phantom.segmentation()), 1.5) is None


@pytest.mark.parametrize(("voxels", "subtype"), [(0, None), (4, 2), (16, 3)])
def test_the_subtype_of_zone_3_follows_the_step(voxels: int, subtype: int | None) -> None:
    """Not moved: none; a step: 2; the whole depth of the body: 3."""
    stated = denis(slid(voxels))
    assert (stated.zone, stated.subtype) == (3, subtype)
    assert stated.evidence["wall_level"] == "S2"


def test_a_wall_that_jumps_back_and_forth_is_not_measured() -> None:
    """No step, no angle, no subtype: a network drew it so, and the finding says what is missing."""
    phantom, rng = slid(4), np.random.default_rng(1)
    assert wall_break(describe(phantom.segmentation()), 1.5) is not None
    for k in range(phantom.anatomy.shape[2]):
        plane = phantom.anatomy[:, :, k]
        plane[:] = np.roll(plane, int(rng.integers(-3, 4)), axis=1)
    assert wall_break(describe(phantom.segmentation()), 1.5) is None
    stated = denis(phantom)
    assert stated.subtype is None
    assert any("cannot be measured" in one for one in stated.unseen)


@pytest.mark.parametrize(("tilt_deg", "measured"), [(20, True), (70, False)])
def test_an_angle_that_no_fracture_makes_is_not_stated(tilt_deg: float, measured: bool) -> None:
    """The level scale of the upper part is tilted against the lower one."""
    phantom = Phantom().across(1.5)
    upper = phantom.level < 1.5
    height = phantom.z[upper]
    forward = (np.indices(phantom.level.shape)[1][upper] - phantom.level.shape[1] / 2) * SPACING_MM
    per_mm = np.gradient(phantom.level[0, 0].astype(float), SPACING_MM).min()
    tilted = (height - height.min()) + np.tan(np.radians(tilt_deg)) * forward
    phantom.level[upper] = 1.5 + per_mm * tilted
    assert (wall_break(describe(phantom.segmentation()), 1.5) is not None) is measured
