"""What a perfect reader would say of a synthetic case, from the parameters that made it.

Nothing here knows the pipeline's rules. Volumes and centroids of a fracture are taken from a fine
rendering of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sifdetect.anatomy import SacralLevel, Side
from sifdetect.findings import (
    Algorithm,
    BakkerFinding,
    Basis,
    Coverage,
    DenisFinding,
    FfpFinding,
    Fracture,
    MorphologyFinding,
    Presence,
    StudyFindings,
)
from sifdetect.synth.fracture import FractureParams, Limb, Stage, TransverseLimb
from sifdetect.synth.mimic_truth import others
from sifdetect.synth.scene import VISIBLE, CaseParams, points_of, scene_at
from sifdetect.volume import Floats

VERSION = "4"
"""Version of the generator; a change of what a seed makes changes it."""
TRUTH_SPACING_MM = 1.5
TRUTH_BOX_MM = ((-84.0, -66.0, -102.0), (84.0, 66.0, 66.0))


def truth_of(params: CaseParams) -> StudyFindings:
    """What a perfect reader would say of a case whose whole sacrum is in view."""
    fracture = params.fracture
    zones = {side: _zone(fracture, side) for side in (Side.LEFT, Side.RIGHT)}
    present = bool(fracture.limbs or fracture.transverse)
    return StudyFindings(
        study_instance_uid=f"synthetic-{params.seed}",
        presence=Presence.PRESENT if present else Presence.ABSENT,
        probability=1.0 if present else 0.0,
        denis=DenisFinding(
            zone=max(zones.values()) or None,
            left=zones[Side.LEFT],
            right=zones[Side.RIGHT],
            subtype=None if params.displacement is None else params.displacement.subtype,
            rule="synthetic",
        ),
        morphology=MorphologyFinding(value=fracture.morphology, rule="synthetic"),
        bakker=BakkerFinding(rule="synthetic", unseen=("not simulated",)),
        ffp=FfpFinding(rule="synthetic", unseen=("not simulated",)),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(SacralLevel, 1.0)),
        algorithm=Algorithm(name="sifdetect.synth", version=VERSION),
        fractures=_fractures(params),
        other_findings=others(params, params.frame.grid(*TRUTH_BOX_MM, TRUTH_SPACING_MM)),
    )


def _zone(fracture: FractureParams, side: Side) -> int:
    if fracture.transverse is not None:
        return 3
    limbs = [limb for limb in fracture.limbs if limb.side is side]
    return max((2 if limb.lateral < 2 else 1 for limb in limbs), default=0)


def _fractures(params: CaseParams) -> tuple[Fracture, ...]:
    """One fracture for each limb, measured on a fine rendering of that limb.

    Volume and centroid are those of the line with its edema, as a finding on MR is outlined; those
    of the line where it has no edema.
    """
    sheets: list[Limb | TransverseLimb] = list(params.fracture.limbs)
    if params.fracture.transverse is not None:
        sheets.append(params.fracture.transverse)
    if not sheets:
        return ()
    grid = params.frame.grid(*TRUTH_BOX_MM, TRUTH_SPACING_MM)
    scene = scene_at(params, points_of(params, grid), TRUTH_SPACING_MM)
    found = []
    for number, sheet in enumerate(sheets, start=1):
        mine = scene.lesions.limb == number
        line = mine & scene.lesions.line
        occult = isinstance(sheet, Limb) and sheet.occult
        basis = _basis(params.fracture.stage, occult=occult)
        around = mine & (line | (scene.lesions.edema > VISIBLE))
        index = np.argwhere(line if line.any() else around)
        if len(index) == 0:
            continue
        one = _fracture(number, sheet, basis, grid.index_to_mm(index))
        if basis is not Basis.LINE:
            one = _outlined(one, grid.index_to_mm(np.argwhere(around)))
        found.append(one if isinstance(sheet, Limb) else _with_displacement(one, params))
    return tuple(found)


def _outlined(fracture: Fracture, points: Floats) -> Fracture:
    center = points.mean(axis=0)
    return replace(
        fracture,
        volume_mm3=float(len(points) * TRUTH_SPACING_MM**3),
        centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
    )


def _with_displacement(fracture: Fracture, params: CaseParams) -> Fracture:
    """A transverse fracture with step and angle of the posterior wall, 0 where nothing moved."""
    moved = params.displacement
    step, angle = (0.0, 0.0) if moved is None else (abs(moved.step_mm), moved.kyphosis_deg)
    return replace(fracture, step_mm=step, angle_deg=angle)


def _basis(stage: Stage, *, occult: bool) -> Basis:
    if occult:
        return Basis.EDEMA
    return Basis.LINE if stage is Stage.CHRONIC else Basis.LINE_AND_EDEMA


def _fracture(number: int, sheet: Limb | TransverseLimb, basis: Basis, points: Floats) -> Fracture:
    if isinstance(sheet, Limb):
        side, upper, lower = sheet.side, sheet.upper, sheet.lower
    else:
        side, upper, lower = Side.MIDLINE, sheet.level, sheet.level
    levels = [level for level in SacralLevel if upper < level and lower > level - 1]
    center = points.mean(axis=0)
    spread = points - center
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    along = spread @ axis
    return Fracture(
        id=f"SIF-{number}",
        side=side,
        levels=tuple(levels),
        basis=basis,
        volume_mm3=float(len(points) * TRUTH_SPACING_MM**3),
        length_mm=float(along.max() - along.min()),
        centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
        crosses_midline=side is Side.MIDLINE,
        confidence=1.0,
    )
