"""Mimics at the sacroiliac joint: sacroiliitis and degeneration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifdetect.synth.canvas import Canvas, Patch, ala_mm
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import KIND, SACROILIAC_EDEMA, Mimic
from sifdetect.synth.noise import Array, SmoothNoise

MAX_REACH_MM = 12.5
"""No edema of a joint reaches further from it."""


@dataclass(frozen=True)
class SacroiliacDisease:
    """Inflamed or worn joint: what lies below the cartilage of sacrum and ilium.

    Sacroiliitis: edema on both sides of the joint, erosions, later fat and sclerosis (Lambert 2016,
    Ann Rheum Dis 75:1958); wear: sclerosis, mostly iliac and ventral, with little edema.

    Attributes:
        mimic: SACROILIITIS or SACROILIAC_DEGENERATION.
        side: +1 left, -1 right.
        level: its middle, as BoneField.level; ``spread`` its half length in the same units.
        edema, sclerosis, fat: strength in the sacrum and in the ilium, 0–1.
        edema_mm, sclerosis_mm: depth below the joint's surface.
        erosions: share of the subchondral bone that is eroded, 0–1.
        fluid: strength of an effusion, 0–1.
    """

    mimic: Mimic
    side: int
    level: float
    spread: float
    edema: tuple[float, float]
    edema_mm: float
    sclerosis: tuple[float, float]
    sclerosis_mm: float
    fat: float
    erosions: float
    fluid: float
    margin: SmoothNoise
    pits: SmoothNoise

    @property
    def kind(self) -> str:
        """Edema where it is strong enough to be labelled."""
        return SACROILIAC_EDEMA if max(self.edema) > 0.4 else KIND[self.mimic]

    @staticmethod
    def sacroiliitis(rng: np.random.Generator) -> tuple[SacroiliacDisease, ...]:
        """Draw sacroiliitis; on both sides in half of the cases."""
        level, active = float(rng.uniform(0.7, 2.2)), rng.random() < 0.85
        fat = float(rng.uniform(0.4, 0.9)) if rng.random() < 0.35 else 0.0
        return tuple(
            SacroiliacDisease(
                mimic=Mimic.SACROILIITIS,
                side=side,
                level=level + float(rng.normal(0, 0.2)),
                spread=float(rng.uniform(0.5, 1.2)),
                edema=(float(rng.uniform(0.6, 1)), float(rng.uniform(0.6, 1)))
                if active
                else (0, 0),
                edema_mm=float(rng.uniform(4.5, 11)),
                sclerosis=(float(rng.uniform(0, 0.6)), float(rng.uniform(0.2, 0.9))),
                sclerosis_mm=float(rng.uniform(1.5, 5)),
                fat=fat,
                erosions=float(rng.uniform(0.05, 0.3)),
                fluid=float(rng.uniform(0, 0.8)),
                margin=SmoothNoise.sample(rng, 8.0),
                pits=SmoothNoise.sample(rng, 3.5, 32),
            )
            for side in sides(rng)
        )

    @staticmethod
    def degeneration(rng: np.random.Generator) -> tuple[SacroiliacDisease, ...]:
        """Draw wear; on both sides in half of the cases, with edema in a third of them."""
        swollen = rng.random() < 0.35
        return tuple(
            SacroiliacDisease(
                mimic=Mimic.SACROILIAC_DEGENERATION,
                side=side,
                level=float(rng.uniform(0.5, 1.9)),
                spread=float(rng.uniform(0.35, 0.9)),
                edema=_pair(rng, 0.4, 0.8) if swollen else (0.0, 0.0),
                edema_mm=float(rng.uniform(3, 6)),
                sclerosis=(float(rng.uniform(0.1, 0.7)), float(rng.uniform(0.5, 1))),
                sclerosis_mm=float(rng.uniform(2.5, 8)),
                fat=0.0,
                erosions=float(rng.uniform(0, 0.06)),
                fluid=0.0,
                margin=SmoothNoise.sample(rng, 8.0),
                pits=SmoothNoise.sample(rng, 5.0, 32),
            )
            for side in sides(rng)
        )

    def paint(self, canvas: Canvas) -> None:
        """Edema, sclerosis, fat and erosions by depth below the joint, fluid in it."""
        patch = joint_patch(canvas, self.side)
        depth = below_joint_mm(patch)
        margin = self.margin.at(patch.points)
        off = np.abs(patch.level - self.level) / self.spread
        along = np.clip(1.5 - off + 0.25 * margin, 0, 1)
        bent = np.clip(1 + 0.3 * margin, 0.4, 1.6)
        swelling = np.clip(1.6 - depth * 1.3 / np.minimum(self.edema_mm * bent, MAX_REACH_MM), 0, 1)
        patch.swell(swelling * along * self._in(patch, self.edema))
        hard = np.clip(1.5 - depth / (self.sclerosis_mm * bent), 0, 1)
        patch.harden(hard * along * self._in(patch, self.sclerosis))
        if self.fat > 0:
            band = np.exp(-(((depth - 5) / 3) ** 2)) * along * self.fat
            patch.fill(Material.FATTY_MARROW, band * patch.marrow)
        pits = self.pits.at(patch.points) > np.sqrt(2) * (1 - 2.2 * self.erosions)
        patch.fill(Material.LYTIC, 0.9 * pits * (depth < 3.2) * (along > 0.3) * patch.bone)
        joint = patch.of(canvas.bones.joint)
        patch.fill(Material.CYST, self.fluid * along * joint * patch.free)

    def _in(self, patch: Patch, strength: tuple[float, float]) -> Array:
        return np.asarray(strength[0] * patch.sacral + strength[1] * patch.hip, np.float32)


def joint_patch(canvas: Canvas, side: int) -> Patch:
    """The points near the sacroiliac joint of one side, +1 left, -1 right."""
    bones = canvas.bones
    near = (bones.sacrum_mm < 17) & (bones.sacrum_mm > -14) & (bones.wing_mm < 20)
    near &= canvas.points.x * side > 18
    near &= (bones.level > -0.3) & (bones.level < 3.3)
    return canvas.patch(near)


def below_joint_mm(patch: Patch) -> Array:
    """Depth below the sacroiliac surface of sacrum or ilium, about; 99 outside both."""
    sacrum = patch.of(patch.canvas.bones.sacrum_mm)
    wing = patch.of(patch.canvas.bones.wing_mm)
    medial = (3 - np.abs(patch.lateral)) * ala_mm(patch.level) - 14
    in_sacrum = np.maximum(np.maximum(-sacrum, wing - 5), medial)
    beyond = np.maximum(np.maximum(patch.v_mm - 5, -32 - patch.v_mm), 0)
    below = np.where(patch.sacral, in_sacrum, np.where(patch.hip, sacrum - 2.5, 99.0))
    return np.asarray(below + beyond)


def sides(rng: np.random.Generator) -> tuple[int, ...]:
    """One side or both."""
    if rng.random() < 0.5:
        return -1, 1
    return (1,) if rng.random() < 0.5 else (-1,)


def _pair(rng: np.random.Generator, least: float, most: float) -> tuple[float, float]:
    return float(rng.uniform(least, most)), float(rng.uniform(least, most))
