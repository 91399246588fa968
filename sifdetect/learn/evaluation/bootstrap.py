"""A figure with its 95 % interval: bootstrap over cases, or Wilson's for a plain proportion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 1000
SEED = 20240229
"""Of every bootstrap: the same cases give the same interval."""
LEVEL = 0.95
BOOTSTRAP, WILSON = "bootstrap over cases", "Wilson"

Index = NDArray[np.intp]
Statistic = Callable[[Index], float]
"""A figure of the cases with these numbers, each as often as it is named; NaN where undefined."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure.

    Attributes:
        value: None where it is not defined on these cases.
        low, high: ends of the 95 % interval; None where it cannot be given.
        n: how many it rests on (cases, unless its place says otherwise).
        method: how the interval was made.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    method: str = BOOTSTRAP

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to six digits: the last ones differ between machines."""
        return {
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "n": self.n,
            "method": self.method,
        }


def proportion(count: int, of: int) -> Estimate:
    """A share of independent cases with Wilson's score interval (Wilson 1927)."""
    if of == 0:
        return Estimate(method=WILSON)
    interval = stats.binomtest(count, of).proportion_ci(LEVEL, method="wilson")
    return Estimate(
        value=count / of,
        low=float(interval.low),
        high=float(interval.high),
        n=of,
        method=WILSON,
    )


def resampled(statistic: Statistic, cases: int) -> Estimate:
    """A figure of ``cases`` cases with the percentile interval of RESAMPLES bootstrap samples.

    Samples on which it is not defined (no fracture among them, say) are left out; there is no
    interval where that is more than half of them, and none of a single case.

    Efron and Tibshirani 1993, chapter 13.
    """
    if cases == 0:
        return Estimate()
    value = statistic(np.arange(cases))
    if not np.isfinite(value):
        return Estimate(n=cases)
    if cases == 1:
        return Estimate(value=value, n=1)
    found = np.array([statistic(index) for index in draws(cases)])
    return _with_interval(float(value), found, cases)


def clustered_mean(values: Sequence[Sequence[float]]) -> Estimate:
    """The mean of all values, resampled by case.

    Args:
        values: for each case its values, as one for each series; ``n`` counts the values.
    """
    held = [one for one in values if len(one)]
    if not held:
        return Estimate()
    total, count = np.array([sum(one) for one in held]), np.array([len(one) for one in held])
    if len(held) == 1:
        return Estimate(value=float(total[0] / count[0]), n=int(count[0]))
    index = draws(len(held))
    found = total[index].sum(axis=1) / count[index].sum(axis=1)
    return _with_interval(float(total.sum() / count.sum()), found, int(count.sum()))


@lru_cache(maxsize=64)
def draws(cases: int) -> Index:
    """(RESAMPLES, cases) numbers of cases, drawn with replacement; the same for each size."""
    rng = np.random.default_rng([SEED, cases])
    return rng.integers(cases, size=(RESAMPLES, cases))


def _with_interval(value: float, found: NDArray[np.float64], n: int) -> Estimate:
    defined = found[np.isfinite(found)]
    if len(defined) <= RESAMPLES / 2:
        return Estimate(value=value, n=n)
    low, high = np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Estimate(value=value, low=float(low), high=float(high), n=n)


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
