"""What looks like a fracture and is none: joint edema, masses, bone islands, joint sclerosis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.material import Material
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.shape import BoneField


@dataclass(frozen=True)
class Ball:
    """A round lesion in bone, pelvic frame."""

    center_mm: tuple[float, float, float]
    radius_mm: float
    sclerotic: bool


@dataclass(frozen=True)
class ConfounderParams:
    """Mimics of one case; a side is +1 left, -1 right."""

    joint_edema: tuple[int, ...]
    joint_sclerosis: tuple[int, ...]
    joint_level: float
    joint_depth_mm: float
    masses: tuple[Ball, ...]
    islands: tuple[Ball, ...]
    vacuum: bool
    margin: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator, share: float) -> ConfounderParams:
        """Draw mimics; each kind occurs in about ``share`` of the cases."""

        def sides() -> tuple[int, ...]:
            return tuple(s for s in (-1, 1) if rng.random() < 0.7) if rng.random() < share else ()

        masses = tuple(_ball(rng, 7, 20) for _ in range(int(rng.random() < share)))
        islands = tuple(_ball(rng, 2, 6) for _ in range(int(rng.poisson(2 * share))))
        return ConfounderParams(
            joint_edema=sides(),
            joint_sclerosis=sides(),
            joint_level=float(rng.uniform(0.6, 2.2)),
            joint_depth_mm=float(rng.uniform(3, 9)),
            masses=masses,
            islands=islands,
            vacuum=bool(rng.random() < share),
            margin=SmoothNoise.sample(rng, 8.0),
        )


@dataclass(frozen=True)
class MimicField:
    """Mimics at a set of points.

    Attributes:
        edema, sclerosis: strengths, 0–1.
        mass: True where labelled as a mass.
        material: Material values; ``share`` is the part of each voxel that it takes, 0–1.
    """

    edema: Array
    sclerosis: Array
    mass_strength: Array
    mass: NDArray[np.bool_]
    material: NDArray[np.uint8]
    share: Array


def evaluate(params: ConfounderParams, points: Points, bones: BoneField) -> MimicField:
    """All mimics at points in the pelvic frame."""
    shape = points.x.shape
    bone = (bones.labels > 0) & (bones.depth_mm > 0)
    margin = params.margin.at(points)
    edema, sclerosis = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    from_joint = np.maximum(np.abs(3 - np.abs(bones.lateral)) * 18, np.abs(bones.sacrum_mm + 1) - 4)
    place = np.exp(-(((bones.level - params.joint_level) / 0.7) ** 2))
    reach = params.joint_depth_mm * (1 + 0.4 * margin) * place
    strength = np.clip(1.5 - from_joint / np.maximum(reach, 0.5), 0, 1) * bone
    for side in params.joint_edema:
        edema = np.maximum(edema, strength * (np.sign(points.x) == side))
    for side in params.joint_sclerosis:
        sclerosis = np.maximum(sclerosis, strength * (np.sign(points.x) == side))
    mass_strength = np.zeros(shape, np.float32)
    for ball in params.masses:
        inside = np.clip((ball.radius_mm - _from(ball, points)) / 2 + 0.2 * margin, 0, 1) * bone
        mass_strength = np.maximum(mass_strength, inside)
        if ball.sclerotic:
            sclerosis = np.maximum(sclerosis, inside * 0.9)
    for ball in params.islands:
        island = np.clip(ball.radius_mm - _from(ball, points), 0, 1) * bone
        sclerosis = np.maximum(sclerosis, island)
    return MimicField(
        edema.astype(np.float32),
        sclerosis.astype(np.float32),
        mass_strength.astype(np.float32),
        mass_strength > 0.4,
        np.full(shape, Material.NONE, dtype=np.uint8),
        np.zeros(shape, dtype=np.float32),
    )


def _ball(rng: np.random.Generator, smallest: float, largest: float) -> Ball:
    center = (float(rng.uniform(-50, 50)), float(rng.uniform(-50, 5)), float(rng.uniform(-80, -5)))
    return Ball(center, float(rng.uniform(smallest, largest)), bool(rng.random() < 0.4))


def _from(ball: Ball, points: Points) -> Array:
    x, y, z = ball.center_mm
    distance = np.sqrt((points.x - x) ** 2 + (points.y - y) ** 2 + (points.z - z) ** 2)
    return np.asarray(distance, dtype=np.float32)
