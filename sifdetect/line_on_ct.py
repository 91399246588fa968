"""What a line on CT says of an edema on MR that it lies in: measures, zone, type, what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sifdetect.anatomy import Side
from sifdetect.denis import NO_WALL
from sifdetect.findings import BakkerFinding, Basis, DenisFinding, Fracture, MorphologyFinding
from sifdetect.rules import edema_only

PLACE = {Side.RIGHT: "right ala", Side.LEFT: "left ala", Side.MIDLINE: "midline"}
"""Where a finding is, as a sentence on both modalities names it."""


def on_line(edema: Fracture, line: Fracture) -> Fracture:
    """An edema on MR with the measures of the line that CT shows in it."""
    return replace(
        edema,
        basis=Basis.LINE_AND_EDEMA,
        levels=line.levels,
        length_mm=line.length_mm,
        foramen_distance_mm=line.foramen_distance_mm,
        canal_distance_mm=line.canal_distance_mm,
        crosses_midline=line.crosses_midline,
        step_mm=line.step_mm,
        angle_deg=line.angle_deg,
    )


def denis_with(own: DenisFinding, of_lines: DenisFinding, sides: Sequence[Side]) -> DenisFinding:
    """Zones of MR with those of the lines on CT, and their subtype where the midline's is one."""
    left = of_lines.left if Side.LEFT in sides else own.left
    right = of_lines.right if Side.RIGHT in sides else own.right
    midline = Side.MIDLINE in sides
    told = {name: one for name, one in own.evidence.items() if not midline or "subtype" not in name}
    central = own.zone == 3 or (midline and of_lines.zone == 3)
    return replace(
        own,
        zone=3 if central else max(left or 0, right or 0) or own.zone,
        left=left,
        right=right,
        subtype=of_lines.subtype if midline else own.subtype,
        rule=_with_rule(own.rule, of_lines.rule, sides),
        evidence={**told, **{f"ct_{k}": v for k, v in of_lines.evidence.items()}},
        unseen=_unanswered(own.unseen, of_lines.unseen, sides),
    )


def bakker_with(
    own: BakkerFinding, of_lines: BakkerFinding, sides: Sequence[Side]
) -> BakkerFinding:
    """Types of MR with those of the lines on CT."""
    return replace(
        own,
        left=of_lines.left if Side.LEFT in sides else own.left,
        right=of_lines.right if Side.RIGHT in sides else own.right,
        corpus=of_lines.corpus if Side.MIDLINE in sides else own.corpus,
        rule=_with_rule(own.rule, of_lines.rule, sides),
        evidence={**own.evidence, **{f"ct_{k}": v for k, v in of_lines.evidence.items()}},
    )


def pattern_with(own: MorphologyFinding, sides: Sequence[Side]) -> MorphologyFinding:
    """The pattern is of MR; that an ala shows no line is not said where CT shows one."""
    return replace(own, unseen=_unanswered(own.unseen, (NO_WALL,), sides))


def _unanswered(
    own: Sequence[str], of_lines: Sequence[str], sides: Sequence[Side]
) -> tuple[str, ...]:
    """What MR could not see, without what the lines on CT have shown."""
    shown = {edema_only(side) for side in sides}
    if Side.MIDLINE in sides and NO_WALL not in of_lines:
        shown.add(NO_WALL)
    return tuple(one for one in own if one not in shown)


def _with_rule(own: str, of_lines: str, sides: Sequence[Side]) -> str:
    where = " and ".join(PLACE[side] for side in sides)
    same = own == of_lines
    return f"{own}; {where} by the line on CT" + ("" if same else f": {of_lines}")
