"""The table of targets: each target's figure on these cases, and whether it is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sifdetect.anatomy import MrWeighting
from sifdetect.learn.evaluation import splits, study, voxels
from sifdetect.learn.evaluation.bootstrap import Estimate, Index, resampled
from sifdetect.learn.evaluation.row import Row, SeriesScore
from sifdetect.learn.evaluation.targets import TARGETS, Cases, Figure, Target

FEWEST = 15
"""Cases (of an AUC: of the rarer kind) below which an interval is too narrow to be believed: where
all of a few cases agree, a bootstrap has no width."""
THICK_MM = 4.5
REACHED, MISSED, OPEN, SHOWN = "reached", "missed", "cannot be said", "no target"

_DROPS = (Cases.DROP, Cases.SHOWN_DROP)


@dataclass(frozen=True)
class _Held:
    """A figure, and on how many cases it rests (of an AUC: of the rarer kind)."""

    estimate: Estimate
    support: int


def table(rows: Sequence[Row]) -> list[study.Document]:
    """One entry for each target whose modality these cases have."""
    there = {one.modality for row in rows for one in row.series}
    return [_entry(target, rows) for target in TARGETS if target.modality.value in there]


def verdict(target: Target, estimate: Estimate, support: int) -> str:
    """Reached or missed where the whole interval is on one side of the target."""
    if target.least is None and target.most is None:
        return SHOWN
    if estimate.low is None or estimate.high is None or support < FEWEST:
        return OPEN
    if target.least is not None:
        if estimate.low >= target.least:
            return REACHED
        return MISSED if estimate.high < target.least else OPEN
    assert target.most is not None
    if estimate.high <= target.most:
        return REACHED
    return MISSED if estimate.low > target.most else OPEN


def _entry(target: Target, rows: Sequence[Row]) -> study.Document:
    held = _held(target, _counted(target, rows))
    return {
        "name": target.name,
        "modality": target.modality.value,
        "figure": target.figure.value,
        "cases": target.cases.value,
        "target": target.said,
        "least": target.least,
        "most": target.most,
        "reached": held.estimate.to_json(),
        "support": held.support,
        "verdict": verdict(target, held.estimate, held.support),
        "elsewhere": target.elsewhere,
    }


def _counted(target: Target, rows: Sequence[Row]) -> list[Row]:
    """The cases that count; for figures of studies those that rest on the modality."""
    of_study = target.figure not in _OF_SERIES
    chosen = []
    for row in rows:
        occult = splits.occult(row) == splits.OCCULT
        if of_study and (row.read is None or row.read.modality != target.modality.value):
            continue
        if occult and target.cases in (Cases.SHOWN, Cases.SHOWN_DROP):
            continue
        if target.cases is not Cases.OCCULT or occult:
            chosen.append(row)
    return chosen


def _held(target: Target, rows: list[Row]) -> _Held:
    if target.figure in (Figure.DICE, Figure.SURFACE_DICE):
        return _overlap(target, rows)
    if target.figure is Figure.LINE_SENSITIVITY:
        found = voxels.froc_of(rows, target.of, target.modality.value)
        if found is None:
            return _Held(Estimate(), 0)
        return _Held(found.sensitivity_at(), int((found.instances > 0).sum()))
    if target.figure is Figure.REGION_ECE:
        return _region_error(target, rows)
    return _of_studies(target, rows)


def _overlap(target: Target, rows: list[Row]) -> _Held:
    """The mean over series; of a drop, the difference of the means of both halves."""
    name = "dice" if target.figure is Figure.DICE else "surface_dice"
    wanted = partial(_wanted, target)
    values = voxels.values_of(rows, target.of, name, wanted)
    held = [number for number, one in enumerate(values) if one]
    if target.cases not in _DROPS:
        return _Held(voxels.mean_of(rows, target.of, name, wanted), len(held))
    total = np.array([sum(values[number]) for number in held])
    count = np.array([len(values[number]) for number in held])
    shifted = np.array([rows[number].about.shifted for number in held], dtype=bool)

    def drop(index: Index) -> float:
        parts = [index[~shifted[index]], index[shifted[index]]]
        if not all(len(part) for part in parts):
            return float("nan")
        plain, other = (total[part].sum() / count[part].sum() for part in parts)
        return float(plain - other)

    return _Held(resampled(drop, len(held)), _rarer(shifted))


def _wanted(target: Target, one: SeriesScore) -> bool:
    if one.modality != target.modality.value:
        return False
    stir = one.sequence == MrWeighting.STIR.value and one.slice_mm >= THICK_MM
    return stir or target.cases is not Cases.THICK_STIR


def _region_error(target: Target, rows: list[Row]) -> _Held:
    """The highest calibration error of any region; the worst may differ between samples."""
    bins = voxels.region_bins(rows, target.of, target.modality.value)
    if not bins:
        return _Held(Estimate(), 0)
    count = len(next(iter(bins.values())))

    def worst(index: Index) -> float:
        errors = [voxels.error_of(table, index) for table in bins.values()]
        return max((one for one in errors if np.isfinite(one)), default=float("nan"))

    return _Held(resampled(worst, count), count)


def _of_studies(target: Target, rows: list[Row]) -> _Held:
    if target.figure is Figure.SENSITIVITY:
        estimate = study.sensitivity(rows)
        return _Held(estimate, estimate.n)
    if target.figure is Figure.SPECIFICITY:
        estimate = study.specificity(rows)
        return _Held(estimate, estimate.n)
    area, truth = _AREAS[target.figure](rows)
    if target.cases not in _DROPS:
        return _Held(resampled(area, len(truth)), _rarer(truth))
    known = study.answered(rows)
    shifted = np.array([row.about.shifted for row in known], dtype=bool)

    def drop(index: Index) -> float:
        return area(index[~shifted[index]]) - area(index[shifted[index]])

    fewest = min(_rarer(truth[~shifted]), _rarer(truth[shifted]))
    return _Held(resampled(drop, len(truth)), fewest)


def _rarer(truth: study.Truths) -> int:
    """How many are of the kind that is rarer."""
    return int(min(truth.sum(), (~truth).sum()))


_OF_SERIES = (Figure.DICE, Figure.SURFACE_DICE, Figure.LINE_SENSITIVITY, Figure.REGION_ECE)
_Area = Callable[[Sequence[Row]], tuple[Callable[[Index], float], study.Truths]]
_AREAS: dict[Figure, _Area] = {
    Figure.AUC: study.detection_area,
    Figure.FAILURE_AUROC: study.failure_area,
}
