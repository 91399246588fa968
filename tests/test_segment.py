"""Segmenting: the region's input, the choice of series, sides, and where lesions may lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, MrWeighting, RegionClass
from sifdetect.bundle import OUT_OF_VIEW, BundleSpec, region_spec
from sifdetect.segment import (
    PreparedRegion,
    Roles,
    choose_roles,
    coordinates,
    interpret,
    midline_mm,
    prepare,
)
from sifdetect.volume import Grid, SacralFrame, Volume

CT, MR = region_spec(Modality.CT), region_spec(Modality.MR)
TURN = Rotation.from_euler("xyz", [35, 4, -6], degrees=True).as_matrix()
FRAME = SacralFrame(
    np.array([5.0, 12.0, -230.0]), np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]]) @ TURN
)


def coronal(
    weighting: MrWeighting | None = None, *, spacing: tuple[float, ...] = (4.0, 0.9, 1.3)
) -> Volume:
    """Oblique coronal stack through the sacrum; its signal rises to the left and upwards."""
    shape = (28, 180, 150)
    axes = FRAME.axes[[1, 2, 0]].T * [1, -1, 1] * spacing
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = FRAME.origin_lps_mm - axes @ (np.array(shape) - 1) / 2
    grid = Grid(shape, affine, "1.2.3")
    frame_mm = FRAME.to_frame_mm(grid.index_to_mm(np.moveaxis(np.indices(shape), 0, -1)))
    values = (frame_mm @ [2.0, 0.0, 1.0] + 300.0).astype(np.float32)
    return Volume(values, grid, Modality.CT if weighting is None else Modality.MR, weighting)


def logits(region: NDArray[np.int64]) -> NDArray[np.float32]:
    """Output of a network that is sure of ``region`` and sees no lesion."""
    output = np.full((len(CT.outputs), *region.shape), -9.0, dtype=np.float32)
    for value in RegionClass:
        output[value][region == value] = 9.0
    return output


def whole(in_view: NDArray[np.bool_] | None = None) -> PreparedRegion:
    """The region's box, in view as a whole unless told otherwise."""
    grid = FRAME.grid(CT.low_mm or (), CT.high_mm or (), CT.spacing_mm)
    seen = np.ones(grid.shape, dtype=bool) if in_view is None else in_view
    return PreparedRegion(np.zeros((4, *grid.shape), np.float32), grid, seen)


def sacrum(shift_mm: float = 0.0, slope: float = 0.0) -> NDArray[np.int64]:
    """Bodies with canal, and an ala on either side, about a midline x = shift + slope · z."""
    x, y, z = (axis * 100.0 for axis in coordinates(CT))
    x = x - shift_mm - slope * z
    deep = (np.abs(y) < 15) & (np.abs(z) < 40)
    region = np.zeros(x.shape, dtype=np.int64)
    region[deep & (np.abs(x) < 50)] = RegionClass.SACRAL_ALA
    region[deep & (np.abs(x) < 16)] = RegionClass.SACRAL_BODY
    region[deep & (np.abs(x) < 8) & (y < -5)] = RegionClass.SACRAL_CANAL
    return region


def test_coordinates_are_those_of_the_frame() -> None:
    """The coordinate channels say where a voxel lies in the sacral frame, in units of 100 mm."""
    grid = whole().grid
    index = np.random.default_rng(0).integers(0, grid.shape, (50, 3))
    expected = FRAME.to_frame_mm(grid.index_to_mm(index)) / 100.0
    found = coordinates(CT)[:, index[:, 0], index[:, 1], index[:, 2]].T
    assert found == pytest.approx(expected, abs=1e-5)


def test_the_image_lies_in_the_frame_as_in_the_patient() -> None:
    """Signal that rises to the patient's left and upwards does so along the region's axes."""
    prepared = prepare(Roles(None, coronal()), FRAME, CT)
    x, _, z = coordinates(CT) * 100.0
    hu = prepared.channels[0] * 300.0 + 100.0
    inner = prepared.in_view & (np.abs(x) < 70) & (np.abs(z) < 60)
    inner[:, :30] = inner[:, -30:] = False
    assert hu[inner] == pytest.approx((2 * x + z + 300)[inner], abs=2.0)


def test_a_missing_role_is_zero_and_the_order_is_fixed() -> None:
    """T1 alone fills the second channel; out of view is the rule's low end."""
    prepared = prepare(Roles(None, coronal(MrWeighting.T1)), FRAME, MR)
    assert prepared.channels.shape == (5, 112, 88, 112)
    assert not prepared.channels[0].any()
    assert np.median(prepared.channels[1][prepared.in_view]) == pytest.approx(0, abs=0.05)
    assert (prepared.channels[1][~prepared.in_view] == OUT_OF_VIEW).all()


def test_roles_go_to_the_series_that_show_them() -> None:
    """STIR shows edema, T1 anatomy; T2 stands in for T1, and nothing for STIR."""
    stir, t1, t2 = map(coronal, (MrWeighting.STIR, MrWeighting.T1, MrWeighting.T2))
    assert choose_roles([t2, t1, stir], FRAME) == Roles(stir, t1)
    assert choose_roles([t2, coronal(MrWeighting.OTHER)], FRAME) == Roles(None, t2)
    ct = coronal()
    assert choose_roles([ct], FRAME) == Roles(None, ct)


