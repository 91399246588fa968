"""What the findings of a study say, in plain English: one wording for every result object.

The wording is ours and uncoded: "like a sacral insufficiency fracture", never a diagnosis.
"""

from __future__ import annotations

import re

from sifdetect.anatomy import Modality, Side
from sifdetect.dicom.progress import contralateral
from sifdetect.dicom.words import (
    BASIS,
    PATTERN,
    WEIGHTING,
    enumerated,
    level_range,
    millilitres,
    percent,
    place,
    probability,
    sentence,
    tracking_identifier,
)
from sifdetect.findings import (
    Fracture,
    Morphology,
    Presence,
    SourceSeries,
    StudyFindings,
)
from sifdetect.measurements import UNCERTAIN
from sifdetect.rules import COMPLETE, OUTLINE_UNCERTAIN

SEEN_WHOLE = COMPLETE
"""Share of a sacral level in view from which it counts as seen: the classification's own."""

_UNSTATED = "not certain enough to be called a fracture"
_ADVICE = (
    OUTLINE_UNCERTAIN,
    "sacrum-partly-covered",
    "no-fluid-sensitive-series",
    "ct-sensitivity",
)
"""Codes of the warnings that tell what to do next."""


def headline(findings: StudyFindings) -> str:
    """The whole answer in one sentence; before it a new contralateral ala, where there is one."""
    return " ".join(filter(None, (contralateral(findings.comparison), _answer(findings))))


def _answer(findings: StudyFindings) -> str:
    certainty = f"probability {probability(findings.probability)}"
    if findings.presence is Presence.PRESENT:
        return f"Finding like a sacral insufficiency fracture: {_extent(findings)}, {certainty}."
    if findings.presence is Presence.ABSENT:
        return _none_stated(findings)
    if findings.fractures:
        return (
            "Indeterminate: possible finding like a sacral insufficiency fracture: "
            f"{_extent(findings)}, {certainty}."
        )
    uncertain = _uncertain(findings)
    if outline_is_uncertain(findings):
        also = f", and at the {uncertain}" if uncertain else ""
        return f"Indeterminate: the outline of the sacrum is uncertain; look at it{also}."
    if uncertain:
        share = percent(findings.coverage.sacrum)
        seen = f"; {share} of the sacrum in view" if is_partial(findings) else ""
        return f"Indeterminate: {uncertain}, {_UNSTATED} ({certainty}){seen}."
    if is_partial(findings):
        return (
            "Indeterminate: no fracture was seen in the part that is in view, "
            f"but the sacrum is only partly covered ({percent(findings.coverage.sacrum)})."
        )
    return "Indeterminate: the images do not suffice to call a sacral fracture seen or excluded."


def _none_stated(findings: StudyFindings) -> str:
    none, uncertain = "No finding like a sacral insufficiency fracture", _uncertain(findings)
    if not uncertain:
        return f"{none} was seen."
    certainty = probability(findings.probability)
    return f"{none} is stated; look at the {uncertain}, {_UNSTATED} (probability {certainty})."


def _uncertain(findings: StudyFindings) -> str:
    """What was too uncertain to be stated, with its sides; empty where nothing was."""
    sides = [one.side.value for one in findings.other_findings if one.kind == UNCERTAIN]
    name = _named(UNCERTAIN, findings)
    return f"{name} ({enumerated(list(dict.fromkeys(sides)))})" if sides else ""


def _named(kind: str, findings: StudyFindings) -> str:
    """A kind of other finding; CT shows no edema, so that none is spoken of where CT is all."""
    if kind == UNCERTAIN and _only_ct(findings):
        return kind.removesuffix(" or edema")
    return f"{kind} finding" if kind.endswith("-like") else kind


def none_found(findings: StudyFindings) -> str:
    """That nothing was found, of what the series could show: CT no edema, MR no sclerosis."""
    used = [source for source in findings.sources if source.used]
    signs = ["fracture line"]
    if any(one.weighting and one.weighting.fluid_sensitive for one in used):
        signs.append("marrow edema")
    if any(one.modality is Modality.CT for one in used):
        signs.append("sclerosis")
    *others, last = signs
    listed = f"{', '.join(others)} or {last}" if others else last
    return f"No {listed} like a fracture was found in view."


def _only_ct(findings: StudyFindings) -> bool:
    used = [source for source in findings.sources if source.used]
    return bool(used) and all(source.modality is Modality.CT for source in used)


def _extent(findings: StudyFindings) -> str:
    places = [
        f"{place(fracture, findings)} ({level_range(fracture.levels)})"
        if fracture.levels
        else place(fracture, findings)
        for fracture in findings.fractures
    ]
    parts = [enumerated(list(dict.fromkeys(places))) or "place not measured"]
    if findings.denis.zone:
        parts.append(f"Denis zone {findings.denis.zone}")
    if findings.morphology.value not in (Morphology.NONE, Morphology.INDETERMINATE):
        parts.append(PATTERN[findings.morphology.value])
    return ", ".join(parts)


def outline_is_uncertain(findings: StudyFindings) -> bool:
    """True where what was outlined may not be the sacrum, or not where it lies."""
    return any(warning.code == OUTLINE_UNCERTAIN for warning in findings.warnings)


def is_partial(findings: StudyFindings) -> bool:
    """True where a part of the sacrum lies outside the field of view."""
    return findings.coverage.sacrum < SEEN_WHOLE or any(
        share < SEEN_WHOLE for share in findings.coverage.by_level.values()
    )


def chance(findings: StudyFindings) -> str:
    """The study's probability, and of what, where not all of the sacrum was seen."""
    share = probability(findings.probability)
    return f"{share} (in the part that is in view)" if is_partial(findings) else share


