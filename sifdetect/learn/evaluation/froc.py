"""Free-response ROC: instances found against false marks a case, over thresholds of a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sifdetect.learn.evaluation.bootstrap import Estimate, Index, Statistic, resampled

ALLOWED = 1.0
"""False marks a case at which the sensitivity is given."""


@dataclass(frozen=True)
class Froc:
    """Marks of all cases.

    Attributes:
        thresholds: (t,) ascending.
        instances: (n,) true instances of each case.
        hits, false: (n, t) how many of them were marked, and marks of nothing, at each threshold.
    """

    thresholds: NDArray[np.float64]
    instances: NDArray[np.int64]
    hits: NDArray[np.int64]
    false: NDArray[np.int64]

    @staticmethod
    def of(
        thresholds: ArrayLike,
        instances: Sequence[int],
        hits: Sequence[Sequence[int]],
        false: Sequence[Sequence[int]],
    ) -> Froc:
        """From plain numbers."""
        cut = np.asarray(thresholds, dtype=np.float64)
        shape = (len(instances), len(cut))
        return Froc(
            cut,
            np.asarray(instances, dtype=np.int64),
            np.asarray(hits, dtype=np.int64).reshape(shape),
            np.asarray(false, dtype=np.int64).reshape(shape),
        )

    def curve(self, index: Index | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(t,) sensitivity and (t,) false marks a case; NaN sensitivity without instances."""
        chosen = np.arange(len(self.instances)) if index is None else index
        total = self.instances[chosen].sum()
        hits, false = self.hits[chosen].sum(axis=0), self.false[chosen].mean(axis=0)
        return hits / total if total else np.full(len(hits), np.nan), false

    def sensitivity_at(self, allowed: float = ALLOWED) -> Estimate:
        """The highest sensitivity of a threshold with at most so many false marks a case.

        0 where every threshold makes more. Nothing is interpolated.
        """

        def best(index: Index) -> float:
            sensitivity, false = self.curve(index)
            fitting = sensitivity[false <= allowed]
            return float(fitting.max()) if len(fitting) else 0.0

        return self._estimated(best)

    def at(self, threshold: float) -> tuple[Estimate, Estimate]:
        """Sensitivity and false marks a case at the threshold that lies nearest."""
        place = int(np.abs(self.thresholds - threshold).argmin())
        return (
            self._estimated(lambda index: float(self.curve(index)[0][place])),
            resampled(lambda index: float(self.curve(index)[1][place]), len(self.instances)),
        )

    def _estimated(self, statistic: Statistic) -> Estimate:
        if not self.instances.sum():
            return Estimate()
        return resampled(statistic, len(self.instances))
