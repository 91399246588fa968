"""FFP types of fragility fractures of the pelvis, as an ordered rule table."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.anatomy import Side
from sifdetect.findings import BakkerType, Basis, FfpFinding, FfpType, Presence
from sifdetect.fragility import BAKKER_OF_ALA
from sifdetect.measurements import SIDES, Ring
from sifdetect.patterns import Pattern, pattern_of
from sifdetect.rules import Facts, Rule, first_match

DISPLACED_MM = 1.5
"""Shift of one side of the sacrum from which it is displaced; undisplaced ones measure up to 0.7 mm
on true labels of synthetic sacra."""

_FFP = "Rommens and Hofmann 2013, Injury 44:1733"


@dataclass(frozen=True)
class _Pelvis:
    """What the table is asked about.

    Attributes:
        crushed: True where no fracture of the sacrum parts it: edema alone, or its rim.
        shift_mm: the largest shift of one side along its line.
    """

    presence: Presence
    pattern: Pattern
    ring: Ring
    crushed: bool
    shift_mm: float

    @property
    def posterior(self) -> bool:
        return self.presence is Presence.PRESENT

    @property
    def displaced(self) -> bool:
        alone = self.pattern.transverse is None and len(self.pattern.alae) == 1
        return alone and self.shift_mm >= DISPLACED_MM


FFP: tuple[Rule[_Pelvis, FfpType | None], ...] = (
    Rule(
        "anterior ring broken on both sides, no fracture of the sacrum stated",
        lambda p: not p.posterior and len(p.ring.broken) == 2,
        FfpType.IB,
        _FFP,
    ),
    Rule(
        "anterior ring broken on one side, no fracture of the sacrum stated",
        lambda p: not p.posterior and len(p.ring.broken) == 1,
        FfpType.IA,
        _FFP,
    ),
    Rule("no fracture of the sacrum stated", lambda p: not p.posterior, None, _FFP),
    Rule(
        "vertical limbs on both sides and a transverse one: spinopelvic dissociation",
        lambda p: len(p.pattern.alae) == 2 and p.pattern.transverse is not None,
        FfpType.IVB,
        _FFP,
    ),
    Rule("sacrum displaced on one side", lambda p: p.displaced, FfpType.IIIC, _FFP),
    Rule(
        "sacrum crushed, anterior ring broken",
        lambda p: bool(p.ring.broken) and p.crushed,
        FfpType.IIB,
        _FFP,
    ),
    Rule(
        "sacrum fractured and not displaced, anterior ring broken",
        lambda p: bool(p.ring.broken),
        FfpType.IIC,
        _FFP,
    ),
    Rule(
        "posterior fracture, anterior ring seen and whole",
        lambda p: len(p.ring.seen) == 2,
        FfpType.IIA,
        _FFP,
    ),
    Rule("posterior fracture, anterior ring not examined", lambda p: True, FfpType.IIA, _FFP),
)
"""Ia to IIIc and IVb; the ilium and the displaced joint (IIIa, IIIb, IVa, IVc) are not measured."""


def without_ring(value: FfpType | None) -> FfpType | None:
    """What is left of a type where nothing is known of the anterior ring: the least that it is."""
    if value in (FfpType.IA, FfpType.IB):
        return None
    return FfpType.IIA if value in (FfpType.IIB, FfpType.IIC) else value


def ffp(facts: Facts) -> FfpFinding:
    """FFP type; "at least" where the rami are not examined, or the presence is not settled."""
    measured = facts.measurements
    pattern = pattern_of(facts)
    shifts = {side: measured.sides[side].shift_mm for side in SIDES}
    pelvis = _Pelvis(
        presence=facts.presence,
        pattern=pattern,
        ring=measured.ring,
        crushed=_crushed(facts, pattern),
        shift_mm=max((abs(shift) for shift in shifts.values() if shift is not None), default=0.0),
    )
    rule = first_match(FFP, pelvis)
    evidence: dict[str, float | str | bool] = {
        "fractured_alae": float(len(pattern.alae)),
        "transverse": pattern.transverse is not None,
        "rami_in_view": float(len(measured.ring.seen)),
        "rami_broken": float(len(measured.ring.broken)),
    }
    evidence |= {f"{s.value}_shift_mm": round(v, 1) for s, v in shifts.items() if v is not None}
    certain = len(measured.ring.seen) == 2 and facts.presence is not Presence.INDETERMINATE
    return FfpFinding(
        value=rule.result,
        at_least=rule.result is not None and not certain,
        rule=rule.name,
        evidence=evidence,
        unseen=_unseen(measured.ring) if rule.result is not None else (),
    )


def _crushed(facts: Facts, pattern: Pattern) -> bool:
    sides = [facts.measurements.sides[side] for side in SIDES]
    broken = [one for one in sides if one.basis is not None]
    rim = [first_match(BAKKER_OF_ALA, one).result is BakkerType.A3 for one in broken]
    edema = [one.basis is Basis.EDEMA for one in broken]
    whole = all(a or b for a, b in zip(rim, edema, strict=True))
    return bool(broken) and whole and pattern.transverse is None


def _unseen(ring: Ring) -> tuple[str, ...]:
    hidden = [side for side in (Side.RIGHT, Side.LEFT) if side not in ring.seen]
    unseen = []
    if len(hidden) == 2:
        unseen.append("the anterior ring lies outside of what was examined")
    elif hidden:
        unseen.append(f"the {hidden[0].value} pubic rami lie outside of what was examined")
    return (*unseen, "displacement of the ilium and of the sacroiliac joints is not measured")
