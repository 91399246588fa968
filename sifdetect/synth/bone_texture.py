"""Cancellous bone on CT: how dense it is where, from a young pelvis to severe osteoporosis.

One latent number, the bone loss, moves everything together: the bodies, the alae with their voids,
the cortex, and trabeculae that are fewer and coarser.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.scene import Scene, cortical

FATTY_MARROW_HU = -85.0
"""Marrow without trabeculae; fat is at -100 HU and yellow marrow keeps some cells and vessels."""
PLATE_HU = 650.0
TRABECULA_MM = 1.1
"""Length over which trabecular texture averages out (own estimate; trabeculae are 0.6-1 mm
apart, more in osteoporosis)."""


@dataclass(frozen=True)
class Buttress:
    """Denser bone where body and ala meet, on one side; ``side`` is +1 left, -1 right."""

    side: int
    lateral: float
    level: float
    v_mm: float
    radius: tuple[float, float, float]
    gain_hu: float


@dataclass(frozen=True)
class BoneTexture:
    """Density of the bones of one patient.

    Attributes:
        loss: latent bone loss, 0 young to 1 severe osteoporosis.
        body_hu, ala_hu: deep trabecular bone of the bodies and of the alae.
        void: share of the marrow that a void in each ala (right, left) has lost, 0-1.
        void_level, void_size: where it is centred, and its extent, as levels.
        trabecular_hu: standard deviation of the trabeculae at fine voxels.
        subcortical_hu, subcortical_mm: denser bone below the cortex, and how deep.
        plate_mm: thickness of end plates and of the subchondral plates of the sacroiliac joint.
        cortex: factor of the cortex's thickness.
    """

    loss: float
    body_hu: float
    ala_hu: float
    void: tuple[float, float]
    void_level: float
    void_size: float
    trabecular_hu: float
    subcortical_hu: float
    subcortical_mm: float
    plate_mm: float
    cortex: float
    cortex_hu: float
    buttresses: tuple[Buttress, ...]
    trabeculae: SmoothNoise
    patches: SmoothNoise
    density: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator) -> BoneTexture:
        """Draw bones.

        Bodies have 30-290 HU: L1 has about 200 at 30 years and 110 at 70 (Pickhardt 2013). Alae
        are 60-190 HU below them, and their voids reach fat: three real scans in docs/synth-ct.md.
        """
        loss = float(rng.beta(1.6, 1.4))
        body = float(np.clip(280 - 240 * loss + rng.normal(0, 28), 25, 350))
        ala = max(1.0 * body - 90 - 40 * loss + float(rng.normal(0, 25)), FATTY_MARROW_HU + 10)
        gone = float(np.clip((loss - 0.2) / 0.55, 0, 1))
        sides = (-1, 1)
        void = [gone * float(rng.uniform(0.35, 0.95)) for _ in sides]
        return BoneTexture(
            loss=loss,
            body_hu=body,
            ala_hu=ala,
            void=(void[0], void[1]),
            void_level=float(rng.uniform(0.65, 1.3)),
            void_size=float(rng.uniform(0.5, 1.1)),
            trabecular_hu=float(rng.uniform(35, 95)),
            subcortical_hu=float(rng.uniform(20, 220)),
            subcortical_mm=float(rng.uniform(1.2, 4.0)),
            plate_mm=float(rng.uniform(0.5, 2.0)),
            cortex=float((1.15 - 0.55 * loss) * rng.uniform(0.8, 1.2)),
            cortex_hu=float(rng.uniform(1000, 1650) - 250 * loss),
            buttresses=tuple(_buttress(rng, side) for side in sides),
            trabeculae=SmoothNoise.sample(rng, 1.3 + 0.8 * loss, 48),
            patches=SmoothNoise.sample(rng, 6.0, 32),
            density=SmoothNoise.sample(rng, 15.0),
        )


def _buttress(rng: np.random.Generator, side: int) -> Buttress:
    return Buttress(
        side=side,
        lateral=float(rng.uniform(0.8, 1.9)),
        level=float(rng.uniform(0.2, 1.5)),
        v_mm=float(rng.uniform(-12, 2)),
        radius=(float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.2, 0.6)), rng.uniform(4, 11)),
        gain_hu=float(rng.uniform(0, 260)),
    )


def bone_hu(
    scene: Scene, points: Points, texture: BoneTexture, spacing_mm: NDArray[np.float64]
) -> Array:
    """HU of bone, of the points' shape; anything where there is no bone.

    Args:
        points: of a lattice (i, j, k) in the pelvic frame.
        spacing_mm: (3,) of that lattice; trabeculae average out within a voxel.
    """
    inside = np.flatnonzero(scene.bones.depth_mm > -scene.voxel_mm)
    where = Points(*(axis.reshape(-1)[inside] for axis in (points.x, points.y, points.z)))
    spot = _Spot.of(scene, inside)
    patches = texture.patches.at(points).reshape(-1)[inside]
    density = 0.8 * texture.density.at(points).reshape(-1)[inside] + 0.4 * patches
    marrow = _marrow(texture, spot, density)
    lack = np.clip(1.25 - (marrow - FATTY_MARROW_HU) / 500, 0.35, 1)
    strands = _strands(texture, where, lack * averaging(spacing_mm))
    marrow = np.maximum(marrow + strands, FATTY_MARROW_HU - 15)
    cortex = texture.cortex_hu * (1 + 0.12 * density)
    share = _cortex_share(scene, inside, texture, density)
    hu = np.full(points.x.shape, texture.body_hu, dtype=np.float32)
    hu.reshape(-1)[inside] = marrow + (cortex - marrow) * share
    return hu


def averaging(spacing_mm: NDArray[np.float64]) -> float:
    """Share of the texture's amplitude that is left in voxels of a lattice, 0-1."""
    return float(np.prod(np.sqrt(TRABECULA_MM / (TRABECULA_MM + 0.5 * np.asarray(spacing_mm)))))


