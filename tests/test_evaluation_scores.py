"""Figures of an evaluation against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.findings import FfpFinding, FfpType, Presence
from sifdetect.learn.evaluation.bootstrap import clustered_mean, proportion, resampled
from sifdetect.learn.evaluation.froc import Froc
from sifdetect.learn.evaluation.scores import (
    auc,
    calibration_error,
    cohen_kappa,
    reliability,
    risk_coverage,
    roc,
)
from sifdetect.learn.evaluation.study import agreement, calibration, detection, failure
from tests.evaluation_cases import row


def test_auc_counts_ties_as_half() -> None:
    """Of four pairs two are in order, one is tied, one is reversed: 2.5 of 4."""
    assert auc([0.9, 0.4, 0.4, 0.6], [True, True, False, False]) == pytest.approx(0.625)
    assert np.isnan(auc([0.9, 0.4], [True, True]))


def test_roc_has_one_point_a_score() -> None:
    """Two cases of one score move together."""
    points = roc([0.9, 0.4, 0.4], [True, True, False])
    assert points == [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)]


def test_kappa_takes_chance_off() -> None:
    """70 of 100 agree where chance gives 50: (0.7 - 0.5) / (1 - 0.5)."""
    first = ["yes"] * 50 + ["no"] * 50
    second = ["yes"] * 35 + ["no"] * 15 + ["yes"] * 15 + ["no"] * 35
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert np.isnan(cohen_kappa(["H", "H"], ["H", "H"]))


def test_calibration_error_weighs_bins_by_their_size() -> None:
    """Three cases at 0.9 of which two are true, one at 0.2 that is: 3/4·|0.9 - 2/3| + 1/4·0.8."""
    table = reliability([0.9, 0.9, 0.9, 0.2], [True, True, False, True])
    assert table[9].tolist() == pytest.approx([3, 2.7, 2])
    assert calibration_error(table) == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * 0.8)
    assert reliability([1.0], [True])[9, 0] == 1


def test_risk_grows_with_coverage() -> None:
    """The one error is the least confident: no risk until it is answered."""
    curve = risk_coverage([0.9, 0.2, 0.8, 0.7], [False, True, False, False])
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == [0.0, 0.0, 0.0, 0.25]
    assert curve.area == pytest.approx(0.0625)


def test_risk_of_equal_confidence_has_no_order() -> None:
    """One of two equally confident answers is wrong: half an error each, in any order."""
    for wrong in ([True, False], [False, True]):
        assert risk_coverage([0.5, 0.5], wrong).risk.tolist() == [0.5, 0.5]


def test_froc_takes_the_best_threshold_that_is_allowed() -> None:
    """At 0.2 all four are found with 1.5 false marks a case, at 0.5 three with 1, at 0.8 one."""
    froc = Froc.of([0.2, 0.5, 0.8], [3, 1], [[3, 2, 1], [1, 1, 0]], [[2, 2, 0], [1, 0, 0]])
    sensitivity, false = froc.curve()
    assert sensitivity.tolist() == [1.0, 0.75, 0.25]
    assert false.tolist() == [1.5, 1.0, 0.0]
    assert froc.sensitivity_at(1.0).value == 0.75
    assert froc.sensitivity_at(0.5).value == 0.25
    assert [one.value for one in froc.at(0.79)] == [0.25, 0.0]


def test_froc_without_lesions_has_no_sensitivity() -> None:
    """False marks can still be counted."""
    froc = Froc.of([0.5], [0, 0], [[0], [0]], [[1], [2]])
    assert froc.sensitivity_at().value is None
    assert froc.at(0.5)[1].value == 1.5


def test_bootstrap_interval_is_that_of_a_known_distribution() -> None:
    """The mean of 400 values of sd 2 has a standard error of 0.1: ± 0.196, about the truth."""
    values = np.random.default_rng(3).normal(5.0, 2.0, 400)
    found = resampled(lambda index: float(values[index].mean()), 400)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 5.0 < found.high
    assert found.high - found.low == pytest.approx(4 * 0.0980, rel=0.1)
    again = resampled(lambda index: float(values[index].mean()), 400)
    assert (again.low, again.high) == (found.low, found.high)


def test_series_of_one_case_are_resampled_together() -> None:
    """Ten copies of each value make the interval no narrower."""
    values = np.random.default_rng(4).normal(0.0, 1.0, 50).tolist()
    single = clustered_mean([[value] for value in values])
    copied = clustered_mean([[value] * 10 for value in values])
    assert copied.n == 500
    assert [copied.low, copied.high] == pytest.approx([single.low, single.high])


def test_a_proportion_has_wilsons_interval() -> None:
    """8 of 10: 0.490 to 0.943; all of 10 still leaves doubt."""
    found = proportion(8, 10)
    assert [found.low, found.high] == pytest.approx([0.490, 0.943], abs=1e-3)
    assert proportion(10, 10).low == pytest.approx(0.722, abs=1e-3)
    assert proportion(0, 0).value is None


ROWS = [
    row("a", fractured=True, said=Presence.PRESENT, probability=0.95),
    row("b", fractured=True, said=Presence.INDETERMINATE, probability=0.6),
    row("c", fractured=True, said=None),
    row("d", fractured=False, said=Presence.ABSENT, probability=0.1),
    row("e", fractured=False, said=Presence.PRESENT, probability=0.9),
    row("f", fractured=False, said=None),
]


def test_indeterminate_is_not_stated_and_no_answer_is_a_miss() -> None:
    """One of three fractures is stated; the unfractured case without an answer does not count."""
    found = detection(ROWS)
    assert found["sensitivity"]["value"] == pytest.approx(1 / 3, abs=1e-5)
    assert (found["specificity"]["value"], found["specificity"]["n"]) == (0.5, 2)
    assert found["indeterminate"]["value"] == pytest.approx(1 / 6, abs=1e-5)
    assert found["no_answer"]["value"] == pytest.approx(1 / 3, abs=1e-5)
    assert found["auc"]["value"] == 0.75


def test_an_indeterminate_answer_is_the_least_confident() -> None:
    """The missed b comes last, the false e is sure of itself."""
    found = failure(ROWS)
    assert found["wrong"]["value"] == 0.5
    assert found["curve"] == [[0.25, 0.0], [0.5, 0.25], [0.75, 0.3333], [1.0, 0.5]]
    assert found["auroc"]["value"] == 0.875


def test_agreement_is_asked_where_both_state_one() -> None:
    """Only a counts: its side, zone and pattern agree; neither states an FFP type."""
    found = agreement(ROWS)
    assert found["stated_and_true"] == 1
    assert [found[name]["value"] for name in ("side", "denis_zone", "denis_left")] == [1, 1, 1]
    assert found["morphology"]["agreed"]["n"] == 1
    assert found["ffp"]["agreed"]["value"] is None


def test_types_are_compared_without_a_ring_that_was_not_examined() -> None:
    """A true IIc, told "at least IIa", is wrong in full and right as far as was examined."""
    truth, answer = FfpFinding(value=FfpType.IIC), FfpFinding(value=FfpType.IIA, at_least=True)
    one = row("a", fractured=True, said=Presence.PRESENT, probability=0.95)
    assert one.found is not None
    told = [
        replace(one, truth=replace(one.truth, ffp=truth), found=replace(one.found, ffp=stated))
        for stated in (answer, replace(answer, at_least=False))
    ]
    found = agreement(told)
    assert found["ffp"]["agreed"]["value"] == 0
    assert found["ffp_examined"]["agreed"]["value"] == 0.5


def test_calibration_leaves_out_what_has_no_probability() -> None:
    """Four answers: |0.95 + 0.9 - 1|, |0.6 - 1| and |0.1 - 0|, a quarter each."""
    found = calibration(ROWS)
    assert found["ece"]["n"] == 4
    assert found["ece"]["value"] == pytest.approx((0.85 + 0.4 + 0.1) / 4)
    assert found["bins"][9]["mean_probability"] == pytest.approx(0.925)
