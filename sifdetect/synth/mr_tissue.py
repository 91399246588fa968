"""Relaxation of tissue at 1.5 and 3 T, and the texture of marrow, muscle and fat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.body import Tissue
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.scene import Scene, cortical
from sifdetect.synth.slab import pieces

WATER = {
    Tissue.AIR: (1000, 1000, 50, 50, 0.0, 0.0),
    Tissue.FAT: (1000, 1100, 35, 32, 0.85, 0.88),
    Tissue.MUSCLE: (990, 1160, 37, 34, 0.85, 0.02),
    Tissue.VISCERA: (950, 1150, 75, 68, 0.85, 0.02),
    Tissue.GAS: (1000, 1000, 20, 20, 0.01, 0.0),
    Tissue.STOOL: (700, 800, 45, 40, 0.5, 0.08),
    Tissue.FLUID: (3300, 3600, 800, 700, 1.0, 0.0),
    Tissue.VESSEL: (1440, 1930, 290, 275, 0.95, 0.0),
    Tissue.DISC: (1050, 1200, 65, 60, 0.8, 0.0),
    Tissue.CSF: (4000, 4200, 1500, 1300, 1.0, 0.0),
    Tissue.NERVE: (815, 1080, 77, 75, 0.8, 0.15),
    Tissue.LIGAMENT: (900, 1050, 12, 10, 0.45, 0.03),
    Tissue.SKIN: (850, 950, 30, 28, 0.6, 0.15),
    Tissue.MARROW: (1000, 1150, 42, 38, 0.85, 0.0),
    Tissue.CORTEX: (900, 1000, 3, 3, 0.2, 0.0),
    Tissue.CARTILAGE: (1020, 1170, 30, 27, 0.75, 0.0),
    Tissue.TABLE: (1000, 1000, 20, 20, 0.0, 0.0),
    Tissue.CALCIFICATION: (900, 1000, 3, 3, 0.1, 0.0),
    Tissue.ORGAN: (780, 950, 55, 48, 0.85, 0.05),
    Tissue.RIB: (900, 1000, 30, 28, 0.5, 0.4),
    Tissue.LUNG: (1000, 1000, 15, 15, 0.08, 0.0),
    Tissue.FATTY_MUSCLE: (990, 1160, 37, 34, 0.85, 0.6),
    Tissue.SEPTUM: (900, 1050, 20, 18, 0.6, 0.4),
    Tissue.VEIN: (1440, 1930, 200, 185, 0.95, 0.0),
}
"""T1 at 1.5 and 3 T (ms), T2 at 1.5 and 3 T (ms), proton density (water = 1), share of lipid.

