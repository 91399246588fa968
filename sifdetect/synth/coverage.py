"""How much of the sacrum an examination covers, and what its truth may then say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, SacralLevel, Side
from sifdetect.findings import (
    Coverage,
    DenisFinding,
    Morphology,
    MorphologyFinding,
    Presence,
    StudyFindings,
)
from sifdetect.synth.scene import VISIBLE, CaseParams, points_of, scene_at
from sifdetect.synth.truth import TRUTH_BOX_MM, levels_of
from sifdetect.volume import Floats, Grid

SAMPLE_MM = 3.0
WHOLE = 0.95
"""Share from which a level or a fracture counts as wholly in view: the rest is a rim."""
SEEN = 0.02
"""Share below which a fracture is not in view."""
FRACTURED = (SacralLevel.S1, SacralLevel.S2, SacralLevel.S3, SacralLevel.S4)
"""Levels without which the absence of a fracture cannot be stated (contract of presence)."""


def coverage_of(params: CaseParams, grids: Sequence[Grid]) -> Coverage:
    """Share of the sacral bone, in all and by level, that lies inside at least one of the grids.

    The bone is sampled every ``SAMPLE_MM``. A level whose share is below ``WHOLE`` is named in
    ``limits``, in the words of the analysis. A level that the sacrum does not have is left out.
    """
    box = params.frame.grid(*TRUTH_BOX_MM, SAMPLE_MM)
    points = points_of(params, box)
    bones = params.shape.bones(points)
    sacral = np.isin(bones.labels, [int(label) for label in SACRUM_LABELS])
    levels = levels_of(params)
    level = np.clip(np.floor(bones.level[sacral]), 0, len(levels) - 1).astype(int) + 1
    seen = _in_view(box.index_to_mm(np.argwhere(sacral)), grids)
    by_level = {
        one: float(seen[level == one].mean()) if (level == one).any() else 0.0 for one in levels
    }
    return Coverage(
        sacrum=float(seen.mean()),
        by_level=by_level,
        limits=tuple(_limit(one.name, share) for one, share in by_level.items() if share < WHOLE),
    )


def as_covered(truth: StudyFindings, params: CaseParams, grids: Sequence[Grid]) -> StudyFindings:
    """The truth of a case as a perfect reader would say it of what the grids show.

    A fracture wholly out of view stays in ``fractures``, so that it can be looked up, but nothing
    is asserted of it: its ``confidence`` is 0 and ``coverage.limits`` names it, as it names one
    that is only partly in view. The pattern is then indeterminate, and Denis' zone is that of what
    is in view; a side that shows none is unknown. Where nothing is in view but S1–S4 are not
    whole, presence is indeterminate with a probability of 0.5, whether a fracture hides or not.
    """
    covered = coverage_of(params, grids)
    shares = _fracture_shares(truth, params, grids, covered)
    limits = [_limit(name, share) for name, share in shares.items() if share < WHOLE]
    covered = replace(covered, limits=(*covered.limits, *limits))
    hidden = {name for name, share in shares.items() if share < SEEN}
    fractures = tuple(
        replace(one, confidence=0.0) if one.id in hidden else one for one in truth.fractures
    )
    stated = replace(truth, coverage=covered, fractures=fractures)
    if hidden:
        unseen = tuple(_limit(name, shares[name]) for name in sorted(hidden))
        stated = replace(
            stated,
            denis=_denis(params, hidden, unseen),
            morphology=MorphologyFinding(
                value=Morphology.INDETERMINATE, rule="synthetic", unseen=unseen
            ),
        )
    none_seen = len(hidden) == len(truth.fractures)
    partly = any(covered.by_level[level] < WHOLE for level in FRACTURED)
    if none_seen and (hidden or partly):
        stated = replace(stated, presence=Presence.INDETERMINATE, probability=0.5)
    return stated


def _in_view(points_lps_mm: Floats, grids: Sequence[Grid]) -> NDArray[np.bool_]:
    seen = np.zeros(len(points_lps_mm), dtype=bool)
    for grid in grids:
        seen |= grid.contains(points_lps_mm)
    return seen


def _fracture_shares(
    truth: StudyFindings, params: CaseParams, grids: Sequence[Grid], covered: Coverage
) -> dict[str, float]:
    """Share in view of every fracture's line and edema, by its id."""
    if min(covered.by_level.values()) >= 1:
        return {one.id: 1.0 for one in truth.fractures}
    box = params.frame.grid(*TRUTH_BOX_MM, SAMPLE_MM)
    lesions = scene_at(params, points_of(params, box), SAMPLE_MM).lesions
    shown = lesions.line | (lesions.edema > VISIBLE)
    shares = {}
    for one in truth.fractures:
        mine = np.argwhere((lesions.limb == int(one.id.rsplit("-", 1)[1])) & shown)
        points = box.index_to_mm(mine) if len(mine) else np.array([one.centroid_lps_mm])
        shares[one.id] = float(_in_view(points, grids).mean())
    return shares


def _denis(params: CaseParams, hidden: set[str], unseen: tuple[str, ...]) -> DenisFinding:
    """Denis' zones of the limbs in view; None where a side shows none."""
    broken = params.fracture
    if broken.transverse is not None and f"SIF-{len(broken.limbs) + 1}" not in hidden:
        return DenisFinding(zone=3, left=3, right=3, rule="synthetic", unseen=unseen)
    zones: dict[Side, int] = {}
    for number, limb in enumerate(broken.limbs, start=1):
        if f"SIF-{number}" not in hidden:
            zone = 2 if limb.lateral < 2 else 1
            zones[limb.side] = max(zone, zones.get(limb.side, 0))
    return DenisFinding(
        zone=max(zones.values(), default=None),
        left=zones.get(Side.LEFT),
        right=zones.get(Side.RIGHT),
        rule="synthetic",
        unseen=unseen,
    )


def _limit(name: str, share: float) -> str:
    if share < SEEN:
        return f"{name} is not in view"
    return f"{name} is only in view to {100 * share:.0f} %"
