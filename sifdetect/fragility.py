"""Bakker types of fragility fractures of the sacrum, as ordered rule tables."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.anatomy import DenisZone, Modality, Side
from sifdetect.findings import BakkerFinding, BakkerType, Basis
from sifdetect.measurements import SIDES, SideMeasurements
from sifdetect.patterns import Pattern, pattern_of
from sifdetect.rules import LINES, Facts, Rule, first_match, reaches

INTO_JOINT_DEG = 25.0
"""A line that nears the joint by more than this in the axial plane runs into it: on true labels of
synthetic sacra parallel lines lean by −8 to 18°, those into the joint by 31 to 42°."""

ALONG_DEG = 45.0
"""A line that leaves the joint dorsally by less than this is still nearer to its direction than to
the direction across; where fragments have slid past each other lines lean by up to −27°."""

RIM_DEG = 46.0
"""From this on it cuts the corner between anterior cortex and joint."""

RIM_MM = 12.0
"""Width of the anterolateral rim: 1 cm, and a voxel more, since a line has a width itself."""

CONTACT_MM = 6.0
"""Height over which a line must lie in the joint face: four voxels."""

ALONG_JOINT = 0.5
"""Share of a line in contact with the joint face from which it runs in the joint."""

DEFORMED_MM = 1.3
"""Height of a ridge of the anterior cortex over the middle of edema that is mostly more than the
ala's own roundness: 1.3 to 4.4 mm in 13 bent cortices of synthetic sacra, over 18 bruises up to
1.2 but for three."""

BENT_MM = 1.15
"""The same beyond the other ala at the mirrored place: from 1.4 mm on in 12 bent cortices of
synthetic sacra, up to 0.9 in 13 bruises."""

NO_BRUISE = "a bruise without a line is not seen on CT (A1)"
NO_CT = "CT is not seen: a line on CT would make A1 a type B"

_BAKKER = "Bakker 2018, J Korean Neurosurg Soc 61:258"

BAKKER_OF_ALA: tuple[Rule[SideMeasurements, BakkerType | None], ...] = (
    Rule("no fracture of the ala", lambda s: s.basis is None, None, _BAKKER),
    Rule(
        "alar edema without a line, anterior cortex deformed and not broken",
        lambda s: s.basis is Basis.EDEMA and _deformed(s),
        BakkerType.A2,
        _BAKKER,
    ),
    Rule("alar edema without a line", lambda s: s.basis is Basis.EDEMA, BakkerType.A1, _BAKKER),
    Rule("no line seen", lambda s: s.basis not in LINES, None, _BAKKER),
    Rule(
        "alar line into a foramen or the canal",
        lambda s: bool(s.course.reached_foramina) or _reaches_medially(s),
        BakkerType.B3,
        _BAKKER,
    ),
    Rule(
        "line of the anterolateral rim, at most 1 cm from the sacroiliac joint or into it",
        lambda s: _lean(s) >= RIM_DEG and _at_rim(s),
        BakkerType.A3,
        _BAKKER,
    ),
    Rule(
        "alar line into the sacroiliac joint",
        lambda s: (
            (_lean(s) >= INTO_JOINT_DEG and s.course.joint_contact_mm >= CONTACT_MM)
            or s.course.joint_contact_share >= ALONG_JOINT
        ),
        BakkerType.B2,
        _BAKKER,
    ),
    Rule(
        "alar line parallel to the sacroiliac joint",
        lambda s: s.course.lean_deg is not None and -ALONG_DEG < _lean(s) < INTO_JOINT_DEG,
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


def _reaches_medially(side: SideMeasurements) -> bool:
    return reaches(side, DenisZone.FORAMINAL) or reaches(side, DenisZone.CENTRAL)


def _deformed(side: SideMeasurements) -> bool:
    """By the other ala where that is whole, else by the height of the ridge alone."""
    if side.cortex_bent_mm is not None:
        return side.cortex_bent_mm >= BENT_MM
    return (side.cortex_ridge_mm or 0.0) >= DEFORMED_MM


def _lean(side: SideMeasurements) -> float:
    return side.course.lean_deg or 0.0


def _at_rim(side: SideMeasurements) -> bool:
    """Near the joint as a whole, or from the anterior cortex into the joint face, across the corner
    between the two."""
    course = side.course
    near = course.joint_depth_mm is not None and course.joint_depth_mm <= RIM_MM
    through = course.joint_contact_mm >= CONTACT_MM and course.anterior_contact_mm >= CONTACT_MM
    return near or through


def _telling(right: str, left: str, corpus: Rule[_Corpus, BakkerType | None]) -> str:
    """The rule of the most severe part: the corpus, else the alae."""
    if corpus.result is not None:
        return corpus.name
    none = BAKKER_OF_ALA[0].name
    named = list(dict.fromkeys(name for name in (right, left) if name != none))
    return "; ".join(named) or none


def _course(side: Side, half: SideMeasurements) -> dict[str, float | str | bool]:
    name, course = side.value, half.course
    measured = {
        f"{name}_joint_mm": half.joint_distance_mm,
        f"{name}_joint_angle_deg": half.joint_angle_deg,
        f"{name}_lean_deg": course.lean_deg,
        f"{name}_depth_mm": course.depth_mm,
        f"{name}_cortex_ridge_mm": half.cortex_ridge_mm,
        f"{name}_cortex_bent_mm": half.cortex_bent_mm,
    }
    if course.lean_deg is not None:
        measured[f"{name}_joint_contact_mm"] = course.joint_contact_mm
        measured[f"{name}_foramen_contact_mm2"] = max(
            course.foramen_contact_mm2.values(), default=0
        )
        measured[f"{name}_anterior_cortex_broken_mm"] = course.anterior_contact_mm
    return {name: round(value, 1) for name, value in measured.items() if value is not None}


def _unseen_bakker(facts: Facts) -> tuple[str, ...]:
    if not facts.measurements.fractures:
        return ()
    unseen = []
    if facts.measurements.modality is Modality.MR and Basis.EDEMA in facts.bases:
        unseen.append(NO_CT)
    if facts.measurements.modality is Modality.MR:
        unseen.append("MR shows the anterior cortex less well than CT (A2, A3)")
    else:
        unseen.append(NO_BRUISE)
    return tuple(unseen)
