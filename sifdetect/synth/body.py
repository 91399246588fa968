"""What a body is made of, and the habitus and content of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from scipy import ndimage

from sifdetect.synth.noise import Array, SmoothNoise


class Tissue(IntEnum):
    """What a voxel is made of."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    VISCERA = 3
    GAS = 4
    STOOL = 5
    FLUID = 6
    VESSEL = 7
    DISC = 8
    CSF = 9
    NERVE = 10
    LIGAMENT = 11
    SKIN = 12
    MARROW = 13
    CORTEX = 14
    CARTILAGE = 15
    TABLE = 16
    CALCIFICATION = 17
    ORGAN = 18
    RIB = 19
    LUNG = 20
    FATTY_MUSCLE = 21  # a voxel of muscle with fat between its fibres
    SEPTUM = 22  # thin connective tissue in fat, a part of a voxel
    VEIN = 23  # slow blood: bright on fluid-sensitive images


@dataclass(frozen=True)
class BodyParams:
    """Habitus and content of one body; lengths in mm, shares 0–1.

    Attributes:
        infiltration: fat in the muscles, from a young adult's to that of the very old.
        streaks: (256, 256) periodic noise of unit variance, 1 mm apart, across a muscle's fibres.
        prone: the body lies on its front.
    """

    half_width_mm: float
    half_depth_mm: float
    center_y_mm: float
    fat_mm: float
    muscle: float
    gas: float
    stool: float
    tagged_stool: bool
    bladder_mm: float
    bladder_y_mm: float
    rectum_mm: float
    vessel_mm: float
    calcified: float
    thecal_sac_level: float
    organ_height_mm: float
    cortex_mm: float
    facet_mm: float
    remnant_mm: tuple[float, float, float]
    contour: SmoothNoise
    coarse: SmoothNoise
    fine: SmoothNoise
    bowel: SmoothNoise
    infiltration: float
    streaks: Array
    prone: bool

    @staticmethod
    def sample(rng: np.random.Generator) -> BodyParams:
        """Draw a body, thin to obese."""
        return BodyParams(
            half_width_mm=float(np.clip(rng.normal(178, 18), 145, 225)),
            half_depth_mm=float(np.clip(rng.normal(115, 14), 88, 155)),
            center_y_mm=float(rng.normal(-2, 6)),
            fat_mm=float(np.clip(rng.gamma(3.0, 9.0), 5, 70)),
            muscle=float(np.clip(rng.normal(1.0, 0.18), 0.55, 1.4)),
            gas=float(rng.beta(1.2, 2.5)),
            stool=float(rng.beta(1.5, 2.5)),
            tagged_stool=bool(rng.random() < 0.25),
            bladder_mm=float(rng.uniform(14, 48)),
            bladder_y_mm=float(rng.normal(58, 6)),
            rectum_mm=float(rng.uniform(8, 22)),
            vessel_mm=float(rng.uniform(4.0, 7.0)),
            calcified=float(rng.beta(1, 3)),
            thecal_sac_level=float(rng.normal(1.7, 0.5)),
            organ_height_mm=float(rng.normal(125, 20)),
            cortex_mm=float(rng.uniform(0.4, 1.7)),
            facet_mm=float(rng.gamma(1.5, 2.0)),
            remnant_mm=(
                float(np.clip(rng.normal(3.0, 1.8), 0, 7)),
                float(np.clip(rng.normal(1.5, 1.3), 0, 5)),
                float(np.clip(rng.normal(0.6, 0.8), 0, 3)),
            ),
            contour=SmoothNoise.sample(rng, 110.0, 12),
            coarse=SmoothNoise.sample(rng, 26.0),
            fine=SmoothNoise.sample(rng, 8.0),
            bowel=SmoothNoise.sample(rng, 21.0),
            infiltration=float(rng.beta(2.2, 2.0)),
            streaks=_streaks(rng),
            prone=bool(rng.random() < 0.1),
        )


def _streaks(rng: np.random.Generator) -> Array:
    fine, broad = (
        ndimage.gaussian_filter(rng.standard_normal((256, 256)), sigma, mode="wrap")
        for sigma in ((0.9, 2.2), (3.0, 5.0))
    )
    both = fine / fine.std() + 0.7 * broad / broad.std()
    return np.asarray(both / both.std(), dtype=np.float32)
