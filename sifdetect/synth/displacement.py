"""Displaced fractures: the part of a sacrum beyond its fractures moves as a rigid body.

Between two vertical limbs and above a transverse one lies the part that stays with the lumbar
spine; it tips forward and slides over the rest (spinopelvic dissociation, Roy-Camille 1985, Spine
10:838). Below a transverse fracture alone lies the tail; it does the opposite. Lateral to one
vertical limb through the whole sacrum lies the hemipelvis; it is pushed up.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, Side
from sifdetect.synth.fracture import ACROSS, THROUGH, FractureParams, Stage
from sifdetect.synth.mesh_shape import MeshShape
from sifdetect.synth.noise import Points
from sifdetect.synth.shape import COCCYX, FEMUR, BoneField, ShapeParams
from sifdetect.synth.sheets import across_limb_mm, below_transverse_mm
from sifdetect.synth.spine import SpineCurve
from sifdetect.volume import Floats

TRANSLATED_MM = 2.0
"""From this step on zone 3 is of subtype 2, not 1; less is within the wall's own waves."""
_COLUMN_MM = (45.0, -60.0, 35.0)
"""What moves with the spine above the sacrum: half width, dorsal and ventral reach."""
_GAP_MM = -3.0
HIPS = (int(AnatomyLabel.HIP_LEFT), int(AnatomyLabel.HIP_RIGHT))
WALL_LEVEL = np.array([0.0, 0.5, 1.5, 2.5, 3.5, 4.5])
WALL_MM = np.array([15.5, 16.0, 11.0, 7.5, 5.5, 4.5])
"""Depth of the posterior wall behind the curve by level: the front wall of the mean canal
(sacrum_profiles.py)."""


class Part(Enum):
    """What moves."""

    UPPER = "upper"
    TAIL = "tail"
    HEMIPELVIS = "hemipelvis"


@dataclass(frozen=True)
class Displacement:
    """How far a part has moved, seen in the midsagittal plane.

    Attributes:
        kyphosis_deg: turn about the posterior wall at the fracture, positive to more kyphosis; 0
            for a hemipelvis.
        step_mm: of the posterior wall, positive where the upper part lies ventral to the lower; of
            a hemipelvis, upwards.
        side: of a hemipelvis.
    """

    part: Part
    kyphosis_deg: float
    step_mm: float
    side: Side = Side.MIDLINE

    @staticmethod
    def sample(rng: np.random.Generator, fracture: FractureParams) -> Displacement | None:
        """Displace three of five fractures that set a part free; half of those slide as well.

        Kyphosis 3-40 degrees and steps of 2-15 mm, small ones the most frequent; one in ten of
        those between two limbs is offset by the whole depth of the body.
        """
        drawn = rng.random(4)
        step = TRANSLATED_MM + (15 - TRANSLATED_MM) * float(rng.beta(1, 3))
        kyphosis = 3 + 37 * float(rng.beta(1.2, 3))
        if drawn[0] > 0.6 or fracture.stage is Stage.HEALED:
            return None
        if fracture.transverse is None:
            return _pushed_up(fracture, step)
        sides = {limb.side for limb in fracture.limbs}
        if len(sides) == 1 or len(sides) != len(fracture.limbs):
            return None
        if not sides and fracture.transverse.left < ACROSS:
            return None
        part = Part.UPPER if sides else Part.TAIL
        if drawn[3] < 0.1 and part is Part.UPPER and not fracture.fragments:
            whole = body_depth_mm(fracture.transverse.level)
            return Displacement(part, min(kyphosis, 15.0), whole * 1.3)
        if drawn[1] > 0.5:
            step = 0.0
        elif drawn[2] < 0.2:
            step = -step / 2
        return Displacement(part, kyphosis, step)

    def back(self, points: Points, curve: SpineCurve, level: float) -> Points:
        """Where the moved part's material at ``points`` lay before; both in the pelvic frame."""
        if self.part is Part.HEMIPELVIS:
            return Points(points.x, points.y, points.z - np.float32(self.step_mm))
        hinge, ventral = _posterior_wall(curve, level)
        sign = 1.0 if self.part is Part.UPPER else -1.0
        # A positive turn about x takes what lies cranially forward and down.
        angle = np.radians(self.kyphosis_deg) * sign
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        moved = hinge + ventral * self.step_mm * sign
        y, z = points.y - moved[0], points.z - moved[1]
        before = [turn[0, k] * y + turn[1, k] * z + hinge[k] for k in range(2)]
        return Points(points.x, *(axis.astype(np.float32) for axis in before))


