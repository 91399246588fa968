"""One synthetic patient: parameters, and what is where at any set of points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, LesionBit
from sifdetect.findings import Morphology
from sifdetect.synth import anterior_ring, confounders, fracture, lesions, shape, tissue
from sifdetect.synth.anterior_ring import AnteriorRing
from sifdetect.synth.body import BodyParams
from sifdetect.synth.bones import BoneField
from sifdetect.synth.canvas import Lodgings
from sifdetect.synth.displacement import Displacement, displaced
from sifdetect.synth.material import Material
from sifdetect.synth.mesh_shape import MeshShape
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.pose import Pose
from sifdetect.synth.slab import in_slabs
from sifdetect.volume import Grid, SacralFrame


class Stream(IntEnum):
    """Random stream of each stage: what one stage draws never changes what another one does.

    1-3 belong to the images (learn/dataset.py, case.py).
    """

    PATTERN = 0
    DISPLACEMENT = 4
    SHAPE = 10
    BODY = 11
    FRACTURE = 12
    MIMICS = 13
    POSE = 14
    RING = 15

    def of(self, seed: int) -> np.random.Generator:
        """The stream of a case."""
        return np.random.default_rng([seed, int(self)])


VISIBLE = 0.35
"""Strength from which edema or sclerosis counts as labelled."""


@dataclass(frozen=True)
class CaseParams:
    """All that fixes a patient; the images add their own parameters."""

    seed: int
    shape: shape.ShapeParams | MeshShape
    body: BodyParams
    fracture: fracture.FractureParams
    confounders: confounders.ConfounderParams
    pose: Pose
    ring: AnteriorRing
    displacement: Displacement | None = None

    @property
    def frame(self) -> SacralFrame:
        """The sacral frame in patient coordinates."""
        return self.pose.placed(self.shape.frame)

    @cached_property
    def lodgings(self) -> Lodgings:
        """Where mimics found bone, kept from one part of an image to the next."""
        return {}


PATTERNS = (
    (Morphology.NONE, 0.34),
    (Morphology.UNILATERAL, 0.18),
    (Morphology.BILATERAL, 0.2),
    (Morphology.TRANSVERSE, 0.05),
    (Morphology.H, 0.1),
    (Morphology.U, 0.05),
    (Morphology.T, 0.04),
    (Morphology.LAMBDA, 0.04),
)
"""Patterns in training; flat on purpose, not as frequent as in patients (learning.md)."""


def sample_case(
    seed: int,
    *,
    morphology: Morphology | None = None,
    mimics: float = 0.25,
    tilt_deg: float = 5.0,
    sources: Sequence[BoneField] = (),
) -> CaseParams:
    """Draw a patient from a seed.

    Args:
        mimics: budget of mimics; 0.25 gives some to about half of the cases.
        tilt_deg: standard deviation of the rotation in the scanner.
        sources: real bones to vary; the bones are procedural where there are none.
    """
    if morphology is None:
        names, weights = zip(*PATTERNS, strict=True)
        morphology = names[int(Stream.PATTERN.of(seed).choice(len(names), p=weights))]
    broken = fracture.FractureParams.sample(Stream.FRACTURE.of(seed), morphology)
    moved = Displacement.sample(Stream.DISPLACEMENT.of(seed), broken)
    return CaseParams(
        seed=seed,
        shape=_bones(Stream.SHAPE.of(seed), sources),
        body=BodyParams.sample(Stream.BODY.of(seed)),
        fracture=broken,
        confounders=confounders.ConfounderParams.sample(Stream.MIMICS.of(seed), mimics),
        pose=Pose.sample(Stream.POSE.of(seed), tilt_deg=tilt_deg),
        ring=AnteriorRing.sample(Stream.RING.of(seed), broken, moved),
        displacement=moved,
    )


def _bones(rng: np.random.Generator, sources: Sequence[BoneField]) -> shape.ShapeParams | MeshShape:
    if not sources:
        return shape.ShapeParams.sample(rng)
    return MeshShape.sample(rng, sources[int(rng.integers(len(sources)))])


@dataclass(frozen=True)
class Scene:
    """What is where at a set of points."""

    body: BodyParams
    voxel_mm: float
    bones: shape.BoneField
    tissue: NDArray[np.uint8]
    cortex_mm: Array
    disc_remnant: Array
    lesions: lesions.LesionField
    mimics: confounders.MimicField
    stage: fracture.Stage = fracture.Stage.ACUTE

    @cached_property
    def edema(self) -> Array:
        """Strength of edema of any cause, 0–1."""
        return np.maximum(self.lesions.edema, self.mimics.edema)

    @cached_property
    def sclerosis(self) -> Array:
        """Strength of sclerosis of any cause, 0–1."""
        return np.maximum(self.lesions.sclerosis, self.mimics.sclerosis)

    @property
    def material(self) -> NDArray[np.uint8]:
        """Material that takes ``material_share`` of each voxel, whatever lies there otherwise."""
        return self.mimics.material

    @property
    def material_share(self) -> Array:
        """Share of each voxel that its material takes, 0–1."""
        return self.mimics.share

    def filled(self, image: Array, by_material: Array) -> Array:
        """An image with the materials in it; ``by_material`` (n,) has a value for each."""
        where = self._filled_at
        if not where.size:
            return image
        result = image.copy()
        flat, share = result.reshape(-1), self.material_share.reshape(-1)[where]
        put = by_material[self.material.reshape(-1)[where]]
        flat[where] += share * (put - flat[where])
        return result

    @cached_property
    def _filled_at(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.material_share)

    @cached_property
    def bone_share(self) -> Array:
        """Share of each voxel that is bone, 0–1, by the distance to the bone's surface."""
        return np.asarray(np.clip(self.bones.depth_mm / self.voxel_mm + 0.5, 0, 1))

    @cached_property
    def cortex_share(self) -> Array:
        """Share of each voxel's bone that is cortex, 0–1."""
        return cortical(self.bones.depth_mm, self.cortex_mm, self.voxel_mm)

    def anatomy(self) -> NDArray[np.uint8]:
        """AnatomyLabel values; bones without a label are background, cysts widen their cavity."""
        values = self.bones.labels.copy()
        values[values >= shape.FEMUR] = 0
        lateral = self.bones.lateral
        cyst = (self.material == Material.CYST) & (self.material_share > 0.5)
        cyst &= (values > 0) & (values <= AnatomyLabel.SACRAL_ALA_LEFT)
        values[cyst & (lateral < 0)] = AnatomyLabel.SACRAL_FORAMEN_RIGHT
        values[cyst & (lateral > 0)] = AnatomyLabel.SACRAL_FORAMEN_LEFT
        values[cyst & (np.abs(lateral) < 0.9)] = AnatomyLabel.SACRAL_CANAL
        return values

    def lesion_bits(self) -> NDArray[np.uint8]:
        """LesionBit sums."""
        bits = np.zeros(self.tissue.shape, dtype=np.uint8)
        bits[self.edema > VISIBLE] |= np.uint8(LesionBit.EDEMA)
        bits[self.lesions.line] |= np.uint8(LesionBit.FRACTURE_LINE)
        bits[self.sclerosis > VISIBLE] |= np.uint8(LesionBit.SCLEROSIS)
        bits[self.mimics.mass] |= np.uint8(LesionBit.MASS_LIKE)
        bits[self.mimics.cement] |= np.uint8(LesionBit.CEMENT)
        return bits


