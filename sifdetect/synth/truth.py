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
    BakkerType,
    Basis,
    Coverage,
    DenisFinding,
    FfpFinding,
    FfpType,
    Fracture,
    MorphologyFinding,
    OtherFinding,
    Presence,
    StudyFindings,
)
from sifdetect.synth.displacement import TRANSLATED_MM, Part, body_depth_mm
from sifdetect.synth.fracture import FractureParams, Stage
from sifdetect.synth.mimic_truth import others
from sifdetect.synth.scene import VISIBLE, CaseParams, lesions_at, points_of
from sifdetect.synth.sheets import Course, Limb, Sheet
from sifdetect.volume import Floats, SacralFrame

VERSION = "6"
"""Version of the generator; a change of what a seed makes changes it."""
RULE = "synthetic"
RAMUS_KIND = "line in the hip bone"
"""The pipeline's word for it (sifdetect/mimics.py)."""
TRUTH_SPACING_MM = 1.5
TRUTH_BOX_MM = ((-84.0, -66.0, -102.0), (84.0, 66.0, 66.0))
RING_BOX_MM = ((-66.0, -66.0, -66.0), (66.0, 36.0, 42.0))
"""Around the centre of the symphysis: left, ventral, cranial."""


def truth_of(params: CaseParams) -> StudyFindings:
    """What a perfect reader would say of a case whose whole pelvis is in view.

    A healed fracture is listed by its band of sclerosis; presence is then indeterminate, since
    nothing tells it from sclerosis of another cause (clinical.md §2).
    """
    return replace(
        classes_of(params),
        fractures=_fractures(params),
        other_findings=(*_rami(params), *_mimics(params)),
    )


def classes_of(params: CaseParams) -> StudyFindings:
    """The truth without its findings: all that needs no rendering."""
    fracture = params.fracture
    zones = {side: _zone(fracture, side) for side in (Side.LEFT, Side.RIGHT)}
    presence = Presence.PRESENT if fracture.sheets else Presence.ABSENT
    if fracture.sheets and fracture.stage is Stage.HEALED:
        presence = Presence.INDETERMINATE
    return StudyFindings(
        study_instance_uid=f"synthetic-{params.seed}",
        presence=presence,
        probability={Presence.PRESENT: 1.0, Presence.ABSENT: 0.0}.get(presence, 0.5),
        denis=DenisFinding(
            zone=max(zones.values()) or None,
            left=zones[Side.LEFT],
            right=zones[Side.RIGHT],
            subtype=subtype(params),
            rule=RULE,
        ),
        morphology=MorphologyFinding(value=fracture.morphology, rule=RULE),
        bakker=BakkerFinding(
            left=_bakker(fracture, Side.LEFT),
            right=_bakker(fracture, Side.RIGHT),
            corpus=_bakker_of_corpus(fracture),
            rule=RULE,
        ),
        ffp=FfpFinding(value=ffp_of(params), rule=RULE),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(levels_of(params), 1.0)),
        algorithm=Algorithm(name="sifdetect.synth", version=VERSION),
    )


def levels_of(params: CaseParams) -> tuple[SacralLevel, ...]:
    """The levels that a sacrum has: S1–S5, or S1–S4 where S5 is a part of the coccyx.

    A sixth segment belongs to S5, the last that has a name (docs/decisions/0010).
    """
    return tuple(SacralLevel)[: params.shape.curve.segments]


def _zone(fracture: FractureParams, side: Side) -> int:
    if fracture.transverse is not None:
        return 3
    limbs = [limb for limb in fracture.limbs if limb.side is side]
    return max((2 if limb.lateral < 2 else 1 for limb in limbs), default=0)


def subtype(params: CaseParams) -> int | None:
    """Subtype of Denis zone 3 (Roy-Camille 1985, Strange-Vognsen 1991).

    1 bent, 2 stepped too, 3 offset by the whole depth of the body, 4 with S1 comminuted; None
    where nothing moved.
    """
    limb, moved = params.fracture.transverse, params.displacement
    if params.fracture.fragments:
        return 4
    if limb is None or moved is None:
        return None
    if abs(moved.step_mm) >= body_depth_mm(limb.level) * params.shape.curve.scale:
        return 3
    return 2 if abs(moved.step_mm) >= TRANSLATED_MM else 1


def _bakker(fracture: FractureParams, side: Side) -> BakkerType | None:
    """Type of the ala's limb by its course (clinical.md §3)."""
    for limb in fracture.limbs:
        if limb.side is side:
            return BakkerType.A1 if limb.occult else _BAKKER[limb.course]
    return None


_BAKKER = {
    Course.BUCKLE: BakkerType.A2,
    Course.RIM: BakkerType.A3,
    Course.PARALLEL: BakkerType.B1,
    Course.INTO_JOINT: BakkerType.B2,
    Course.FORAMINAL: BakkerType.B3,
}


