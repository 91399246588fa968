"""Fracture sheets of the sacrum: where they run, and how far every point is from them.

Positions are in the sacrum's own coordinates (``lateral`` and ``level`` of BoneField), so that a
limb at lateral 2.5 is parallel to the sacroiliac joint on every shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import EllipsisType

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import Side
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.shape import BoneField

DEPTH_MM = 32.0
"""Sacrum from the ventral to the dorsal cortex of an ala, about; the unit of ``dorsal``."""
_LEVEL_MM = 25.0
_CORRIDOR_MM = 12.0
_WAVES_MM = 1.3


class Course(Enum):
    """How a vertical sheet runs through its ala; the types of Bakker 2018 by their lines."""

    PARALLEL = "parallel to the sacroiliac joint"
    FORAMINAL = "through the foramina"
    INTO_JOINT = "into the sacroiliac joint"
    RIM = "anterolateral rim"
    BUCKLE = "anterior cortex bent, no line"
    MIDLINE = "midline sagittal"


LEAN = {Course.INTO_JOINT: 0.6, Course.RIM: 1.1}
"""mm towards the joint for each mm towards the back; other courses keep their distance from it."""
ALAR_BORDER = 2.1
"""Alar sheets end here: a foramen's border is at 2, and Denis zones are told apart by it."""


@dataclass(frozen=True)
class Limb:
    """One vertical sheet.

    Attributes:
        lateral: 2–3 within the ala (Denis 1), 1–2 through the foramina (Denis 2), below 1 through
            the bodies; at the ventral cortex.
        upper, lower: level coordinates of its ends.
        dorsal: share of the sacrum's depth that it crosses from the ventral cortex, 0–1.
        occult: True where there is edema and no line (Bakker A1).
    """

    side: Side
    lateral: float
    upper: float
    lower: float
    dorsal: float
    width_mm: float
    edema_mm: float
    occult: bool
    roughness: SmoothNoise
    course: Course = Course.PARALLEL

    @property
    def lineless(self) -> bool:
        """True where bone is bruised or bent without a gap."""
        return self.occult or self.course is Course.BUCKLE


@dataclass(frozen=True)
class TransverseLimb:
    """One horizontal sheet through the bodies, from lateral ``right`` to lateral ``left``."""

    level: float
    right: float
    left: float
    width_mm: float
    edema_mm: float
    roughness: SmoothNoise


Sheet = Limb | TransverseLimb


Some = NDArray[np.intp] | EllipsisType
"""Points by their flat index, or all of them in their own shape."""


def distance_mm(sheet: Sheet, points: Points, bones: BoneField, some: Some = ...) -> Array:
    """Unsigned distance to a sheet, about, mm; large on the other side; at some points or all."""
    if isinstance(sheet, Limb):
        return _limb_distance(sheet, points, bones, some)
    return _transverse_distance(sheet, points, bones, some)


def across_limb_mm(limb: Limb, points: Points, bones: BoneField, some: Some = ...) -> Array:
    """Signed distance to the surface that a limb's sheet is part of, about, mm; + is lateral."""
    level, lateral = _of(bones.level, some), _of(bones.lateral, some)
    alar = np.interp(level, [0, 1, 2, 3, 4], [20, 23, 21, 16, 11]).astype(np.float32)
    beside = lateral * _sign(limb)
    # Millimetres for each unit of ``lateral``: some 12 medially to the foramina's lateral border.
    across = _CORRIDOR_MM * (np.minimum(beside, 2) - min(limb.lateral, 2.0))
    across += alar * (np.maximum(beside, 2) - max(limb.lateral, 2.0))
    across += LEAN.get(limb.course, 0.0) * _of(bones.v_mm, some)
    return np.asarray(across + _WAVES_MM * _of(limb.roughness.at(points), some))


def below_transverse_mm(
    limb: TransverseLimb, points: Points, bones: BoneField, some: Some = ...
) -> Array:
    """Signed distance to the surface that a transverse sheet is part of, about, mm; + is caudal."""
    waves = _WAVES_MM * _of(limb.roughness.at(points), some)
    return np.asarray((_of(bones.level, some) - limb.level) * 24.0 + waves)


def _of(values: Array, some: Some) -> Array:
    """The values at some points; the waves of a sheet must be known at all of a grid's points."""
    return values if isinstance(some, EllipsisType) else values.reshape(-1)[some]


def _sign(limb: Limb) -> float:
    return -1.0 if limb.side is Side.RIGHT else 1.0


def _limb_distance(limb: Limb, points: Points, bones: BoneField, some: Some) -> Array:
    across, level = across_limb_mm(limb, points, bones, some), _of(bones.level, some)
    # A limb down to S5's end goes through a sixth segment too.
    lower = limb.lower if limb.lower < 5 else np.inf
    over = np.maximum(limb.upper - level, level - lower) * _LEVEL_MM
    squares = across**2 + np.maximum(over, 0) ** 2
    if limb.dorsal < 1:
        squares += np.maximum(-_of(bones.v_mm, some) - DEPTH_MM * limb.dorsal, 0) ** 2
    if limb.lateral > ALAR_BORDER:
        beside = _of(bones.lateral, some) * _sign(limb)
        squares += (np.maximum(ALAR_BORDER - beside, 0) * 20.0) ** 2
    return np.asarray(np.sqrt(squares), dtype=np.float32)


def _transverse_distance(
    limb: TransverseLimb, points: Points, bones: BoneField, some: Some
) -> Array:
    along, lateral = below_transverse_mm(limb, points, bones, some), _of(bones.lateral, some)
    over = np.maximum(lateral - limb.left, -limb.right - lateral) * 15.0
    return np.asarray(np.sqrt(along**2 + np.maximum(over, 0) ** 2), dtype=np.float32)