Muscle, blood, cartilage, nerve: between de Bazelaire 2004, Stanisz 2005 and Gold 2004. Water of
adipose tissue and of marrow, ligament, cortex, stool and the densities: own estimate."""
EDEMA = (1450.0, 1650.0, 105.0, 98.0, 0.95)
"""The water of edematous marrow, as above without a share; own estimate."""
FLUID_GAP = (2600.0, 2900.0, 300.0, 280.0, 0.9)
DRY_GAP = (1200.0, 1300.0, 18.0, 17.0, 0.3)
"""What fills the gap of a fracture: fluid in some acute ones, else bone meal and fibrous tissue."""
LIPID_T1_MS = (288.0, 371.0)
"""At 1.5 and 3 T: Gold 2004."""
LIPID_T2_MS = (62.0, 150.0)
"""Of a single echo (de Bazelaire 2004) and of a long echo train, whose pulses undo J-coupling."""


@dataclass(frozen=True)
class Relaxation:
    """T1 and T2 (ms) and proton density (water = 1) of one or many substances, of one shape."""

    t1_ms: Array
    t2_ms: Array
    density: Array


def waters(field_t: float) -> tuple[Relaxation, Array]:
    """Water of every Tissue, and the share of lipid in it, each of shape (len(Tissue),)."""
    table = np.array([WATER[tissue] for tissue in Tissue], dtype=np.float32)
    high = _high(field_t)
    t1 = table[:, 0] + (table[:, 1] - table[:, 0]) * high
    t2 = table[:, 2] + (table[:, 3] - table[:, 2]) * high
    return Relaxation(t1, t2, table[:, 4]), table[:, 5]


def water_of(values: tuple[float, float, float, float, float], field_t: float) -> Relaxation:
    """One water of its own, given as the first five columns of ``WATER``."""
    low_t1, high_t1, low_t2, high_t2, density = values
    high = _high(field_t)
    t1, t2 = low_t1 + (high_t1 - low_t1) * high, low_t2 + (high_t2 - low_t2) * high
    return Relaxation(np.array([t1]), np.array([t2]), np.array([density]))


def lipid(field_t: float, echo_train: int) -> Relaxation:
    """Fat as an echo train of so many echoes sees it; its T2 rises up to about 16 echoes."""
    t1 = LIPID_T1_MS[0] + (LIPID_T1_MS[1] - LIPID_T1_MS[0]) * _high(field_t)
    t2 = LIPID_T2_MS[0] + (LIPID_T2_MS[1] - LIPID_T2_MS[0]) * min(1.0, (echo_train - 1) / 15)
    return Relaxation(np.array([t1]), np.array([t2]), np.array([0.95]))


def _high(field_t: float) -> float:
    return float(np.clip((field_t - 1.5) / 1.5, 0, 1))


@dataclass(frozen=True)
class Microstructure:
    """Texture of one patient that no tissue label tells: marrow islands, fibres, strands."""

    islands: SmoothNoise
    texture: SmoothNoise
    streaks: SmoothNoise
    fibre: tuple[float, float, float]

    @staticmethod
    def sample(rng: np.random.Generator) -> Microstructure:
        """Draw a patient; fibres run mostly caudally and outwards, as the gluteal muscles do."""
        fibre = rng.normal(0, 1, 3) * np.array([0.7, 0.15, 1.0])
        fibre /= max(float(np.linalg.norm(fibre)), 1e-6)
        return Microstructure(
            islands=SmoothNoise.sample(rng, 13.0),
            texture=SmoothNoise.sample(rng, 4.0, 32),
            streaks=SmoothNoise.sample(rng, 2.8, 32),
            fibre=(float(fibre[0]), float(fibre[1]), float(fibre[2])),
        )


@dataclass(frozen=True)
class BoneVoxels:
    """The voxels that have any bone, in order: their flat index, and what is in them, 0–1 each.

    Attributes:
        share: of bone in the voxel; ``cortex`` of the bone, ``gap`` of a fracture, ``remnant`` of a
            disc.
        edema, sclerosis: strength.
    """

    index: NDArray[np.intp]
    share: Array
    edema: Array
    sclerosis: Array
    remnant: Array
    gap: Array
    cortex: Array

    @staticmethod
    def of(scene: Scene, bone: NDArray[np.bool_]) -> BoneVoxels:
        """The voxels of a scene that are marked."""
        index = np.flatnonzero(bone)
        share, edema, sclerosis, remnant, gap, depth, thick = (
            values.ravel()[index]
            for values in (
                *(scene.bone_share, scene.edema, scene.sclerosis, scene.disc_remnant),
                *(scene.lesions.lucency, scene.bones.depth_mm, scene.cortex_mm),
            )
        )
        cortex = cortical(depth, thick, scene.voxel_mm)
        return BoneVoxels(index, share, np.clip(edema, 0, 1), sclerosis, remnant, gap, cortex)


@dataclass(frozen=True)
class Subject:
    """A scene with its microstructure, evaluated once for all of its series.

    Attributes:
        bone: True where a voxel has any bone.
        islands: slow variation of marrow, for the voxels of ``bone`` in order.
        texture: fine variation of everything, of the points' shape.
        soft: True in muscle and fat; ``streaks`` holds the fibres of those voxels in order.
    """

    scene: Scene
    points: Points
    bone: NDArray[np.bool_]
    islands: Array
    texture: Array
    soft: NDArray[np.bool_]
    streaks: Array

    def lipid_in(self, marrow: Marrow) -> Array:
        """Share of lipid in every voxel of ``bone``, in order; kept for the next series."""
        if marrow not in self._lipid:
            self._lipid[marrow] = marrow.share(self)
        return self._lipid[marrow]

    def put_grain(self, images: tuple[Array, Array], grain: float, *, scale: np.float32) -> None:
        """Multiply images, in place, by ``scale`` and by the texture with that deviation."""
        texture, flat = self.texture.reshape(-1), [image.reshape(-1) for image in images]
        for part in pieces(len(texture)):
            factor = texture[part] * np.float32(grain)
            factor += 1
            factor *= scale
            for image in flat:
                image[part] *= factor

    @cached_property
    def _lipid(self) -> dict[Marrow, Array]:
        return {}

    @cached_property
    def bone_voxels(self) -> BoneVoxels:
        """What is in the voxels of ``bone``."""
        return BoneVoxels.of(self.scene, self.bone)

    @staticmethod
    def of(scene: Scene, points: Points, micro: Microstructure) -> Subject:
        """The microstructure at the points of a scene."""
        bone = scene.bone_share > 0
        soft = (scene.tissue == Tissue.MUSCLE) | (scene.tissue == Tissue.FAT)
        streaks = micro.streaks.at(_stretched(_chosen(points, soft), micro.fibre, 5.0))
        return Subject(
            scene=scene,
            points=points,
            bone=bone,
            islands=micro.islands.at(points)[bone],
            texture=micro.texture.at(points),
            soft=soft,
            streaks=streaks,
        )


@dataclass(frozen=True)
class Marrow:
    """How fat lies in the marrow of one patient; shares of the signal's lipid, 0–1.

    Attributes:
        fat: mean share, 0.35 in the young to 0.95 in the old (Hajek 1987; Kugel 2001).
        alar, body, other: what is added in alae, sacral bodies and all other bones.
        subchondral: what is added beside the sacroiliac joint; red marrow there is below 0.
        patchy: standard deviation of the islands.
    """

    fat: float
    alar: float
    body: float
    other: float
    subchondral: float
    patchy: float

    @staticmethod
    def sample(rng: np.random.Generator) -> Marrow:
        """Draw a patient, more often old than young."""
        return Marrow(
            fat=float(0.35 + 0.6 * rng.beta(2.6, 1.5)),
            alar=float(rng.uniform(0.0, 0.12)),
            body=float(rng.uniform(-0.16, 0.02)),
            other=float(rng.uniform(-0.15, 0.05)),
            subchondral=float(rng.normal(0, 0.08)),
            patchy=float(rng.uniform(0.02, 0.13)),
        )

    def share(self, subject: Subject) -> Array:
        """Share of lipid in every voxel of ``subject.bone``, in order."""
        bones, inside = subject.scene.bones, subject.bone_voxels.index
        labels, lateral, sacrum_mm = (
            values.reshape(-1)[inside] for values in (bones.labels, bones.lateral, bones.sacrum_mm)
        )
        lateral, sacral = np.abs(lateral), np.isin(labels, (1, 2, 3, 4, 5))
        alar = np.clip(lateral - 1.2, 0, 1)
        share = self.fat + self.patchy * subject.islands
        share += np.where(sacral, self.alar * alar + self.body * (1 - alar), self.other)
        to_joint = np.where(sacral, np.abs(3 - lateral) * 18, np.abs(sacrum_mm))
        share += self.subchondral * np.exp(-to_joint / 7)
        return np.asarray(np.clip(share, 0.08, 0.97), dtype=np.float32)


def stranded(
    images: tuple[Array, Array],
    streaks: Array,
    muscle: NDArray[np.bool_],
    *,
    strength: float,
    of: tuple[float, float],
) -> tuple[Array, Array]:
    """Water and fat with strands of fat and small veins in muscle, with veins and septa in fat.

    Args:
        images: water and fat of voxels of muscle and fat, (n,) each, as the next two.
        streaks: the fibres there; ``muscle`` tells which of the two a voxel is.
        strength: lipid in the strongest strands, 0-1.
        of: signal of blood and of lipid.
    """
    (wet, greasy), (blood, fat) = images, of
    strand = np.clip(streaks - 0.7, 0, 1) * strength * muscle
    vein = np.clip(-1.5 - streaks, 0, 1) * np.where(muscle, np.float32(1), np.float32(0.3))
    septum = np.clip(1 - np.abs(streaks) / 0.12, 0, 1) * 0.45 * ~muscle
    water = wet * (1 - strand) + vein * (blood - wet)
    return water, greasy * (1 - vein) * (1 - septum) + strand * fat


def _chosen(points: Points, mask: NDArray[np.bool_]) -> Points:
    return Points(points.x[mask], points.y[mask], points.z[mask])


def _stretched(points: Points, fibre: tuple[float, float, float], factor: float) -> Points:
    """Points pressed together along a direction, so that what is evaluated there is stretched."""
    a, b, c = fibre
    along = (points.x * a + points.y * b + points.z * c) * np.float32(1 / factor - 1)
    return Points(points.x + along * a, points.y + along * b, points.z + along * c)
