"""The pattern that the limbs of a whole sacrum make, as an ordered rule table."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.anatomy import SacralLevel, Side
from sifdetect.findings import Morphology, MorphologyFinding, Presence
from sifdetect.measurements import (
    LEAVES,
    LEAVES_EDEMA,
    SIDES,
    TransverseLimb,
    VerticalLimb,
    main_limb,
)
from sifdetect.rules import HALF_SEEN, LINES, Facts, Rule, first_match, unseen_sides

_DENIS_1988 = "Denis 1988, Clin Orthop 227:67"
_ROY_CAMILLE = "Roy-Camille 1985, Spine 10:838; Linstrom 2009, Spine 34:309"


@dataclass(frozen=True)
class Pattern:
    """Vertical and transverse limbs, as the table of patterns sees them.

    Attributes:
        alae: sides with a fracture.
        above, below: sides whose limb goes on above and below the transverse limb.
        transverse: the limb that crosses the bodies; of several the main one.
        midline_line: True where a line lies in the midline and does not run across.
        hidden: sides that are not in view.
        below_hidden: True where what lies below the transverse limb is not in view.
        excluded: True where no fracture is left to be seen.
    """

    alae: frozenset[Side]
    above: frozenset[Side]
    below: frozenset[Side]
    transverse: TransverseLimb | None
    midline_line: bool
    hidden: frozenset[Side]
    below_hidden: bool
    excluded: bool

    @property
    def limbs(self) -> frozenset[Side]:
        """Sides whose limb leaves the transverse one."""
        return self.above | self.below

    @property
    def full(self) -> frozenset[Side]:
        """Sides whose limb goes on both above and below."""
        return self.above & self.below


MORPHOLOGY: tuple[Rule[Pattern, Morphology], ...] = (
    Rule(
        "no fracture",
        lambda p: p.excluded,
        Morphology.NONE,
        "by definition",
    ),
    Rule(
        "no fracture seen, not enough seen to exclude one",
        lambda p: not p.alae and p.transverse is None and not p.midline_line,
        Morphology.INDETERMINATE,
        "by definition",
    ),
    Rule(
        "transverse limb, a full vertical limb on both sides",
        lambda p: p.transverse is not None and len(p.full) == 2,
        Morphology.H,
        _ROY_CAMILLE,
    ),
    Rule(
        "transverse limb, vertical limbs that may go on below the field of view",
        lambda p: p.transverse is not None and len(p.above) == 2 and p.below_hidden,
        Morphology.INDETERMINATE,
        _ROY_CAMILLE,
    ),
    Rule(
        "transverse limb, vertical limbs above it only",
        lambda p: p.transverse is not None and len(p.above) == 2 and not p.below,
        Morphology.U,
        _ROY_CAMILLE,
    ),
    Rule(
        "transverse limb, one full vertical limb, the other on one side of it only",
        lambda p: p.transverse is not None and len(p.full) == 1 and len(p.limbs) == 2,
        Morphology.LAMBDA,
        _ROY_CAMILLE,
    ),
    Rule(
        "transverse limb, vertical limbs that make no named pattern",
        lambda p: p.transverse is not None and len(p.limbs) == 2,
        Morphology.INDETERMINATE,
        _ROY_CAMILLE,
    ),
    Rule(
        "a fracture on one side, the other ala not in view",
        lambda p: len(p.alae) < 2 and bool(p.hidden - p.alae),
        Morphology.INDETERMINATE,
        "by definition",
    ),
    Rule(
        "transverse limb, one vertical limb",
        lambda p: p.transverse is not None and len(p.limbs) == 1,
        Morphology.T,
        _ROY_CAMILLE,
    ),
    Rule(
        "transverse limb alone",
        lambda p: p.transverse is not None,
        Morphology.TRANSVERSE,
        _ROY_CAMILLE,
    ),
    Rule(
        "vertical line in the midline",
        lambda p: p.midline_line,
        Morphology.INDETERMINATE,
        _DENIS_1988,
    ),
    Rule("both alae", lambda p: len(p.alae) == 2, Morphology.BILATERAL, _DENIS_1988),
    Rule("one ala", lambda p: len(p.alae) == 1, Morphology.UNILATERAL, _DENIS_1988),
)
"""Pattern of the whole sacrum; limbs of edema alone count as limbs."""


def morphology(facts: Facts) -> MorphologyFinding:
    """Pattern that vertical and transverse limbs make."""
    pattern = pattern_of(facts)
    rule = first_match(MORPHOLOGY, pattern)
    evidence: dict[str, float | str | bool] = {}
    if pattern.transverse is not None:
        evidence["transverse_level"] = round(pattern.transverse.level, 2)
        evidence["transverse_width_mm"] = round(pattern.transverse.width_mm, 1)
        evidence["transverse_basis"] = pattern.transverse.basis.value
    for side in SIDES:
        limb = facts.measurements.sides[side].limb
        if limb is not None:
            evidence[f"{side.value}_upper_level"] = round(limb.upper, 2)
            evidence[f"{side.value}_lower_level"] = round(limb.lower, 2)
            evidence[f"{side.value}_basis"] = limb.basis.value
    return MorphologyFinding(
        value=rule.result, rule=rule.name, evidence=evidence, unseen=unseen_sides(facts)
    )


def pattern_of(facts: Facts) -> Pattern:
    """The limbs of a sacrum; of several transverse ones the main one counts."""
    measured = facts.measurements
    main = main_limb(measured.transverse)
    limbs = {s: measured.sides[s].limb for s in SIDES}
    return Pattern(
        alae=frozenset(side for side, limb in limbs.items() if limb is not None),
        above=frozenset(s for s, limb in limbs.items() if _beyond(limb, main, s, -1)),
        below=frozenset(s for s, limb in limbs.items() if _beyond(limb, main, s, 1)),
        transverse=main,
        midline_line=measured.midline_line,
        hidden=frozenset(side for side in SIDES if facts.hidden(side)),
        below_hidden=main is not None and _below_hidden(facts, main),
        excluded=facts.presence is Presence.ABSENT,
    )


def _beyond(
    limb: VerticalLimb | None, transverse: TransverseLimb | None, side: Side, direction: int
) -> bool:
    if limb is None or transverse is None:
        return False
    least = LEAVES if limb.basis in LINES else LEAVES_EDEMA
    end = limb.lower if direction > 0 else limb.upper
    return (end - transverse.junction[side]) * direction >= least


def _below_hidden(facts: Facts, transverse: TransverseLimb) -> bool:
    below = SacralLevel(min(5, int(transverse.level + LEAVES) + 1))
    return facts.context.coverage.get(below, 0.0) < HALF_SEEN
