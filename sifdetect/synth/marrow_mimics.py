"""Mimics in the marrow: hemangioma, red and irradiated marrow, bone islands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sifdetect.synth.canvas import Canvas, Course, Place
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import KIND, Mimic
from sifdetect.synth.noise import SmoothNoise


@dataclass(frozen=True)
class Hemangioma:
    """Fatty stroma between coarse vertical trabeculae, in a vertebral body or an ala.

    Attributes:
        columns_mm: (x, v) of each trabecula, which runs along the spine; ``thickness_mm`` of all.
    """

    center_mm: Place
    radius_mm: float
    columns_mm: tuple[tuple[float, float], ...]
    thickness_mm: float
    margin: SmoothNoise
    mimic: Mimic = Mimic.HEMANGIOMA

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[Hemangioma, ...]:
        """Draw one; trabeculae 3.5 to 5.5 mm apart, own estimate."""
        center = [
            (float(rng.uniform(-10, 10)), float(rng.uniform(10, 42)), float(rng.uniform(-4, 4))),
            (float(rng.choice([-1, 1]) * rng.uniform(32, 42)), float(rng.uniform(12, 35)), -10.0),
            (float(rng.uniform(-10, 10)), -22.0, float(rng.uniform(-4, 4))),
        ][int(rng.choice(3, p=[0.5, 0.25, 0.25]))]
        radius, apart = float(rng.uniform(7, 13)), float(rng.uniform(3.5, 5.5))
        steps = np.arange(-1.4 * radius, 1.4 * radius, apart)
        lattice = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)
        lattice += rng.normal(0, 0.25 * apart, lattice.shape)
        columns = tuple((center[0] + float(x), center[2] + float(v)) for x, v in lattice)
        thickness = float(rng.uniform(1.0, 1.8))
        margin = SmoothNoise.sample(rng, 8.0)
        return (Hemangioma(center, radius, columns, thickness, margin),)

    def paint(self, canvas: Canvas) -> None:
        """A lump of fat and vessels with its trabeculae."""
        patch = canvas.around(self.center_mm, 1.4 * self.radius_mm + 2)
        margin = self.margin.at(patch.points)
        bent = self.radius_mm * np.clip(1 + 0.2 * margin, 0.6, 1.4)
        share = patch.filled(patch.from_mm(self.center_mm) - bent) * patch.marrow
        across = np.stack([patch.points.x + 0.6 * margin, patch.v_mm - 0.6 * margin], -1)
        distance, _ = cKDTree(np.array(self.columns_mm)).query(across)
        thin = min(1.0, self.thickness_mm / canvas.voxel_mm)
        column = patch.filled(distance - self.thickness_mm / 2) * thin * share
        patch.fill(Material.HEMANGIOMA, 0.95 * (share - column))
        patch.fill(Material.TRABECULA, 0.95 * column)


@dataclass(frozen=True)
class RedMarrow:
    """Islands of haematopoietic marrow: darker than fat on T1, brighter than muscle."""

    centers_mm: tuple[tuple[Course, ...], ...]
    radii_mm: tuple[float, ...]
    share: float
    margin: SmoothNoise
    mimic: Mimic = Mimic.RED_MARROW

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[RedMarrow, ...]:
        """Draw one to six islands, often on both sides alike."""
        centers, radii = [], []
        for _ in range(int(rng.integers(1, 4))):
            places = candidates(rng)
            size = float(rng.uniform(6, 14))
            centers.append(places)
            radii.append(size)
            if rng.random() < 0.6:
                down = float(rng.normal(0, 3))
                centers.append(tuple(((-x, s + down, v),) for ((x, s, v),) in places))
                radii.append(size * float(rng.uniform(0.7, 1.2)))
        share = float(rng.uniform(0.6, 0.95))
        return (RedMarrow(tuple(centers), tuple(radii), share, SmoothNoise.sample(rng, 7.0)),)

    def paint(self, canvas: Canvas) -> None:
        """Ill-defined lumps in the marrow."""
        for places, radius in zip(self.centers_mm, self.radii_mm, strict=True):
            (center,) = canvas.lodged(places, 2.0)
            patch = canvas.around(center, radius * 1.6)
            bent = radius * np.clip(1 + 0.35 * self.margin.at(patch.points), 0.4, 1.6)
            inside = np.clip(0.5 - (patch.from_mm(center) - bent) / 4, 0, 1)
            patch.fill(Material.RED_MARROW, self.share * inside * patch.marrow)


@dataclass(frozen=True)
class RadiationField:
    """Fatty marrow below a straight border, where the pelvis was irradiated.

    Attributes:
        top_mm: height of the field's upper border in the midline; ``tilt`` its slope to the left.
        half_width_mm: the field's lateral borders.
    """

    top_mm: float
    tilt: float
    half_width_mm: float
    share: float
    mimic: Mimic = Mimic.RADIATION

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[RadiationField, ...]:
        """Draw a pelvic field; its border lies between L5 and S2."""
        field = RadiationField(
            top_mm=float(rng.uniform(-45, 25)),
            tilt=float(rng.normal(0, 0.05)),
            half_width_mm=float(rng.uniform(55, 90)),
            share=float(rng.uniform(0.6, 0.92)),
        )
        return (field,)

    def paint(self, canvas: Canvas) -> None:
        """All marrow within the field, sharp to 3 mm."""
        at = canvas.points
        below = self.top_mm + self.tilt * at.x - at.z
        beside = self.half_width_mm - np.abs(at.x)
        patch = canvas.patch((canvas.bones.depth_mm > 0) & (below > -3) & (beside > -3))
        within = np.minimum(patch.of(below), patch.of(beside))
        share = np.clip(within / 3 + 0.5, 0, 1) * self.share * patch.marrow
        patch.fill(Material.FATTY_MARROW, share)


@dataclass(frozen=True)
class BoneIsland:
    """A dense, spiculated island of cortical bone in the marrow."""

    places_mm: tuple[Course, ...]
    radius_mm: float
    spicules: SmoothNoise
    mimic: Mimic = Mimic.BONE_ISLAND

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[BoneIsland, ...]:
        """Draw one to three of 2.5 to 7 mm radius."""
        return tuple(
            BoneIsland(candidates(rng), float(rng.uniform(2.5, 7)), SmoothNoise.sample(rng, 3.0))
            for _ in range(some(rng))
        )

    def paint(self, canvas: Canvas) -> None:
        """A lump with a brush border."""
        (center,) = canvas.lodged(self.places_mm, 2.5)
        patch = canvas.around(center, self.radius_mm * 2)
        radius = self.radius_mm * np.clip(1 + 0.45 * self.spicules.at(patch.points), 0.4, 1.9)
        outside = patch.from_mm(center) - radius
        patch.fill(Material.BONE_ISLAND, patch.filled(outside) * patch.bone)


SACRUM_SHARE, ILIUM_SHARE = 0.65, 0.25


def in_bone(rng: np.random.Generator) -> Place:
    """A place in the mean adult's sacrum, ilium or L5; bones of other sizes may miss it."""
    where = rng.random()
    side = float(rng.choice([-1.0, 1.0]))
    if where < SACRUM_SHARE:
        s = float(rng.triangular(2, 20, 80))
        wide = float(np.interp(s, [0, 15, 50, 75], [40, 45, 38, 26]))
        x = side * float(rng.uniform(0, wide))
        back = -6 if abs(x) < 14 else -22
        return x, s, float(rng.uniform(back, 4 - abs(x) / 12))
    if where < SACRUM_SHARE + ILIUM_SHARE:
        along = float(rng.random())
        s = 39 - 22 * along + float(rng.uniform(-15, 15))
        return side * (60 + 25 * along), s, -20 + 26 * along + float(rng.uniform(-6, 6))
    return side * float(rng.uniform(0, 18)), float(rng.uniform(-33, -13)), float(rng.uniform(-8, 8))


def candidates(rng: np.random.Generator) -> tuple[Course, ...]:
    """Some places, of which the first that lies in bone is to be taken (Canvas.lodged)."""
    return tuple((in_bone(rng),) for _ in range(6))


def some(rng: np.random.Generator) -> int:
    """One, two or three."""
    return int(rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15]))
