"""Figures of a set of cases, each case one answer: detection, agreement, calibration, failure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.ffp import without_ring
from sifdetect.findings import Morphology, Presence, StudyFindings
from sifdetect.learn.evaluation.bootstrap import Estimate, Index, proportion, resampled
from sifdetect.learn.evaluation.row import Row
from sifdetect.learn.evaluation.scores import (
    auc,
    calibration_error,
    cohen_kappa,
    reliability,
    risk_coverage,
    roc,
)

Document = dict[str, Any]
"""JSON."""
Truths = NDArray[np.bool_]
Area = tuple[Callable[[Index], float], Truths]
"""An area under an ROC curve of the cases with these numbers, and what is true of each case."""


def detection(rows: Sequence[Row]) -> Document:
    """Sensitivity, specificity and AUC of the statement that there is a fracture.

    A fracture counts as stated where ``presence`` is present, which the bundles' operating point
    decides. Indeterminate is not stated. A case without an answer is missed where it is fractured,
    and is left out of the specificity and the AUC. Cases whose truth is indeterminate are left out.
    """
    known = [row for row in rows if row.fractured is not None]
    broken = [row for row in known if row.fractured]
    area, truth = detection_area(known)
    return {
        "n": len(rows),
        "fractured": len(broken),
        "unfractured": sum(row.fractured is False for row in rows),
        "truth_indeterminate": len(rows) - len(known),
        "auc": resampled(area, len(truth)).to_json(),
        "sensitivity": sensitivity(rows).to_json(),
        "specificity": specificity(rows).to_json(),
        "indeterminate": proportion(sum(row.undecided for row in rows), len(rows)).to_json(),
        "no_answer": proportion(sum(row.found is None for row in rows), len(rows)).to_json(),
    }


def sensitivity(rows: Sequence[Row]) -> Estimate:
    """Share of the true fractures that were stated; no answer is none."""
    broken = [row for row in rows if row.fractured]
    return proportion(sum(row.stated for row in broken), len(broken))


def specificity(rows: Sequence[Row]) -> Estimate:
    """Share of the answers on unfractured cases that state none."""
    whole = [row for row in rows if row.fractured is False and row.found is not None]
    return proportion(sum(not row.stated for row in whole), len(whole))


def answered(rows: Sequence[Row]) -> list[Row]:
    """Those with an answer and a truth; ``detection_area`` numbers them in this order."""
    return [row for row in rows if row.found is not None and row.fractured is not None]


def detection_area(rows: Sequence[Row]) -> Area:
    """AUC of the probability of a fracture; true are the fractured ones of ``answered``."""
    probability, truth = _answered(rows)
    return lambda index: auc(probability[index], truth[index]), truth


def failure_area(rows: Sequence[Row]) -> Area:
    """AUC of low confidence for a wrong answer; true are the wrong ones of ``answered``."""
    confidence, wrong = _confident(rows)
    return lambda index: auc(-confidence[index], wrong[index]), wrong


def roc_points(rows: Sequence[Row]) -> list[list[float]]:
    """(1 - specificity, sensitivity) of every threshold of the probability."""
    probability, truth = _answered(rows)
    return [[round(x, 4), round(y, 4)] for x, y in roc(probability, truth)]


def agreement(rows: Sequence[Row]) -> Document:
    """Where a fracture is true and stated: the same side, zone and class?

    Sides and Denis zones as the share of exact agreement; morphology and FFP as Cohen's κ over the
    cases where both state one. ``ffp_examined`` compares FFP types without what the anterior ring
    tells where the answer says that the ring was not examined ("at least").
    """
    found = [(row.truth, row.found) for row in rows if row.fractured and row.found and row.stated]

    def share(of: Callable[[StudyFindings], Hashable]) -> Document:
        said = [(of(truth), of(answer)) for truth, answer in found]
        both = [one == other for one, other in said if one is not None and other is not None]
        return proportion(sum(both), len(both)).to_json()

    def kappa(said: Sequence[tuple[Hashable, Hashable]]) -> Document:
        both = [pair for pair in said if None not in pair]
        estimate = resampled(lambda index: _kappa([both[i] for i in index]), len(both))
        agreed = proportion(sum(one == other for one, other in both), len(both))
        return {"kappa": estimate.to_json(), "agreed": agreed.to_json()}

    return {
        "stated_and_true": len(found),
        "side": share(_sides),
        "denis_zone": share(lambda one: one.denis.zone),
        "denis_right": share(lambda one: one.denis.right),
        "denis_left": share(lambda one: one.denis.left),
        "morphology": kappa([(_pattern(truth), _pattern(answer)) for truth, answer in found]),
        "ffp": kappa([(truth.ffp.value, answer.ffp.value) for truth, answer in found]),
        "ffp_examined": kappa([_examined(truth, answer) for truth, answer in found]),
    }


def calibration(rows: Sequence[Row]) -> Document:
    """Expected calibration error of the study's probability, and its reliability table."""
    probability, truth = _answered(rows)

    def error(index: Index) -> float:
        return calibration_error(reliability(probability[index], truth[index]))

    table = reliability(probability, truth)
    return {
        "ece": resampled(error, len(truth)).to_json(),
        "bins": [_bin(number, row.tolist()) for number, row in enumerate(table)],
    }