def coverage(findings: StudyFindings) -> list[str]:
    """What was in view, level by level, and what limits it."""
    by_level = findings.coverage.by_level
    whole = [level for level, share in by_level.items() if share >= SEEN_WHOLE]
    cut = [level for level, share in sorted(by_level.items()) if 0 < share < SEEN_WHOLE]
    out = [level for level, share in by_level.items() if share <= 0]
    parts = [f"{level_range(whole)} seen whole"] if whole else []
    parts += [f"{level.name} seen to {percent(by_level[level])}" for level in cut]
    parts += [f"{level_range(out)} not seen"] if out else []
    levels = f": {', '.join(parts)}" if parts else ""
    if is_partial(findings):
        share = percent(findings.coverage.sacrum)
        first = f"The sacrum is only partly covered ({share}){levels}."
    else:
        first = f"The whole sacrum is in the field of view{levels}."
    limits = (limit for limit in findings.coverage.limits if not _by_level(limit))
    return [first, *(sentence(limit) for limit in limits)]


def _by_level(limit: str) -> bool:
    """True for "S3 is only in view to 40 %" and its like, which the first sentence has said."""
    return re.match(r"S[1-5] is (only|not) in view", limit) is not None


def recommendations(findings: StudyFindings) -> list[str]:
    """What to do next, as far as the images call for it: from the warnings, else our own.

    Source: ACR appropriateness for a suspected sacral insufficiency fracture rates MRI 9 and CT 7;
    CT shows 60 to 75 % of these fractures, MRI nearly all.
    """
    told = {warning.code: sentence(warning.text) for warning in findings.warnings}
    advice = [told[code] for code in _ADVICE if code in told]
    absent_on_ct = findings.presence is Presence.ABSENT and _only_ct(findings)
    if is_partial(findings) and "sacrum-partly-covered" not in told:
        advice.append("The sacrum is only partly covered: a dedicated sacral MRI is advised.")
    elif absent_on_ct and "ct-sensitivity" not in told:
        advice.append(
            "CT misses about a third of these fractures: "
            "if the suspicion stays, a sacral MRI with fat suppression is advised."
        )
    return advice


def notes(findings: StudyFindings) -> list[str]:
    """What else the reader must know: other findings, and the warnings that are no advice."""
    said = {*_ADVICE, *(one.kind for one in findings.other_findings)}
    rest = [sentence(w.text) for w in findings.warnings if w.code not in said]
    return [*_others(findings), *rest]


def _others(findings: StudyFindings) -> list[str]:
    """What is seen beside fractures, one sentence a kind."""
    lines = []
    for kind in dict.fromkeys(finding.kind for finding in findings.other_findings):
        parts = []
        for side in dict.fromkeys(f.side for f in findings.other_findings if f.kind == kind):
            where = "in the midline" if side is Side.MIDLINE else f"on the {side.value}"
            volumes = [
                millilitres(f.volume_mm3)
                for f in findings.other_findings
                if f.kind == kind and f.side is side
            ]
            parts.append(f"{where} ({', '.join(volumes)})")
        advice = ": consider another cause than insufficiency" if "mass" in kind else ""
        lines.append(f"Also seen: {_named(kind, findings)} {enumerated(parts)}{advice}.")
    return lines


def described(number: int, fracture: Fracture, findings: StudyFindings) -> str:
    """One fracture with its measurements, in one sentence."""
    levels = f" at {level_range(fracture.levels)}" if fracture.levels else ""
    parts = [
        f"{BASIS[fracture.basis.value]}, {millilitres(fracture.volume_mm3)}",
        f"length {fracture.length_mm:.0f} mm",
    ]
    if fracture.foramen_distance_mm:
        level, distance = min(fracture.foramen_distance_mm.items(), key=lambda pair: pair[1])
        parts.append(_distance(distance, f"{level.name} foramen"))
    if fracture.canal_distance_mm is not None:
        parts.append(_distance(fracture.canal_distance_mm, "sacral canal"))
    if fracture.step_mm is not None:
        parts.append(f"step of the posterior wall {fracture.step_mm:.1f} mm")
    if fracture.angle_deg is not None:
        parts.append(f"kyphotic angle {fracture.angle_deg:.0f}°")
    name = tracking_identifier(number, fracture, findings)
    certainty = probability(fracture.confidence)
    return f"{name}{levels}: {', '.join(parts)} (certainty {certainty})."


def _distance(distance_mm: float, to: str) -> str:
    return f"reaches the {to}" if distance_mm <= 0 else f"{distance_mm:.1f} mm to the {to}"


def series_name(source: SourceSeries) -> str:
    """What a series is: modality, weighting, plane and its own description, without its size."""
    title = " ".join(source.description.split(";")[0].split())
    return series_kind(source) + (f' "{title}"' if title else "")


def series_kind(source: SourceSeries) -> str:
    """Modality, weighting and plane, as far as they are known."""
    kind = [source.modality.value] if source.modality else []
    kind += [WEIGHTING.get(source.weighting, source.weighting.value)] if source.weighting else []
    kind += [source.plane.value] if source.plane else []
    return " ".join(kind or ["Series"])


def series_line(source: SourceSeries) -> str:
    """One series: what it is, whether it was used, and why (not)."""
    size = source.description.partition(";")[2].strip()
    verdict = "used" if source.used else "not used"
    return sentence(f"{series_name(source)}{f' ({size})' if size else ''} {verdict}{why(source)}")


def why(source: SourceSeries) -> str:
    """Why a series was used or not, after a colon; what its kind has said is not said again."""
    kind = series_kind(source)
    reason = source.reason.removeprefix(f"{source.weighting.value}: " if source.weighting else "")
    return f": {reason}" if reason and reason not in kind.split() else ""
