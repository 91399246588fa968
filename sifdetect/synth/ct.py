"""CT numbers of a synthetic pelvis: HU by tissue, texture, point spread, noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.synth.body import Tissue
from sifdetect.synth.bone_texture import BoneTexture, bone_hu
from sifdetect.synth.ct_artefacts import (
    HIGHEST_HU,
    LOWEST_HU,
    METAL_HU,
    Artefacts,
    noise_profile,
)
from sifdetect.synth.ct_scanner import Lattice, Scanner
from sifdetect.synth.fracture import Stage
from sifdetect.synth.material import HU, Material
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.scene import Scene
from sifdetect.synth.slab import in_pieces

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
ENHANCEMENT = {
    Tissue.VESSEL: 1.0,
    Tissue.VEIN: 1.0,
    Tissue.ORGAN: 0.5,
    Tissue.VISCERA: 0.35,
    Tissue.MUSCLE: 0.1,
    Tissue.SKIN: 0.1,
    Tissue.NERVE: 0.1,
}
"""Gain of a tissue in the portal venous phase as a share of the veins' (own estimate)."""
TEXTURE_HU = {
    Tissue.FAT: 5,
    Tissue.MUSCLE: 6,
    Tissue.VISCERA: 14,
    Tissue.STOOL: 60,
    Tissue.ORGAN: 5,
    Tissue.LIGAMENT: 15,
    Tissue.SKIN: 15,
    Tissue.VESSEL: 4,
}
"""Standard deviation within a tissue, over about 8 mm (own estimate)."""
EDEMA_HU = 55.0
SCLEROSIS_HU = 380.0


@dataclass(frozen=True)
class CtParams:
    """Scanner and patient properties that set the CT numbers.

    Attributes:
        contrast_hu: enhancement of the veins; other tissue follows by its share.
        bladder_hu: contrast medium excreted into the bladder.
        muscle_loss: share of the muscle that fat has taken, 0-1.
        slice_mm: slice thickness; it replaces the scanner's own where it is not 0.
        overlap: slice thickness of a series as a multiple of its increment.
        gap_hu: what fills the gap of a fracture: blood, marrow, later fluid.
        union: share of a chronic fracture's gap that bone has closed; 0 is a non-union.
        shift_hu: small change of each tissue, in standard deviations.
    """

    texture: BoneTexture
    scanner: Scanner
    artefacts: Artefacts
    contrast_hu: float
    bladder_hu: float
    stool_hu: float
    muscle_loss: float
    slice_mm: float
    overlap: float
    gap_hu: float
    union: float
    shift_hu: tuple[float, ...]

    @staticmethod
    def sample(rng: np.random.Generator, *, tagged: bool = False) -> CtParams:
        """Draw a scan; trabecular HU from a young adult's to osteoporosis (Pickhardt 2013).

        Veins gain 60-160 HU in the portal venous phase; contrast medium is in the bladder only
        later. Muscle is darker the more fat it holds (Goodpaster 2000, J Appl Physiol); by how
        much is an own estimate.
        """
        phase = rng.random()
        contrast = float(rng.uniform(60, 160)) if phase < 0.4 else 0.0
        excreted = phase < 0.12 or phase > 0.97
        texture = BoneTexture.sample(rng)
        scanner = Scanner.sample(rng)
        return CtParams(
            texture=texture,
            scanner=scanner,
            artefacts=Artefacts.sample(rng),
            contrast_hu=contrast,
            bladder_hu=float(rng.uniform(80, 600)) if excreted else 0.0,
            stool_hu=float(rng.uniform(150, 900)) if tagged else float(rng.normal(0, 25)),
            muscle_loss=float(np.clip(0.15 + 0.4 * texture.loss + rng.normal(0, 0.22), 0, 1)),
            slice_mm=0.0,
            overlap=float(rng.uniform(1.0, 2.0)) if rng.random() < 0.4 else 1.0,
            gap_hu=float(rng.uniform(-40, 35)),
            union=float(rng.uniform(0.2, 0.6)) if rng.random() < 0.6 else 0.0,
            shift_hu=tuple(float(value) for value in rng.normal(0, 1, len(Tissue))),
        )

    def seen_by(self) -> Scanner:
        """The scanner, with the slice thickness of this series."""
        return replace(self.scanner, slice_mm=self.slice_mm) if self.slice_mm else self.scanner


