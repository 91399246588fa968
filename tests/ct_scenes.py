"""Small scenes around S1 and S2, their CT images, and where which tissue lies in them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import AnatomyLabel
from sifdetect.findings import Morphology
from sifdetect.synth import ct
from sifdetect.synth.body import Tissue
from sifdetect.synth.fracture import Stage
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.scene import Scene, points_of, sample_case, scene_at

ALAE = (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT)
VOXEL_MM = 2.0


@cache
def upper_sacrum(seed: int = 31, stage: Stage | None = None) -> tuple[Scene, Points]:
    """S1 and S2 of a case with what lies around them, in the sacral frame; broken with a stage."""
    pattern = Morphology.NONE if stage is None else Morphology.BILATERAL
    case = sample_case(seed, morphology=pattern, mimics=0.0)
    if stage is not None:
        limbs = tuple(replace(limb, occult=False, width_mm=2.5) for limb in case.fracture.limbs)
        case = replace(case, fracture=replace(case.fracture, stage=stage, limbs=limbs))
    low, high = np.array([-62.0, -60.0, -14.0]), np.array([62.0, 12.0, 34.0])
    points = points_of(case, case.frame.grid(low, high, VOXEL_MM))
    return scene_at(case, points, VOXEL_MM), points


def shown(scene: Scene, points: Points, params: ct.CtParams, seed: int = 0) -> Array:
    """The image of a scene."""
    spacing, rng = np.full(3, VOXEL_MM), np.random.default_rng(seed)
    return ct.render(scene, points, params, spacing_mm=spacing, rng=rng)


def scan(seed: int, **changes: object) -> ct.CtParams:
    """A drawn scan with some fields set."""
    return replace(ct.CtParams.sample(np.random.default_rng(seed)), **changes)  # type: ignore[arg-type]  # names are checked by replace


def deep(scene: Scene, labels: tuple[AnatomyLabel, ...]) -> NDArray[np.bool_]:
    """Bone of these labels at least 5 mm below the surface, at S1 and the upper S2."""
    level = scene.bones.level
    inside = np.isin(scene.bones.labels, labels) & (scene.bones.depth_mm > 5)
    return np.asarray(inside & (level > 0.2) & (level < 1.6) & (scene.disc_remnant == 0))


def plain(scene: Scene, tissue: Tissue, voxels: int = 2) -> NDArray[np.bool_]:
    """A tissue so many voxels away from any other."""
    mask = (scene.tissue == tissue) & (scene.bone_share == 0)
    return np.asarray(ndimage.binary_erosion(mask, iterations=voxels) if voxels else mask)
