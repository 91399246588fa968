"""Thresholds of the rules that a study's measures come near: what was nearly stated otherwise.

Near is as close as the measure itself may be off: the 95th percentile of its error on true labels
of synthetic sacra (docs/rules.md), or two voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sifdetect.classify import LIKELY
from sifdetect.denis import BENT_DEG, COMMINUTED_MM3, TRANSLATED_MM
from sifdetect.ffp import DISPLACED_MM
from sifdetect.findings import BakkerType, Classified, Presence, StudyFindings
from sifdetect.fragility import BENT_MM, CONTACT_MM, DEFORMED_MM, INTO_JOINT_DEG, RIM_DEG
from sifdetect.measurements import REACHED_MM2

SIDES = ("right", "left")
_TWO_VOXELS_MM = 3.0

_SIGNED = ("wall_angle_deg", "lean_deg", "cortex_bent_mm")

Evidence = dict[str, float | str | bool]


@dataclass(frozen=True)
class Border:
    """A threshold of one rule.

    Attributes:
        of: the scheme, as reports name it.
        quantity: name of the measure in the evidence, without side.
        least: from there on the rule holds; 0 of a distance: where it is reached.
        near: how far from there a measure is near.
        stated: what is stated from there on.
        asked: False where another rule has decided before; of the findings, the evidence and the
            side ("" for the whole).
    """

    of: str
    quantity: str
    least: float
    near: float
    stated: str
    asked: Callable[[StudyFindings, Evidence, str], bool]


@dataclass(frozen=True)
class Near:
    """A measure near a border; ``side`` is "" where it is of the whole sacrum."""

    border: Border
    side: str
    value: float

    @property
    def size(self) -> float:
        """The value as the rule takes it: steps and shifts count in both directions."""
        return self.value if self.border.quantity in _SIGNED else abs(self.value)

    @property
    def beyond(self) -> bool:
        """True where the rule holds, by little."""
        least = self.border.least
        return self.size >= least if least else self.size <= 0


def _of(evidence: Evidence, name: str, side: str = "") -> float:
    value = evidence.get(f"{side}_{name}" if side else name, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _wall(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    return not side and findings.denis.zone == 3 and findings.denis.subtype != 4


def _unmoved(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    still = abs(_of(evidence, "wall_step_mm")) < TRANSLATED_MM
    return _wall(findings, evidence, side) and still


def _type_of(findings: StudyFindings, side: str) -> BakkerType | None:
    return findings.bakker.right if side == "right" else findings.bakker.left


def _line(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    """A line in the ala whose course was measured."""
    return bool(side) and f"{side}_lean_deg" in evidence


def _beside_foramina(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    """A line that the rule for foramina, which comes first, has not decided."""
    return _line(findings, evidence, side) and _type_of(findings, side) is not BakkerType.B3


def _contact(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    leans = _of(evidence, "lean_deg", side) >= INTO_JOINT_DEG
    return _beside_foramina(findings, evidence, side) and leans


def _into_joint(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    touches = _of(evidence, "joint_contact_mm", side) >= CONTACT_MM
    return _beside_foramina(findings, evidence, side) and touches


def _bruise(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    return bool(side) and _type_of(findings, side) in (BakkerType.A1, BakkerType.A2)


def _bruise_alone(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    compared = f"{side}_cortex_bent_mm" in evidence
    return _bruise(findings, evidence, side) and not compared


def _one_side(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    transverse = bool(evidence.get("transverse"))
    return bool(side) and not transverse and _of(evidence, "fractured_alae") == 1


def _lateral(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    zone = {"right": findings.denis.right, "left": findings.denis.left}.get(side)
    return zone in (1, 2)


def _nothing_found(findings: StudyFindings, evidence: Evidence, side: str) -> bool:
    return not side and not findings.fractures and findings.presence is not Presence.PRESENT


BORDERS: tuple[Border, ...] = (
    Border("Presence", "probability", LIKELY, 0.1, "not excluded", _nothing_found),
    Border("Denis", "canal_mm", 0.0, _TWO_VOXELS_MM, "zone 3", _lateral),
    Border("Denis", "s1_lines_mm3", COMMINUTED_MM3, 100.0, "subtype 4, S1 comminuted", _wall),
    Border("Denis", "wall_step_mm", TRANSLATED_MM, 1.0, "subtype 2, a step", _wall),
    Border("Denis", "wall_angle_deg", BENT_DEG, 2.1, "subtype 1, kyphosis", _unmoved),
    Border("Bakker", "foramen_contact_mm2", REACHED_MM2, 80.0, "B3, into a foramen", _line),
    Border("Bakker", "lean_deg", RIM_DEG, 8.0, "A3, of the rim", _beside_foramina),
    Border("Bakker", "lean_deg", INTO_JOINT_DEG, 8.0, "B2, into the joint", _into_joint),
    Border(
        "Bakker", "joint_contact_mm", CONTACT_MM, _TWO_VOXELS_MM, "B2, into the joint", _contact
    ),
    Border("Bakker", "cortex_bent_mm", BENT_MM, 0.3, "A2, a bent cortex", _bruise),
    Border("Bakker", "cortex_ridge_mm", DEFORMED_MM, 0.3, "A2, a bent cortex", _bruise_alone),
    Border("FFP", "shift_mm", DISPLACED_MM, 0.7, "IIIc, one side displaced", _one_side),
)
"""In the order of a report."""


def nearly(findings: StudyFindings) -> tuple[Near, ...]:
    """The borders that the findings lie near, on either side of them."""
    schemes: dict[str, Classified | None] = {
        "Presence": findings.presence_reason,
        "Denis": findings.denis,
        "Bakker": findings.bakker,
        "FFP": findings.ffp,
    }
    return tuple(
        near
        for border in BORDERS
        for near in _near(findings, border, schemes[border.of])
        if abs(near.size - border.least) <= border.near
    )


def _near(findings: StudyFindings, border: Border, why: Classified | None) -> Iterator[Near]:
    evidence = {} if why is None else why.evidence
    for side in ("", *SIDES):
        value = evidence.get(f"{side}_{border.quantity}" if side else border.quantity)
        if not isinstance(value, (int, float)) or not border.asked(findings, evidence, side):
            continue
        yield Near(border, side, float(value))
