"""Temperatures and thresholds of a region network's lesions, calibration of its study score, and
the point from which a fracture is stated.

All are fitted on rendered cases that were neither trained nor evaluated on. What nobody looked for
in a sample (``known``, see ``dataset.py``) is no evidence of its absence: such voxels are left out,
and a sample that cannot tell whether there is a fracture takes no part in what rests on studies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from sifdetect.anatomy import LesionBit, Modality, RegionClass
from sifdetect.bundle import BundleSpec, Calibration, normalised
from sifdetect.engine import Network
from sifdetect.learn.augment import known_of
from sifdetect.learn.dataset import DATA_KNOWN, Pool, Rendered
from sifdetect.learn.voxel_counts import VoxelCounts
from sifdetect.measure import measure
from sifdetect.mimics import MIN_MASS_MM3
from sifdetect.segment import PreparedRegion, coordinates, interpret
from sifdetect.volume import FloatImage, SacralFrame

SPECIFICITY = {Modality.MR: 0.95, Modality.CT: 0.90}
"""Share of cases without a fracture in which none may be stated, on the calibration set. Less on
CT, which misses every fourth fracture as it is, and whose answer MR follows (decision 0031)."""
LINE_MM3, EDEMA_MM3 = 80.0, 2000.0
"""Labelled volume from which a rendered case counts as fractured."""
LEAST_DICE = 0.2
"""A lesion that no threshold outlines better than this keeps 0.5. Its best threshold is a low one,
at which half a millilitre that looks like a mass would take the edema from a fracture."""
THRESHOLDS = np.linspace(0.2, 0.9, 15)
"""From which the threshold of each lesion is chosen."""
MASS_SPECIFICITY, MOST = 0.95, 0.98
"""Share of cases without a mass in whose sacrum less than MIN_MASS_MM3 may be outlined as one, and
the highest threshold for that. A mass takes the edema around it from a fracture (decision 0032)."""
LOOKED_AT = 0.99
"""Share of the sacrum in which lesions must have been looked for, to say that there are none."""
_PRIOR = 0.05
_MASS = list(LesionBit).index(LesionBit.MASS_LIKE)
_VOXEL_MM3 = 1.5**3


def calibrated(spec: BundleSpec, network: Network, pool: Pool) -> BundleSpec:
    """The spec with temperatures, thresholds, calibration and decision point, fitted on a pool.

    Raises:
        ValueError: the pool lacks cases of which it is known that they have, or have not, a
            fracture.
    """
    spec = fitted(spec, network, pool)
    scores, truths, left_out = [], [], 0
    for sample in _samples(pool):
        truth = fracture_known(sample, spec.modality)
        if truth is None:
            left_out += 1
            continue
        scores.append(study_score(sample, spec, network))
        truths.append(truth)
    calibration = fit(scores, truths)
    probabilities = [calibration(score) for score in scores]
    point = decision_point(probabilities, truths, SPECIFICITY[spec.modality])
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


def fitted(spec: BundleSpec, network: Network, pool: Pool) -> BundleSpec:
    """The spec with a temperature and a threshold for each lesion.

    The temperature is that of the least cross entropy over the sacrum's voxels; the threshold, of
    the probability at that temperature, the one with the highest Dice over all voxels. 1 and 0.5
    for a lesion that the modality does not show or the pool does not hold. For masses a higher one
    where MASS_SPECIFICITY asks for it.
    """
    counts, without_mass = VoxelCounts.none(), []
    start = len(RegionClass)
    for sample in _samples(pool):
        channels, _ = _input(sample, spec)
        logits = network(channels)[start : start + len(LesionBit)]
        bits, sacrum, known = np.asarray(sample["lesions"]), _sacral(sample), _known(sample)
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
    number = min(len(logits), round(volume_mm3 / _VOXEL_MM3))
    return float(np.partition(logits, -number)[-number])


def _seldom(reached: Sequence[float], temperature: float) -> float:
    """The probability, at most MOST, that MIN_MASS_MM3 pass in all but few cases without a mass."""
    highest = float(np.quantile(reached, MASS_SPECIFICITY))
    probability = 1 / (1 + np.exp(-highest / temperature))
    return float(min(np.ceil(probability * 100) / 100, MOST))


def _threshold(counts: VoxelCounts, number: int, temperature: float) -> float:
    dice = counts.dice(number, temperature, THRESHOLDS)
    return round(float(THRESHOLDS[int(np.argmax(dice))]), 2) if max(dice) >= LEAST_DICE else 0.5


def study_score(sample: Rendered, spec: BundleSpec, network: Network) -> float:
    """The score of one rendered case; MR with the sequences that it has."""
    frame = SacralFrame(np.zeros(3), np.diag([1.0, -1.0, 1.0]))
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    channels, in_view = _input(sample, spec)
    prepared = PreparedRegion(channels, grid, in_view)
    segmentation = interpret(network(channels), prepared, frame, spec)
    fluid = spec.modality is Modality.MR and bool(sample["fluid0"].any())
    return measure(segmentation, fluid_sensitive=fluid, modality=spec.modality).score


def _samples(pool: Pool) -> Iterator[Rendered]:
    for name in pool.names():
        with np.load(name) as stored:
            yield dict(stored.items())


def _known(sample: Rendered) -> NDArray[np.uint8]:
    """By voxel, the bits of what is known; all of them where the sample does not say."""
    knowledge = known_of(sample, sample["lesions"])
    everything = np.full(np.shape(sample["lesions"]), 255, dtype=np.uint8)
    return everything if knowledge is None else np.broadcast_to(knowledge[0], everything.shape)


def _sacral(sample: Rendered) -> NDArray[np.bool_]:
    """Body, corridor or ala; of a real sample also where which of them is a guess."""
    region = np.asarray(sample["region"])
    return (region >= RegionClass.SACRAL_BODY) & (region <= RegionClass.SACRAL_ALA)


def _input(sample: Rendered, spec: BundleSpec) -> tuple[FloatImage, NDArray[np.bool_]]:
    """A sample as the network sees it, and where it has data."""
    names = ("ct",) if spec.modality is Modality.CT else ("fluid0", "anatomical0")
    in_view = (_known(sample) & DATA_KNOWN) > 0
    arrays = [sample[name].astype(np.float32) for name in names]
    images = [normalised(a, in_view, spec.intensity) if a.any() else a for a in arrays]
    return np.concatenate([np.stack(images), coordinates(spec)]), in_view


def is_fractured(sample: Rendered, modality: Modality) -> bool:
    """True where a rendered case shows a fracture to the modality: a line, or on MR its edema.

    Edema of another cause, as that of a joint, is none.
    """
    own = (np.asarray(sample["limb"]) > 0) & _sacral(sample)
    line, edema = (_mm3(sample, own, one) for one in (LesionBit.FRACTURE_LINE, LesionBit.EDEMA))
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
        left = np.asarray(sample["lesions"])[(np.asarray(sample["limb"]) > 0) & _sacral(sample)]
        return None if np.count_nonzero(left) * _VOXEL_MM3 > LINE_MM3 else False
    sacrum, known = _sacral(sample), _known(sample)
    if _mm3(sample, sacrum, LesionBit.FRACTURE_LINE) > LINE_MM3:
        return True
    needed = LesionBit.FRACTURE_LINE
    if modality is Modality.MR:
        needed |= LesionBit.EDEMA
        if _mm3(sample, sacrum, LesionBit.EDEMA) > EDEMA_MM3:
            return None
    looked_at = (known[sacrum] & needed.value) == needed.value
    return False if looked_at.size and looked_at.mean() >= LOOKED_AT else None


def _mm3(sample: Rendered, where: NDArray[np.bool_], lesion: LesionBit) -> float:
    """Labelled volume of a lesion in part of a sample."""
    bits = np.asarray(sample["lesions"], dtype=np.uint8)
    return float((((bits & lesion) > 0) & where).sum() * _VOXEL_MM3)


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
