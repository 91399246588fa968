"""Figures of a yes-or-no answer with a probability, and of two opinions on a class."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
BINS = 10
"""Of equal width, for every calibration figure."""


def auc(scores: ArrayLike, truths: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    Args:
        scores: (n,) higher for positives.
        truths: (n,) bool.

    Returns:
        NaN where all are of one kind. Hanley and McNeil 1982.
    """
    truth = np.asarray(truths, dtype=bool)
    positive, negative = int(truth.sum()), int((~truth).sum())
    if positive == 0 or negative == 0:
        return float("nan")
    ranks = stats.rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))


def roc(scores: ArrayLike, truths: ArrayLike) -> list[tuple[float, float]]:
    """(1 - specificity, sensitivity) from (0, 0) to (1, 1), one point for each distinct score."""
    score, truth = np.asarray(scores, dtype=np.float64), np.asarray(truths, dtype=bool)
    if truth.all() or not truth.any():
        return []
    points = [(0.0, 0.0)]
    for cut in np.unique(score)[::-1]:
        said = score >= cut
        points.append((float(said[~truth].mean()), float(said[truth].mean())))
    return points


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Agreement of two opinions beyond chance, unweighted (Cohen 1960).

    Returns:
        NaN where there are no cases, or where chance alone agrees on all.
    """
    if not first:
        return float("nan")
    n = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    classes = set(first) | set(second)
    chance = sum(first.count(c) * second.count(c) for c in classes) / n**2
    return float("nan") if chance == 1 else (agreed - chance) / (1 - chance)


def reliability(probabilities: ArrayLike, truths: ArrayLike) -> Floats:
    """(BINS, 3) by bin of probability: how many, sum of the probabilities, how many are true."""
    probability = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(truths, dtype=np.float64)
    number = np.clip((probability * BINS).astype(int), 0, BINS - 1)
    columns = (np.ones_like(probability), probability, truth)
    return np.stack([np.bincount(number, weights=c, minlength=BINS) for c in columns], axis=1)


def calibration_error(bins: Floats) -> float:
    """Expected calibration error of a reliability table (BINS, 3); NaN where it is empty.

    The mean distance between probability and share of what is true, bins weighed by their size
    (Naeini 2015; Guo 2017).
    """
    total = bins[:, 0].sum()
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / total) if total else float("nan")


@dataclass(frozen=True)
class RiskCoverage:
    """How many answers are wrong when only the most confident ones are given.

    Attributes:
        coverage, risk: (n,) share of the cases that are answered, and of wrong ones among these.
    """

    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """Mean risk over all coverages (AURC): 0 is perfect."""
        return float(self.risk.mean()) if len(self.risk) else float("nan")


def risk_coverage(confidences: ArrayLike, wrong: ArrayLike) -> RiskCoverage:
    """The risk at every coverage 1/n … 1 (Geifman and El-Yaniv 2017).

    Answers of the same confidence come in no order: each of them counts as wrong to the share of
    wrong ones among them.
    """
    confidence = np.asarray(confidences, dtype=np.float64)
    errors = np.asarray(wrong, dtype=np.float64)
    if not len(confidence):
        return RiskCoverage(np.zeros(0), np.zeros(0))
    _, group = np.unique(-confidence, return_inverse=True)
    size = np.bincount(group)
    shared = np.bincount(group, weights=errors) / size
    given = np.arange(1, len(confidence) + 1)
    return RiskCoverage(given / len(given), np.repeat(shared, size).cumsum() / given)
