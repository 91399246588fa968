"""The synthetic pelvis: bones that are where anatomy has them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, mirrored
from sifdetect.synth.noise import Points
from sifdetect.synth.scene import CaseParams, points_of, sample_case, scene_at
from sifdetect.synth.shape import ShapeParams
from sifdetect.volume import LabelMap

SEEDS = (3, 4, 5)
SPACING_MM = 3.0


def bones_of(case: CaseParams) -> LabelMap:
    """Anatomy labels of a case on a coarse grid along its sacral frame."""
    grid = case.frame.grid((-90, -72, -105), (90, 72, 75), SPACING_MM)
    return LabelMap(scene_at(case, points_of(case, grid), SPACING_MM).anatomy(), grid)


@pytest.fixture(scope="module", params=SEEDS)
def bones(request: pytest.FixtureRequest) -> LabelMap:
    """One pelvis after another."""
    return bones_of(sample_case(request.param))


def test_sacrum_has_the_volume_of_an_adults(bones: LabelMap) -> None:
    """An adult's sacrum fills 110-300 ml with its marrow."""
    sacral = np.isin(bones.values, [int(label) for label in SACRUM_LABELS])
    assert 110 < sacral.sum() * SPACING_MM**3 / 1000 < 300


def test_sacrum_is_one_piece(bones: LabelMap) -> None:
    """No part of the sacrum floats free of the rest."""
    sacral = np.isin(bones.values, [int(label) for label in SACRUM_LABELS])
    parts, count = ndimage.label(sacral, np.ones((3, 3, 3)))
    assert np.bincount(parts.ravel())[1:].max() > 0.98 * sacral.sum()
    assert count >= 1


@pytest.mark.parametrize(
    "label", [AnatomyLabel.SACRAL_ALA_LEFT, AnatomyLabel.HIP_LEFT, AnatomyLabel.SACRAL_FORAMEN_LEFT]
)
def test_left_lies_on_the_patients_left(bones: LabelMap, label: AnatomyLabel) -> None:
    """A left structure has a larger LPS x than its right counterpart."""
    left = bones.centroid_lps_mm(label)
    right = bones.centroid_lps_mm(mirrored(label))
    assert left is not None
    assert right is not None
    assert left[0] > right[0] + 15


def test_l5_lies_above_the_sacrum_and_the_canal_behind_the_bodies(bones: LabelMap) -> None:
    """Cranial is +z, dorsal is +y in LPS."""
    body = bones.centroid_lps_mm(AnatomyLabel.SACRAL_BODY)
    l5, canal = bones.centroid_lps_mm(AnatomyLabel.L5), bones.centroid_lps_mm(8)
    assert body is not None
    assert l5 is not None
    assert canal is not None
    assert l5[2] > body[2] + 30
    assert canal[1] > body[1]


def test_level_rises_caudally_and_the_frame_sits_in_s2() -> None:
    """The frame's origin has level 1.5, and its cranial axis points to smaller levels."""
    case = sample_case(8)
    grid = case.frame.grid((-3, -3, -40), (3, 3, 40), 2.0)
    level = scene_at(case, points_of(case, grid), 2.0).bones.level[1, 1]
    assert level[len(level) // 2] == pytest.approx(1.5, abs=0.35)
    assert level[0] > 2.5
    assert level[-1] < 0.6


def test_a_joint_of_cartilage_separates_sacrum_and_ilium(bones: LabelMap) -> None:
    """No sacral voxel touches the hip at the level of a 3 mm grid's faces more than rarely."""
    sacral = np.isin(bones.values, [int(label) for label in SACRUM_LABELS])
    hip = np.isin(bones.values, [AnatomyLabel.HIP_LEFT, AnatomyLabel.HIP_RIGHT])
    near = ndimage.binary_dilation(sacral, iterations=3) & hip
    assert near.sum() > 100, "the ilium must come close to the sacrum"


@pytest.mark.parametrize("side", [-1, 1])
def test_l5_and_s1_meet_in_a_facet_joint_on_each_side(side: int) -> None:
    """More than 110 mm² of S1 faces L5 within 3 mm behind the canal's corner, none touches it."""
    spacing, shape = 0.75, ShapeParams.sample(np.random.default_rng([5, 2]))
    across, along = np.arange(8, 36, spacing), np.arange(-15, 10, spacing)
    ends = np.stack([shape.curve.position_mm(float(s)) for s in along])
    ventral = np.stack([shape.curve.position_mm(float(s), 1.0) for s in along]) - ends
    x, v, k = np.meshgrid(
        across, np.arange(-50, -14, spacing), np.arange(len(along)), indexing="ij"
    )
    place = np.moveaxis(ends[k] + v[..., None] * ventral[k], -1, 0).astype(np.float32)
    labels = shape.bones(Points((side * x).astype(np.float32), place[1], place[2])).labels
    sacral = np.isin(labels, [int(label) for label in SACRUM_LABELS])
    faces = sacral & ~ndimage.binary_erosion(sacral)
    gap = ndimage.distance_transform_edt(labels != AnatomyLabel.L5)[faces] * spacing
    assert gap.min() > spacing
    assert (gap < 3).sum() * spacing**2 > 110
