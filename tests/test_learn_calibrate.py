"""Calibration: probabilities that mean what they say, and a decision point that keeps its word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import special

from sifdetect.anatomy import LesionBit, Modality
from sifdetect.bundle import region_spec
from sifdetect.learn.calibrate import (
    SPECIFICITY,
    decision_point,
    fit,
    is_fractured,
    thresholds,
)
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.volume import FloatImage


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


def test_the_decision_point_keeps_its_specificity() -> None:
    """At most one in twenty of the cases without a fracture reaches it."""
    scores, truths = drawn(400, 2)
    point = decision_point(scores, truths)
    negative = [score for score, truth in zip(scores, truths, strict=True) if not truth]
    assert np.mean([score < point for score in negative]) >= SPECIFICITY
    assert point >= 0.5


def test_a_lesions_threshold_is_where_it_overlaps_best(tmp_path: Path) -> None:
    """A network that says 0.4 of every line and 0.3 of all else is asked for more than 0.3."""
    box = {"low_mm": (-12.0,) * 3, "high_mm": (12.0,) * 3}
    spec = replace(region_spec(Modality.CT), **box)  # type: ignore[arg-type]  # three numbers each
    assert spec.shape is not None
    lesions = np.zeros(spec.shape, dtype=np.uint8)
    lesions[3:12, 5:7, 2:14] = LesionBit.FRACTURE_LINE

    def network(channels: FloatImage) -> FloatImage:
        logits = np.full((len(spec.outputs), *channels.shape[1:]), special.logit(0.3), np.float32)
        logits[:, lesions > 0] = special.logit(0.4)
        return logits

    def render(_: int) -> Rendered:
        return {"ct": np.zeros(lesions.shape, np.float16), "lesions": lesions}

    pool = Pool(tmp_path)
    pool.write(range(2), render)
    line = list(LesionBit).index(LesionBit.FRACTURE_LINE)
    found = thresholds(spec, network, pool)
    assert found[line] in (0.35, 0.4)
    assert {value for number, value in enumerate(found) if number != line} == {0.5}


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
