"""Variants and age of the synthetic pelvis: bones, levels and truth agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import SACRUM_LABELS, SacralLevel
from sifdetect.findings import Morphology
from sifdetect.synth.coverage import coverage_of
from sifdetect.synth.noise import Points
from sifdetect.synth.scene import CaseParams, points_of, sample_case
from sifdetect.synth.shape import COCCYX, ShapeParams
from sifdetect.synth.truth import truth_of
from sifdetect.synth.variants import FOUR_SEGMENTS, VariantParams

SACRAL = [int(label) for label in SACRUM_LABELS]


def with_four_segments(case: CaseParams) -> CaseParams:
    """A case whose S5 is a part of the coccyx."""
    assert isinstance(case.shape, ShapeParams)
    return replace(case, shape=replace(case.shape, curve=replace(case.shape.curve, segments=4)))


@pytest.fixture(scope="module")
def four() -> CaseParams:
    """A fracture in a sacrum of four segments."""
    return with_four_segments(sample_case(3, morphology=Morphology.UNILATERAL))


def test_one_sacrum_in_thirty_has_four_segments_and_none_of_them_six() -> None:
    """Over 3000 draws the share is the stated one; S5 is never free and fused to the coccyx."""
    drawn = [VariantParams.sample(np.random.default_rng(seed)) for seed in range(3000)]
    share = np.mean([one.four_segments for one in drawn])
    assert share == pytest.approx(FOUR_SEGMENTS, abs=0.01)
    assert not any(one.four_segments and one.coccyx_fused for one in drawn)


def test_a_sacrum_of_four_segments_ends_where_its_coccyx_begins(four: CaseParams) -> None:
    """Below S4 there is coccyx; with five segments the same place is sacrum."""
    grid = four.frame.grid((-40, -40, -105), (40, 60, 0), 2.5)
    bones = four.shape.bones(points_of(four, grid))
    sacral = np.isin(bones.labels, SACRAL)
    low = (bones.level > 4.2) & (bones.level < 4.8)
    assert not (sacral & low).any()
    assert (low & (bones.labels == COCCYX)).sum() > 50
    five = sample_case(3, morphology=Morphology.UNILATERAL).shape.bones(points_of(four, grid))
    assert (np.isin(five.labels, SACRAL) & low).sum() > 50


def test_the_truth_of_four_segments_does_not_speak_of_s5(four: CaseParams) -> None:
    """Neither the coverage nor a limb that runs through the whole sacrum claims a level S5."""
    (limb,) = four.fracture.limbs
    through = replace(limb, upper=0.0, lower=5.0)
    case = replace(four, fracture=replace(four.fracture, limbs=(through,)))
    truth = truth_of(case)
    wanted = {SacralLevel.S1, SacralLevel.S2, SacralLevel.S3, SacralLevel.S4}
    assert set(truth.coverage.by_level) == wanted
    assert set(truth.fractures[0].levels) == wanted
    box = case.frame.grid((-84, -66, -102), (84, 66, 66), 4.0)
    assert coverage_of(case, [box]).by_level == dict.fromkeys(sorted(wanted), 1.0)


def test_osteophytes_grow_and_joints_narrow_with_age() -> None:
    """Over 400 draws of 50 to 95 years; women have less at the joint's ventral edge."""
    drawn = [ShapeParams.sample(np.random.default_rng(seed)) for seed in range(400)]
    age = np.array([shape.age_years for shape in drawn])
    rim = np.array([sum(shape.sacrum.rim_spur_mm) for shape in drawn])
    joint = np.array([sum(shape.sacrum.joint_spur_mm) for shape in drawn])
    gap = np.array([shape.joint_gap_mm for shape in drawn])
    female = np.array([shape.female for shape in drawn])
    assert 50 <= age.min() < age.max() <= 95
    assert np.median(age) > 75
    old = age > np.median(age)
    assert rim[old].mean() > 1.2 * rim[~old].mean()
    assert joint[old].mean() > 1.2 * joint[~old].mean()
    assert gap[old].mean() < gap[~old].mean()
    assert joint[female].mean() < 0.8 * joint[~female].mean()


@pytest.mark.parametrize(
    ("spur", "levels", "lateral"),
    [("rim_spur_mm", (-0.3, 0.35), (0.0, 2.0)), ("joint_spur_mm", (-0.2, 2.8), (2.3, 4.1))],
)
def test_an_osteophyte_lies_at_its_edge_on_its_side(
    spur: str, levels: tuple[float, float], lateral: tuple[float, float]
) -> None:
    """A left one adds bone on the left alone, in front of the curve, near the edge it grows on."""
    shape = ShapeParams.sample(np.random.default_rng(6))
    none = replace(shape.sacrum, rim_spur_mm=(0.0, 0.0), joint_spur_mm=(0.0, 0.0))
    axes = [np.arange(low, high, 1.5) for low, high in ((-75, 75), (-80, 40), (-100, 30))]
    points = Points(*(a.astype(np.float32) for a in np.meshgrid(*axes, indexing="ij")))
    before = replace(shape, sacrum=none).sacrum_at(points)
    spurred = replace(none, **{spur: (0.0, 4.0)})  # type: ignore[arg-type]  # both are pairs
    after = replace(shape, sacrum=spurred).sacrum_at(points)
    added = (after.bone_mm < 0) & (before.bone_mm >= 0)
    grown = added & (points.x > 0)
    assert grown.sum() * 1.5**3 > 100
    assert (added & (points.x < -13)).sum() < 0.1 * grown.sum()
    level, zone = after.level[grown], np.abs(after.lateral[grown])
    assert (levels[0] < np.quantile(level, 0.05)) & (np.quantile(level, 0.95) < levels[1])
    assert (lateral[0] <= np.quantile(zone, 0.05)) & (np.quantile(zone, 0.95) < lateral[1])
