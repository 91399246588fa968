"""Temperature and threshold of each lesion of a region network, from samples not trained on.

What nobody looked for in a sample (``known``, see ``dataset.py``) is no evidence of its absence:
such voxels are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, Modality, RegionClass
from sifdetect.bundle import BundleSpec
from sifdetect.engine import Network
from sifdetect.learn.calibration_sample import (
    VOXEL_MM3,
    known_bits,
    network_input,
    sacral,
    samples,
)
from sifdetect.learn.dataset import Pool
from sifdetect.learn.voxel_counts import VoxelCounts
from sifdetect.mimics import MIN_MASS_MM3

LEAST_DICE = 0.2
"""A lesion that no threshold outlines better than this keeps 0.5. Its best threshold is a low one,
at which half a millilitre that looks like a mass would take the edema from a fracture."""
THRESHOLDS = np.linspace(0.2, 0.9, 15)
"""From which the threshold of each lesion is chosen."""
MASS_SPECIFICITY, MOST = 0.95, 0.98
"""Share of cases without a mass in whose sacrum less than MIN_MASS_MM3 may be outlined as one, and
the highest threshold for that. A mass takes the edema around it from a fracture (decision 0032)."""
_MASS = list(LesionBit).index(LesionBit.MASS_LIKE)


def fitted(spec: BundleSpec, network: Network, pool: Pool) -> BundleSpec:
    """The spec with a temperature and a threshold for each lesion.

    The temperature is that of the least cross entropy over the sacrum's voxels; the threshold, of
    the probability at that temperature, the one with the highest Dice over all voxels. 1 and 0.5
    for a lesion that the modality does not show or the pool does not hold. For masses a higher one
    where MASS_SPECIFICITY asks for it.
    """
    counts, without_mass = VoxelCounts.none(), []
    start = len(RegionClass)
    for sample in samples(pool):
        channels, _ = network_input(sample, spec)
        logits = network(channels)[start : start + len(LesionBit)]
        bits, sacrum, known = np.asarray(sample["lesions"]), sacral(sample), known_bits(sample)
        for number, lesion in enumerate(LesionBit):
            if lesion is LesionBit.EDEMA and spec.modality is Modality.CT:
                continue
            where = (known & lesion.value) > 0
            truth = (bits[where] & lesion.value) > 0
            counts.add(number, logits[number][where], truth, sacrum[where])
        looked_at = sacrum & ((known & LesionBit.MASS_LIKE) > 0)
        if looked_at.any() and not (bits[sacrum] & LesionBit.MASS_LIKE).any():
            without_mass.append(_reached(logits[_MASS][looked_at], MIN_MASS_MM3))
    temperatures = tuple(counts.temperature(number) for number in range(len(LesionBit)))
    thresholds = [_threshold(counts, *one) for one in enumerate(temperatures)]
    if without_mass:
        seldom = _seldom(without_mass, temperatures[_MASS])
        thresholds[_MASS] = max(thresholds[_MASS], seldom)
    return replace(spec, temperature=temperatures, threshold=tuple(thresholds))


def _reached(logits: NDArray[np.floating[Any]], volume_mm3: float) -> float:
    """The logit that a volume reaches; the lowest where there is less bone."""
    number = min(len(logits), round(volume_mm3 / VOXEL_MM3))
    return float(np.partition(logits, -number)[-number])


def _seldom(reached: Sequence[float], temperature: float) -> float:
    """The probability, at most MOST, that MIN_MASS_MM3 pass in all but few cases without a mass."""
    highest = float(np.quantile(reached, MASS_SPECIFICITY))
    probability = 1 / (1 + np.exp(-highest / temperature))
    return float(min(np.ceil(probability * 100) / 100, MOST))


def _threshold(counts: VoxelCounts, number: int, temperature: float) -> float:
    dice = counts.dice(number, temperature, THRESHOLDS)
    return round(float(THRESHOLDS[int(np.argmax(dice))]), 2) if max(dice) >= LEAST_DICE else 0.5
