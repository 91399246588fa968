"""Measurements to classes: presence, Denis, morphology, Bakker, FFP, coverage and warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sifdetect.anatomy import Modality, SacralLevel
from sifdetect.denis import denis
from sifdetect.ffp import ffp
from sifdetect.findings import (
    BakkerFinding,
    Basis,
    Classified,
    Coverage,
    DenisFinding,
    FfpFinding,
    MorphologyFinding,
    Presence,
    Warning,
)
from sifdetect.fragility import bakker
from sifdetect.measurements import Measurements
from sifdetect.mimics import SACROILIAC_EDEMA, SACROILIAC_EDEMA_AND_LINE
from sifdetect.patterns import morphology
from sifdetect.rules import COMPLETE, OUTLINE_UNCERTAIN, Context, Facts, Rule, first_match

__all__ = ["Classification", "Context", "classify"]

LIKELY = 0.5
"""A calibrated probability from which a fracture is likelier than none."""

LEVEL_SHARE = {
    SacralLevel.S1: 0.35,
    SacralLevel.S2: 0.27,
    SacralLevel.S3: 0.19,
    SacralLevel.S4: 0.12,
    SacralLevel.S5: 0.07,
}
"""Share of each level in the coronal outline of an adult's sacrum, its bounding box by level."""

_SENSITIVITY = "reviews: MRI shows nearly all fractures, CT 60–75 %"
_COVERAGE = "a partly imaged sacrum is never negative"

_MIMIC = "reviews: a metastasis may look like a fracture, and the other way round"


def _all_beside(facts: Facts, kind: str) -> bool:
    """True where every fractured side holds another finding of a kind."""
    others = {other.side for other in facts.measurements.other_findings if other.kind == kind}
    return bool(others) and all(one.side in others for one in facts.measurements.fractures)


def _holds(facts: Facts, kind: str) -> bool:
    """True where another finding of a kind was seen."""
    return any(other.kind == kind for other in facts.measurements.other_findings)


PRESENCE: tuple[Rule[Facts, Presence], ...] = (
    Rule(
        "fracture line seen",
        lambda f: bool(f.bases & {Basis.LINE, Basis.LINE_AND_EDEMA}),
        Presence.PRESENT,
        "reviews: a line is seen in 93 % on MRI",
    ),
    Rule(
        "edema without a line, beside a mass-like finding",
        lambda f: Basis.EDEMA in f.bases and _all_beside(f, "mass-like"),
        Presence.INDETERMINATE,
        _MIMIC,
    ),
    Rule(
        "edema without a line, beside cement",
        lambda f: Basis.EDEMA in f.bases and _all_beside(f, "cement"),
        Presence.INDETERMINATE,
        "edema stays for weeks after a sacroplasty",
    ),
    Rule(
        "alar edema without a line",
        lambda f: Basis.EDEMA in f.bases,
        Presence.PRESENT,
        _SENSITIVITY,
    ),
    Rule(
        "alar sclerosis without a line",
        lambda f: Basis.SCLEROSIS in f.bases,
        Presence.INDETERMINATE,
        "sclerosis is a late sign and has other causes",
    ),
    Rule(
        "no finding, outline of the sacrum uncertain",
        lambda f: not f.context.outline_certain,
        Presence.INDETERMINATE,
        "what was outlined may be something else (decision 0033)",
    ),
    Rule(
        "line and edema along both sides of a sacroiliac joint",
        lambda f: _holds(f, SACROILIAC_EDEMA_AND_LINE),
        Presence.INDETERMINATE,
        "Lambert 2016, Ann Rheum Dis 75:1958; erosions look like lines",
    ),
    Rule(
        "edema on both sides of a sacroiliac joint, sacrum wholly in view",
        lambda f: f.complete and f.probability < LIKELY and _holds(f, SACROILIAC_EDEMA),
        Presence.ABSENT,
        "Lambert 2016, Ann Rheum Dis 75:1958",
    ),
    Rule(
        "no finding, sacrum only partly in view",
        lambda f: not f.complete,
        Presence.INDETERMINATE,
        _COVERAGE,
    ),
    Rule(
        "no finding, no fluid-sensitive series",
        lambda f: f.measurements.modality is Modality.MR and not f.measurements.fluid_sensitive,
        Presence.INDETERMINATE,
        _SENSITIVITY,
    ),
    Rule(
        "no finding, but a fracture is likely",
        lambda f: f.probability >= LIKELY,
        Presence.INDETERMINATE,
        "calibrated probability",
    ),
    Rule(
        "no finding on CT",
        lambda f: f.measurements.modality is Modality.CT,
        Presence.ABSENT,
        _SENSITIVITY,
    ),
    Rule("no finding on fluid-sensitive MR", lambda f: True, Presence.ABSENT, _SENSITIVITY),
)