@dataclass(frozen=True)
class _Spot:
    """Where in which bone each of some points lies; flat arrays."""

    sacral: NDArray[np.bool_]
    side: Array
    lateral: Array
    level: Array
    v_mm: Array
    depth_mm: Array

    @staticmethod
    def of(scene: Scene, inside: NDArray[np.intp]) -> _Spot:
        bones = scene.bones
        lateral, level, v_mm, depth_mm = (
            values.reshape(-1)[inside]
            for values in (bones.lateral, bones.level, bones.v_mm, bones.depth_mm)
        )
        labels = bones.labels.reshape(-1)[inside]
        return _Spot(
            sacral=(labels >= AnatomyLabel.SACRAL_BODY) & (labels <= AnatomyLabel.SACRAL_ALA_LEFT),
            side=np.sign(lateral),
            lateral=np.abs(lateral),
            level=level,
            v_mm=v_mm,
            depth_mm=np.maximum(depth_mm, 0),
        )


def _marrow(texture: BoneTexture, spot: _Spot, density: Array) -> Array:
    alar = np.clip((spot.lateral - 1.1) / 0.9, 0, 1) * spot.sacral
    marrow = texture.body_hu + (texture.ala_hu - texture.body_hu) * alar
    marrow = marrow + (0.22 * texture.body_hu + 20) * density
    for one in texture.buttresses:
        far = ((spot.lateral - one.lateral) / one.radius[0]) ** 2
        far = far + ((spot.level - one.level) / one.radius[1]) ** 2
        far = far + ((spot.v_mm - one.v_mm) / one.radius[2]) ** 2
        marrow = marrow + one.gain_hu * np.exp(-far) * (spot.side == one.side) * spot.sacral
    lost = _void(texture, spot, density)
    marrow = marrow + lost * (FATTY_MARROW_HU - marrow)
    shallow = np.exp(-spot.depth_mm / texture.subcortical_mm)
    marrow = marrow + texture.subcortical_hu * shallow * np.clip(1 + 0.7 * density, 0, 2)
    return np.asarray(marrow + (PLATE_HU - marrow) * _plates(texture, spot), dtype=np.float32)


def _void(texture: BoneTexture, spot: _Spot, density: Array) -> Array:
    """Share of the marrow lost in the void of each ala, lateral to the upper foramina."""
    from_center = ((spot.lateral - 2.35) / 0.62) ** 2
    from_center = from_center + ((spot.level - texture.void_level) / texture.void_size) ** 2
    deep = np.clip((spot.depth_mm - 1.5) / 2.5, 0, 1)
    share = np.clip((1.35 - from_center - 0.5 * density) / 0.7, 0, 1) * deep * spot.sacral
    left, right = np.float32(texture.void[1]), np.float32(texture.void[0])
    return np.asarray(share * np.where(spot.side > 0, left, right))


def _plates(texture: BoneTexture, spot: _Spot) -> Array:
    """Share of dense plate: end plate of S1, and both sides of the sacroiliac joint."""
    end = (np.abs(spot.level) < 0.22) & (spot.lateral < 1.3)
    joint = (np.abs(spot.lateral - 3) < 0.35) & (spot.level > 0.1) & (spot.level < 2.7)
    near = np.exp(-((spot.depth_mm / texture.plate_mm) ** 2))
    return np.asarray(0.75 * near * (end | joint))


def _strands(texture: BoneTexture, where: Points, amplitude: Array) -> Array:
    """Trabeculae: noise stretched along the load's path from the S1 end plate to the joints."""
    stretch = np.float32(1 - 1 / (1.4 + 1.2 * texture.loss))
    along = stretch * (0.55 * np.abs(where.x) - 0.25 * where.y - 0.8 * where.z)
    bent = Points(
        where.x - np.float32(0.55) * np.sign(where.x) * along,
        where.y + np.float32(0.25) * along,
        where.z + np.float32(0.8) * along,
    )
    field = texture.trabeculae.at(bent) * np.float32(1.9)  # trilinear values vary by about a half
    skewed = field + np.float32(0.25) * (field**2 - 1)
    return np.asarray(texture.trabecular_hu * amplitude * skewed, dtype=np.float32)


def _cortex_share(
    scene: Scene, inside: NDArray[np.intp], texture: BoneTexture, density: Array
) -> Array:
    """Share of each voxel's bone that is cortex, 0-1, as Scene.cortex_share has it.

    Bone loss has thinned it; it is thicker in the iliac wings and where the bone is denser.
    """
    labels = scene.bones.labels.reshape(-1)[inside]
    wings = (labels == AnatomyLabel.HIP_RIGHT) | (labels == AnatomyLabel.HIP_LEFT)
    thick = scene.cortex_mm.reshape(-1)[inside] * texture.cortex * np.where(wings, 1.2, 0.65)
    thick = (thick * np.exp(0.6 * density)).astype(np.float32)
    return cortical(scene.bones.depth_mm.reshape(-1)[inside], thick, scene.voxel_mm)
