"""Variants and age of the synthetic pelvis: bones, levels and truth agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import SACRUM_LABELS, SacralLevel
from sifdetect.findings import Morphology
from sifdetect.synth.coverage import coverage_of
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