def _bakker_of_corpus(fracture: FractureParams) -> BakkerType | None:
    if fracture.transverse is None:
        return None
    return (BakkerType.C1, BakkerType.C2, BakkerType.C3)[len(fracture.limbs)]


def ffp_of(params: CaseParams) -> FfpType | None:
    """FFP type (Rommens and Hofmann 2013) from what was drawn; None where nothing is broken.

    A sacrum bruised, bent or chipped at its rim counts as crushed (IIb); a healed one as none.
    """
    fracture, ring = params.fracture, params.ring.sides
    if not fracture.sheets or fracture.stage is Stage.HEALED:
        return {0: None, 1: FfpType.IA, 2: FfpType.IB}[len(ring)]
    if fracture.transverse is not None and len(fracture.limbs) == 2:
        return FfpType.IVB
    if params.displacement is not None and params.displacement.part is Part.HEMIPELVIS:
        return FfpType.IIIC
    if not ring:
        return FfpType.IIA
    crushed = all(limb.lineless or limb.course is Course.RIM for limb in fracture.limbs)
    return FfpType.IIB if crushed and fracture.transverse is None else FfpType.IIC


def _mimics(params: CaseParams) -> tuple[OtherFinding, ...]:
    return others(params, params.frame.grid(*TRUTH_BOX_MM, TRUTH_SPACING_MM))


def _rami(params: CaseParams) -> tuple[OtherFinding, ...]:
    """The ramus fractures, measured on a rendering of the front of the pelvis."""
    if not params.ring.fractures:
        return ()
    y, z = params.shape.symphysis_mm
    center = params.pose.rotation @ np.array([0.0, -y, z]) + params.pose.shift_mm
    axes = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]]) @ params.pose.rotation.T
    grid = SacralFrame(center, axes).grid(*RING_BOX_MM, TRUTH_SPACING_MM)
    lesions = lesions_at(params, points_of(params, grid), TRUTH_SPACING_MM)
    found = []
    for number, ramus in enumerate(params.ring.fractures, start=len(params.fracture.sheets) + 1):
        points = grid.index_to_mm(np.argwhere(lesions.limb == number))
        if len(points):
            center = points.mean(axis=0)
            found.append(
                OtherFinding(
                    kind=RAMUS_KIND,
                    side=ramus.side,
                    centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
                    volume_mm3=float(len(points) * TRUTH_SPACING_MM**3),
                )
            )
    return tuple(found)


def _fractures(params: CaseParams) -> tuple[Fracture, ...]:
    """One fracture for each limb, measured on a fine rendering of that limb.

    Volume and centroid are those of the line with its edema, as a finding on MR is outlined; those
    of the line where it has no edema.
    """
    sheets = params.fracture.sheets
    if not sheets:
        return ()
    grid = params.frame.grid(*TRUTH_BOX_MM, TRUTH_SPACING_MM)
    lesions = lesions_at(params, points_of(params, grid), TRUTH_SPACING_MM)
    found = []
    for number, sheet in enumerate(sheets, start=1):
        mine = lesions.limb == number
        line = mine & lesions.line
        lineless = isinstance(sheet, Limb) and sheet.lineless
        basis = _basis(params.fracture.stage, lineless=lineless)
        around = mine & (line | (lesions.edema > VISIBLE))
        around = around if around.any() else mine
        index = np.argwhere(line if line.any() else around)
        if len(index) == 0:
            continue
        one = _fracture(number, sheet, basis, grid.index_to_mm(index))
        if basis in (Basis.EDEMA, Basis.LINE_AND_EDEMA):
            one = _outlined(one, grid.index_to_mm(np.argwhere(around)))
        one = replace(one, levels=tuple(lv for lv in one.levels if lv in levels_of(params)))
        found.append(_with_displacement(one, params))
    return tuple(found)


def _outlined(fracture: Fracture, points: Floats) -> Fracture:
    center = points.mean(axis=0)
    return replace(
        fracture,
        volume_mm3=float(len(points) * TRUTH_SPACING_MM**3),
        centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
    )


def _with_displacement(fracture: Fracture, params: CaseParams) -> Fracture:
    """A fracture with the step and angle of what it set free, 0 where nothing moved."""
    moved = params.displacement
    upright = fracture.side is not Side.MIDLINE
    if moved is None or upright != (moved.part is Part.HEMIPELVIS):
        return fracture if upright else replace(fracture, step_mm=0.0, angle_deg=0.0)
    return replace(fracture, step_mm=abs(moved.step_mm), angle_deg=moved.kyphosis_deg)


def _basis(stage: Stage, *, lineless: bool) -> Basis:
    if lineless:
        return Basis.EDEMA
    if stage.swollen:
        return Basis.LINE_AND_EDEMA
    return Basis.LINE if stage is Stage.CHRONIC else Basis.SCLEROSIS


def _fracture(number: int, sheet: Sheet, basis: Basis, points: Floats) -> Fracture:
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
