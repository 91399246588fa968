"""CT numbers of a synthetic pelvis: HU by tissue, texture, point spread, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.synth.body import Tissue
from sifdetect.synth.material import HU
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.scene import Scene

MEAN_HU = {
    Tissue.AIR: -1000,
    Tissue.FAT: -100,
    Tissue.MUSCLE: 52,
    Tissue.VISCERA: 40,
    Tissue.GAS: -930,
    Tissue.STOOL: 20,
    Tissue.FLUID: 8,
    Tissue.VESSEL: 45,
    Tissue.DISC: 80,
    Tissue.CSF: 12,
    Tissue.NERVE: 30,
    Tissue.LIGAMENT: 70,
    Tissue.SKIN: 20,
    Tissue.MARROW: 60,
    Tissue.CORTEX: 750,
    Tissue.CARTILAGE: 60,
    Tissue.TABLE: -250,
    Tissue.CALCIFICATION: 500,
    Tissue.ORGAN: 55,
    Tissue.RIB: 330,
    Tissue.LUNG: -820,
    Tissue.FATTY_MUSCLE: -10,
    Tissue.SEPTUM: -45,
    Tissue.VEIN: 42,
}
"""Soft tissue: Lamba 2014 (Br J Radiol); edema +3 against -52 HU of alar marrow: learning.md."""
EDEMA_HU = 55.0
SCLEROSIS_HU = 380.0


@dataclass(frozen=True)
class CtParams:
    """Scanner and patient properties that set the CT numbers.

    Attributes:
        marrow_hu: trabecular bone of the bodies; the alae have ``alar_loss_hu`` less.
        subcortical_hu: denser marrow below the cortex, which fades over ``subcortical_mm``.
        sharpness_mm: standard deviation of the point spread in the slice.
        slice_mm: slice thickness; 0 leaves the grid's own.
        noise_hu: standard deviation; partly correlated over ``grain_mm``.
    """

    marrow_hu: float
    alar_loss_hu: float
    trabecular_hu: float
    cortex_hu: float
    contrast_hu: float
    bladder_hu: float
    stool_hu: float
    sharpness_mm: float
    slice_mm: float
    noise_hu: float
    grain_mm: float
    shift_hu: tuple[float, ...]
    trabeculae: SmoothNoise
    density: SmoothNoise
    subcortical_hu: float
    subcortical_mm: float

    @staticmethod
    def sample(rng: np.random.Generator, *, tagged: bool = False) -> CtParams:
        """Draw a scan; trabecular HU from a young adult's to osteoporosis (Pickhardt 2013)."""
        contrast = float(rng.uniform(80, 220)) if rng.random() < 0.4 else 0.0
        return CtParams(
            marrow_hu=float(np.clip(rng.normal(110, 60), -10, 280)),
            alar_loss_hu=float(rng.uniform(20, 130)),
            trabecular_hu=float(rng.uniform(15, 60)),
            cortex_hu=float(rng.uniform(450, 1100)),
            contrast_hu=contrast,
            bladder_hu=float(rng.uniform(100, 500)) if rng.random() < 0.15 else 0.0,
            stool_hu=float(rng.uniform(150, 900)) if tagged else float(rng.normal(0, 25)),
            sharpness_mm=float(rng.uniform(0.35, 1.1)),
            slice_mm=float(rng.choice([0.8, 1.0, 1.5, 2.0, 3.0, 5.0])),
            noise_hu=float(np.clip(rng.lognormal(2.6, 0.55), 4, 50)),
            grain_mm=float(rng.uniform(0.3, 0.9)),
            shift_hu=tuple(float(value) for value in rng.normal(0, 1, len(Tissue))),
            trabeculae=SmoothNoise.sample(rng, 2.6, 48),
            density=SmoothNoise.sample(rng, 14.0),
            subcortical_hu=float(rng.uniform(0, 260)),
            subcortical_mm=float(rng.uniform(1.5, 5.0)),
        )


def render(
    scene: Scene,
    points: Points,
    params: CtParams,
    *,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Array:
    """HU of every point, of the points' shape, on a lattice of ``spacing_mm`` (3,)."""
    bone = _bone(scene, points, params)
    around = ndimage.grey_dilation(scene.disc_remnant, size=3) - scene.disc_remnant
    bone += 220.0 * around
    bone += scene.disc_remnant * (75 - bone)
    bone += EDEMA_HU * scene.edema + SCLEROSIS_HU * scene.sclerosis
    bone += scene.lesions.lucency * (-20 - bone) * 0.95
    share = scene.bone_share
    hu = scene.filled(_soft_tissue(scene, params) * (1 - share) + bone * share, HU)
    sigma = np.maximum(params.sharpness_mm / spacing_mm, 0.3)
    sigma[2] = max(sigma[2], 0.35 * params.slice_mm / spacing_mm[2])
    hu = ndimage.gaussian_filter(hu, sigma)
    return np.asarray(
        np.clip(hu + _noise(hu.shape, params, spacing_mm, rng), -1024, 3071), dtype=np.float32
    )


def _soft_tissue(scene: Scene, params: CtParams) -> Array:
    table = np.array([MEAN_HU[tissue] for tissue in Tissue], dtype=np.float32)
    table += np.array(params.shift_hu, dtype=np.float32) * 7
    table[Tissue.AIR] = -1000
    table[[Tissue.VESSEL, Tissue.VEIN]] += params.contrast_hu
    table[Tissue.ORGAN] += 0.5 * params.contrast_hu
    table[Tissue.VISCERA] += 0.25 * params.contrast_hu
    table[Tissue.MUSCLE] += 0.08 * params.contrast_hu
    table[Tissue.STOOL] += params.stool_hu
    table[Tissue.FLUID] += params.bladder_hu
    table[[Tissue.MARROW, Tissue.CORTEX]] = table[Tissue.MUSCLE]
    result: Array = table[scene.tissue]
    return result


def _bone(scene: Scene, points: Points, params: CtParams) -> Array:
    bones = scene.bones
    alar = np.clip((np.abs(bones.lateral) - 1.2) / 0.8, 0, 1) * (bones.sacrum_mm < 0)
    marrow = params.marrow_hu - params.alar_loss_hu * alar
    density = params.density.at(points)
    marrow = marrow + 0.35 * params.marrow_hu * density
    shallow = np.exp(-np.maximum(bones.depth_mm, 0) / params.subcortical_mm)
    marrow = marrow + params.subcortical_hu * shallow * np.clip(1 + 0.6 * density, 0, 2)
    averaged = min(1.0, 2.0 / scene.voxel_mm) ** 1.5
    marrow = marrow + averaged * params.trabecular_hu * params.trabeculae.at(points)
    result: Array = marrow + (params.cortex_hu - marrow) * scene.cortex_share
    return result


def _noise(
    shape: tuple[int, ...],
    params: CtParams,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Array:
    white = rng.standard_normal(shape).astype(np.float32)
    sigma = params.grain_mm / spacing_mm
    grain = ndimage.gaussian_filter(white, sigma)
    return np.asarray(grain / max(float(grain.std()), 1e-3) * params.noise_hu, dtype=np.float32)
