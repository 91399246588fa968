"""Voxels of a calibration set counted by logit: what temperatures and thresholds are fitted on.

Counts take the place of the voxels themselves, of which 70 samples have 80 million. A logit is
known to 0.01, a probability to 0.0025.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from sifdetect.anatomy import LesionBit

LIMIT, STEP = 20.0, 0.01
"""Logits beyond the limit count as being there."""
LOGITS = np.arange(-LIMIT, LIMIT + STEP / 2, STEP)
COOLEST, HOTTEST = 0.2, 10.0
"""Between these a temperature is looked for."""
FEWEST = 200
"""True voxels without which a temperature says nothing."""

Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class VoxelCounts:
    """Voxels by lesion (in the order of LesionBit) and logit: (lesions, len(LOGITS)).

    Attributes:
        every, true: of all voxels that are known, and of those that are of the lesion.
        sacral, sacral_true: the same inside the sacrum.
    """

    every: Counts
    true: Counts
    sacral: Counts
    sacral_true: Counts

    @staticmethod
    def none() -> VoxelCounts:
        """Nothing counted yet."""
        return VoxelCounts(*np.zeros((4, len(LesionBit), len(LOGITS)), dtype=np.int64))

    def add(self, number: int, logits: NDArray[np.float32], truth: Mask, sacrum: Mask) -> None:
        """Count the voxels of one lesion on one sample.

        Args:
            number: of the lesion.
            logits, truth, sacrum: (n,) of the voxels at which the lesion is known.
        """
        place = np.rint((np.clip(logits, -LIMIT, LIMIT) + LIMIT) / STEP).astype(np.intp)
        for table, chosen in (
            (self.every, slice(None)),
            (self.true, truth),
            (self.sacral, sacrum),
            (self.sacral_true, sacrum & truth),
        ):
            table[number] += np.bincount(place[chosen], minlength=len(LOGITS))

    def temperature(self, number: int) -> float:
        """What a lesion's logits are divided by for the least cross entropy inside the sacrum.

        1 where it has too few true voxels there (FEWEST) or too few others. Guo 2017.
        """
        every, true = self.sacral[number], self.sacral_true[number]
        if min(true.sum(), (every - true).sum()) < FEWEST:
            return 1.0

        def entropy(log_temperature: float) -> float:
            logits = LOGITS / np.exp(log_temperature)
            return float((every * np.logaddexp(0, logits) - true * logits).sum() / every.sum())

        bounds = (np.log(COOLEST), np.log(HOTTEST))
        best = optimize.minimize_scalar(entropy, bounds=bounds, method="bounded")
        return round(float(np.exp(best.x)), 3)

    def dice(self, number: int, temperature: float, thresholds: Iterable[float]) -> list[float]:
        """Dice of a lesion over all voxels at each threshold of its probability; 0 without any."""
        scores = []
        for threshold in thresholds:
            cut = temperature * float(special.logit(threshold))
            said = np.searchsorted(LOGITS, cut - STEP / 2)
            found, overlap = self.every[number][said:].sum(), self.true[number][said:].sum()
            scores.append(float(2 * overlap / max(found + self.true[number].sum(), 1)))
        return scores
