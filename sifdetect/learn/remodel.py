"""Unlabelled density changes of ageing bone, given to CT patches in training.

Next to each other they look like a fracture and are none. Intensities are those of the CT rule: one
unit is 300 HU, 0 is 100 HU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import RegionClass

FloatArray = NDArray[np.float32]
CORTICAL = 0.7
"""About 310 HU: above it, at 1.5 mm, lie cortex, implants and contrast medium."""
_BONE = (
    RegionClass.SACRAL_BODY,
    RegionClass.SACRAL_CORRIDOR,
    RegionClass.SACRAL_ALA,
    RegionClass.L5,
    RegionClass.HIP,
)


def remodel(
    image: FloatArray, classes: NDArray[np.int64], place_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Change the marrow and the cortex of a CT patch, in place.

    Args:
        image: (i, j, k) as the CT rule gives it.
        classes: (i, j, k) RegionClass.
        place_mm: (3, i, j, k) position in the sacral frame.
    """
    thin_cortex(image, rng)
    grade(image, np.isin(classes, [int(c) for c in _BONE]), rng)
    hollow(image, classes, place_mm, rng)
    sacral = (classes > 0) & (classes < RegionClass.SACRAL_FORAMEN)
    buttress(image, sacral, place_mm, rng)


def thin_cortex(image: FloatArray, rng: np.random.Generator) -> None:
    """Dim what is bright: old cortex is thinner than a voxel, and brightest where it is thick."""
    bright = image > CORTICAL
    image[bright] = CORTICAL + (image[bright] - CORTICAL) * np.float32(rng.uniform(0.2, 1.0))


def grade(image: FloatArray, bone: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Denser marrow below the surface than deep inside, and the grain of trabeculae."""
    near = ndimage.gaussian_filter(bone.astype(np.float32), rng.uniform(1.0, 3.5), truncate=2.0)
    inside = bone & (image < CORTICAL)
    shallow = np.clip(2.0 - 2.0 * near[inside], 0.0, 1.0)
    image[inside] += shallow * np.float32(rng.uniform(0.0, 0.9)) - np.float32(rng.uniform(0, 0.3))
    sigma = rng.uniform(0.4, 1.6, 3)
    grain = ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), sigma, truncate=2)
    strength = np.float32(rng.uniform(0.0, 0.2) / max(float(grain.std()), 1e-3))
    image[inside] += strength * grain[inside]


def hollow(
    image: FloatArray, classes: NDArray[np.int64], place_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Take marrow from the alae, up to a sharp border."""
    alar = (classes == RegionClass.SACRAL_ALA) | (
        (classes == RegionClass.SACRAL_CORRIDOR) & (np.abs(place_mm[0]) > rng.uniform(14, 30))
    )
    void = ndimage.gaussian_filter(alar.astype(np.float32), rng.uniform(0.5, 2.0))
    image -= void * (image < 1.0) * np.float32(rng.uniform(0.0, 0.45))


def buttress(
    image: FloatArray, sacral: NDArray[np.bool_], place_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Leave a block of dense bone where body and ala meet in front, on each side."""
    for side in (-1.0, 1.0):
        center = np.array([side * rng.uniform(18, 32), rng.uniform(-10, 9), rng.uniform(-15, 35)])
        radius = rng.uniform(3, 11, 3)
        far = sum(((place_mm[k] - center[k]) / radius[k]) ** 2 for k in range(3))
        image += sacral * np.exp(-far) * np.float32(rng.uniform(0.0, 1.6))
