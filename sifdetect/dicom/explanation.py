"""One page on why a study's findings say what they say: the rules that fired or nearly did."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from sifdetect.borders import Near, nearly
from sifdetect.classify import PRESENCE
from sifdetect.denis import DENIS_OF_SIDE, SUBTYPE
from sifdetect.dicom.quantities import QUANTITIES, evidence_said
from sifdetect.dicom.reasons import classes
from sifdetect.dicom.words import millilitres, percent
from sifdetect.ffp import FFP
from sifdetect.findings import Classified, StudyFindings
from sifdetect.fragility import BAKKER_OF_ALA, BAKKER_OF_CORPUS
from sifdetect.measurements import UNCERTAIN
from sifdetect.patterns import MORPHOLOGY
from sifdetect.rules import Rule

WIDTH = 100
TABLES: tuple[Sequence[Rule[Any, Any]], ...] = (
    PRESENCE,
    DENIS_OF_SIDE,
    SUBTYPE,
    MORPHOLOGY,
    BAKKER_OF_ALA,
    BAKKER_OF_CORPUS,
    FFP,
)
"""All tables of rules, in the order of a report."""

SOURCES = {rule.name: rule.source for table in TABLES for rule in table}
"""Where each rule's definition comes from, by its name."""


def explanation(findings: StudyFindings) -> str:
    """The page, plain text of at most WIDTH columns."""
    return "\n".join(
        [
            f"Study {findings.study_instance_uid}. Research use: a radiologist decides.",
            "",
            *_fired(findings),
            "",
            "Nearly otherwise:",
            *_listed([*map(_nearly_said, nearly(findings)), *_uncertain(findings)]),
            "",
            "Not assessed:",
            *_listed(_unseen(findings)),
            "",
            "Warnings:",
            *_listed([warning.text for warning in findings.warnings]),
        ]
    )


def _fired(findings: StudyFindings) -> Iterator[str]:
    said = f"{findings.presence.value}, probability {percent(findings.probability)}"
    why = findings.presence_reason or Classified()
    yield from _class("Fracture", said, why)
    for scheme, value, reason in classes(findings):
        yield from _class(scheme, value, reason)


def _class(scheme: str, value: str, why: Classified) -> Iterator[str]:
    yield from _filled(f"{scheme}: {value}")
    if why.rule:
        yield from _filled(f'rule "{why.rule}"{_source(why.rule)}', by=2)
    for part in evidence_said(why.evidence, rule=why.rule):
        yield from _filled(part, by=4)


def _source(rule: str) -> str:
    """In parentheses, those of the rules that a name joins."""
    parts = [SOURCES[part] for part in (rule, *rule.split("; ")) if part in SOURCES]
    named = list(dict.fromkeys(parts))
    return f" ({'; '.join(named)})" if named else ""


def _nearly_said(near: Near) -> str:
    border = near.border
    quantity = QUANTITIES[border.quantity]
    where = f"{near.side} ala, " if near.side else ""
    said = f"{border.of}: {where}{quantity.said(near.value)}"
    if border.least == 0:
        return f"{said}; reaching it would make {border.stated}"
    least = quantity.shown(border.least)
    if near.beyond:
        return f"{said}, just over the {least} that make {border.stated}"
    return f"{said}; from {least} on it would be {border.stated}"


def _uncertain(findings: StudyFindings) -> Iterator[str]:
    for other in findings.other_findings:
        if other.kind == UNCERTAIN:
            size = f"{other.side.value}, {millilitres(other.volume_mm3)}"
            yield f"{other.kind}, {size}: not certain enough to be called a fracture"


def _unseen(findings: StudyFindings) -> list[str]:
    reasons = [findings.presence_reason or Classified(), *(why for _, _, why in classes(findings))]
    return list(dict.fromkeys(part for why in reasons for part in why.unseen))


def _listed(parts: list[str]) -> list[str]:
    lines = [line for part in parts for line in _filled(f"- {part}", by=2, hanging=2)]
    return lines or ["  nothing"]


def _filled(text: str, *, by: int = 0, hanging: int = 2) -> list[str]:
    first, more = " " * by, " " * (by + hanging)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=more)
