"""Insufficiency fractures: rough sheets through alae and bodies, with edema and sclerosis around.

Positions are given in the sacrum's own coordinates (``lateral`` and ``level`` of BoneField), so a
limb at lateral 2.5 is parallel to the sacroiliac joint on every shape. Frequencies: clinical.md §1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, Side
from sifdetect.findings import Morphology
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.shape import BoneField

LABEL_HALF_WIDTH_MM = 1.1
"""Half the width of a line in the label map: thinner ones would fall apart at 1.5 mm."""


class Stage(Enum):
    """Age of a fracture, by what it shows."""

    ACUTE = "acute"
    SUBACUTE = "subacute"
    CHRONIC = "chronic"


@dataclass(frozen=True)
class Limb:
    """One vertical sheet through an ala.

    Attributes:
        lateral: 2–3 within the ala (Denis 1), 1–2 through the foramina (Denis 2).
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


@dataclass(frozen=True)
class TransverseLimb:
    """One horizontal sheet through the bodies, from lateral ``right`` to lateral ``left``."""

    level: float
    right: float
    left: float
    width_mm: float
    edema_mm: float
    roughness: SmoothNoise


@dataclass(frozen=True)
class FractureParams:
    """All fractures of one sacrum."""

    morphology: Morphology
    stage: Stage
    limbs: tuple[Limb, ...]
    transverse: TransverseLimb | None
    margin: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator, morphology: Morphology) -> FractureParams:
        """Draw the limbs that make up a pattern (clinical.md §3)."""
        stage = Stage(rng.choice([s.value for s in Stage], p=[0.5, 0.3, 0.2]))
        level = float(rng.uniform(0.9, 2.1))
        limbs = tuple(
            _limb(rng, side, stage, span) for side, span in _spans(rng, morphology, level)
        )
        crossing = morphology not in (
            Morphology.NONE,
            Morphology.UNILATERAL,
            Morphology.BILATERAL,
        )
        transverse = _transverse(rng, level, limbs, stage) if crossing else None
        return FractureParams(morphology, stage, limbs, transverse, SmoothNoise.sample(rng, 9.0))


@dataclass(frozen=True)
class LesionField:
    """Lesions at a set of points.

    Attributes:
        lucency: 0–1, share of a voxel taken by the gap of a line (before blurring).
        edema, sclerosis: 0–1, strength.
        limb: 0 none, n the limb whose line or edema it is, len(limbs) + 1 the transverse one.
        line: True in a line as labelled.
    """

    lucency: Array
    edema: Array
    sclerosis: Array
    limb: NDArray[np.uint8]
    line: NDArray[np.bool_]


def evaluate(
    params: FractureParams, points: Points, bones: BoneField, voxel_mm: float
) -> LesionField:
    """All fractures at points in the pelvic frame; ``voxel_mm`` blurs the gap."""
    shape = points.x.shape
    lucency, edema, sclerosis = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    owner, line = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=bool)
    sacral = np.isin(bones.labels, [int(label) for label in SACRUM_LABELS])
    margin = params.margin.at(points)
    sheets: list[tuple[Limb | TransverseLimb, Array]] = [
        (limb, _limb_distance(limb, points, bones)) for limb in params.limbs
    ]
    if params.transverse is not None:
        sheets.append((params.transverse, _transverse_distance(params.transverse, points, bones)))
    for number, (sheet, distance) in enumerate(sheets, start=1):
        reach = sheet.edema_mm * (1 + 0.35 * margin)
        swelling = np.clip(1.6 - 1.3 * distance / np.maximum(reach, 1), 0, 1) * sacral
        edema = np.maximum(edema, swelling)
        occult = isinstance(sheet, Limb) and sheet.occult
        if not occult:
            half = sheet.width_mm / 2
            gap = np.clip((half - distance) / voxel_mm + 0.5, 0, 1) * min(1.0, 2 * half / voxel_mm)
            lucency = np.maximum(lucency, gap * sacral)
            here = sacral & (distance < max(half, LABEL_HALF_WIDTH_MM))
            line |= here
            owner[here] = number
            sclerosis = np.maximum(sclerosis, np.exp(-((distance / 4.5) ** 2)) * sacral)
        owner[(owner == 0) & (swelling > 0.35)] = number
    strength = {
        Stage.ACUTE: (1.0, 0.2),  # impacted trabeculae, too faint to be labelled
        Stage.SUBACUTE: (0.8, 0.45),
        Stage.CHRONIC: (0.25, 1.0),
    }[params.stage]
    return LesionField(lucency, edema * strength[0], sclerosis * strength[1], owner, line)


