"""The instances of one series to at most one stack worth reading, and why the rest is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sifdetect.anatomy import Modality
from sifdetect.dicom.facts import facts_of, object_name
from sifdetect.dicom.frames import Frame, Instance, frames_of
from sifdetect.dicom.groups import Group, split
from sifdetect.dicom.refusals import refusal
from sifdetect.dicom.series import Candidate, candidate_of
from sifdetect.dicom.stack import MIN_SLICES
from sifdetect.errors import MissingAttribute
from sifdetect.findings import SourceSeries, Warning

MAX_CONTRASTS = 6
"""More images than these at one position are a dynamic series: Dixon makes four, echoes two."""


def examine(
    series_instance_uid: str, instances: Sequence[Instance], warnings: list[Warning]
) -> tuple[list[Candidate], list[SourceSeries]]:
    """The stack of a series that is to be read (or none), and what is refused with its reason.

    One stack at most, so that a Series Instance UID names one volume.
    """
    unknown = _unknown(series_instance_uid, instances[0])
    facts = facts_of(instances[0].dataset)
    rule = refusal(facts)
    if rule is not None:
        kind = f" ({object_name(facts.sop_class_uid)})" if facts.modality is None else ""
        return [], [replace(unknown, reason=f"{rule.reason}{kind}")]
    frames = _planes(instances, warnings)
    if len(frames) < MIN_SLICES:
        return [], [replace(unknown, reason=_too_few(len(frames)))]
    groups = split(frames)
    if len(groups) > MAX_CONTRASTS and _same_orientation(groups):
        reason = f"dynamic series: {len(groups)} images at each position"
        return [], [replace(unknown, reason=reason)]
    return _choose(groups, unknown)


def _unknown(series_instance_uid: str, instance: Instance) -> SourceSeries:
    facts = facts_of(instance.dataset)
    return SourceSeries(
        series_instance_uid=series_instance_uid,
        modality=facts.modality,
        weighting=None,
        plane=None,
        used=False,
        reason="",
        description=str(instance.dataset.get("SeriesDescription", "") or ""),
    )


def _planes(instances: Sequence[Instance], warnings: list[Warning]) -> list[Frame]:
    frames = []
    for instance in instances:
        try:
            frames += frames_of(instance)
        except MissingAttribute as error:
            warnings.append(Warning(code="unusable-file", text=str(error)))
    return frames


def _too_few(count: int) -> str:
    return f"too few slices: {count} with a position in space, fewer than {MIN_SLICES}"


def _same_orientation(groups: Sequence[Group]) -> bool:
    return all("normal" not in group.distinction for group in groups)


def _choose(
    groups: Sequence[Group], unknown: SourceSeries
) -> tuple[list[Candidate], list[SourceSeries]]:
    candidates: list[Candidate] = []
    refused: list[SourceSeries] = []
    for group in groups:
        candidate = candidate_of(group, unknown)
        rule = refusal(candidate.facts)
        part = f" ({group.distinction})" if group.distinction else ""
        if rule is not None:
            refused.append(_not_used(candidate, f"{rule.reason}{part}"))
        elif len(group.frames) < MIN_SLICES:
            several = f", one of {len(groups)} stacks in the series" if len(groups) > 1 else ""
            refused.append(_not_used(candidate, f"{_too_few(len(group.frames))}{several}{part}"))
        else:
            candidates.append(candidate)
    candidates.sort(key=_within_series)
    for candidate in candidates[1:]:
        first = candidates[0].source.description
        refused.append(_not_used(candidate, f"another stack of the same series is used: {first}"))
    return candidates[:1], refused


def _within_series(candidate: Candidate) -> tuple[float, ...]:
    """Weighting first, then the longest echo (most fluid-sensitive), then the most slices."""
    echo_ms = candidate.facts.echo_ms or 0.0
    if candidate.modality is Modality.MR:
        return (*candidate.rank[:2], -echo_ms, -len(candidate.frames))
    return (*candidate.rank[:2], -len(candidate.frames))


def _not_used(candidate: Candidate, reason: str) -> SourceSeries:
    return replace(candidate.source, used=False, reason=reason)
