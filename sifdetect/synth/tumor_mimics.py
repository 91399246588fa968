"""Mimics that are tumours: metastases, marrow infiltration, myeloma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sifdetect.synth.canvas import Canvas, Course, Place
from sifdetect.synth.marrow_mimics import candidates, in_bone, some
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import KIND, Mimic
from sifdetect.synth.noise import SmoothNoise


@dataclass(frozen=True)
class Metastasis:
    """One metastasis, or one focus of infiltration.

    Attributes:
        mimic: LYTIC_METASTASIS, BLASTIC_METASTASIS or INFILTRATION.
        places_mm: of its middle; the first that lies in bone is taken.
        extension_mm: how far it breaks through the cortex, 0 where it respects it.
        halo_mm: width of the edema around it, 0 without.
        patchy: how uneven it is, 0–1.
    """

    mimic: Mimic
    places_mm: tuple[Course, ...]
    radius_mm: float
    extension_mm: float
    halo_mm: float
    patchy: float
    margin: SmoothNoise
    texture: SmoothNoise

    @property
    def kind(self) -> str:
        """As masses are reported."""
        return KIND[self.mimic]

    @staticmethod
    def lytic(rng: np.random.Generator) -> tuple[Metastasis, ...]:
        """Draw one to three lytic ones; most destroy the cortex that they reach."""
        return tuple(
            _metastasis(
                rng,
                Mimic.LYTIC_METASTASIS,
                radius_mm=float(rng.uniform(7, 19)),
                extension_mm=float(rng.uniform(2, 8)) if rng.random() < 0.6 else 0.0,
                patchy=0.0,
            )
            for _ in range(some(rng))
        )

    @staticmethod
    def blastic(rng: np.random.Generator) -> tuple[Metastasis, ...]:
        """Draw one to three blastic ones."""
        return tuple(
            _metastasis(
                rng,
                Mimic.BLASTIC_METASTASIS,
                radius_mm=float(rng.uniform(5, 16)),
                extension_mm=0.0,
                patchy=float(rng.uniform(0.1, 0.6)),
            )
            for _ in range(some(rng))
        )

    @staticmethod
    def infiltration(rng: np.random.Generator) -> tuple[Metastasis, ...]:
        """Draw one or two large areas of replaced marrow in intact bone."""
        return tuple(
            _metastasis(
                rng,
                Mimic.INFILTRATION,
                radius_mm=float(rng.uniform(14, 32)),
                extension_mm=0.0,
                patchy=float(rng.uniform(0, 0.3)),
            )
            for _ in range(int(rng.integers(1, 3)))
        )

    def paint(self, canvas: Canvas) -> None:
        """A lump with an irregular margin; lytic ones take the cortex, the others leave it."""
        reach = self.radius_mm * 1.6 + self.halo_mm
        (center,) = canvas.lodged(self.places_mm, 3.0)
        patch = canvas.around(center, reach)
        radius = self.radius_mm * np.clip(1 + 0.3 * self.margin.at(patch.points), 0.5, 1.5)
        outside = patch.from_mm(center) - radius
        soft = {Mimic.INFILTRATION: 3.5}.get(self.mimic, 1.0)
        inside = np.clip(0.5 - outside / (soft + canvas.voxel_mm), 0, 1)
        inside = inside * (1 - self.patchy * np.clip(self.texture.at(patch.points), 0, 1))
        if self.halo_mm > 0:
            patch.swell(0.8 * np.clip(1.2 - outside / self.halo_mm, 0, 1) * patch.marrow)
        if self.mimic is Mimic.LYTIC_METASTASIS:
            broken = np.clip(patch.depth_mm + self.extension_mm + 0.5, 0, 1)
            beyond = broken * patch.free * (outside < -1) * (self.extension_mm > 0)
            share = inside * np.maximum(patch.bone, beyond)
        else:
            share = inside * patch.marrow
        material = {
            Mimic.LYTIC_METASTASIS: Material.LYTIC,
            Mimic.BLASTIC_METASTASIS: Material.BLASTIC,
        }.get(self.mimic, Material.INFILTRATION)
        patch.fill(material, 0.95 * share)
        patch.label_mass(share > 0.4)


@dataclass(frozen=True)
class Myeloma:
    """Many small punched-out foci in sacrum, hip bones and L5."""

    centers_mm: tuple[Place, ...]
    radii_mm: tuple[float, ...]
    mimic: Mimic = Mimic.MYELOMA

    @property
    def kind(self) -> str:
        """As masses are reported."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[Myeloma, ...]:
        """Draw 20 to 60 foci of 2 to 7 mm radius."""
        count = int(rng.integers(20, 60))
        radii = np.clip(rng.lognormal(1.25, 0.35, count), 2, 7)
        centers = tuple(in_bone(rng) for _ in range(count))
        return (Myeloma(centers, tuple(float(r) for r in radii)),)

    def paint(self, canvas: Canvas) -> None:
        """Each point belongs to its nearest focus."""
        centers = np.array(self.centers_mm)
        bones = canvas.bones
        low, high = centers.min(axis=0) - 8, centers.max(axis=0) + 8
        near = (bones.depth_mm > -1) & (canvas.points.x > low[0]) & (canvas.points.x < high[0])
        near &= (bones.s_mm > low[1]) & (bones.s_mm < high[1])
        near &= (bones.v_mm > low[2]) & (bones.v_mm < high[2])
        patch = canvas.patch(near)
        at = np.stack([patch.points.x, patch.s_mm, patch.v_mm], -1)
        distance, nearest = cKDTree(centers).query(at, distance_upper_bound=9.0)
        radii = np.append(np.array(self.radii_mm), 0.0)
        outside = np.minimum(distance, 99.0) - radii[nearest]
        share = (patch.filled(outside) * patch.bone).astype(np.float32)
        patch.fill(Material.LYTIC, share)
        patch.label_mass(share > 0.4)


def _metastasis(
    rng: np.random.Generator, mimic: Mimic, *, radius_mm: float, extension_mm: float, patchy: float
) -> Metastasis:
    return Metastasis(
        mimic=mimic,
        places_mm=candidates(rng),
        radius_mm=radius_mm,
        extension_mm=extension_mm,
        halo_mm=float(rng.uniform(2, 6)) if rng.random() < 0.5 else 0.0,
        patchy=patchy,
        margin=SmoothNoise.sample(rng, max(4.0, radius_mm / 1.5)),
        texture=SmoothNoise.sample(rng, 4.0),
    )