def _pushed_up(fracture: FractureParams, step_mm: float) -> Displacement | None:
    """One side of the pelvis, where a limb parts it from the rest; by 3 mm or more."""
    free = [limb for limb in fracture.limbs if (limb.upper, limb.lower) == THROUGH]
    if len(free) != 1 or len(fracture.limbs) != 1:
        return None
    return Displacement(Part.HEMIPELVIS, 0.0, max(step_mm, 3.0), side=free[0].side)


def displaced(
    shape: ShapeParams | MeshShape, fracture: FractureParams, move: Displacement, points: Points
) -> tuple[BoneField, Points]:
    """The bones of a displaced sacrum at ``points``, and where their material lay before.

    What the moved part leaves is a gap without bone; where parts overlap the bone is that of the
    moved one.
    """
    level = 0.0 if fracture.transverse is None else fracture.transverse.level
    here, earlier = points, move.back(points, shape.curve, level)
    stays, came = shape.bones(here), shape.bones(earlier)
    left = belongs(move, fracture, here, stays)
    arrived = belongs(move, fracture, earlier, came)
    arrived &= (came.labels > 0) | left | (stays.labels == 0)
    if move.part is not Part.HEMIPELVIS:
        arrived &= ~np.isin(stays.labels, HIPS)
    gap = left & ~arrived
    merged = {
        item.name: np.where(arrived, getattr(came, item.name), getattr(stays, item.name))
        for item in fields(BoneField)
    }
    merged["labels"][gap] = 0
    merged["depth_mm"][gap] = np.minimum(merged["depth_mm"][gap], _GAP_MM)
    for name in ("disc", "joint"):
        merged[name][gap] = False
    material = (
        np.where(arrived, before, now)
        for before, now in zip(
            (earlier.x, earlier.y, earlier.z), (here.x, here.y, here.z), strict=True
        )
    )
    return BoneField(**merged), Points(*material)


def belongs(
    move: Displacement, fracture: FractureParams, points: Points, bones: BoneField
) -> NDArray[np.bool_]:
    """True where the material at ``points`` is of the part that moves."""
    if move.part is Part.HEMIPELVIS:
        return _hemipelvis(move.side, fracture, points, bones)
    assert fracture.transverse is not None
    near = (bones.sacrum_mm < 5) & ~np.isin(bones.labels, HIPS)
    below = below_transverse_mm(fracture.transverse, points, bones) > 0
    if move.part is Part.TAIL:
        return np.asarray(below & (near | (bones.labels == COCCYX)))
    width, dorsal, ventral = _COLUMN_MM
    column = (bones.s_mm < 0) & (np.abs(bones.x_mm) < width)
    column &= (bones.v_mm > dorsal) & (bones.v_mm < ventral)
    between = (bones.s_mm >= 0) & ~below & near
    for limb in fracture.limbs:
        between &= across_limb_mm(limb, points, bones) < 0
        # The alae and the articular processes rise above the end plate; they stay where they are.
        outer = np.isin(bones.labels, [int(label) for label in SACRUM_LABELS])
        column &= ~(outer & (across_limb_mm(limb, points, bones) >= 0))
    return np.asarray(column | between)


def _hemipelvis(
    side: Side, fracture: FractureParams, points: Points, bones: BoneField
) -> NDArray[np.bool_]:
    """The hip bone and femur of a side, and the ala that is lateral to its limb."""
    own = (points.x > 0) if side is Side.LEFT else (points.x < 0)
    (limb,) = fracture.limbs
    hip = np.isin(bones.labels, (*HIPS, FEMUR))
    ala = (bones.sacrum_mm < 3) & (across_limb_mm(limb, points, bones) > 0) & (bones.level > -1)
    ala &= ~np.isin(bones.labels, (int(AnatomyLabel.L5), int(AnatomyLabel.LUMBAR), COCCYX))
    return np.asarray(own & (hip | ala))


def body_depth_mm(level: float) -> float:
    """Depth of a mean body at a level, ventral to posterior wall; an offset by it is complete."""
    return 2 * float(np.interp(level, WALL_LEVEL, WALL_MM))


def _posterior_wall(curve: SpineCurve, level: float) -> tuple[Floats, Floats]:
    """(y, z) of the wall of the bodies towards the canal at a level, and its ventral normal."""
    s = float(np.interp(level, np.arange(6), curve.level_bounds_mm))
    deep = float(np.interp(level, WALL_LEVEL, WALL_MM)) * curve.scale
    wall, front = curve.position_mm(s, -deep), curve.position_mm(s, 1.0 - deep)
    return wall[1:], (front - wall)[1:]
