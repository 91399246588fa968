"""Thresholds of a region network's lesions, calibration of its study score, and the point from
which a fracture is stated.

All are fitted on rendered cases that were neither trained nor evaluated on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from sifdetect.anatomy import LesionBit, Modality, RegionClass
from sifdetect.bundle import BundleSpec, Calibration, normalised
from sifdetect.engine import Network
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.measure import measure
from sifdetect.segment import PreparedRegion, coordinates, interpret
from sifdetect.volume import FloatImage, SacralFrame

SPECIFICITY = 0.95
"""Share of cases without a fracture in which none may be stated, on the calibration set."""
LINE_MM3, EDEMA_MM3 = 80.0, 2000.0
"""Labelled volume from which a rendered case counts as fractured."""
THRESHOLDS = np.linspace(0.2, 0.9, 15)
"""From which the threshold of each lesion is chosen."""
_PRIOR = 0.05


def calibrated(spec: BundleSpec, network: Network, pool: Pool) -> BundleSpec:
    """The spec with thresholds, calibration and decision point of a network, fitted on a pool.

    Raises:
        ValueError: the pool lacks cases with or without a fracture.
    """
    spec = replace(spec, threshold=thresholds(spec, network, pool))
    scores, truths = [], []
    for sample in _samples(pool):
        scores.append(study_score(sample, spec, network))
        truths.append(is_fractured(sample, spec.modality))
    calibration = fit(scores, truths)
    point = decision_point([calibration(score) for score in scores], truths)
    counts: dict[str, float] = {
        "calibration_cases": len(truths),
        "calibration_fractured": sum(truths),
    }
    found = [calibration(s) >= point for s, t in zip(scores, truths, strict=True) if t]
    counts["calibration_sensitivity"] = round(float(np.mean(found)), 3)
    return replace(
        spec, calibration=calibration, decision=point, provenance={**spec.provenance, **counts}
    )


def thresholds(spec: BundleSpec, network: Network, pool: Pool) -> tuple[float, ...]:
    """For each lesion the threshold with the highest Dice over all voxels of a pool.

    0.5 for a lesion that the modality does not show or the pool does not hold.
    """
    overlap, found = (np.zeros((len(LesionBit), len(THRESHOLDS))) for _ in range(2))
    true = np.zeros(len(LesionBit))
    start = len(RegionClass)
    for sample in _samples(pool):
        channels, _ = _input(sample, spec)
        logits = network(channels)[start : start + len(LesionBit)]
        bits = np.asarray(sample["lesions"])
        for number, lesion in enumerate(LesionBit):
            if lesion is LesionBit.EDEMA and spec.modality is Modality.CT:
                continue
            probability = special.expit(logits[number] / spec.temperature[number])
            truth = (bits & lesion.value) > 0
            true[number] += truth.sum()
            found[number] += [(probability >= t).sum() for t in THRESHOLDS]
            overlap[number] += [(probability[truth] >= t).sum() for t in THRESHOLDS]
    best = (2 * overlap / np.maximum(found + true[:, None], 1)).argmax(axis=1)
    return tuple(
        round(float(THRESHOLDS[b]), 2) if any_true else 0.5
        for b, any_true in zip(best, true > 0, strict=True)
    )


def study_score(sample: Rendered, spec: BundleSpec, network: Network) -> float:
    """The score of one rendered case whose whole region is in view; MR with both sequences."""
    frame = SacralFrame(np.zeros(3), np.diag([1.0, -1.0, 1.0]))
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    channels, in_view = _input(sample, spec)
    prepared = PreparedRegion(channels, grid, in_view)
    segmentation = interpret(network(channels), prepared, frame, spec)
    fluid = spec.modality is Modality.MR
    return measure(segmentation, fluid_sensitive=fluid, modality=spec.modality).score


def _samples(pool: Pool) -> Iterator[Rendered]:
    for name in pool.names():
        with np.load(name) as stored:
            yield dict(stored.items())


def _input(sample: Rendered, spec: BundleSpec) -> tuple[FloatImage, NDArray[np.bool_]]:
    """A sample as the network sees it, and where it has data: everywhere."""
    names = ("ct",) if spec.modality is Modality.CT else ("fluid0", "anatomical0")
    in_view = np.ones(sample[names[0]].shape, dtype=np.bool_)
    images = [normalised(sample[n].astype(np.float32), in_view, spec.intensity) for n in names]
    return np.concatenate([np.stack(images), coordinates(spec)]), in_view


def is_fractured(sample: Rendered, modality: Modality) -> bool:
    """True where a rendered case shows a fracture to the modality: a line, or on MR its edema.

    Edema of another cause, as that of a joint, is none.
    """
    bits = np.asarray(sample["lesions"], dtype=np.uint8)
    own = (np.asarray(sample["limb"]) > 0) & (sample["region"] >= 1) & (sample["region"] <= 3)
    voxel_mm3 = 1.5**3
    line = float((((bits & LesionBit.FRACTURE_LINE) > 0) & own).sum() * voxel_mm3)
    edema = float((((bits & LesionBit.EDEMA) > 0) & own).sum() * voxel_mm3)
    return line > LINE_MM3 or (modality is Modality.MR and edema > EDEMA_MM3)


def fit(scores: Sequence[float], truths: Sequence[bool]) -> Calibration:
    """Platt's two parameters, with his smoothed targets and a slope that is never negative.

    Platt 1999, Probabilistic outputs for support vector machines.

    Raises:
        ValueError: all cases are of one kind.
    """
    truth = np.asarray(truths, dtype=bool)
    if truth.all() or not truth.any():
        raise ValueError("calibration needs cases with and without a fracture")
    clipped = np.clip(np.asarray(scores, dtype=np.float64), 1e-6, 1 - 1e-6)
    logit = np.log(clipped / (1 - clipped))
    positive, negative = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (positive + 1) / (positive + 2), 1 / (negative + 2))

    def loss(parameters: NDArray[np.float64]) -> float:
        value = parameters[0] * logit + parameters[1]
        entropy = np.logaddexp(0, value) - target * value
        return float(entropy.mean() + _PRIOR * (parameters[0] - 1) ** 2)

    best = optimize.minimize(loss, np.array([1.0, 0.0]), bounds=[(0.05, 10), (-20, 20)])
    return Calibration(slope=float(best.x[0]), intercept=float(best.x[1]))


def decision_point(probabilities: Sequence[float], truths: Sequence[bool]) -> float:
    """The lowest probability, at least 0.5, at which SPECIFICITY holds on these cases."""
    negative = np.sort([p for p, t in zip(probabilities, truths, strict=True) if not t])
    allowed = int(np.floor((1 - SPECIFICITY) * len(negative)))
    highest = float(negative[-1 - allowed])
    return float(min(max(0.5, np.nextafter(highest, 1.0)), 0.999))
