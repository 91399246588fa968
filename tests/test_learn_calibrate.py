"""Calibration: probabilities that mean what they say, and a decision point that keeps its word."""

from __future__ import annotations

import numpy as np
import pytest

from sifdetect.anatomy import Modality
from sifdetect.learn.calibrate import SPECIFICITY, decision_point, fit, is_fractured


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


def test_one_kind_of_case_is_not_enough() -> None:
    """Calibrating on nothing but fractures is refused."""
    with pytest.raises(ValueError, match="with and without"):
        fit([0.2, 0.9], [True, True])


def test_edema_counts_on_mr_and_not_on_ct() -> None:
    """A CT-occult fracture is one to MR alone."""
    shape = (20, 20, 20)
    sample = {"region": np.full(shape, 3, np.uint8), "lesions": np.full(shape, 1, np.uint8)}
    assert is_fractured(sample, Modality.MR)
    assert not is_fractured(sample, Modality.CT)
