"""Fractures of the pubic rami: the anterior ring, which makes the FFP type of a pelvis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sifdetect.anatomy import AnatomyLabel, Side
from sifdetect.synth.displacement import Displacement, Part
from sifdetect.synth.fracture import FractureParams, Stage
from sifdetect.synth.lesions import LesionField, Wound
from sifdetect.synth.mesh_shape import MeshShape
from sifdetect.synth.noise import Points, SmoothNoise
from sifdetect.synth.shape import BoneField, ShapeParams

_OBTURATOR_MM = -8.0
"""What lies below this height above the symphysis' centre is inferior ramus."""
_REACH_MM = 60.0
"""How far the rami lie behind and above the symphysis' centre at most."""
WITH_SACRAL = 0.3
"""Share of sacral fractures with a ramus fracture as well (clinical.md §1: 39 of 204 pelvic)."""
ALONE = 0.07


@dataclass(frozen=True)
class RamusFracture:
    """One break of a pubic ramus, across a plane at ``x_mm`` from the midline, tilted.

    Attributes:
        superior: True for the superior ramus, False for the inferior one.
        tilt: mm towards the side for each mm upwards.
    """

    side: Side
    superior: bool
    x_mm: float
    tilt: float
    width_mm: float
    edema_mm: float
    roughness: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator, side: Side, *, superior: bool) -> RamusFracture:
        """Draw one, from beside the symphysis to the root of the ramus."""
        return RamusFracture(
            side=side,
            superior=superior,
            x_mm=float(rng.uniform(14, 50) if superior else rng.uniform(18, 42)),
            tilt=float(rng.normal(0, 0.4)),
            width_mm=float(np.clip(rng.lognormal(0.3, 0.5), 0.4, 4.0)),
            edema_mm=float(rng.uniform(6, 14)),
            roughness=SmoothNoise.sample(rng, 8.0),
        )


@dataclass(frozen=True)
class AnteriorRing:
    """All ramus fractures of a pelvis."""

    fractures: tuple[RamusFracture, ...]
    stage: Stage
    margin: SmoothNoise

    @staticmethod
    def sample(
        rng: np.random.Generator, sacral: FractureParams, displacement: Displacement | None
    ) -> AnteriorRing:
        """Draw them: more often with a fracture of the sacrum, always with a displaced side."""
        forced = displacement is not None and displacement.part is Part.HEMIPELVIS
        chance = WITH_SACRAL if sacral.sheets else ALONE
        broken = rng.random() < chance
        first = sacral.limbs[0].side if sacral.limbs and rng.random() < 0.75 else None
        if first is None:
            first = Side.LEFT if rng.random() < 0.5 else Side.RIGHT
        if forced and displacement is not None:
            first = displacement.side
        sides = (first, first.opposite) if rng.random() < 0.25 else (first,)
        found = []
        for side in sides if broken or forced else ():
            which = [(True,), (True, False), (True, False), (False,)][int(rng.integers(4))]
            found += [RamusFracture.sample(rng, side, superior=s) for s in which]
        stage = sacral.stage if sacral.sheets else Stage.ACUTE
        return AnteriorRing(tuple(found), stage, SmoothNoise.sample(rng, 9.0))

    @property
    def sides(self) -> frozenset[Side]:
        """Sides with a broken ramus."""
        return frozenset(fracture.side for fracture in self.fractures)


class Broken(Protocol):
    """What this module needs of a case."""

    @property
    def shape(self) -> ShapeParams | MeshShape:
        """The bones."""

    @property
    def fracture(self) -> FractureParams:
        """The sacrum's fractures."""

    @property
    def ring(self) -> AnteriorRing:
        """Those of the pubic rami."""


def add_to(
    field: LesionField,
    case: Broken,
    points: Points,
    bones: BoneField,
    *,
    voxel_mm: float,
) -> None:
    """Put the ramus fractures into a field of lesions, numbered after the sacrum's sheets."""
    ring, first = case.ring, len(case.fracture.sheets) + 1
    if not ring.fractures:
        return
    y, z = case.shape.symphysis_mm
    near = (np.abs(points.y - y) < _REACH_MM) & (np.abs(points.z - z) < 2 * _REACH_MM)
    if not near.any():
        return
    hip = near & np.isin(bones.labels, (AnatomyLabel.HIP_LEFT, AnatomyLabel.HIP_RIGHT))
    there = np.flatnonzero(hip)
    margin, here = ring.margin.at(points).reshape(-1)[there], field.at(there)
    x, height = points.x.reshape(-1)[there], points.z.reshape(-1)[there] - z
    for number, fracture in enumerate(ring.fractures, start=first):
        own = (x > 0) == (fracture.side is Side.LEFT)
        own &= (height > _OBTURATOR_MM) == fracture.superior
        wound = Wound(own, margin, number, ring.stage, fracture.width_mm, fracture.edema_mm)
        waves = 1.2 * fracture.roughness.at(points).reshape(-1)[there]
        across = np.abs(x) - fracture.x_mm - fracture.tilt * height
        here.add(wound, np.abs(across + waves), voxel_mm)
    field.put(there, here)
