"""CT and MR of one study: each modality's own answer, and what is said where they differ.

One modality is reported; the other's evidence is kept beside it. A line that only CT shows sets
zone and course of an edema that only MR shows, where the two lie over each other; everything else
that differs is said, not evened out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from sifdetect.anatomy import Modality, Side
from sifdetect.changes import Registration
from sifdetect.classify import Classification
from sifdetect.findings import (
    BakkerFinding,
    Basis,
    DenisFinding,
    Fracture,
    MorphologyFinding,
    Presence,
    SeriesEvidence,
    Warning,
)
from sifdetect.fragility import NO_BRUISE, NO_CT
from sifdetect.line_on_ct import PLACE, bakker_with, denis_with, on_line, pattern_with
from sifdetect.measurements import UNCERTAIN, Measurements
from sifdetect.register import Fit, in_one_frame, register
from sifdetect.rules import COMPLETE, NO_EDEMA
from sifdetect.study import Region, Series
from sifdetect.surface import Bone, applied
from sifdetect.volume import Floats, Segmentation

TOGETHER_MM = 5.0
"""A line on CT belongs to an edema on MR that comes this near: as two dates of one finding."""

_EDEMA = {
    Basis.EDEMA: "marrow edema",
    Basis.LINE_AND_EDEMA: "marrow edema and a fracture line",
}
"""What MR shows of a fresh fracture, as a sentence on both modalities names it."""


@dataclass(frozen=True)
class Reading:
    """One modality of a study, from its series to its classes."""

    used: tuple[Series, ...]
    segmentation: Segmentation
    measurements: Measurements
    classification: Classification

    @property
    def modality(self) -> Modality:
        """CT or MR."""
        return self.used[0].volume.modality

    @property
    def bone(self) -> Bone:
        """The sacrum as it was found, to be laid over another."""
        seg = self.segmentation
        return Bone(seg.anatomy, seg.in_view, seg.frame)

    def of(self, side: Side) -> Fracture | None:
        """The finding on a side."""
        return next((one for one in self.measurements.fractures if one.side is side), None)

    def clear(self, side: Side) -> bool:
        """True where nothing was seen on a side, not even what is too uncertain to be stated."""
        others = self.measurements.other_findings
        doubt = any(one.kind == UNCERTAIN and one.side is side for one in others)
        return self.of(side) is None and not doubt

    def evidence(self, registration: Registration | None = None) -> SeriesEvidence:
        """What this modality says by itself."""
        stated = self.classification
        return SeriesEvidence(
            modality=self.modality,
            series=tuple(one.source.series_instance_uid for one in self.used),
            fluid_sensitive=self.measurements.fluid_sensitive,
            presence=stated.presence,
            probability=stated.probability,
            denis=stated.denis,
            bakker=stated.bakker,
            fractures=self.measurements.fractures,
            registration=registration,
        )

    def region(self) -> Region:
        """The same for who comes after the pipeline."""
        return Region(
            series=tuple(one.source.series_instance_uid for one in self.used),
            segmentation=self.segmentation,
            marked=self.measurements.components,
            stated=self.evidence(),
            other_findings=self.measurements.other_findings,
        )


@dataclass(frozen=True)
class Joined:
    """What is reported of a study with both CT and MR.

    Attributes:
        fractures, denis, bakker, morphology: of the reported modality, with the lines that the
            other shows.
        warnings: of the reported modality, then what the two say differently.
    """

    fractures: tuple[Fracture, ...]
    denis: DenisFinding
    bakker: BakkerFinding
    morphology: MorphologyFinding
    warnings: tuple[Warning, ...]


def laid_over(other: Reading, reported: Reading) -> Fit | None:
    """How the other modality lies over the reported one; None where they share too little.

    In one frame of reference nothing is moved: outlines say less of it than the scanner does.
    """
    frames = [r.used[0].volume.grid.frame_of_reference_uid for r in (other, reported)]
    if frames[0] is not None and frames[0] == frames[1]:
        return in_one_frame(other.bone, reported.bone)
    return register(other.bone, reported.bone)


def join(reported: Reading, others: Sequence[tuple[Reading, Fit | None]]) -> Joined:
    """What is said of a study whose modalities were read apart."""
    stated = reported.classification
    joined = Joined(
        reported.measurements.fractures,
        stated.denis,
        stated.bakker,
        stated.morphology,
        stated.warnings,
    )
    for other, fit in others:
        joined = _with_lines(joined, reported, other, fit)
        joined = _answered(joined, other)
        said = [*joined.warnings, *_presence(reported, other), *_differences(reported, other, fit)]
        joined = replace(joined, warnings=tuple(said))
    return joined


def _answered(joined: Joined, other: Reading) -> Joined:
    """Without what the reported modality cannot see and the other one has."""
    shown: tuple[str, ...] = (NO_CT,) if other.modality is Modality.CT else ()
    if other.measurements.fluid_sensitive:
        shown = (NO_EDEMA, NO_BRUISE)

    def left(unseen: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in unseen if one not in shown)

    denis, bakker, pattern = joined.denis, joined.bakker, joined.morphology
    return replace(
        joined,
        denis=replace(denis, unseen=left(denis.unseen)),
        bakker=replace(bakker, unseen=left(bakker.unseen)),
        morphology=replace(pattern, unseen=left(pattern.unseen)),
    )


def _presence(reported: Reading, other: Reading) -> Iterator[Warning]:
    said, too = reported.classification.presence, other.classification.presence
    if said is not too:
        yield Warning(
            code="modalities-disagree",
            text=f"{reported.modality.value} says {said.value},"
            f" {other.modality.value} of the same study says {too.value}",
        )


def _differences(reported: Reading, other: Reading, fit: Fit | None) -> Iterator[Warning]:
    pair = {one.modality: one for one in (reported, other)}
    if set(pair) != set(Modality):
        return
    ct, mr = pair[Modality.CT], pair[Modality.MR]
    for side, place in PLACE.items():
        code, text = _difference(ct, mr, side, lines_meet(reported, other, fit, side))
        if code:
            yield Warning(code=code, text=f"{place}: {text}")
    accepted = fit is not None and fit.registration.accepted
    if not accepted and (ct.measurements.fractures or mr.measurements.fractures):
        residual = None if fit is None else fit.registration.residual_mm
        apart = "" if residual is None else f" ({residual:.1f} mm)"
        text = f"the sacrum on CT and on MR does not agree within 3 mm{apart}: not fused"
        yield Warning(code="not-fused", text=text)


def _difference(ct: Reading, mr: Reading, side: Side, meet: bool | None) -> tuple[str, str]:
    """Code and text of what CT and MR say differently of one side; empty where they agree."""
    on_ct, on_mr = ct.of(side), mr.of(side)
    if on_mr is not None and on_ct is None and on_mr.basis in _EDEMA:
        if ct.clear(side) and _covers(ct, on_mr):
            return "ct-occult", f"{_EDEMA[on_mr.basis]} on MR, no line on CT (CT-occult)"
    elif on_ct is not None and on_mr is None and mr.measurements.fluid_sensitive:
        if mr.clear(side) and _covers(mr, on_ct):
            line = on_ct.basis is Basis.LINE
            seen = "a line" if line else "a band of sclerosis"
            meant = "old, or no fracture" if line else "old"
            return "ct-without-edema", f"{seen} on CT, no marrow edema on MR: {meant}"
    elif on_ct is not None and on_mr is not None and on_ct.basis is Basis.LINE:
        if meet is False:
            return "apart", "the line on CT and the finding on MR lie in different places"
        if on_mr.basis is Basis.EDEMA:
            return "line-on-ct-only", "the fracture line is seen on CT only"
    return "", ""


def _covers(reading: Reading, fracture: Fracture) -> bool:
    coverage = reading.segmentation.frame.coverage
    return all(coverage.get(level, 0.0) >= COMPLETE for level in fracture.levels)


def lines_meet(reported: Reading, other: Reading, fit: Fit | None, side: Side) -> bool | None:
    """True where the findings of a side come within 5 mm; None where that cannot be told."""
    mine, theirs = reported.of(side), other.of(side)
    if fit is None or not fit.registration.accepted or mine is None or theirs is None:
        return None
    here, there = _points(reported, mine), applied(fit.matrix, _points(other, theirs))
    return bool(cKDTree(here).query(there)[0].min() <= TOGETHER_MM)


def _points(reading: Reading, fracture: Fracture) -> Floats:
    measured = reading.measurements
    number = 1 + measured.fractures.index(fracture)
    return measured.components.grid.index_to_mm(np.argwhere(measured.components.values == number))


def _with_lines(joined: Joined, reported: Reading, other: Reading, fit: Fit | None) -> Joined:
    """Where MR shows edema and CT the line in it, the line says zone, course and distances."""
    if reported.modality is not Modality.MR or other.modality is not Modality.CT:
        return joined
    fractures = list(joined.fractures)
    sides = []
    for number, one in enumerate(reported.measurements.fractures):
        line = other.of(one.side)
        if one.basis is not Basis.EDEMA or line is None or line.basis is not Basis.LINE:
            continue
        if lines_meet(reported, other, fit, one.side):
            fractures[number] = on_line(one, line)
            sides.append(one.side)
    if not sides:
        return joined
    with_line = any(one.basis is not Basis.EDEMA for one in fractures)
    return Joined(
        tuple(fractures),
        denis_with(joined.denis, other.classification.denis, sides),
        bakker_with(joined.bakker, other.classification.bakker, sides),
        pattern_with(joined.morphology, sides),
        tuple(w for w in joined.warnings if not (with_line and w.code == "no-line")),
    )


def telling(reading: Reading) -> tuple[bool, bool, float]:
    """Sorts readings: those that state a fracture, that show edema, that cover more, first."""
    covered = reading.segmentation.frame.coverage.values()
    return (
        reading.classification.presence is not Presence.PRESENT,
        not reading.measurements.fluid_sensitive,
        -sum(covered),
    )