@dataclass(frozen=True, kw_only=True)
class Classification:
    """All that is stated about a study beside its fractures.

    Attributes:
        presence_reason: the rule, evidence and unseen of ``presence``.
        probability: calibrated where the context holds a calibrated one, 0–1.
    """

    presence: Presence
    presence_reason: Classified
    probability: float
    denis: DenisFinding
    morphology: MorphologyFinding
    bakker: BakkerFinding
    ffp: FfpFinding
    coverage: Coverage
    warnings: tuple[Warning, ...]


def classify(measurements: Measurements, context: Context) -> Classification:
    """What the measurements mean, each class with the rule that fired and what it could not see."""
    asked = Facts(measurements=measurements, context=context)
    rule = first_match(PRESENCE, asked)
    facts = replace(asked, presence=rule.result)
    covered = _coverage(facts)
    cautions = _cautions(facts)
    return Classification(
        presence=rule.result,
        presence_reason=Classified(
            rule=rule.name,
            evidence={
                "findings": float(len(measurements.fractures)),
                "probability": facts.probability,
                "sacrum_in_view": round(covered.sacrum, 2),
            },
            unseen=(*covered.limits, *(caution.text for caution in cautions)),
        ),
        probability=facts.probability,
        denis=denis(facts),
        morphology=morphology(facts),
        bakker=bakker(facts),
        ffp=ffp(facts),
        coverage=covered,
        warnings=(*context.warnings, *cautions),
    )


def _coverage(facts: Facts) -> Coverage:
    by_level = {level: facts.context.coverage.get(level, 0.0) for level in SacralLevel}
    limits = [
        f"{level.name} is only in view to {100 * share:.0f} %"
        if share > 0
        else f"{level.name} is not in view"
        for level, share in by_level.items()
        if share < COMPLETE
    ]
    if not facts.context.outline_certain:
        limits.append("this holds if the outline of the sacrum is right, which is uncertain")
    return Coverage(
        sacrum=sum(share * by_level[level] for level, share in LEVEL_SHARE.items()),
        by_level=by_level,
        limits=tuple(limits),
    )


def _cautions(facts: Facts) -> tuple[Warning, ...]:
    """What the reader must know, in the order of its weight."""
    cautions = [Warning(code=code, text=text) for code, holds, text in _CAUTIONS if holds(facts)]
    return tuple(cautions)


_CAUTIONS = (
    (
        OUTLINE_UNCERTAIN,
        lambda f: not f.context.outline_certain,
        "the outline of the sacrum is uncertain: it may lie elsewhere than shown, and less of it"
        " may be in view; a dedicated sacral MRI is advised (ACR appropriateness 9)",
    ),
    (
        "sacrum-partly-covered",
        lambda f: not f.complete,
        "the sacrum is only partly covered: a dedicated sacral MRI is advised"
        " (ACR appropriateness 9)",
    ),
    (
        "no-fluid-sensitive-series",
        lambda f: f.measurements.modality is Modality.MR and not f.measurements.fluid_sensitive,
        "no fluid-sensitive series, edema can't be judged: MRI with fat suppression is advised"
        " (ACR appropriateness 9)",
    ),
    (
        "ct-sensitivity",
        lambda f: f.measurements.modality is Modality.CT and f.presence is not Presence.PRESENT,
        "CT misses 25–40 % of these fractures: MRI is advised if suspicion stays"
        " (ACR appropriateness 9)",
    ),
    (
        "mass-like",
        lambda f: _holds(f, "mass-like"),
        "a mass-like finding is seen: consider another cause than insufficiency",
    ),
    (
        "no-line",
        lambda f: f.bases == {Basis.EDEMA},
        "marrow edema without a visible line: other causes of edema are possible",
    ),
)
