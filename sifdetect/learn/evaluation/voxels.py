"""Figures of outlines and marks: overlap by structure, FROC, calibration of the voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.learn.evaluation.bootstrap import (
    Estimate,
    Index,
    clustered_mean,
    proportion,
    resampled,
)
from sifdetect.learn.evaluation.froc import Froc
from sifdetect.learn.evaluation.marks import REGIONS, THRESHOLDS, Marks
from sifdetect.learn.evaluation.overlap import LESIONS, STRUCTURES
from sifdetect.learn.evaluation.row import Row, SeriesScore
from sifdetect.learn.evaluation.scores import calibration_error

Document = dict[str, Any]
"""JSON."""
Bins = NDArray[np.float64]
Wanted = Callable[[SeriesScore], bool]
"""Which series count."""


def overlap_table(rows: Sequence[Row], modality: str) -> list[Document]:
    """One entry for each structure and lesion that the truth holds on a series of the modality."""

    def wanted(one: SeriesScore) -> bool:
        return one.modality == modality

    table = []
    for name in (*STRUCTURES, *LESIONS):
        dice = mean_of(rows, name, "dice", wanted)
        if dice.n:
            table.append(
                {
                    "modality": modality,
                    "name": name,
                    "kind": "lesion" if name in LESIONS else "anatomy",
                    "dice": dice.to_json(),
                    "surface_dice": mean_of(rows, name, "surface_dice", wanted).to_json(),
                    "hd95_mm": mean_of(rows, name, "hd95_mm", wanted).to_json(),
                    "not_found": _not_found(rows, name, wanted).to_json(),
                }
            )
    return table


def mean_of(rows: Sequence[Row], name: str, figure: str, wanted: Wanted) -> Estimate:
    """The mean of one figure of a structure over all series that count."""
    return clustered_mean(values_of(rows, name, figure, wanted))


def values_of(rows: Sequence[Row], name: str, figure: str, wanted: Wanted) -> list[list[float]]:
    """For each case one figure of a structure on the series that count."""
    values = []
    for row in rows:
        fits = [one.overlap(name) for one in row.series if wanted(one)]
        found = [getattr(fit, figure) for fit in fits if fit is not None]
        values.append([value for value in found if value is not None])
    return values


def froc_table(rows: Sequence[Row], lesion: str, modality: str) -> Document | None:
    """The FROC of one lesion on one modality; None where no case was read for it."""
    froc = froc_of(rows, lesion, modality)
    if froc is None:
        return None
    sensitivity, false = froc.curve()
    return {
        "lesion": lesion,
        "modality": modality,
        "cases": len(froc.instances),
        "instances": int(froc.instances.sum()),
        "sensitivity_at_1": froc.sensitivity_at().to_json(),
        "curve": [
            {
                "threshold": threshold,
                "sensitivity": None if np.isnan(s) else round(float(s), 4),
                "false_per_case": round(float(f), 4),
            }
            for threshold, s, f in zip(THRESHOLDS, sensitivity, false, strict=True)
        ],
    }


def froc_of(rows: Sequence[Row], lesion: str, modality: str) -> Froc | None:
    """All marks of one lesion on one modality; None where no case was read for it."""
    found = _marks(rows, lesion, modality)
    if not found:
        return None
    return Froc.of(
        THRESHOLDS,
        [one.instances for one in found],
        [one.hits for one in found],
        [one.false for one in found],
    )


def at_threshold(
    rows: Sequence[Row], lesion: str, modality: str, threshold: float
) -> Document | None:
    """Sensitivity and false marks a case where the bundle cuts its lesion map; None as above."""
    froc = froc_of(rows, lesion, modality)
    if froc is None:
        return None
    sensitivity, false = froc.at(threshold)
    return {
        "threshold": threshold,
        "sensitivity": sensitivity.to_json(),
        "false_per_case": false.to_json(),
    }


def voxel_calibration(rows: Sequence[Row], lesion: str, modality: str) -> list[Document]:
    """Expected calibration error of a lesion's voxels, by region of the sacrum."""
    table = []
    for region, bins in region_bins(rows, lesion, modality).items():
        error = resampled(partial(error_of, bins), len(bins))
        table.append(
            {"lesion": lesion, "modality": modality, "region": region, "ece": error.to_json()}
        )
    return table


def region_bins(rows: Sequence[Row], lesion: str, modality: str) -> dict[str, Bins]:
    """By region that has voxels, (n, BINS, 3) reliability tables, one for each case."""
    found = _marks(rows, lesion, modality)
    every = {
        region: np.array([one.bins[region] for one in found], dtype=float) for region in REGIONS
    }
    return {region: bins for region, bins in every.items() if len(bins) and bins[..., 0].sum()}


def error_of(bins: Bins, index: Index) -> float:
    """Of the voxels of these cases together; bins (n, BINS, 3)."""
    return calibration_error(bins[index].sum(axis=0))


def _marks(rows: Sequence[Row], lesion: str, modality: str) -> list[Marks]:
    every = (one for row in rows for one in row.marks)
    return [one for one in every if one.lesion == lesion and one.modality == modality]


def _not_found(rows: Sequence[Row], name: str, wanted: Wanted) -> Estimate:
    """Share of the series where the truth holds it and nothing was outlined, or nothing fits."""
    fits = [one.overlap(name) for row in rows for one in row.series if wanted(one)]
    dice = [fit.dice for fit in fits if fit is not None]
    return proportion(sum(value == 0 for value in dice), len(dice))
