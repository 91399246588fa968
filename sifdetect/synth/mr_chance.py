"""MR images by chance: random contrast, so that a network learns form and not one sequence."""

from __future__ import annotations

import numpy as np

from sifdetect.synth import material
from sifdetect.synth.body import Tissue
from sifdetect.synth.noise import Array
from sifdetect.synth.scene import Scene


def by_chance(scene: Scene, contrast: tuple[float, ...]) -> Array:
    """Signal of every point of a scene, from one random value 0–1 for each tissue.

    Args:
        contrast: by Tissue, then of edema and of the gap of a fracture.
    """
    table = np.array(contrast, dtype=np.float32)
    table[Tissue.AIR] *= 0.1
    table[Tissue.GAS] *= 0.3
    table[Tissue.CORTEX] *= 0.3
    marrow, around = table[Tissue.MARROW], table[Tissue.MUSCLE]
    if abs(marrow - around) < 0.2:
        table[Tissue.MUSCLE] = marrow + 0.3 if marrow < 0.5 else marrow - 0.3
    bright = max(float(table[-2]), float(marrow) + 0.25)
    wet = np.clip(scene.edema, 0, 1) * 0.85
    inside = marrow + (bright - marrow) * wet
    inside = inside + scene.disc_remnant * (float(table[Tissue.DISC]) - inside)
    inside = inside * (1 - 0.8 * scene.lesions.lucency) * (1 - 0.6 * scene.sclerosis)
    soft = table[: len(Tissue)].copy()
    soft[[Tissue.MARROW, Tissue.CORTEX]] = soft[Tissue.MUSCLE]
    image = _mixed(scene, soft, inside, float(table[Tissue.CORTEX]))
    fluid, void = float(table[Tissue.CSF]), float(table[Tissue.CORTEX])
    put = material.signals(fat=float(table[Tissue.FAT]), cells=bright, fluid=fluid, void=void)
    return scene.filled(image, put)


def _mixed(scene: Scene, soft: Array, marrow: Array, cortex: float) -> Array:
    """Partial volume of soft tissue (by tissue), marrow (by voxel) and cortex."""
    bone = marrow + (cortex - marrow) * scene.cortex_share
    share = scene.bone_share
    return np.asarray(soft[scene.tissue] * (1 - share) + bone * share, dtype=np.float32)
