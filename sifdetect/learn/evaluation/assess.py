"""One case through the pipeline that ``sifdetect analyze`` uses, and beside its truth."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sifdetect.anatomy import LesionBit
from sifdetect.engine import Models
from sifdetect.errors import ConfigurationError, ModelError, UnreadableInput
from sifdetect.findings import StudyFindings
from sifdetect.learn.evaluation.marks import Marks, marks
from sifdetect.learn.evaluation.overlap import Outlined, Overlap, overlaps
from sifdetect.learn.evaluation.row import Row, SeriesScore
from sifdetect.learn.evaluation.sources import ENDING, Case
from sifdetect.pipeline import analyze_study
from sifdetect.study import Analysis, Series, Study

LESIONS_OF_CT = (
    LesionBit.FRACTURE_LINE | LesionBit.SCLEROSIS | LesionBit.MASS_LIKE | LesionBit.CEMENT
)
"""CT shows no marrow edema, nor does MR without a fluid-sensitive series."""


@dataclass(frozen=True)
class Assessed:
    """A case with its answer.

    Attributes:
        study: as it was read; without series where that failed.
        analysis: None where there is no answer.
    """

    case: Case
    study: Study
    analysis: Analysis | None
    row: Row


def assess(case: Case, models: Models) -> Assessed:
    """Analyse a case and compare; what goes wrong with this case alone becomes its ``error``.

    Raises:
        ModelError, ConfigurationError: nothing can be analysed.
        UnreadableInput: a file of the case is damaged.
    """
    study, analysis, error = Study(case.about.name, ()), None, ""
    truths: dict[str, Outlined] = {}
    start = time.perf_counter()
    try:
        study = case.study()
        truths = {
            uid: case.outlined(uid.removesuffix(ENDING), one.volume.grid)
            for one in study.series
            for uid in [one.source.series_instance_uid]
        }
        start = time.perf_counter()
        analysis = analyze_study(study, models)
    except (ModelError, ConfigurationError, UnreadableInput):
        raise
    except Exception as failure:  # noqa: BLE001  # a case that breaks the pipeline is a result
        error = str(failure) or type(failure).__name__
    seconds = round(time.perf_counter() - start, 3)
    row = Row(
        about=case.about,
        truth=case.truth,
        found=None if analysis is None else replace(analysis.findings, timings_s={}),
        error=error,
        series=_series(case, truths, study, analysis),
        marks=() if analysis is None else tuple(_marks(case.truth, truths, study, analysis)),
        seconds=seconds,
    )
    return Assessed(case, study, analysis, row)


def _series(
    case: Case, truths: Mapping[str, Outlined], study: Study, analysis: Analysis | None
) -> tuple[SeriesScore, ...]:
    scores = []
    known: list[tuple[Outlined, Outlined, LesionBit, tuple[Overlap, ...]]] = []
    for one in study.series:
        uid, score = one.source.series_instance_uid, _unread(one, case)
        found = _found(analysis, uid)
        if analysis is not None and found is not None:
            truth = truths[uid]
            shown = _shown(study, _readers(analysis, uid))
            same = (
                o for t, f, s, o in known if s == shown and _alike(t, truth) and _alike(f, found)
            )
            fit = next(same, None)
            if fit is None:
                fit = overlaps(truth, found, shown)
                known.append((truth, found, shown, fit))
            first = analysis.labels[0].source.series_instance_uid
            score = replace(score, used=True, reported=first == uid, overlaps=fit)
        scores.append(score)
    return tuple(scores)


def _alike(one: Outlined, other: Outlined) -> bool:
    """True where all voxels hold the same: series of one geometry need not be measured twice."""
    return (
        one.anatomy.grid.same_place(other.anatomy.grid)
        and np.array_equal(one.anatomy.values, other.anatomy.values)
        and np.array_equal(one.lesions.values, other.lesions.values)
    )


def _unread(series: Series, case: Case) -> SeriesScore:
    weighting = series.volume.weighting
    name = series.source.series_instance_uid.removesuffix(ENDING)
    return SeriesScore(
        name=name,
        modality=series.volume.modality.value,
        sequence="CT" if weighting is None else weighting.value,
        slice_mm=round(float(series.volume.grid.spacing_mm.max()), 2),
        thickness_mm=case.thickness_mm.get(name),
    )


def _found(analysis: Analysis | None, uid: str) -> Outlined | None:
    labels = () if analysis is None else analysis.labels
    return next(
        (Outlined(o.anatomy, o.lesions) for o in labels if o.source.series_instance_uid == uid),
        None,
    )


def _readers(analysis: Analysis, uid: str) -> tuple[str, ...]:
    """All series that were read together with one."""
    return next((region.series for region in analysis.regions if uid in region.series), (uid,))


def _shown(study: Study, uids: tuple[str, ...]) -> LesionBit:
    weightings = [
        one.volume.weighting for one in study.series if one.source.series_instance_uid in uids
    ]
    fluid = any(w is not None and w.fluid_sensitive for w in weightings)
    return LESIONS_OF_CT | LesionBit.EDEMA if fluid else LESIONS_OF_CT


def _marks(
    truth: StudyFindings, truths: Mapping[str, Outlined], study: Study, analysis: Analysis
) -> Iterator[Marks]:
    for region in analysis.regions:
        first = region.series[0]
        series = next(o for o in study.series if o.source.series_instance_uid == first)
        yield from marks(
            region.segmentation,
            truths[first],
            truth,
            modality=series.volume.modality,
            shown=_shown(study, region.series),
        )
