"""Denis zones, as ordered rule tables."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.anatomy import DenisZone, SacralLevel, Side
from sifdetect.findings import Basis, DenisFinding, Presence
from sifdetect.measurements import SIDES, SideMeasurements, WallBreak
from sifdetect.rules import LINES, Facts, Rule, first_match, reaches, unseen_sides

TRANSLATED_MM = 1.5
"""A step of 2 mm less what the measure is off (0.5 mm; undisplaced walls measure up to 1 mm)."""

BENT_DEG = 3.0
"""Angle from which the wall is bent; the boundaries of whole sacra measure up to 3°."""

AT_BOUNDARY = 0.25
"""A break this close to the boundary of two segments is named after both."""

COMMINUTED_MM3 = 300.0
"""A fragment's sheet 1.5 mm thick and 14 mm square."""

NO_WALL = "step and angle of the posterior wall cannot be measured: no subtype is stated"

_DENIS_1988 = "Denis 1988, Clin Orthop 227:67"
_ROY_CAMILLE = "Roy-Camille 1985, Spine 10:838"
_STRANGE_VOGNSEN = "Strange-Vognsen and Lebech 1991, J Orthop Trauma 5:200"


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


@dataclass(frozen=True)
class _Centre:
    zone: int | None
    wall: WallBreak | None
    comminution_mm3: float


DENIS_OF_ALA: tuple[Rule[_Half, int | None], ...] = (
    Rule(
        "line reaches the central zone",
        lambda h: reaches(h.measured, DenisZone.CENTRAL) or h.measured.course.reaches_canal,
        3,
        _DENIS_1988,
    ),
    Rule(
        "line reaches a foramen or its corridor",
        lambda h: (
            reaches(h.measured, DenisZone.FORAMINAL) or bool(h.measured.course.reached_foramina)
        ),
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
    Rule("fracture of the midline: both sides are central", lambda h: h.central, 3, _DENIS_1988),
    *DENIS_OF_ALA,
)
"""Zone of one side: what crosses the midline makes both sides central."""


SUBTYPE: tuple[Rule[_Centre, int | None], ...] = (
    Rule("not of the central zone", lambda c: c.zone != 3, None, _STRANGE_VOGNSEN),
    Rule(
        "S1 comminuted",
        lambda c: c.comminution_mm3 >= COMMINUTED_MM3,
        4,
        _STRANGE_VOGNSEN,
    ),
    Rule("posterior wall not measured", lambda c: c.wall is None, None, _ROY_CAMILLE),
    Rule(
        "offset by the whole depth of the body",
        lambda c: c.wall is not None and abs(c.wall.step_mm) >= c.wall.body_depth_mm,
        3,
        _ROY_CAMILLE,
    ),
    Rule(
        "step of the posterior wall",
        lambda c: c.wall is not None and abs(c.wall.step_mm) >= TRANSLATED_MM,
        2,
        _ROY_CAMILLE,
    ),
    Rule(
        "kyphotic angle without a step",
        lambda c: c.wall is not None and c.wall.angle_deg >= BENT_DEG,
        1,
        _ROY_CAMILLE,
    ),
    Rule("no step and no angle", lambda c: True, None, _ROY_CAMILLE),
)
"""Subtype of a fracture of zone 3; None where nothing has moved."""


def denis(facts: Facts) -> DenisFinding:
    """Denis zones per side and over all, the highest.

    The evidence holds the zone of each ala's own fracture too, and step, angle and level of the
    posterior wall, on which the subtype of zone 3 rests.
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
    centre = _centre(facts, zone)
    kind = first_match(SUBTYPE, centre)
    if zone == 3:
        evidence |= {"subtype_rule": kind.name, **_wall_evidence(centre)}
    return DenisFinding(
        zone=zone,
        left=rules[Side.LEFT].result,
        right=rules[Side.RIGHT].result,
        subtype=kind.result,
        rule=(names or [rules[Side.RIGHT].name])[0],
        evidence=evidence,
        unseen=(*unseen_sides(facts), *_unseen_wall(centre)),
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


def _centre(facts: Facts, zone: int | None) -> _Centre:
    measured = facts.measurements
    return _Centre(zone, measured.wall, measured.comminution_mm3)


def _wall_evidence(centre: _Centre) -> dict[str, float | str | bool]:
    if centre.wall is None:
        return {}
    evidence: dict[str, float | str | bool] = {
        "wall_step_mm": round(centre.wall.step_mm, 1),
        "wall_angle_deg": round(centre.wall.angle_deg, 1),
        "wall_level": break_name(centre.wall.level),
    }
    if centre.comminution_mm3:
        evidence["s1_lines_mm3"] = round(centre.comminution_mm3, 1)
    return evidence


def break_name(level: float) -> str:
    """Where a break lies: at the boundary of two segments, or in one ("S1/S2", "S2")."""
    boundary = round(level)
    if 1 <= boundary <= 4 and abs(level - boundary) <= AT_BOUNDARY:
        return f"S{boundary}/S{boundary + 1}"
    return f"S{min(5, max(1, int(level) + 1))}"


def _unseen_wall(centre: _Centre) -> tuple[str, ...]:
    if centre.zone != 3 or centre.wall is not None:
        return ()
    return (NO_WALL,)