def failure(rows: Sequence[Row]) -> Document:
    """Does confidence tell right answers from wrong ones?

    Confidence is the probability of what was said: p where a fracture is stated, 1 - p where none
    is, 0 where the answer is indeterminate. Wrong is what sensitivity and specificity count so.
    """
    confidence, wrong = _confident(rows)

    def area(index: Index) -> float:
        return risk_coverage(confidence[index], wrong[index]).area

    curve = risk_coverage(confidence, wrong)
    return {
        "wrong": proportion(int(wrong.sum()), len(wrong)).to_json(),
        "auroc": resampled(failure_area(rows)[0], len(wrong)).to_json(),
        "aurc": resampled(area, len(wrong)).to_json(),
        "curve": [
            [round(c, 4), round(r, 4)]
            for c, r in zip(curve.coverage.tolist(), curve.risk.tolist(), strict=True)
        ],
    }


def _answered(rows: Sequence[Row]) -> tuple[Any, Any]:
    """(n,) probability and truth of the cases that have both."""
    known = [
        (row.found.probability, row.fractured)
        for row in rows
        if row.found is not None and row.fractured is not None
    ]
    return np.array([p for p, _ in known], dtype=float), np.array([t for _, t in known], dtype=bool)


def _confident(rows: Sequence[Row]) -> tuple[NDArray[np.float64], Truths]:
    """(n,) confidence of the answers, and whether they are wrong."""
    known = answered(rows)
    confidence = np.array([_confidence(row) for row in known], dtype=float)
    return confidence, np.array([row.stated is not row.fractured for row in known], dtype=bool)


def _kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float:
    return cohen_kappa([one for one, _ in pairs], [other for _, other in pairs])


def _confidence(row: Row) -> float:
    assert row.found is not None
    if row.undecided:
        return 0.0
    probability = row.found.probability
    return probability if row.found.presence is Presence.PRESENT else 1 - probability


def _sides(findings: StudyFindings) -> frozenset[str]:
    """Of the fractures in view."""
    return frozenset(one.side.value for one in findings.fractures if one.confidence > 0)


def _examined(truth: StudyFindings, answer: StudyFindings) -> tuple[Hashable, Hashable]:
    """The FFP types, without what the ring tells where the answer rests on less than it."""
    types = (truth.ffp.value, answer.ffp.value)
    return (without_ring(types[0]), without_ring(types[1])) if answer.ffp.at_least else types


def _pattern(findings: StudyFindings) -> Morphology | None:
    value = findings.morphology.value
    return None if value is Morphology.INDETERMINATE else value


def _bin(number: int, row: list[float]) -> Document:
    count, probability, true = row
    return {
        "from": round(number / 10, 1),
        "n": int(count),
        "mean_probability": round(probability / count, 4) if count else None,
        "true": proportion(int(true), int(count)).to_json(),
    }