def render(
    scene: Scene,
    points: Points,
    params: CtParams,
    *,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Array:
    """HU of every point, of the points' shape, on a lattice of ``spacing_mm`` (3,).

    The lattice's first axis is about lateral. Slices lie along its last axis where that is about
    the body's axis, and across the body's axis otherwise.
    """
    bone = bone_hu(scene, points, params.texture, spacing_mm)
    _with_remnants(bone, scene.disc_remnant)
    for strength, gain in ((scene.edema, EDEMA_HU), (scene.sclerosis, SCLEROSIS_HU)):
        bone += np.float32(gain) * strength
    bone = _healing(bone, scene, points, params)
    share = scene.bone_share
    hu = _soft_tissue(scene, points, params)
    hu += (bone - hu) * share
    hu = scene.filled(hu, HU)
    metal = (scene.material == Material.METAL) * scene.material_share
    if metal.any():
        hu += metal * (METAL_HU - hu)
    scanner, lattice = params.seen_by(), Lattice.of(points, spacing_mm)
    image = scanner.blurred(hu, lattice)
    noise = scanner.noise(lattice, scene.body, rng)
    image += noise * noise_profile(points, scene.body)
    image += params.artefacts.hardening(np.maximum(bone * share, 0), spacing_mm)
    image += params.artefacts.metal_streaks(metal > 0.5, points, scene.body, rng)
    image = params.artefacts.truncated(image, points, scene.body)
    return np.asarray(np.clip(image, LOWEST_HU, HIGHEST_HU), dtype=np.float32)


def _with_remnants(bone: Array, remnant: Array) -> None:
    """Put what is left of the sacral discs into the bone, each between two dense plates."""
    found = [
        np.flatnonzero(remnant.any(axis=tuple(a for a in range(3) if a != axis)))
        for axis in range(3)
    ]
    if not all(len(where) for where in found):
        return
    box = tuple(slice(max(0, int(w[0]) - 1), int(w[-1]) + 2) for w in found)
    inside, share = bone[box], remnant[box]
    inside += 220.0 * (ndimage.grey_dilation(share, size=3) - share)
    inside += share * (75 - inside)


def _soft_tissue(scene: Scene, points: Points, params: CtParams) -> Array:
    table = np.array([MEAN_HU[tissue] for tissue in Tissue], dtype=np.float32)
    table += np.array(params.shift_hu, dtype=np.float32) * 6
    table[Tissue.AIR] = -1000
    for tissue, part in ENHANCEMENT.items():
        table[tissue] += part * params.contrast_hu
    table[Tissue.STOOL] += params.stool_hu
    table[Tissue.FLUID] += params.bladder_hu
    table[[Tissue.MARROW, Tissue.CORTEX]] = table[Tissue.MUSCLE]
    spread = np.zeros(len(Tissue), dtype=np.float32)
    for tissue, value in TEXTURE_HU.items():
        spread[tissue] = value
    strands = np.float32(50) * (np.arange(len(Tissue)) == Tissue.FAT)
    fatty = np.float32(params.muscle_loss) * (np.arange(len(Tissue)) == Tissue.MUSCLE)

    def textured(tissue: NDArray[np.uint8], fine: Array) -> Array:
        hu = table[tissue] + spread[tissue] * fine
        # Fibres and small vessels in fat; that between a muscle's bundles is in the tissue itself.
        hu += strands[tissue] * np.clip(np.float32(0.6) - np.abs(fine) * np.float32(2.5), -0.1, 1)
        hu -= fatty[tissue] * (50 + 20 * fine)
        return hu

    flat = (scene.tissue.ravel(), scene.body.fine.at(points).ravel())
    return in_pieces(textured, *flat).reshape(scene.tissue.shape)


def _healing(bone: Array, scene: Scene, points: Points, params: CtParams) -> Array:
    """Bone with the gap of a fracture, and with what heals it.

    Acute: an open gap. Subacute: callus, as unequal as woven bone is, bridges parts of it.
    Chronic: sclerosis on both sides, and a gap that has closed in part or, a non-union, has not.
    """
    lesions = scene.lesions
    near = (lesions.lucency > 0) | (lesions.sclerosis > 0.03)
    if not near.any():
        return bone
    where = Points(points.x[near], points.y[near], points.z[near])
    uneven = np.clip(1.6 * params.texture.patches.at(where), -1, 1)
    marrow, gap = bone[near], lesions.lucency[near] * np.float32(0.95)
    marrow = marrow + 0.7 * uneven * SCLEROSIS_HU * lesions.sclerosis[near]
    if scene.stage is Stage.SUBACUTE:
        gap = gap * np.clip(0.65 - 0.45 * uneven, 0, 1)
    elif scene.stage is Stage.CHRONIC:
        gap = gap * (1 - params.union)
    result = bone.copy()
    result[near] = marrow + gap * (params.gap_hu - marrow)
    return result
