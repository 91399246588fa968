"""Denis zones, as ordered rule tables."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.anatomy import DenisZone, SacralLevel, Side
from sifdetect.findings import Basis, DenisFinding, Presence
from sifdetect.measurements import SIDES, SideMeasurements
from sifdetect.rules import LINES, Facts, Rule, first_match, reaches, unseen_sides

_DENIS_1988 = "Denis 1988, Clin Orthop 227:67"


@dataclass(frozen=True)
class _Half:
    measured: SideMeasurements
    central: bool
    hidden: bool
    absent: bool

    @property
    def corridor_most(self) -> bool:
        zones = self.measured.zone_mm3
        return zones.get(DenisZone.FORAMINAL, 0.0) > zones.get(DenisZone.ALAR, 0.0)

    def rests_on(self, *bases: Basis) -> bool:
        return self.measured.basis in bases


DENIS_OF_ALA: tuple[Rule[_Half, int | None], ...] = (
    Rule(
        "line reaches the central zone",
        lambda h: reaches(h.measured, DenisZone.CENTRAL) or h.measured.canal_distance_mm == 0,
        3,
        _DENIS_1988,
    ),
    Rule(
        "line reaches a foramen or its corridor",
        lambda h: reaches(h.measured, DenisZone.FORAMINAL) or bool(h.measured.touched_foramina),
        2,
        _DENIS_1988,
    ),
    Rule("line lateral to the foramina", lambda h: h.rests_on(*LINES), 1, _DENIS_1988),
    Rule(
        "edema without a line, most of it in the foraminal corridor",
        lambda h: h.rests_on(Basis.EDEMA) and h.corridor_most,
        2,
        _DENIS_1988,
    ),
    Rule("alar edema without a line", lambda h: h.rests_on(Basis.EDEMA), 1, _DENIS_1988),
    Rule("alar sclerosis without a line", lambda h: h.rests_on(Basis.SCLEROSIS), 1, _DENIS_1988),
    Rule("ala not in view", lambda h: h.hidden, None, _DENIS_1988),
    Rule("nothing seen in the ala", lambda h: h.absent, 0, _DENIS_1988),
    Rule("not enough seen to exclude a fracture", lambda h: True, None, _DENIS_1988),
)
"""Zone of the fracture of one ala, whatever the midline shows."""

DENIS_OF_SIDE: tuple[Rule[_Half, int | None], ...] = (
    Rule("fracture of the midline reaches this side", lambda h: h.central, 3, _DENIS_1988),
    *DENIS_OF_ALA,
)
"""Zone of one side: what crosses the midline makes both sides central."""


def denis(facts: Facts) -> DenisFinding:
    """Denis zones per side and over all, the highest.

    The evidence holds the zone of each ala's own fracture too. The subtype of zone 3 needs step and
    angle of the posterior wall and is None without them.
    """
    rules = {side: first_match(DENIS_OF_SIDE, _half(facts, side)) for side in SIDES}
    zone = max((rule.result or 0 for rule in rules.values()), default=0) or None
    names = [rule.name for rule in rules.values() if rule.result == (zone or 0)]
    evidence: dict[str, float | str | bool] = {}
    for side, rule in rules.items():
        own = first_match(DENIS_OF_ALA, _half(facts, side))
        evidence[f"{side.value}_rule"] = rule.name
        if own.result:
            evidence[f"{side.value}_ala_zone"] = float(own.result)
        evidence |= _evidence(side, facts.measurements.sides[side])
    return DenisFinding(
        zone=zone,
        left=rules[Side.LEFT].result,
        right=rules[Side.RIGHT].result,
        rule=(names or [rules[Side.RIGHT].name])[0],
        evidence=evidence,
        unseen=(*unseen_sides(facts), *_unseen_wall(zone)),
    )


def _half(facts: Facts, side: Side) -> _Half:
    # Nothing on one side of a seen sacrum is 0 also where the other side has a fracture.
    judged = facts.presence is Presence.ABSENT or (
        facts.presence is Presence.PRESENT and facts.complete
    )
    central = any(fracture.side is Side.MIDLINE for fracture in facts.measurements.fractures)
    return _Half(facts.measurements.sides[side], central, facts.hidden(side), judged)


def _evidence(side: Side, half: SideMeasurements) -> dict[str, float | str | bool]:
    if half.basis not in LINES:
        return {}
    evidence: dict[str, float | str | bool] = {
        f"{side.value}_{zone.name.lower()}_mm3": round(volume, 1)
        for zone, volume in half.zone_mm3.items()
    }
    if half.touched_foramina:
        evidence[f"{side.value}_touches"] = _names(half.touched_foramina)
    if half.crossed_foramina:
        evidence[f"{side.value}_crosses"] = _names(half.crossed_foramina)
    if half.canal_distance_mm is not None:
        evidence[f"{side.value}_canal_mm"] = round(half.canal_distance_mm, 1)
    return evidence


def _names(levels: tuple[SacralLevel, ...]) -> str:
    return ", ".join(f"{level.name} foramen" for level in levels)


def _unseen_wall(zone: int | None) -> tuple[str, ...]:
    if zone != 3:
        return ()
    return ("step and angle of the posterior wall are not measured: no subtype is stated",)
