"""Each class with why it is stated: the rule, what it fired on, and what it could not see."""

from __future__ import annotations

from sifdetect.dicom.quantities import evidence_said
from sifdetect.dicom.words import PATTERN, sentence
from sifdetect.findings import Classified, Morphology, StudyFindings


def classes(findings: StudyFindings) -> list[tuple[str, str, Classified]]:
    """(scheme, class as text, why) for each classification that has an answer.

    A pattern of no fracture is none, whether or not enough was seen to exclude one.
    """
    rows: list[tuple[str, str, Classified]] = []
    denis, ffp, bakker = findings.denis, findings.ffp, findings.bakker
    if denis.zone is not None:
        subtype = f", subtype {denis.subtype}" if denis.subtype else ""
        rows.append(("Denis", f"zone {denis.zone}{subtype}", denis))
    if findings.fractures and findings.morphology.value is not Morphology.NONE:
        pattern = PATTERN[findings.morphology.value].removesuffix(" pattern")
        rows.append(("Pattern", pattern, findings.morphology))
    parts = (("right", bakker.right), ("left", bakker.left), ("corpus", bakker.corpus))
    named = [f"{where} {kind.value}" for where, kind in parts if kind is not None]
    if named:
        rows.append(("Bakker", ", ".join(named), bakker))
    if ffp.value is not None:
        rows.append(("FFP", f"{'at least ' if ffp.at_least else ''}{ffp.value.value}", ffp))
    return rows


def reason(scheme: str, value: str, why: Classified) -> str:
    """A class with the rule that fired, what it fired on and what it could not see."""
    said = set(map(str, why.evidence.values()))
    apart = ";" in why.rule and said.issuperset(why.rule.split("; "))  # told with each side
    parts = [f"{scheme}: {value}" + (f', by rule "{why.rule}"' if why.rule and not apart else "")]
    parts += evidence_said(why.evidence, rule="" if apart else why.rule.split("; ")[0])
    if why.unseen:
        parts.append(f"Not assessed: {'; '.join(why.unseen)}")
    return " ".join(sentence(part) for part in parts)


def unseen(findings: StudyFindings) -> list[str]:
    """What no classification could see, each thing once."""
    told = [why for _, _, why in classes(findings)]
    if not findings.fractures and findings.morphology.value is not Morphology.NONE:
        told.append(findings.morphology)
    return list(dict.fromkeys(part for why in told for part in why.unseen))
