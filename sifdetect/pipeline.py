"""The stages in order: choose → localize → segment → measure → classify. Written only here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from sifdetect import __version__
from sifdetect.anatomy import SACRUM_LABELS, Modality, SacralLevel
from sifdetect.classify import Context, classify
from sifdetect.engine import Bundle, Models
from sifdetect.errors import InputError, NoSacrumInView, UnsuitableSeries
from sifdetect.findings import (
    Algorithm,
    StudyFindings,
)
from sifdetect.fit import frame_of_parts
from sifdetect.localize import Localization, localize
from sifdetect.measure import measure
from sifdetect.measurements import withheld
from sifdetect.readings import Reading, join, laid_over, telling
from sifdetect.register import Fit
from sifdetect.segment import Roles, choose_roles, segment
from sifdetect.study import Analysis, Series, SeriesLabels, Study
from sifdetect.surface import inverse, moved
from sifdetect.transfer import marked, transferred
from sifdetect.view import coverage
from sifdetect.volume import Grid, LabelMap, SacralFrame, Segmentation, Volume

_FRACTURED_LEVELS = (SacralLevel.S1, SacralLevel.S2, SacralLevel.S3)
_WHOLE = 0.98
_REFIT_MM = 10.0
"""Parts that disagree more than this about the frame do not set it anew."""
_STILL_MM = 4.0
"""A frame that moves less than this at the sacrum's corners is left; networks bear more."""

_SURE_MM, _SURE_MM3 = 8.0, 150_000.0
"""A localizer's residual and its sacrum; with more, or less of it, the study's other series are
asked too. Of 32 synthetic MR images nine in ten lie below 5.9 mm; a whole sacrum has 200–300 ml."""
_LEAST_MM3 = 8000.0
"""Less bone than this, a twentieth of a sacrum, is no sacrum: as the localizer has it."""
_LEAST_CERTAIN = 0.75
_CERTAIN = {Modality.CT: 0.90, Modality.MR: 0.78}
"""Certainty of the sacrum's outline. Below the first it is something else; below the second it may
be, or lies elsewhere than it seems, and nothing is stated on it (decision 0033)."""


