"""Calibration: probabilities that mean what they say, and a decision point that keeps its word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from sifdetect.anatomy import LesionBit, Modality, RegionClass
from sifdetect.bundle import BundleSpec, region_spec
from sifdetect.learn.calibrate import (
    decision_point,
    fit,
    fracture_known,
    is_fractured,
)
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.evaluation.scores import calibration_error, reliability
from sifdetect.learn.lesion_thresholds import fitted
from sifdetect.volume import FloatImage

MASS = list(LesionBit).index(LesionBit.MASS_LIKE)


def drawn(count: int, seed: int) -> tuple[list[float], list[bool]]:
    """Scores that are too sure of themselves: logit(score) = 3 · true logit."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, count)
    truth = rng.random(count) < 1 / (1 + np.exp(-logit))
    return (1 / (1 + np.exp(-3 * logit))).tolist(), truth.tolist()


def test_overconfident_scores_are_brought_back() -> None:
    """The fitted slope is about a third, and probabilities agree with frequencies."""
    scores, truths = drawn(4000, 1)
    calibration = fit(scores, truths)
    probability = np.array([calibration(score) for score in scores])
    assert calibration.slope == pytest.approx(1 / 3, abs=0.1)
    for low, high in ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9)):
        inside = (probability >= low) & (probability < high)
        assert np.mean(np.array(truths)[inside]) == pytest.approx(
            probability[inside].mean(), abs=0.07
        )


@pytest.mark.parametrize("specificity", [0.8, 0.9, 0.95])
def test_the_decision_point_keeps_its_specificity(specificity: float) -> None:
    """No more of the cases without a fracture reach it, and one more would below it."""
    scores, truths = drawn(400, 2)
    point = decision_point(scores, truths, specificity)
    negative = [score for score, truth in zip(scores, truths, strict=True) if not truth]
    assert np.mean([score < point for score in negative]) >= specificity
    just_below = max(score for score in negative if score < point)
    assert np.mean([score < just_below for score in negative]) < specificity
    assert point >= 0.5


LINE = list(LesionBit).index(LesionBit.FRACTURE_LINE)


def tiny_box() -> BundleSpec:
    """A CT region network's spec in a box of 24 mm."""
    box = {"low_mm": (-12.0,) * 3, "high_mm": (12.0,) * 3}
    return replace(region_spec(Modality.CT), **box)  # type: ignore[arg-type]  # three numbers each


def overconfident(channels: FloatImage) -> FloatImage:
    """Reads the logit of a line that is painted at 200 HU a unit, and says three times as much."""
    outputs = len(region_spec(Modality.CT).outputs)
    logits = np.zeros((outputs, *channels.shape[1:]), np.float32)
    logits[len(RegionClass) + LINE] = 3 * (channels[0] * 300 + 100) / 200
    return logits


def painted(seed: int) -> Rendered:
    """Each voxel a line with the chance that its painted logit says, in the sacrum's upper half."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, (16, 16, 16)).clip(-1.2, 4)
    line = rng.random(logit.shape) < special.expit(logit)
    region = np.zeros(logit.shape, np.uint8)
    region[:, :, 8:] = 3
    return {
        "ct": (200 * logit).astype(np.float16),
        "lesions": line.astype(np.uint8) * np.uint8(LesionBit.FRACTURE_LINE),
        "region": region,
    }


def voxel_error(spec: BundleSpec, seed: int) -> float:
    """Calibration error of the line's voxels on a sample that nothing was fitted on."""
    sample = painted(seed)
    channels = np.asarray((sample["ct"][None].astype(np.float32) - 100) / 300, dtype=np.float32)
    logits = overconfident(channels)[len(RegionClass) + LINE] / spec.temperature[LINE]
    truth = sample["lesions"] > 0
    return calibration_error(reliability(special.expit(logits).ravel(), truth.ravel()))


def test_a_temperature_makes_voxels_mean_what_they_say(tmp_path: Path) -> None:
    """Logits three times too large are divided by three; the calibration error all but goes."""
    pool = Pool(tmp_path)
    pool.write(range(4), painted)
    spec = fitted(tiny_box(), overconfident, pool)
    assert spec.temperature[LINE] == pytest.approx(3, rel=0.1)
    assert voxel_error(tiny_box(), 9) > 0.1
    assert voxel_error(spec, 9) < 0.03
    assert {one for number, one in enumerate(spec.temperature) if number != LINE} == {1.0}


def test_a_threshold_follows_its_temperature(tmp_path: Path) -> None:
    """The same voxels are marked whether a network says its logits once or three times."""

    def plain(channels: FloatImage) -> FloatImage:
        return np.asarray(overconfident(channels) / 3, dtype=np.float32)

    pool = Pool(tmp_path)
    pool.write(range(4), painted)
    once = fitted(tiny_box(), plain, pool)
    thrice = fitted(tiny_box(), overconfident, pool)
    assert once.threshold == thrice.threshold
    # Marked by chance p, Dice is highest at about half of it (Lipton 2014): not at 0.5.
    assert 0.2 < once.threshold[LINE] < 0.45


