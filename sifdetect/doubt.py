"""Lines that say too little to be stated: small ones beside a large one, and those in the bodies
alone. They are told as uncertain, for the reader to look at (decision 0037)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sifdetect.anatomy import AnatomyLabel, LesionBit, Side
from sifdetect.components import Points, Sacrum
from sifdetect.findings import OtherFinding
from sifdetect.limbs import Lines
from sifdetect.measurements import SIDES, UNCERTAIN
from sifdetect.score import SURE, likelihood

SMALL_SHARE = 0.15
"""A line of less than this share of the largest, without edema of its own, is small."""

BODY_SHARE = 0.9
"""A line of which more lies in the bodies is theirs alone: one that parts the sacrum leaves them
through the corridors, with a third of itself or more."""


def doubtful(sacrum: Sacrum, lines: Lines, swollen: Collection[Side]) -> frozenset[Side]:
    """The sides of which the lines are not to be stated: neither SURE nor with edema of their own.

    Small ones of an ala beside a larger one; and those of the midline that stay in the bodies,
    unless there is a line on both sides for them to join.

    Args:
        sacrum: the bone.
        lines: of it.
        swollen: sides with edema enough for a finding.
    """
    unsure = {
        side
        for side, line in lines.of.items()
        if len(line) and side not in swollen and not _sure(sacrum, line)
    }
    most = max(len(line) for line in lines.of.values())
    small = {side for side in SIDES if side in unsure and len(lines.of[side]) < SMALL_SHARE * most}
    joined = all(len(lines.of[side]) and side not in small for side in SIDES)
    alone = Side.MIDLINE in unsure and not joined and _in_bodies(lines.of[Side.MIDLINE])
    return frozenset({*small, Side.MIDLINE} if alone else small)


def told(sacrum: Sacrum, lines: Lines, sides: frozenset[Side]) -> Iterator[OtherFinding]:
    """The lines of those sides, as findings that are too uncertain to be stated."""
    for side in sorted(sides, key=list(Side).index):
        own = lines.of[side]
        yield OtherFinding(
            kind=UNCERTAIN,
            side=side,
            centroid_lps_mm=sacrum.centroid_lps_mm(own.index),
            volume_mm3=sacrum.volume_mm3(own),
        )


def _sure(sacrum: Sacrum, line: Points) -> bool:
    return likelihood(sacrum, LesionBit.FRACTURE_LINE, line) >= SURE


def _in_bodies(line: Points) -> bool:
    return bool((line.label == AnatomyLabel.SACRAL_BODY).mean() > BODY_SHARE)
