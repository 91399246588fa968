"""Two dates of one sacrum: what is new, grown, unchanged, shrunk or healed.

Findings are matched ala by ala, since there is at most one for each ala and one for the midline;
where the scans lie over each other, they must also lie in the same place. What one of the two scans
could not have shown is never called new or healed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sifdetect.anatomy import Modality, SacralLevel, Side
from sifdetect.changes import Change, FindingChange
from sifdetect.findings import Basis, Fracture, Presence
from sifdetect.rules import COMPLETE
from sifdetect.volume import Floats, LabelMap

APART_MM = 5.0
"""Voxels of two dates that come no closer than this are two findings: 3 mm may lie in the
registration, and 2 mm, two voxels, in the outlines."""

REPEAT_SHARE = {"edema": 0.3, "line": 0.7, "sclerosis": 0.7}
"""Volumes that differ by less than this share of the larger one are called unchanged. Three
synthetic patients were examined three times each, with other noise and in another position
(docs/rules.md): edema of over 20 ml came out up to 24 % apart, lines on CT up to 65 %."""

REPEAT_MM3 = {"edema": 3000.0, "line": 2000.0, "sclerosis": 4500.0}
"""Nor do smaller differences count: the largest between those examinations were 3.0 ml of edema
(below 20 ml), 2.0 ml of line, and 4.3 ml of sclerosis beside a line."""

REPEAT_LENGTH_MM = 25.0
"""The same for the length of a line on CT: 23 mm. On MR one line came out 32 and 77 mm long; there
its length is not compared."""

SIDES = (Side.RIGHT, Side.LEFT, Side.MIDLINE)
_LINES = (Basis.LINE, Basis.LINE_AND_EDEMA)


@dataclass(frozen=True)
class Dated:
    """What the series of one modality show on one date.

    Attributes:
        study_instance_uid: of the study.
        fluid_sensitive: True where marrow edema could be judged.
        coverage: share of each level in view, 0–1.
        uncertain: sides with a finding too uncertain to be stated.
        marked: value n marks the voxels of ``fractures[n - 1]``; None where they are not known.
    """

    study_instance_uid: str
    modality: Modality
    fluid_sensitive: bool
    presence: Presence
    fractures: tuple[Fracture, ...]
    coverage: dict[SacralLevel, float] = field(default_factory=dict)
    uncertain: frozenset[Side] = frozenset()
    marked: LabelMap | None = None

    def of(self, side: Side) -> Fracture | None:
        """The finding on a side."""
        return next((one for one in self.fractures if one.side is side), None)


@dataclass(frozen=True)
class _Pair:
    """One side on both dates."""

    side: Side
    now: Dated
    prior: Dated
    matrix: Floats | None


def compare(now: Dated, prior: Dated, matrix: Floats | None = None) -> tuple[FindingChange, ...]:
    """What became of each finding, a new contralateral ala first, then what is new or has grown.

    Args:
        matrix: (4, 4), LPS mm of the prior scan to LPS mm of this one; None where the scans are
            not laid over each other: then sides and volumes alone are compared.
    """
    changes = [
        one
        for side in SIDES
        for one in _side(_Pair(side=side, now=now, prior=prior, matrix=matrix))
    ]
    opposite = new_contralateral(changes, prior)
    order = list(_ORDER)
    return tuple(sorted(changes, key=lambda c: (c.side not in opposite, order.index(c.change))))


def new_contralateral(changes: list[FindingChange], prior: Dated) -> tuple[Side, ...]:
    """Alae with a new finding, none there before, opposite one that had a finding before."""
    had = {one.side for one in prior.fractures}
    return tuple(
        one.side
        for one in changes
        if one.change is Change.NEW
        and one.side is not Side.MIDLINE
        and one.side.opposite in had
        and one.side not in had
    )


_ORDER = (
    Change.NEW,
    Change.GROWN,
    Change.NOT_COMPARED,
    Change.UNCHANGED,
    Change.SHRUNK,
    Change.HEALED,
)


def _side(pair: _Pair) -> Iterator[FindingChange]:
    now, prior = pair.now.of(pair.side), pair.prior.of(pair.side)
    if now is not None and prior is not None:
        gap, overlap = _together(pair, now, prior)
        if gap is not None and gap > APART_MM:
            where = f"{gap:.0f} mm from the earlier one"
            yield replace(_appeared(pair, now), reason=f"in another place, {where}")
            yield replace(_vanished(pair, prior), reason="no longer seen in its place")
        else:
            yield replace(_both(pair, now, prior), overlap=overlap)
    elif now is not None:
        yield _appeared(pair, now)
    elif prior is not None:
        yield _vanished(pair, prior)


def _appeared(pair: _Pair, now: Fracture) -> FindingChange:
    why = _blind(pair.prior, now, pair.now) or _doubt(pair.prior)
    change = Change.NOT_COMPARED if why else Change.NEW
    name, volume = _own(now)
    reason = f"whether it was there before is not known: {why}" if why else "not there before"
    return FindingChange(
        side=pair.side, change=change, id=now.id, measure=name, volume_mm3=volume, reason=reason
    )


def _vanished(pair: _Pair, prior: Fracture) -> FindingChange:
    why = _blind(pair.now, prior, pair.prior) or _doubt(pair.now)
    change = Change.NOT_COMPARED if why else Change.HEALED
    name, volume = _own(prior)
    reason = f"whether it is still there is not known: {why}" if why else "no longer seen"
    return FindingChange(
        side=pair.side,
        change=change,
        prior_id=prior.id,
        measure=name,
        prior_volume_mm3=volume,
        reason=reason,
    )


def _both(pair: _Pair, now: Fracture, prior: Fracture) -> FindingChange:
    known = FindingChange(side=pair.side, change=Change.NOT_COMPARED, id=now.id, prior_id=prior.id)
    why = _unlike(pair) or _cut(pair, now, prior)
    if why:
        return replace(known, reason=f"seen on both dates; {why}")
    ct = pair.now.modality is Modality.CT
    if ct and prior.basis in _LINES and now.basis is Basis.SCLEROSIS:
        reason = "the line is no longer seen, a band of sclerosis is left"
        return replace(known, change=Change.HEALED, reason=reason)
    told = [one for one in (_volumes(now, prior), ct and _lengths(now, prior)) if one]
    if not told:
        reason = f"seen on both dates; {prior.basis.value} before, {now.basis.value} now"
        return replace(known, reason=reason)
    # The volume decides; the length of the line where the volume is as it was.
    change = next((c for c, _ in told if c is not Change.UNCHANGED), Change.UNCHANGED)
    reasons = [text for stated, text in told if change in (stated, Change.UNCHANGED)]
    if prior.basis is Basis.EDEMA and now.basis is Basis.LINE_AND_EDEMA:
        reasons.append("a line is seen in the edema now")
    measures = _measure(now, prior)
    name, volume, before = measures if measures else ("", None, None)
    return replace(
        known,
        change=change,
        measure=name,
        volume_mm3=volume,
        prior_volume_mm3=before,
        reason="; ".join(reasons),
    )


def _volumes(now: Fracture, prior: Fracture) -> tuple[Change, str] | None:
    measures = _measure(now, prior)
    if measures is None:
        return None
    name, volume, before = measures
    limit = max(REPEAT_MM3[name], REPEAT_SHARE[name] * max(volume, before))
    text = f"{name} {before / 1000:.1f} ml before, {volume / 1000:.1f} ml now"
    return _changed(volume - before, limit), text


def _lengths(now: Fracture, prior: Fracture) -> tuple[Change, str] | None:
    if now.basis not in _LINES or prior.basis not in _LINES:
        return None
    text = f"length of the line {prior.length_mm:.0f} mm before, {now.length_mm:.0f} mm now"
    return _changed(now.length_mm - prior.length_mm, REPEAT_LENGTH_MM), text


def _changed(difference: float, limit: float) -> Change:
    if abs(difference) <= limit:
        return Change.UNCHANGED
    return Change.GROWN if difference > 0 else Change.SHRUNK


def _measure(now: Fracture, prior: Fracture) -> tuple[str, float, float] | None:
    """Name and volumes, now and before, of what both dates show; like is compared with like."""
    if (
        now.edema_mm3 is not None
        and prior.edema_mm3 is not None
        and (now.edema_mm3 or prior.edema_mm3)
    ):
        return "edema", now.edema_mm3, prior.edema_mm3
    if now.basis is prior.basis is Basis.LINE:
        return "line", now.volume_mm3, prior.volume_mm3
    if now.basis is prior.basis is Basis.SCLEROSIS:
        return "sclerosis", now.volume_mm3, prior.volume_mm3
    return None


def _own(fracture: Fracture) -> tuple[str, float]:
    if fracture.edema_mm3 and fracture.basis is not Basis.LINE:
        return "edema", fracture.edema_mm3
    return ("line" if fracture.basis in _LINES else fracture.basis.value), fracture.volume_mm3


def _unlike(pair: _Pair) -> str:
    """Why the extent on two dates has nothing to be compared by; empty where it has."""
    now, prior = pair.now, pair.prior
    if now.modality is not prior.modality:
        return f"{prior.modality.value} before and {now.modality.value} now show different things"
    if now.modality is Modality.MR and now.fluid_sensitive is not prior.fluid_sensitive:
        return "only one of the dates has a fat-suppressed series"
    return ""


def _blind(scan: Dated, fracture: Fracture, other: Dated) -> str:
    """Why ``scan`` would not show a fracture that ``other`` shows; empty where it would."""
    hidden = [level.name for level in fracture.levels if not _covers(scan, level)]
    if hidden:
        return f"{', '.join(hidden)} not wholly in view"
    if scan.modality is not other.modality:
        return f"{scan.modality.value} and {other.modality.value} show different things"
    if fracture.basis not in _LINES and other.fluid_sensitive and not scan.fluid_sensitive:
        return "no fat-suppressed series"
    return ""


def _doubt(scan: Dated) -> str:
    """A scan with an uncertain finding states none at all, wherever another one may lie."""
    return "what it shows was too uncertain to be stated" if scan.uncertain else ""


def _cut(pair: _Pair, now: Fracture, prior: Fracture) -> str:
    """Why volumes are not those of the whole finding; empty where they are."""
    levels = sorted({*now.levels, *prior.levels})
    scans = (pair.now, pair.prior)
    cut = [level.name for level in levels if not all(_covers(scan, level) for scan in scans)]
    return f"{', '.join(cut)} not wholly in view on both" if cut else ""


def _covers(scan: Dated, level: SacralLevel) -> bool:
    return scan.coverage.get(level, 0.0) >= COMPLETE


def _together(pair: _Pair, now: Fracture, prior: Fracture) -> tuple[float | None, float | None]:
    """Gap in mm between the two findings, and their Dice coefficient; None where not registered."""
    here, there = pair.now.marked, pair.prior.marked
    if pair.matrix is None or here is None or there is None:
        return None, None
    mine = np.argwhere(here.values == 1 + pair.now.fractures.index(now))
    theirs = np.argwhere(there.values == 1 + pair.prior.fractures.index(prior))
    if len(mine) == 0 or len(theirs) == 0:
        return None, None
    points = there.grid.index_to_mm(theirs) @ pair.matrix[:3, :3].T + pair.matrix[:3, 3]
    gap = float(cKDTree(here.grid.index_to_mm(mine)).query(points)[0].min())
    return gap, _dice(here, mine, points, there.grid.voxel_volume_mm3)


def _dice(here: LabelMap, mine: NDArray[np.int64], points: Floats, voxel_mm3: float) -> float:
    number = here.values[tuple(mine[0])]
    index = np.rint(here.grid.mm_to_index(points)).astype(int)
    inside = ((index >= 0) & (index < here.grid.shape)).all(axis=1)
    common = (here.values[tuple(index[inside].T)] == number).sum() * voxel_mm3
    size = len(mine) * here.grid.voxel_volume_mm3 + len(points) * voxel_mm3
    return round(float(min(1.0, 2 * common / size)), 2)
