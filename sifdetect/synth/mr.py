"""MR signal of a synthetic pelvis: spin echo and inversion recovery, by tissue T1, T2 and PD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import MrWeighting
from sifdetect.synth.body import Tissue
from sifdetect.synth.noise import Array, Points, SmoothNoise
from sifdetect.synth.scene import Scene

RELAXATION = {
    Tissue.AIR: (1000, 50, 0.0),
    Tissue.FAT: (300, 110, 1.0),
    Tissue.MUSCLE: (1050, 40, 0.85),
    Tissue.VISCERA: (950, 65, 0.85),
    Tissue.GAS: (1000, 20, 0.02),
    Tissue.STOOL: (700, 60, 0.6),
    Tissue.FLUID: (3500, 900, 1.0),
    Tissue.VESSEL: (1400, 150, 0.25),
    Tissue.DISC: (1000, 75, 0.8),
    Tissue.CSF: (4000, 1500, 1.0),
    Tissue.NERVE: (900, 75, 0.8),
    Tissue.LIGAMENT: (900, 18, 0.5),
    Tissue.SKIN: (800, 40, 0.6),
    Tissue.MARROW: (300, 110, 1.0),
    Tissue.CORTEX: (900, 4, 0.15),
    Tissue.CARTILAGE: (1100, 40, 0.7),
    Tissue.TABLE: (1000, 20, 0.0),
    Tissue.CALCIFICATION: (900, 4, 0.05),
    Tissue.ORGAN: (700, 60, 0.85),
    Tissue.RIB: (350, 60, 0.5),
    Tissue.LUNG: (1000, 15, 0.1),
    Tissue.FATTY_MUSCLE: (460, 75, 0.9),
    Tissue.SEPTUM: (420, 60, 0.75),
    Tissue.VEIN: (1400, 170, 0.9),
}
"""T1 (ms), T2 (ms) and proton density at 1.5 T: de Bazelaire 2004, Stanisz 2005, Gold 2004; fat's
T2 as a fast spin echo sees it."""
MARROW_WATER = (1000.0, 55.0, 0.85)
EDEMA_WATER = (1300.0, 95.0, 0.95)


@dataclass(frozen=True)
class Sequence:
    """A pulse sequence; ``fat_left`` is the share of fat signal that a fat suppression leaves."""

    weighting: MrWeighting
    tr_ms: float
    te_ms: float
    ti_ms: float
    fat_left: float

    @staticmethod
    def sample(rng: np.random.Generator, weighting: MrWeighting) -> Sequence:
        """Draw plausible timing for a weighting at 1.5 T."""
        fast = {
            MrWeighting.STIR: (rng.uniform(3200, 6000), rng.uniform(30, 70), rng.uniform(145, 175)),
            MrWeighting.T1: (rng.uniform(450, 750), rng.uniform(8, 18), 0.0),
            MrWeighting.T2: (rng.uniform(3000, 6000), rng.uniform(80, 120), 0.0),
            MrWeighting.T2_FATSAT: (rng.uniform(3000, 6000), rng.uniform(50, 90), 0.0),
        }[weighting]
        left = float(rng.beta(1.2, 10)) if weighting is MrWeighting.T2_FATSAT else 1.0
        return Sequence(weighting, float(fast[0]), float(fast[1]), float(fast[2]), left)


@dataclass(frozen=True)
class MrParams:
    """Coil, marrow and noise of one examination.

    Attributes:
        fat_fraction: of the marrow, mean; varies in space by ``islands``.
        contrast: None for signal by physics; else a random signal per tissue (marrow, edema and
            gap at the end), 0–1.
    """

    fat_fraction: float
    scatter: tuple[float, ...]
    contrast: tuple[float, ...] | None
    bias: float
    noise: float
    blur_mm: float
    vessel_flow: float
    coil: SmoothNoise
    islands: SmoothNoise
    texture: SmoothNoise

    @staticmethod
    def sample(rng: np.random.Generator, *, random_contrast: bool) -> MrParams:
        """Draw an examination; marrow fat 0.55–0.95 in the elderly (Hajek 1987)."""
        contrast = tuple(float(v) for v in rng.uniform(0.05, 1.0, len(Tissue) + 2))
        return MrParams(
            fat_fraction=float(rng.uniform(0.5, 0.93)),
            scatter=tuple(float(v) for v in rng.normal(0, 1, len(Tissue))),
            contrast=contrast if random_contrast else None,
            bias=float(rng.uniform(0.05, 0.5)),
            noise=float(rng.uniform(0.01, 0.06)),
            blur_mm=float(rng.uniform(0.3, 0.9)),
            vessel_flow=float(rng.uniform(0, 1)),
            coil=SmoothNoise.sample(rng, 170.0, 8),
            islands=SmoothNoise.sample(rng, 13.0),
            texture=SmoothNoise.sample(rng, 4.0, 32),
        )


def render(
    scene: Scene,
    points: Points,
    params: MrParams,
    sequence: Sequence,
    *,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Array:
    """Signal of every point, arbitrary units around 0–1.5, on a lattice of ``spacing_mm`` (3,)."""
    if params.contrast is None:
        signal = _by_physics(scene, points, params, sequence)
    else:
        signal = _by_chance(scene, params.contrast)
    signal *= 1 + 0.06 * params.texture.at(points)
    signal *= np.exp(params.bias * params.coil.at(points))
    signal = ndimage.gaussian_filter(signal, np.maximum(params.blur_mm / spacing_mm, 0.3))
    noise = params.noise * float(np.percentile(signal, 97))
    real = signal + noise * rng.standard_normal(signal.shape).astype(np.float32)
    imaginary = noise * rng.standard_normal(signal.shape).astype(np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)


def spin_echo(t1_ms: Array, t2_ms: Array, density: Array, sequence: Sequence) -> Array:
    """Magnitude of a spin echo, with inversion where ``ti_ms`` > 0 (Bernstein 2004, ch. 14)."""
    recovery = 1 - np.exp(-sequence.tr_ms / t1_ms)
    if sequence.ti_ms > 0:
        recovery = 1 - 2 * np.exp(-sequence.ti_ms / t1_ms) + np.exp(-sequence.tr_ms / t1_ms)
    return np.asarray(density * np.abs(recovery) * np.exp(-sequence.te_ms / t2_ms), np.float32)


def _by_physics(scene: Scene, points: Points, params: MrParams, sequence: Sequence) -> Array:
    t1, t2, density = (np.array(c, np.float32) for c in zip(*RELAXATION.values(), strict=True))
    scatter = np.array(params.scatter, np.float32)
    signal = spin_echo(t1 * (1 + 0.06 * scatter), t2 * (1 - 0.08 * scatter), density, sequence)
    fat = float(signal[Tissue.FAT]) * sequence.fat_left
    signal[Tissue.FAT] = fat
    signal[Tissue.VESSEL] *= 4 * params.vessel_flow
    soft = signal.copy()
    soft[[Tissue.MARROW, Tissue.CORTEX]] = signal[Tissue.MUSCLE]
    water, swollen = (_one(values, sequence) for values in (MARROW_WATER, EDEMA_WATER))
    share = np.clip(params.fat_fraction + 0.1 * params.islands.at(points), 0.1, 0.97)
    plain = share * fat + (1 - share) * water
    wet = np.clip(scene.edema + scene.mimics.mass_strength, 0, 1) * 0.85
    soaked = plain * (1 - wet) + wet * swollen
    soaked *= 1 - 0.7 * scene.sclerosis
    soaked += scene.disc_remnant * (0.7 * float(signal[Tissue.DISC]) - soaked)
    gap = _one((1200.0, 25.0, 0.4), sequence)
    soaked = soaked * (1 - scene.lesions.lucency) + gap * scene.lesions.lucency
    image = _mixed(scene, soft, soaked, float(signal[Tissue.CORTEX]))
    scale = max(float(signal[Tissue.MUSCLE]), fat, water, 1e-3)
    return np.asarray(image / scale, dtype=np.float32)


def _by_chance(scene: Scene, contrast: tuple[float, ...]) -> Array:
    table = np.array(contrast, dtype=np.float32)
    table[Tissue.AIR] *= 0.1
    table[Tissue.GAS] *= 0.3
    table[Tissue.CORTEX] *= 0.3
    marrow, around = table[Tissue.MARROW], table[Tissue.MUSCLE]
    if abs(marrow - around) < 0.2:
        table[Tissue.MUSCLE] = marrow + 0.3 if marrow < 0.5 else marrow - 0.3
    bright = max(float(table[-2]), float(marrow) + 0.25)
    wet = np.clip(scene.edema + scene.mimics.mass_strength, 0, 1) * 0.85
    inside = marrow + (bright - marrow) * wet
    inside = inside + scene.disc_remnant * (float(table[Tissue.DISC]) - inside)
    inside = inside * (1 - 0.8 * scene.lesions.lucency) * (1 - 0.6 * scene.sclerosis)
    soft = table[: len(Tissue)].copy()
    soft[[Tissue.MARROW, Tissue.CORTEX]] = soft[Tissue.MUSCLE]
    return _mixed(scene, soft, inside, float(table[Tissue.CORTEX]))


def _mixed(scene: Scene, soft: Array, marrow: Array, cortex: float) -> Array:
    """Partial volume of soft tissue (by tissue), marrow (by voxel) and cortex."""
    bone = marrow + (cortex - marrow) * scene.cortex_share
    share = scene.bone_share
    return np.asarray(soft[scene.tissue] * (1 - share) + bone * share, dtype=np.float32)


def _one(values: tuple[float, float, float], sequence: Sequence) -> float:
    t1, t2, density = (np.array([value], np.float32) for value in values)
    return float(spin_echo(t1, t2, density, sequence)[0])