def _spans(
    rng: np.random.Generator, morphology: Morphology, level: float
) -> list[tuple[Side, tuple[float, float]]]:
    """(side, (upper, lower) level) of the vertical limbs of a pattern."""
    full = (float(rng.uniform(0.05, 0.35)), float(rng.uniform(level + 0.7, 3.1)))
    above = (float(rng.uniform(0.05, 0.3)), level + 0.05)
    first = Side.LEFT if rng.random() < 0.5 else Side.RIGHT
    free = (float(rng.uniform(0.05, 0.5)), float(rng.uniform(1.3, 2.8)))
    return {
        Morphology.UNILATERAL: [(first, free)],
        Morphology.BILATERAL: [(first, free), (first.opposite, full)],
        Morphology.H: [(first, full), (first.opposite, full)],
        Morphology.U: [(first, above), (first.opposite, above)],
        Morphology.T: [(first, full)],
        Morphology.LAMBDA: [(first, full), (first.opposite, above)],
    }.get(morphology, [])


def _limb(rng: np.random.Generator, side: Side, stage: Stage, span: tuple[float, float]) -> Limb:
    alar = rng.random() < 0.75
    return Limb(
        side=side,
        lateral=float(rng.uniform(2.2, 2.75) if alar else rng.uniform(1.35, 1.75)),
        upper=span[0],
        lower=span[1],
        dorsal=float(rng.choice([1.0, rng.uniform(0.4, 0.9)])),
        width_mm=float(np.clip(rng.lognormal(0.1, 0.5), 0.4, 3.0)),
        edema_mm=float(rng.uniform(6, 17)),
        occult=bool(stage is Stage.ACUTE and rng.random() < 0.15),
        roughness=SmoothNoise.sample(rng, 11.0),
    )


def _transverse(
    rng: np.random.Generator, level: float, limbs: tuple[Limb, ...], stage: Stage
) -> TransverseLimb:
    reach = {limb.side: limb.lateral for limb in limbs}
    free = float(rng.uniform(1.2, 1.9))
    return TransverseLimb(
        level=level,
        right=reach.get(Side.RIGHT, free),
        left=reach.get(Side.LEFT, free),
        width_mm=float(np.clip(rng.lognormal(0.2, 0.5), 0.5, 3.5)),
        edema_mm=float(rng.uniform(5, 11)),
        roughness=SmoothNoise.sample(rng, 11.0),
    )


def across_limb_mm(limb: Limb, points: Points, bones: BoneField) -> Array:
    """Signed distance to the surface that a limb's sheet is part of, about, mm; + is lateral."""
    sign = 1.0 if limb.side is Side.LEFT else -1.0
    unit = np.interp(bones.level, [0, 1, 2, 3, 4], [20, 23, 21, 16, 11]).astype(np.float32)
    unit = np.where(bones.lateral * sign < 2, np.float32(12.0), unit)
    across = (bones.lateral * sign - limb.lateral) * unit
    return np.asarray(across - 0.25 * (bones.v_mm + 10) + 1.3 * limb.roughness.at(points))


def below_transverse_mm(limb: TransverseLimb, points: Points, bones: BoneField) -> Array:
    """Signed distance to the surface that a transverse sheet is part of, about, mm; + is caudal."""
    return np.asarray((bones.level - limb.level) * 24.0 + 1.3 * limb.roughness.at(points))


def _limb_distance(limb: Limb, points: Points, bones: BoneField) -> Array:
    """Unsigned distance to a limb's sheet, about, mm; large on the other side."""
    across = across_limb_mm(limb, points, bones)
    height = 25.0
    over = np.maximum(limb.upper - bones.level, bones.level - limb.lower) * height
    depth = np.maximum(-bones.v_mm - 32 * limb.dorsal, 0) if limb.dorsal < 1 else np.float32(0)
    return np.asarray(np.sqrt(across**2 + np.maximum(over, 0) ** 2 + depth**2), dtype=np.float32)


def _transverse_distance(limb: TransverseLimb, points: Points, bones: BoneField) -> Array:
    """Unsigned distance to a transverse sheet, about, mm."""
    along = below_transverse_mm(limb, points, bones)
    over = np.maximum(bones.lateral - limb.left, -limb.right - bones.lateral) * 15.0
    return np.asarray(np.sqrt(along**2 + np.maximum(over, 0) ** 2), dtype=np.float32)
