"""Mimics that are anatomy: Tarlov cysts, nutrient channels, physeal remnants of a young sacrum."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sifdetect.anatomy import AnatomyLabel
from sifdetect.synth.canvas import Canvas, Course, ala_mm, capsule_mm, level_mm
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import KIND, Mimic
from sifdetect.synth.noise import Points, SmoothNoise


@dataclass(frozen=True)
class TarlovCyst:
    """A perineural cyst in a sacral foramen or in the canal; it widens them and scallops the bone.

    Attributes:
        level: of its middle, as BoneField.level. lateral: 0 the canal, ±1.4 a foramen.
        behind_mm: distance of its middle behind the spine's curve.
        length: relative to its width, along the sacrum.
    """

    level: float
    lateral: float
    behind_mm: float
    radius_mm: float
    length: float
    margin: SmoothNoise
    mimic: Mimic = Mimic.TARLOV_CYST

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[TarlovCyst, ...]:
        """Draw one to three, mostly at S2 and S3."""
        cysts = []
        for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))):
            level = float(rng.choice([1.0, 2.0, 3.0], p=[0.25, 0.5, 0.25]))
            central = rng.random() < 0.3
            cysts.append(
                TarlovCyst(
                    level=level + float(rng.normal(0, 0.1)),
                    lateral=0.0 if central else float(rng.choice([-1, 1]) * rng.uniform(1.0, 1.5)),
                    behind_mm=float(np.interp(level, [1, 2, 3], [19, 14, 11])) - 3 * (not central),
                    radius_mm=float(rng.uniform(5, 11)),
                    length=float(rng.uniform(1.0, 1.8)),
                    margin=SmoothNoise.sample(rng, 9.0),
                )
            )
        return tuple(cysts)

    def paint(self, canvas: Canvas) -> None:
        """Fluid in place of fat, nerves and bone, with a thin cortical rim."""
        bones = canvas.bones
        reach = self.radius_mm * self.length * 1.3 + 2
        near = np.abs(bones.level - self.level) * 23 < reach
        near &= np.abs(bones.lateral - self.lateral) * 10 < reach
        hollow = (bones.labels >= AnatomyLabel.SACRAL_FORAMEN_RIGHT) & (
            bones.labels <= AnatomyLabel.SACRAL_CANAL
        )
        near &= hollow | (bones.sacrum_mm < 4)
        near &= np.abs(bones.v_mm + self.behind_mm) < reach
        patch = canvas.patch(near)
        across = (patch.lateral - self.lateral) * np.where(np.abs(patch.lateral) < 1, 15.0, 12.0)
        along = (patch.level - self.level) * level_mm(patch.level) / self.length
        deep = patch.v_mm + self.behind_mm
        radius = self.radius_mm * np.clip(1 + 0.15 * self.margin.at(patch.points), 0.7, 1.3)
        outside = np.sqrt(across**2 + along**2 + deep**2) - radius
        share = patch.filled(outside)
        rim = patch.filled(np.abs(outside - 0.9) - 0.5) * patch.bone
        patch.fill(Material.TRABECULA, 0.8 * rim * (share < 0.5))
        patch.fill(Material.CYST, share)


@dataclass(frozen=True)
class NutrientChannel:
    """A thin, bent, smooth tube with a vessel in it, in an ala or in an iliac wing.

    Attributes:
        courses_mm: its corners; the first course that lies in bone is taken.
        wall: strength of its cortical wall, 0–1.
    """

    courses_mm: tuple[Course, ...]
    radius_mm: float
    wall: float
    mimic: Mimic = Mimic.NUTRIENT_CHANNEL

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[NutrientChannel, ...]:
        """Draw one to three; radii of 0.5 to 1.2 mm, own estimate."""
        channels = []
        for _ in range(int(rng.integers(1, 4))):
            course = _alar_course if rng.random() < 0.6 else _iliac_course
            channels.append(
                NutrientChannel(
                    courses_mm=tuple(course(rng) for _ in range(5)),
                    radius_mm=float(rng.uniform(0.5, 1.2)),
                    wall=float(rng.uniform(0.2, 0.8)),
                )
            )
        return tuple(channels)

    def paint(self, canvas: Canvas) -> None:
        """Capsules one after another, as faint as they are thin."""
        corners = np.array(canvas.lodged(self.courses_mm, 0.5))
        middle, reach = corners.mean(axis=0), float(np.abs(corners - corners.mean(axis=0)).max())
        center = (float(middle[0]), float(middle[1]), float(middle[2]))
        patch = canvas.around(center, reach + 4)
        at = Points(patch.points.x, patch.s_mm, patch.v_mm)
        distance = np.min([capsule_mm(at, a, b) for a, b in pairwise(corners)], axis=0)
        thin = min(1.0, 2 * self.radius_mm / canvas.voxel_mm)
        share = patch.filled(distance - self.radius_mm) * thin * patch.bone
        shell = patch.filled(np.abs(distance - self.radius_mm - 0.7) - 0.4) * patch.marrow
        patch.fill(Material.TRABECULA, self.wall * 0.6 * shell * (share < 0.3))
        patch.fill(Material.VESSEL, share, thin)


@dataclass(frozen=True)
class PhysealRemnant:
    """What is left of a growth plate: a thin dark line with dense margins, alike on both sides.

    Attributes:
        across: level of a remnant between two lateral elements of the sacrum; 0 without.
        along: lateral coordinate of one between body and lateral element; 0 without.
        width_mm: of the cartilage. closed: share of it that has become bone, 0–1.
    """

    across: float
    along: float
    width_mm: float
    closed: float
    gaps: SmoothNoise
    mimic: Mimic = Mimic.PHYSEAL_REMNANT

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[PhysealRemnant, ...]:
        """Draw one between S1 and S2, one between body and ala of S1, or both."""
        which = int(rng.integers(3))
        remnant = PhysealRemnant(
            across=float(rng.normal(1.0, 0.03)) if which != 1 else 0.0,
            along=float(rng.uniform(1.05, 1.35)) if which != 0 else 0.0,
            width_mm=float(rng.uniform(0.6, 1.8)),
            closed=float(rng.uniform(0, 0.6)),
            gaps=SmoothNoise.sample(rng, 6.0),
        )
        return (remnant,)

    def paint(self, canvas: Canvas) -> None:
        """Cartilage where it is open, a dense seam along it."""
        bones = canvas.bones
        near = (bones.depth_mm > 0) & (bones.sacrum_mm < 0)
        near &= (bones.level > 0.05) & (bones.level < 1.4) & (bones.v_mm > -24)
        near &= (np.abs(bones.lateral) > 0.9) & (np.abs(bones.lateral) < 2.95)
        patch = canvas.patch(near)
        noise = self.gaps.at(patch.points)
        side, distance = np.abs(patch.lateral), np.full(len(patch.index), 99.0)
        if self.across > 0:
            seam = np.abs(patch.level - self.across) * level_mm(patch.level) + 0.3 * noise
            distance = np.where(side > 1.7, np.abs(seam), distance)
        if self.along > 0:
            seam = (side - self.along) * 0.6 * ala_mm(patch.level) + 0.3 * noise
            distance = np.where(patch.level < 0.95, np.minimum(distance, np.abs(seam)), distance)
        open_here = noise > np.sqrt(2) * (2 * self.closed - 1.2)
        thin = min(1.0, self.width_mm / canvas.voxel_mm)
        share = patch.filled(distance - self.width_mm / 2) * thin * patch.bone * open_here
        seam = np.exp(-(((distance - self.width_mm / 2 - 0.6) / 1.1) ** 2)) * patch.marrow
        patch.fill(Material.TRABECULA, 0.6 * seam * (share < 0.4))
        patch.fill(Material.PHYSIS, share, thin)


def _alar_course(rng: np.random.Generator) -> Course:
    """From the ventral face of an ala backwards and outwards."""
    side = float(rng.choice([-1, 1]))
    x, s, v = float(rng.uniform(30, 42)), float(rng.uniform(8, 45)), float(rng.uniform(-6, 2))
    corners = [(side * x, s, v)]
    for _ in range(int(rng.integers(2, 4))):
        x, s = x + float(rng.normal(2, 3)), s + float(rng.normal(2, 6))
        v -= float(rng.uniform(6, 11))
        corners.append((side * x, s, v))
    return tuple(corners)


def _iliac_course(rng: np.random.Generator) -> Course:
    """Within the iliac wing, along it."""
    side, along = float(rng.choice([-1, 1])), float(rng.uniform(0, 0.3))
    height, tilt = float(rng.uniform(-14, 14)), float(rng.uniform(-25, 25))
    corners = []
    for share in np.linspace(along, along + float(rng.uniform(0.5, 0.8)), 4):
        s = 39 - 22 * share + height + tilt * (share - along)
        x = 61 + 25 * share + float(rng.normal(0, 0.7))
        corners.append((side * x, float(s), float(-20 + 26 * share)))
    return tuple(corners)
