"""Variants and age of the synthetic pelvis: bones, levels and truth agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, SacralLevel
from sifdetect.findings import Morphology
from sifdetect.synth.coverage import coverage_of
from sifdetect.synth.noise import Points
from sifdetect.synth.scene import CaseParams, points_of, sample_case, scene_at
from sifdetect.synth.shape import COCCYX, ShapeParams
from sifdetect.synth.spine import SIXTH_MM
from sifdetect.synth.truth import truth_of
from sifdetect.synth.variants import FOUR_SEGMENTS, VariantParams

SACRAL = [int(label) for label in SACRUM_LABELS]


def with_four_segments(case: CaseParams) -> CaseParams:
    """A case whose S5 is a part of the coccyx."""
    return with_segments(case, 4)


def with_segments(case: CaseParams, segments: int) -> CaseParams:
    """A case with so many sacral segments, and no coccyx fused to the last."""
    assert isinstance(case.shape, ShapeParams)
    curve = replace(case.shape.curve, segments=segments)
    variants = replace(case.shape.variants, coccyx_fused=False)
    return replace(case, shape=replace(case.shape, curve=curve, variants=variants))


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


@pytest.fixture(scope="module")
def six() -> CaseParams:
    """A fracture in a sacrum of six segments."""
    return with_segments(sample_case(3, morphology=Morphology.UNILATERAL), 6)


def test_one_sacrum_in_nine_has_six_segments_of_its_own() -> None:
    """Over 600 pelves; of these none has a coccyx that is fused to S5, and its curve knows it."""
    drawn = [ShapeParams.sample(np.random.default_rng(seed)) for seed in range(600)]
    segments = np.array([one.curve.segments for one in drawn])
    assert (segments == 6).mean() == pytest.approx(0.12, abs=0.04)
    for one in drawn:
        assert one.variants.six_segments == (one.curve.segments == 6)
        assert not (one.variants.six_segments and one.variants.coccyx_fused)
    assert np.mean([one.variants.coccyx_fused for one in drawn]) == pytest.approx(0.08, abs=0.04)


def test_a_sixth_segment_is_sacrum_with_a_fifth_pair_of_foramina(six: CaseParams) -> None:
    """Bone on both sides of it, a foramen on each side at S5/S6, none there with five segments."""
    grid = six.frame.grid((-45, -40, -112), (45, 70, 0), 1.5)
    five = with_segments(six, 5)
    found = {}
    for case in (six, five):
        bones = case.shape.bones(points_of(case, grid))
        assert isinstance(case.shape, ShapeParams)
        sacral, low = np.isin(bones.labels, SACRAL), (bones.level > 5.2) & (bones.level < 5.8)
        holes = [
            int(((bones.labels == side) & (np.abs(bones.level - 5) < 0.4)).sum())
            for side in (AnatomyLabel.SACRAL_FORAMEN_RIGHT, AnatomyLabel.SACRAL_FORAMEN_LEFT)
        ]
        found[case.shape.curve.segments] = (int((sacral & low).sum()), *holes)
        tip = bones.s_mm[sacral].max()
        assert tip == pytest.approx(case.shape.curve.sacral_end_mm, abs=4)
    assert found[6][0] * 1.5**3 > 1000
    assert min(found[6][1:]) * 1.5**3 > 60
    assert found[5] == (0, 0, 0)
    assert six.shape.curve.sacral_end_mm == five.shape.curve.sacral_end_mm + SIXTH_MM


def test_a_sixth_segment_leaves_the_upper_ones_as_they_are(six: CaseParams) -> None:
    """Frame, levels and labels down to the middle of S3 are those of five segments."""
    five = with_segments(six, 5)
    assert np.array_equal(six.frame.origin_lps_mm, five.frame.origin_lps_mm)
    assert np.array_equal(six.frame.axes, five.frame.axes)
    grid = six.frame.grid((-70, -50, -60), (70, 50, 40), 3.0)
    one, other = (case.shape.bones(points_of(case, grid)) for case in (six, five))
    assert np.array_equal(one.level, other.level)
    upper = (one.level > 0) & (one.level < 2.5)
    assert np.array_equal(one.labels[upper], other.labels[upper])


def test_the_truth_of_six_segments_counts_the_sixth_to_s5(six: CaseParams) -> None:
    """A limb through the whole sacrum runs to its end and names S1 to S5; S5 is covered whole."""
    (limb,) = six.fracture.limbs
    through = replace(limb, upper=0.0, lower=5.0, lateral=0.6)
    case = replace(six, fracture=replace(six.fracture, limbs=(through,)))
    truth = truth_of(case)
    assert set(truth.coverage.by_level) == set(SacralLevel)
    assert set(truth.fractures[0].levels) == set(SacralLevel)
    box = case.frame.grid((-84, -66, -110), (84, 80, 66), 4.0)
    assert coverage_of(case, [box]).by_level == dict.fromkeys(SacralLevel, 1.0)
    tip = case.frame.grid((-84, -66, -60), (84, 80, 66), 4.0)
    assert coverage_of(case, [tip]).by_level[SacralLevel.S5] < 0.5
    grid = case.frame.grid((-30, 0, -112), (30, 70, -30), 2.0)
    scene = scene_at(case, points_of(case, grid), 2.0)
    assert (scene.lesions.line & (scene.bones.level > 5.2)).sum() > 10


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