def test_coverage_comes_before_resolution() -> None:
    """A fine series that shows a quarter of the sacrum gives way to a coarse one of it all."""
    coarse, fine = coronal(MrWeighting.STIR), coronal(MrWeighting.T2_FATSAT, spacing=(2, 0.4, 0.4))
    finer = coronal(MrWeighting.T2_FATSAT, spacing=(3.8, 0.9, 1.2))
    assert choose_roles([fine, coarse], FRAME).fluid_sensitive is coarse
    assert choose_roles([coarse, finer], FRAME).fluid_sensitive is finer


@pytest.mark.parametrize(("shift_mm", "slope"), [(0.0, 0.0), (6.0, 0.0), (-4.0, 0.1)])
def test_sides_follow_the_bone_when_the_frame_is_a_little_off(
    shift_mm: float, slope: float
) -> None:
    """Both alae get one side each, although the frame's midline cuts into one of them."""
    region = sacrum(shift_mm, slope)
    found = interpret(logits(region), whole(), FRAME, CT).anatomy.values
    x = coordinates(CT)[0] * 100.0 - shift_mm - slope * coordinates(CT)[2] * 100.0
    ala = region == RegionClass.SACRAL_ALA
    assert (found[ala & (x > 16)] == AnatomyLabel.SACRAL_ALA_LEFT).all()
    assert (found[ala & (x < -16)] == AnatomyLabel.SACRAL_ALA_RIGHT).all()
    assert (found[region == RegionClass.SACRAL_CANAL] == AnatomyLabel.SACRAL_CANAL).all()


def test_a_midline_far_off_is_not_believed() -> None:
    """Bodies that seem to lie 30 mm to the left do not carry the midline with them."""
    assert midline_mm(sacrum(30.0), CT).max() == pytest.approx(10.0)
    assert not midline_mm(np.zeros(CT.shape or (), dtype=np.int64), CT).any()


def test_nothing_is_found_out_of_view() -> None:
    """Where the scan has no data there is neither bone nor lesion, whatever the network says."""
    seen = np.ones(CT.shape or (), dtype=bool)
    seen[:56] = False
    output = logits(sacrum())
    output[len(RegionClass) :] = 9.0
    found = interpret(output, whole(seen), FRAME, CT)
    assert not found.anatomy.values[:56].any()
    assert not found.lesions.values[:56].any()
    assert not found.probability[:, :56].any()
    assert found.lesions.values[56:].any()


def test_lesions_lie_in_bone_and_cement_anywhere() -> None:
    """Edema outside the bones is muscle; cement outside is a leak; a line is never a lump."""
    region = sacrum()
    output = logits(region)
    output[len(RegionClass) : len(RegionClass) + len(LesionBit)] = 9.0
    bits = interpret(output, whole(), FRAME, CT).lesions.values
    everything_but_a_line = sum(LesionBit) - LesionBit.FRACTURE_LINE
    assert (bits[region == RegionClass.SACRAL_ALA] == everything_but_a_line).all()
    assert bits[0, 0, 0] == LesionBit.CEMENT
    assert bits[56, 44, 110] == LesionBit.CEMENT


def test_temperature_and_threshold_are_those_of_the_bundle() -> None:
    """A logit of 1 at temperature 2 has the probability 0.62, which a threshold of 0.7 refuses."""
    spec = replace(CT, temperature=(2.0,) * 5, threshold=(0.6, 0.7, 0.6, 0.6, 0.6))
    output = logits(sacrum())
    output[len(RegionClass) : len(RegionClass) + len(LesionBit)] = 1.0
    found = interpret(output, whole(), FRAME, spec)
    ala = found.anatomy.values == AnatomyLabel.SACRAL_ALA_LEFT
    assert found.probability[0][ala] == pytest.approx(0.6225, abs=1e-3)
    assert (found.lesions.values[ala] == 31 - LesionBit.FRACTURE_LINE).all()


@pytest.mark.parametrize("spec", [CT, MR], ids=["CT", "MR"])
def test_a_line_on_ct_goes_on_where_it_is_faint(spec: BundleSpec) -> None:
    """From where it is sure, round a corner, and not where it is nowhere sure; on MR it ends."""
    low, sure = np.log(0.55 / 0.45), np.log(0.8 / 0.2)
    spec = replace(spec, threshold=(0.5, 0.7, 0.5, 0.5, 0.5))
    output = logits(sacrum())
    line = output[len(RegionClass) + 1]
    line[30, 44, 60:80], line[31, 45, 80:84], line[30, 44, 60:64] = low, low, sure
    line[80, 44, 60:80] = low
    found = interpret(output, whole(), FRAME, spec).lesions.values & LesionBit.FRACTURE_LINE > 0
    assert found[30, 44, 60:64].all()
    goes_on = spec.modality is Modality.CT
    assert (found[30, 44, 64:80] == goes_on).all()
    assert (found[31, 45, 80:84] == goes_on).all()
    assert not found[80].any()
