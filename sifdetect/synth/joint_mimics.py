"""Mimics at the joints L5/S1: end plates and facets; gas in these joints and the sacroiliac."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifdetect.synth.canvas import Canvas
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import KIND, Mimic
from sifdetect.synth.noise import SmoothNoise
from sifdetect.synth.sacroiliac_mimics import joint_patch, sides


@dataclass(frozen=True)
class EndPlateChange:
    """Marrow at the discs' end plates of L5/S1 (Modic 1988, Radiology): edema, fat or sclerosis.

    Attributes:
        stage: 1 edema, 2 fat, 3 sclerosis.
        center_mm: (x, v) of its middle on the end plate; ``reach_mm`` its radius there.
        depth_mm: into S1 and into L5.
    """

    stage: int
    center_mm: tuple[float, float]
    reach_mm: float
    depth_mm: tuple[float, float]
    margin: SmoothNoise
    mimic: Mimic = Mimic.END_PLATE_CHANGE

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[EndPlateChange, ...]:
        """Draw one at L5/S1."""
        change = EndPlateChange(
            stage=int(rng.choice([1, 2, 3], p=[0.45, 0.4, 0.15])),
            center_mm=(float(rng.uniform(-12, 12)), float(rng.uniform(-6, 10))),
            reach_mm=float(rng.uniform(9, 22)),
            depth_mm=(float(rng.uniform(3, 11)), float(rng.uniform(3, 11))),
            margin=SmoothNoise.sample(rng, 8.0),
        )
        return (change,)

    def paint(self, canvas: Canvas) -> None:
        """A band along both end plates."""
        disc = canvas.shape.curve.vertebra_bounds_mm[0][1]
        x, v = self.center_mm
        patch = canvas.around((x, disc / 2, v), self.reach_mm * 1.3 + 4)
        margin = self.margin.at(patch.points)
        caudal = patch.s_mm > disc / 2
        below = np.where(caudal, patch.s_mm, disc - patch.s_mm)
        depth = np.where(caudal, *self.depth_mm) * np.clip(1 + 0.3 * margin, 0.4, 1.6)
        wide = np.hypot(patch.points.x - x, patch.v_mm - v) / self.reach_mm
        strength = np.clip(1.6 - 1.2 * below / depth, 0, 1) * np.clip(2.2 - 1.5 * wide, 0, 1)
        strength = strength * (patch.v_mm > -19) * ~patch.free
        if self.stage == 1:
            patch.swell(strength)
        elif self.stage == 2:
            patch.fill(Material.FATTY_MARROW, 0.9 * strength * patch.marrow)
        else:
            patch.harden(strength)


@dataclass(frozen=True)
class FacetArthropathy:
    """Worn facet joint L5/S1 of one side: sclerosis, and edema around it in part of the cases."""

    side: int
    reach_mm: float
    edema: float
    sclerosis: float
    margin: SmoothNoise
    mimic: Mimic = Mimic.FACET_ARTHROPATHY

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[FacetArthropathy, ...]:
        """Draw one or both sides."""
        return tuple(
            FacetArthropathy(
                side=side,
                reach_mm=float(rng.uniform(8, 14)),
                edema=float(rng.uniform(0.4, 1)) if rng.random() < 0.5 else 0.0,
                sclerosis=float(rng.uniform(0.4, 1)),
                margin=SmoothNoise.sample(rng, 7.0),
            )
            for side in sides(rng)
        )

    def paint(self, canvas: Canvas) -> None:
        """Around the articular processes, by the distance to the joint between them."""
        center = facet_center(canvas, self.side)
        patch = canvas.around(center, 1.4 * self.reach_mm)
        far = patch.from_mm(center) / (self.reach_mm * (1 + 0.25 * self.margin.at(patch.points)))
        solid = ~patch.free & (patch.v_mm < -15)
        patch.swell(self.edema * np.clip(2 - 1.7 * far, 0, 1) * solid)
        patch.harden(self.sclerosis * np.clip(1.6 - 1.9 * far, 0, 1) * solid)


@dataclass(frozen=True)
class Vacuum:
    """Gas in a sacroiliac joint, in the disc L5/S1 or in a facet joint of it.

    Attributes:
        place: "sacroiliac", "disc" or "facet"; ``side`` is 0 for the disc.
        level: middle of the gas in a sacroiliac joint.
        size: half length in levels or share of the disc.
    """

    place: str
    side: int
    level: float
    size: float
    thickness_mm: float
    patches: SmoothNoise
    mimic: Mimic = Mimic.VACUUM

    @property
    def kind(self) -> str:
        """Its own name."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[Vacuum, ...]:
        """Draw one place, both sides of it in half of the cases; joints more often than discs."""
        place = str(rng.choice(["sacroiliac", "disc", "facet"], p=[0.5, 0.35, 0.15]))
        return tuple(
            Vacuum(
                place=place,
                side=side,
                level=float(rng.uniform(0.5, 1.8)),
                size=float(rng.uniform(0.3, 0.8)),
                thickness_mm=float(rng.uniform(0.6, 1.8)),
                patches=SmoothNoise.sample(rng, 9.0),
            )
            for side in ((0,) if place == "disc" else sides(rng))
        )

    def paint(self, canvas: Canvas) -> None:
        """A thin, broken layer of gas."""
        half, thin = self.thickness_mm / 2, min(1.0, self.thickness_mm / canvas.voxel_mm)
        if self.place == "sacroiliac":
            patch = joint_patch(canvas, self.side)
            layer = np.abs(patch.of(canvas.bones.sacrum_mm) - 1.2) - half
            off = np.abs(patch.level - self.level) / self.size
            inside = patch.of(canvas.bones.joint) & (patch.v_mm > -22)
        elif self.place == "disc":
            middle = canvas.shape.curve.vertebra_bounds_mm[0][1] / 2
            patch = canvas.around((0.0, middle, 0.0), 26.0)
            wave = 1.2 * self.patches.at(patch.points)
            layer = np.abs(patch.s_mm - middle + wave) - half - 0.4
            off = np.hypot(patch.points.x / 24, patch.v_mm / 15) / self.size
            inside = patch.of(canvas.bones.disc)
        else:
            center = facet_center(canvas, self.side)
            patch = canvas.around(center, 11.0)
            layer = np.abs(np.abs(patch.points.x) - abs(center[0])) - half
            off = np.hypot((patch.s_mm - center[1]) / 9, (patch.v_mm - center[2]) / 7)
            inside = np.ones(len(patch.index), np.bool_)
        broken = self.patches.at(patch.points) > -0.6
        share = patch.filled(layer) * thin * inside * (off < 1) * broken
        patch.fill(Material.GAS, share, thin)


def facet_center(canvas: Canvas, side: int) -> tuple[float, float, float]:
    """(x, s, v) of the facet joint L5/S1 of one side."""
    size = canvas.shape.curve.scale
    return 21.0 * side * size, -3.0 * size, -28.0 * size