@dataclass
class _Clock:
    """Seconds spent in each stage so far."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def analyze_study(study: Study, models: Models) -> Analysis:
    """Findings of a study, and labels on the grid of every series that was used.

    CT and MR of one study are read apart; what is reported is the one that states a fracture, else
    the one that shows marrow edema, and the other's evidence stands beside it (see ``readings``).
    ``timings_s`` covers the stages from localizing to measuring.

    Raises:
        UnsuitableSeries: no series can be used.
        NoSacrumInView: no usable series holds a sacrum.
        ModelError: a bundle is missing or altered.
    """
    if not study.series:
        raise UnsuitableSeries(
            f"No series of the study {study.study_instance_uid} can be used{study.why_refused}",
            hint="Send a CT, or an MR with STIR or fat-saturated T2, that covers the sacrum",
        )
    clock = _Clock()
    failures: list[InputError] = []
    readings: list[Reading] = []
    reasons: dict[str, str] = {}
    for groups in _groups(study.series):
        try:
            readings.append(_read(groups, models, clock))
        except InputError as error:
            failures.append(error)
            lost = (one for group in groups for one in group)
            reasons |= {one.source.series_instance_uid: error.reason for one in lost}
    if not readings:
        raise failures[0]
    readings.sort(key=telling)
    with clock.stage("segment"):
        fits = [None, *(laid_over(other, readings[0]) for other in readings[1:])]
        pairs = list(zip(readings, fits, strict=True))
        labels = tuple(one for pair in pairs for one in _labels(*pair, readings[0]))
    findings = _findings(study, pairs, models, clock)
    findings = replace(findings, sources=study.sources(_used(readings), reasons))
    return Analysis(findings, labels, tuple(reading.region() for reading in readings))


def _groups(series: Sequence[Series]) -> list[list[list[Series]]]:
    """By modality, the series that can be read together: a CT alone, MR by frame of reference."""
    frames: dict[tuple[Modality, str | None], list[Series]] = {}
    for number, one in enumerate(series):
        modality = one.volume.modality
        frame = one.volume.grid.frame_of_reference_uid
        key = str(number) if modality is Modality.CT else frame
        frames.setdefault((modality, key), []).append(one)
    grouped = [
        [group for (of, _), group in frames.items() if of is modality] for modality in Modality
    ]
    return [sorted(groups, key=lambda g: not _shows_edema(g)) for groups in grouped if groups]


def _shows_edema(series: Sequence[Series]) -> bool:
    weightings = [one.volume.weighting for one in series]
    return any(weighting is not None and weighting.fluid_sensitive for weighting in weightings)


def _read(groups: Sequence[Sequence[Series]], models: Models, clock: _Clock) -> Reading:
    with clock.stage("localize"):
        group, found = _located(groups, models)
    modality = group[0].volume.modality
    roles = choose_roles([one.volume for one in group], found.frame)
    if not roles.volumes:
        raise UnsuitableSeries(
            "No MR series is a STIR, a fat-saturated T2, a T1 or a T2 series",
            hint="Send a STIR or a fat-saturated T2 series of the sacrum",
        )
    with clock.stage("segment"):
        segmentation = _segmented(roles, found.frame, models.region(modality))
    frame = segmentation.frame
    _require_sacrum(segmentation, roles.volumes[0])
    with clock.stage("measure"):
        measurements = measure(
            segmentation, fluid_sensitive=roles.fluid_sensitive is not None, modality=modality
        )
        spec = models.region(modality).spec
        probability = spec.calibration(measurements.score)
        certain = segmentation.certainty >= _CERTAIN[modality]
        if probability < spec.decision or not certain:
            measurements = withheld(measurements)
        context = Context(
            coverage=frame.coverage,
            probability=probability,
            outline_certain=certain,
            weightings=tuple(v.weighting for v in roles.volumes if v.weighting is not None),
        )
        classification = classify(measurements, context)
    used = tuple(one for v in roles.volumes for one in group if one.volume is v)
    return Reading(used, segmentation, measurements, classification)


def _require_sacrum(segmentation: Segmentation, volume: Volume) -> None:
    """A frame without a sacrum in it would make an absent fracture of whatever lies there."""
    sacral = np.isin(segmentation.anatomy.values, [int(label) for label in SACRUM_LABELS])
    if sacral.sum() * segmentation.anatomy.grid.voxel_volume_mm3 < _LEAST_MM3:
        raise NoSacrumInView(
            f"No sacrum could be outlined in the {volume.modality.value}",
            hint="Send a study that covers S1 to S5; implants and thick slices can hide the bone",
        )
    if segmentation.certainty < _LEAST_CERTAIN:
        raise NoSacrumInView(
            f"What was outlined in the {volume.modality.value} does not look enough like a sacrum",
            hint="Send a series that covers S1 to S5 and shows bone in contrast to what is around",
        )


def _located(
    groups: Sequence[Sequence[Series]], models: Models
) -> tuple[Sequence[Series], Localization]:
    """The group that shows most of the sacrum, those that show edema first.

    The search ends at the first group that shows S1 to S3, where nearly all fractures lie.
    """
    found: list[tuple[Sequence[Series], Localization]] = []
    failures: list[NoSacrumInView] = []
    for group in groups:
        if found and _shows_edema(found[0][0]) and not _shows_edema(group):
            break
        try:
            found.append((group, _localized(group, models)))
        except NoSacrumInView as error:
            failures.append(error)
            continue
        if _share_seen(found[-1][1]) >= _WHOLE:
            return found[-1]
    if not found:
        raise failures[0]
    return max(found, key=lambda one: _share_seen(one[1]))


def _localized(group: Sequence[Series], models: Models) -> Localization:
    """From the first series that shows much of a sacrum whose voxels agree about where they lie,
    else from the one that shows most of it: how much bone is seen tells the wrong one from the
    right one better than how well its voxels agree (docs/training).

    Those that show edema are looked at first.
    """
    localizer = models.localizer(group[0].volume.modality)
    failures: list[NoSacrumInView] = []
    found: list[Localization] = []
    for one in sorted(group, key=lambda one: not _shows_edema([one])):
        try:
            found.append(localize(one.volume, localizer))
        except NoSacrumInView as error:
            failures.append(error)
            continue
        if found[-1].residual_mm <= _SURE_MM and found[-1].sacrum_volume_mm3 >= _SURE_MM3:
            break
    if not found:
        raise failures[0]
    return max(found, key=lambda one: one.sacrum_volume_mm3)


def _share_seen(found: Localization) -> float:
    """Mean coverage of S1 to S3, 0–1."""
    return sum(found.frame.coverage[level] for level in _FRACTURED_LEVELS) / len(_FRACTURED_LEVELS)


def _segmented(roles: Roles, frame: SacralFrame, model: Bundle) -> Segmentation:
    """Set the frame by the parts that are found in it, then segment in earnest."""
    refitted = frame_of_parts(segment(roles, _covered(frame, roles), model.quick))
    if refitted is not None and refitted[1] <= _REFIT_MM and _moved(frame, refitted[0]):
        frame = refitted[0]
    return segment(roles, _covered(frame, roles), model)


def _moved(before: SacralFrame, after: SacralFrame) -> bool:
    corners = np.array([[x, y, z] for x in (-50, 50) for y in (-30, 20) for z in (-50, 40)])
    distance = np.linalg.norm(before.to_lps_mm(corners) - after.to_lps_mm(corners), axis=1)
    return bool(distance.max() > _STILL_MM)


def _covered(frame: SacralFrame, roles: Roles) -> SacralFrame:
    """The frame with the coverage of the series that lesions are read from."""
    return replace(frame, coverage=coverage(frame, roles.volumes[0].grid))


def _findings(
    study: Study, pairs: Sequence[tuple[Reading, Fit | None]], models: Models, clock: _Clock
) -> StudyFindings:
    first, stated = pairs[0][0], pairs[0][0].classification
    joined = join(first, pairs[1:])
    apart = [one.evidence(None if fit is None else fit.registration) for one, fit in pairs]
    return StudyFindings(
        study_instance_uid=study.study_instance_uid,
        presence=stated.presence,
        presence_reason=stated.presence_reason,
        probability=stated.probability,
        denis=joined.denis,
        morphology=joined.morphology,
        bakker=joined.bakker,
        ffp=stated.ffp,
        coverage=stated.coverage,
        algorithm=Algorithm(name="sifdetect", version=__version__, bundles=models.checksums()),
        fractures=joined.fractures,
        other_findings=first.measurements.other_findings,
        warnings=joined.warnings,
        evidence=tuple(apart) if len(apart) > 1 else (),
        timings_s=dict(clock.seconds),
    )


def _used(readings: Sequence[Reading]) -> set[str]:
    return {one.source.series_instance_uid for reading in readings for one in reading.used}


def _labels(reading: Reading, fit: Fit | None, reported: Reading) -> Iterator[SeriesLabels]:
    """On the grid of each series; findings only where their place on the series is known."""
    marks = reported.measurements.components
    found: LabelMap | None = marks
    if reading is not reported:
        known = fit is not None and fit.place_known
        found = moved(marks, inverse(fit.matrix)) if fit is not None and known else None
    for one in reading.used:
        grid = one.volume.grid
        yield SeriesLabels(
            source=one.source,
            anatomy=transferred(reading.segmentation.anatomy, grid),
            lesions=transferred(reading.segmentation.lesions, grid),
            findings=_empty(grid) if found is None else marked(found, grid),
        )


def _empty(grid: Grid) -> LabelMap:
    return LabelMap(np.zeros(grid.shape, dtype=np.uint8), grid)
