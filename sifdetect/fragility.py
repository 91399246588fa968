"""Bakker types and FFP types of fragility fractures, as ordered rule tables."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.anatomy import DenisZone, Modality, Side
from sifdetect.findings import BakkerFinding, BakkerType, Basis, FfpFinding, FfpType, Presence
from sifdetect.measurements import SIDES, SideMeasurements
from sifdetect.patterns import Pattern, pattern_of
from sifdetect.rules import LINES, Facts, Rule, first_match, reaches

PARALLEL_DEG = 30.0
"""Planes of line and joint that differ by less than this run parallel; both are rough."""

_BAKKER = "Bakker 2018, J Korean Neurosurg Soc 61:258"
_FFP = "Rommens and Hofmann 2013, Injury 44:1733"

BAKKER_OF_ALA: tuple[Rule[SideMeasurements, BakkerType | None], ...] = (
    Rule("no fracture of the ala", lambda s: s.basis is None, None, _BAKKER),
    Rule("alar edema without a line", lambda s: s.basis is Basis.EDEMA, BakkerType.A1, _BAKKER),
    Rule("no line seen", lambda s: s.basis not in LINES, None, _BAKKER),
    Rule(
        "alar line into a foramen or the canal",
        lambda s: bool(s.touched_foramina) or _reaches_medially(s),
        BakkerType.B3,
        _BAKKER,
    ),
    Rule(
        "alar line into the sacroiliac joint",
        lambda s: s.joint_distance_mm == 0,
        BakkerType.B2,
        _BAKKER,
    ),
    Rule(
        "alar line parallel to the sacroiliac joint",
        lambda s: s.joint_angle_deg is not None and s.joint_angle_deg <= PARALLEL_DEG,
        BakkerType.B1,
        _BAKKER,
    ),
    Rule("course of the alar line not certain", lambda s: True, None, _BAKKER),
)


@dataclass(frozen=True)
class _Corpus:
    pattern: Pattern
    central: frozenset[Side]

    @property
    def involved(self) -> bool:
        pattern = self.pattern
        return pattern.transverse is not None or pattern.midline_line or bool(self.central)


BAKKER_OF_CORPUS: tuple[Rule[_Corpus, BakkerType | None], ...] = (
    Rule(
        "transverse limb and a vertical limb on both sides",
        lambda c: c.pattern.transverse is not None and len(c.pattern.alae) == 2,
        BakkerType.C3,
        _BAKKER,
    ),
    Rule(
        "line in the corpus, one side involved",
        lambda c: c.involved and len(c.pattern.alae) == 1,
        BakkerType.C2,
        _BAKKER,
    ),
    Rule(
        "line in the corpus alone",
        lambda c: c.involved and not c.pattern.alae,
        BakkerType.C1,
        _BAKKER,
    ),
    Rule("lines of both sides in the corpus", lambda c: c.involved, None, _BAKKER),
    Rule("no line in the corpus", lambda c: True, None, _BAKKER),
)

FFP: tuple[Rule[Facts, FfpType | None], ...] = (
    Rule(
        "no fracture of the sacrum stated",
        lambda f: f.presence is not Presence.PRESENT,
        None,
        _FFP,
    ),
    Rule(
        "vertical limbs on both sides and a transverse one: spinopelvic dissociation",
        lambda f: len(pattern_of(f).alae) == 2 and pattern_of(f).transverse is not None,
        FfpType.IVB,
        _FFP,
    ),
    Rule("posterior fracture, anterior ring not seen", lambda f: True, FfpType.IIA, _FFP),
)


def bakker(facts: Facts) -> BakkerFinding:
    """Bakker type of each ala and of the corpus, as far as zones, foramina and joint tell it."""
    sides = facts.measurements.sides
    rules = {side: first_match(BAKKER_OF_ALA, sides[side]) for side in SIDES}
    central = frozenset(side for side in SIDES if reaches(sides[side], DenisZone.CENTRAL))
    corpus = first_match(BAKKER_OF_CORPUS, _Corpus(pattern_of(facts), central))
    evidence: dict[str, float | str | bool] = {
        f"{side.value}_rule": rule.name for side, rule in rules.items()
    }
    evidence["corpus_rule"] = corpus.name
    for side in SIDES:
        evidence |= _course(side, sides[side])
    return BakkerFinding(
        left=rules[Side.LEFT].result,
        right=rules[Side.RIGHT].result,
        corpus=corpus.result,
        rule=_telling(rules[Side.RIGHT].name, rules[Side.LEFT].name, corpus),
        evidence=evidence,
        unseen=_unseen_bakker(facts),
    )


def ffp(facts: Facts) -> FfpFinding:
    """FFP type; always "at least", since pubic rami and displacement are not measured."""
    rule = first_match(FFP, facts)
    unseen = ("the anterior ring is not assessed", "displacement is not measured")
    return FfpFinding(
        value=rule.result,
        at_least=rule.result is not None,
        rule=rule.name,
        evidence={
            "fractured_alae": float(len(pattern_of(facts).alae)),
            "transverse": pattern_of(facts).transverse is not None,
        },
        unseen=unseen if rule.result is not None else (),
    )


def _reaches_medially(side: SideMeasurements) -> bool:
    return reaches(side, DenisZone.FORAMINAL) or reaches(side, DenisZone.CENTRAL)


def _telling(right: str, left: str, corpus: Rule[_Corpus, BakkerType | None]) -> str:
    """The rule of the most severe part: the corpus, else the alae."""
    if corpus.result is not None:
        return corpus.name
    none = BAKKER_OF_ALA[0].name
    named = list(dict.fromkeys(name for name in (right, left) if name != none))
    return "; ".join(named) or none


def _course(side: Side, half: SideMeasurements) -> dict[str, float | str | bool]:
    measured = {
        f"{side.value}_joint_mm": half.joint_distance_mm,
        f"{side.value}_joint_angle_deg": half.joint_angle_deg,
    }
    return {name: round(value, 1) for name, value in measured.items() if value is not None}


def _unseen_bakker(facts: Facts) -> tuple[str, ...]:
    if not facts.measurements.fractures:
        return ()
    unseen = ["anterior cortex and anterolateral rim are not assessed (A2, A3)"]
    if facts.measurements.modality is Modality.MR and Basis.EDEMA in facts.bases:
        unseen.append("CT is not seen: a line on CT would make A1 a type B")
    return tuple(unseen)
