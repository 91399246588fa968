"""Calibration of a region network's study score, and the point from which a fracture is stated.

Both are fitted on rendered cases that were neither trained nor evaluated on, after the lesions'
thresholds (``lesion_thresholds.py``). A sample that cannot tell whether there is a fracture, as
nobody looked for one in all of its sacrum, takes no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sifdetect.anatomy import LesionBit, Modality
from sifdetect.bundle import BundleSpec, Calibration
from sifdetect.engine import Network
from sifdetect.learn.calibration_sample import (
    VOXEL_MM3,
    known_bits,
    labelled_mm3,
    network_input,
    sacral,
    samples,
)
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.lesion_thresholds import fitted
from sifdetect.measure import measure
from sifdetect.segment import PreparedRegion, interpret
from sifdetect.volume import SacralFrame

SPECIFICITY = 0.95
"""Share of cases without a fracture in which none may be stated, on the calibration set. On CT 0.90
would call the real bones of docs/real-scans.md fractured (decision 0031)."""
LINE_MM3, EDEMA_MM3 = 80.0, 2000.0
"""Labelled volume from which a rendered case counts as fractured."""
LOOKED_AT = 0.99
"""Share of the sacrum in which lesions must have been looked for, to say that there are none."""
_PRIOR = 0.05


def calibrated(spec: BundleSpec, network: Network, pool: Pool) -> BundleSpec:
    """The spec with temperatures, thresholds, calibration and decision point, fitted on a pool.

    Raises:
        ValueError: the pool lacks cases of which it is known that they have, or have not, a
            fracture.
    """
    spec = fitted(spec, network, pool)
    scores, truths, left_out = [], [], 0
    for sample in samples(pool):
        truth = fracture_known(sample, spec.modality)
        if truth is None:
            left_out += 1
            continue
        scores.append(study_score(sample, spec, network))
        truths.append(truth)
    calibration = fit(scores, truths)
    probabilities = [calibration(score) for score in scores]
    point = decision_point(probabilities, truths, SPECIFICITY)
    counts: dict[str, float] = {
        "calibration_cases": len(truths),
        "calibration_fractured": sum(truths),
    }
    if left_out:
        counts["calibration_left_out"] = left_out
    found = [one >= point for one, truth in zip(probabilities, truths, strict=True) if truth]
    counts["calibration_sensitivity"] = round(float(np.mean(found)), 3)
    return replace(
        spec, calibration=calibration, decision=point, provenance={**spec.provenance, **counts}
    )


def study_score(sample: Rendered, spec: BundleSpec, network: Network) -> float:
    """The score of one rendered case; MR with the sequences that it has."""
    frame = SacralFrame(np.zeros(3), np.diag([1.0, -1.0, 1.0]))
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    channels, in_view = network_input(sample, spec)
    prepared = PreparedRegion(channels, grid, in_view)
    segmentation = interpret(network(channels), prepared, frame, spec)
    fluid = spec.modality is Modality.MR and bool(sample["fluid0"].any())
    return measure(segmentation, fluid_sensitive=fluid, modality=spec.modality).score


def is_fractured(sample: Rendered, modality: Modality) -> bool:
    """True where a rendered case shows a fracture to the modality: a line, or on MR its edema.

    Edema of another cause, as that of a joint, is none.
    """
    own = (np.asarray(sample["limb"]) > 0) & sacral(sample)
    line, edema = (
        labelled_mm3(sample, own, one) for one in (LesionBit.FRACTURE_LINE, LesionBit.EDEMA)
    )
    return line > LINE_MM3 or (modality is Modality.MR and edema > EDEMA_MM3)


def fracture_known(sample: Rendered, modality: Modality) -> bool | None:
    """``is_fractured``, or None where it is open whether the images should be called fractured.

    Open is a fracture that the modality shows no line (nor edema) of: a healed one, of which a
    band of sclerosis is left, on CT also a fresh bruise. ``sifdetect evaluate`` leaves the first
    out and counts the second apart. Of real samples, lines, and on MR edema, must have been looked
    for in LOOKED_AT of the sacrum to say that there is none. They do not tell whose edema is whose
    (``limb`` is empty): a line is a fracture, edema without a line may be one.
    """
    if "known" not in sample:
        if is_fractured(sample, modality):
            return True
        left = np.asarray(sample["lesions"])[(np.asarray(sample["limb"]) > 0) & sacral(sample)]
        return None if np.count_nonzero(left) * VOXEL_MM3 > LINE_MM3 else False
    sacrum, known = sacral(sample), known_bits(sample)
    if labelled_mm3(sample, sacrum, LesionBit.FRACTURE_LINE) > LINE_MM3:
        return True
    needed = LesionBit.FRACTURE_LINE
    if modality is Modality.MR:
        needed |= LesionBit.EDEMA
        if labelled_mm3(sample, sacrum, LesionBit.EDEMA) > EDEMA_MM3:
            return None
    looked_at = (known[sacrum] & needed.value) == needed.value
    return False if looked_at.size and looked_at.mean() >= LOOKED_AT else None


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


def decision_point(
    probabilities: Sequence[float], truths: Sequence[bool], specificity: float
) -> float:
    """The lowest probability, at least 0.5, at which a specificity holds on these cases."""
    negative = np.sort([p for p, t in zip(probabilities, truths, strict=True) if not t])
    allowed = int(np.floor((1 - specificity) * len(negative)))
    highest = float(negative[-1 - allowed])
    return float(min(max(0.5, np.nextafter(highest, 1.0)), 0.999))