def cortical(depth_mm: Array, cortex_mm: Array, voxel_mm: float) -> Array:
    """Share of each voxel's bone that is cortex of that thickness, 0–1; arrays of one shape."""
    half = np.float32(voxel_mm / 2)
    inner, outer = np.maximum(depth_mm - half, 0), np.maximum(depth_mm + half, np.float32(1e-3))
    return np.asarray(np.clip((np.minimum(outer, cortex_mm) - inner) / (outer - inner), 0, 1))


def scene_at(case: CaseParams, points: Points, voxel_mm: float) -> Scene:
    """The patient at points in the pelvic frame, seen with voxels of ``voxel_mm``."""
    bones, material = _bones_at(case, points)

    def around(points: Points, bones: shape.BoneField) -> tuple[NDArray[np.uint8], Array, Array]:
        waves = tissue.Waves.of(case.body, points)
        return (
            tissue.evaluate(case.shape.curve, case.body, points, bones, waves=waves),
            tissue.cortex_mm(case.body, bones, waves),
            tissue.disc_remnant(case.body, bones, waves),
        )

    kind, cortex_mm, remnant = in_slabs(around, points, bones)
    return Scene(
        body=case.body,
        voxel_mm=voxel_mm,
        bones=bones,
        tissue=kind,
        cortex_mm=cortex_mm,
        disc_remnant=remnant,
        lesions=_lesions(case, material, bones, voxel_mm),
        mimics=confounders.evaluate(case.confounders, points, bones, _host(case, voxel_mm)),
        stage=case.fracture.stage,
    )


def lesions_at(case: CaseParams, points: Points, voxel_mm: float) -> lesions.LesionField:
    """The fractures alone, as they are in the scene at these points."""
    return broken_at(case, points, voxel_mm)[1]


def broken_at(
    case: CaseParams, points: Points, voxel_mm: float
) -> tuple[shape.BoneField, lesions.LesionField]:
    """The bones and their fractures, without soft tissue and mimics: all that labels need."""
    bones, material = _bones_at(case, points)
    return bones, _lesions(case, material, bones, voxel_mm)


def mimics_at(case: CaseParams, points: Points, voxel_mm: float) -> confounders.MimicField:
    """The mimics alone, as they are in the scene at these points."""
    bones, _ = _bones_at(case, points)
    return confounders.evaluate(case.confounders, points, bones, _host(case, voxel_mm))


def _bones_at(case: CaseParams, points: Points) -> tuple[shape.BoneField, Points]:
    """The broken bones, and where their material lay before they broke."""

    def whole(points: Points) -> tuple[shape.BoneField, Points]:
        if case.displacement is None:
            return case.shape.bones(points), points
        return displaced(case.shape, case.fracture, case.displacement, points)

    bones, material = in_slabs(whole, points)
    lesions.bend(case.fracture, material, bones)
    return bones, material


def _lesions(
    case: CaseParams, material: Points, bones: shape.BoneField, voxel_mm: float
) -> lesions.LesionField:
    broken = lesions.evaluate(case.fracture, material, bones, voxel_mm)
    anterior_ring.add_to(broken, case, material, bones, voxel_mm=voxel_mm)
    return broken


def _host(case: CaseParams, voxel_mm: float) -> confounders.Host:
    bones = case.shape
    center = bones.hip_center_mm if isinstance(bones, MeshShape) else bones.hip.center_mm
    return confounders.Host(bones, center, voxel_mm, case.lodgings)


def points_of(case: CaseParams, grid: Grid) -> Points:
    """The voxel centres of a grid in patient coordinates, in the pelvic frame."""
    return case.pose.points_of(grid)