def test_what_nobody_looked_for_is_no_evidence(tmp_path: Path) -> None:
    """Lines not annotated, by sample or by voxel, leave temperature and threshold as they are."""
    pool, mixed = Pool(tmp_path / "all"), Pool(tmp_path / "mixed")
    pool.write(range(4), painted)

    def partly(seed: int) -> Rendered:
        sample = painted(seed)
        if seed < 4:
            return sample
        known = np.array([1, LesionBit.EDEMA], np.uint8)
        if seed % 2:
            known = np.full(sample["region"].shape, 255 - LesionBit.FRACTURE_LINE, np.uint8)
        return sample | {"lesions": 0 * sample["lesions"], "known": known}

    mixed.write(range(8), partly)
    expected = fitted(tiny_box(), overconfident, pool)
    assert fitted(tiny_box(), overconfident, mixed) == expected
    # Taken for absence, the same samples change both.
    wrong = Pool(tmp_path / "wrong")
    wrong.write(range(8), lambda seed: {k: v for k, v in partly(seed).items() if k != "known"})
    assert fitted(tiny_box(), overconfident, wrong).temperature != expected.temperature


def test_a_mass_is_outlined_so_seldom_that_it_means_something(tmp_path: Path) -> None:
    """In one of twenty cases without one; cases with a mass take no part in that, nor do half a
    millilitre of bone."""

    def as_painted(channels: FloatImage) -> FloatImage:
        outputs = len(region_spec(Modality.CT).outputs)
        logits = np.zeros((outputs, *channels.shape[1:]), np.float32)
        logits[len(RegionClass) + MASS] = (channels[0] * 300 + 100) / 200
        return logits

    def evenly(seed: int) -> Rendered:
        logit = np.full((16, 16, 16), -4 + 0.3 * seed)
        logit[:4, :4, 8:] += 2  # 0.4 ml
        mass = np.zeros(logit.shape, np.uint8)
        mass[8, 8, 12] = LesionBit.MASS_LIKE if seed > 20 else 0
        region = np.zeros(logit.shape, np.uint8)
        region[:, :, 8:] = 3
        return {"ct": (200 * logit).astype(np.float16), "lesions": mass, "region": region}

    few, more = Pool(tmp_path / "few"), Pool(tmp_path / "more")
    few.write(range(21), evenly)
    more.write(range(40), evenly)
    for pool in (few, more):
        spec = fitted(tiny_box(), as_painted, pool)
        highest = special.expit((-4 + 0.3 * 19) / spec.temperature[MASS])
        assert spec.threshold[MASS] == pytest.approx(highest, abs=0.011)


@pytest.mark.parametrize(
    ("lesions", "known", "modality", "truth"),
    [
        (LesionBit.FRACTURE_LINE, 255, Modality.CT, True),
        (0, 255, Modality.CT, False),
        (0, 255 - LesionBit.FRACTURE_LINE, Modality.CT, None),
        (0, 255 - LesionBit.EDEMA, Modality.CT, False),
        (0, 255 - LesionBit.EDEMA, Modality.MR, None),
        (LesionBit.EDEMA, 255, Modality.MR, None),
        (LesionBit.EDEMA, 255, Modality.CT, False),
    ],
)
def test_a_real_sample_says_whether_it_tells_of_a_fracture(
    lesions: int, known: int, modality: Modality, truth: bool | None
) -> None:
    """A line is one; edema may be a joint's; half a sacrum, or one not looked at, is open."""
    whole = np.ones((20, 20, 20), dtype=np.uint8)
    sample = {"region": whole, "lesions": whole * np.uint8(lesions), "limb": 0 * whole}
    told = sample | {"known": whole * np.uint8(known)}
    assert fracture_known(told, modality) is truth
    half = told["known"].copy()
    half[:, :, 10:] = 0
    if truth is False:
        assert fracture_known(told | {"known": half}, modality) is None


@pytest.mark.parametrize("left", [LesionBit.SCLEROSIS, LesionBit.EDEMA])
def test_what_is_left_of_a_fracture_is_no_evidence_of_its_absence(left: LesionBit) -> None:
    """A healed fracture's band, and on CT a bruise's edema, calibrate nothing; another's do."""
    whole = np.ones((20, 20, 20), dtype=np.uint8)
    sample = {"region": 3 * whole, "lesions": whole * left, "limb": whole}
    assert fracture_known(sample, Modality.CT) is None
    assert fracture_known(sample, Modality.MR) is (True if left is LesionBit.EDEMA else None)
    assert fracture_known(sample | {"limb": 0 * whole}, Modality.CT) is False


def test_one_kind_of_case_is_not_enough() -> None:
    """Calibrating on nothing but fractures is refused."""
    with pytest.raises(ValueError, match="with and without"):
        fit([0.2, 0.9], [True, True])


def test_edema_counts_on_mr_and_not_on_ct() -> None:
    """A CT-occult fracture is one to MR alone; edema that belongs to no fracture is none."""
    whole = np.ones((20, 20, 20), dtype=np.uint8)
    sample = {"region": 3 * whole, "lesions": whole, "limb": whole}
    assert is_fractured(sample, Modality.MR)
    assert not is_fractured(sample, Modality.CT)
    assert not is_fractured(sample | {"limb": 0 * whole}, Modality.MR)
