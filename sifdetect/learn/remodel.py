"""Unlabelled density changes of ageing bone, given to CT patches in training.

Next to each other they look like a fracture and are none. Intensities are those of the CT rule: one
unit is 300 HU, 0 is 100 HU.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from sifdetect.anatomy import RegionClass

FloatArray = NDArray[np.float32]
CORTICAL = 0.7
"""About 310 HU: above it, at 1.5 mm, lie cortex, implants and contrast medium."""
CORE_SHARE = 0.5
"""Share of patches with bodies denser than the alae."""
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
    bone = np.isin(classes, [int(c) for c in _BONE])
    grade(image, bone, rng)
    relief(image, bone, rng)
    hollow(image, classes, place_mm, rng)
    sacral = (classes > 0) & (classes < RegionClass.SACRAL_FORAMEN)
    if rng.random() < CORE_SHARE:
        core(image, sacral, place_mm, rng)
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


def relief(image: FloatArray, bone: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Struts and voids of some 5 to 15 mm, soft or with an edge, often alike on both sides.

    Weight runs from the upper end plate of S1 along the auricular surface; between, normal sacra
    are thin, and the steps of density there are no fracture's.
    """
    step = float(rng.uniform(3.0, 8.0))
    coarse = rng.standard_normal([int(n / step) + 3 for n in image.shape], np.float32)
    field = ndimage.affine_transform(
        coarse, np.full(3, 1 / step), rng.uniform(0.0, 1.0, 3), image.shape, order=1
    )
    if rng.random() < 0.5:
        field = field + field[::-1]
    field = np.tanh(field * np.float32(rng.uniform(0.5, 4.0)))
    inside = bone & (image < CORTICAL)
    image[inside] += field[inside] * np.float32(rng.uniform(0.0, 0.4))
    image[inside] += np.float32(rng.uniform(-0.1, 0.4) * (rng.random() < 0.3))


def hollow(
    image: FloatArray, classes: NDArray[np.int64], place_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Take marrow from the alae, up to a sharp border: the cortex, or a belt along the joint.

    The belt, which carries the weight from S1 to the hip bone, may be denser than the bodies.
    """
    alar = (classes == RegionClass.SACRAL_ALA) | (
        (classes == RegionClass.SACRAL_CORRIDOR) & (np.abs(place_mm[0]) > rng.uniform(14, 30))
    )
    void = ndimage.gaussian_filter(alar.astype(np.float32), rng.uniform(0.5, 2.0))
    void *= (image < 1.0) * np.float32(1.0)
    loss = np.float32(rng.uniform(0.0, 0.55))
    hip = classes == RegionClass.HIP
    if rng.random() < 0.7:
        if hip.any() and rng.random() < 0.7:
            medial = _beyond_belt(hip, place_mm, rng)
        else:
            medial = _medial(place_mm, rng)
        void *= loss * medial - np.float32(rng.uniform(0.0, 0.7)) * (1 - medial)
    else:
        void *= loss
    image -= void


def _medial(place_mm: FloatArray, rng: np.random.Generator) -> FloatArray:
    """1 medial of a plane that runs some millimetres beside the joint, 0 lateral of it."""
    across, along = np.abs(place_mm[0]), place_mm[2]
    limit = np.float32(rng.uniform(28, 50)) + np.float32(rng.uniform(-0.1, 0.35)) * along
    limit = limit + np.sign(place_mm[0]) * np.float32(rng.normal(0, 2))
    return np.asarray(special.expit((limit - across) / np.float32(rng.uniform(0.7, 4.0))))


def _beyond_belt(
    hip: NDArray[np.bool_], place_mm: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """0 in a belt along the hip bone, the other side of the joint, and 1 beyond it.

    Real sacra have such a belt of some 2 to 12 mm, thicker here and thinner there, its inner
    border soft.
    """
    spacing = np.linalg.norm(place_mm[:, 1, 0, 0] - place_mm[:, 0, 0, 0])
    depth = ndimage.distance_transform_edt(~hip).astype(np.float32) * np.float32(spacing)
    uneven = ndimage.gaussian_filter(rng.standard_normal(hip.shape, np.float32), 4, truncate=2)
    uneven *= np.float32(rng.uniform(0.0, 3.0)) / max(float(uneven.std()), 1e-6)
    thickness = np.float32(rng.uniform(4.0, 16.0)) + uneven
    return np.asarray(special.expit((depth - thickness) / np.float32(rng.uniform(0.5, 3.0))))


def core(
    image: FloatArray, sacral: NDArray[np.bool_], place_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Make the bodies denser up to an oblique border beside them, often sharp, on both sides.

    In normal sacra it runs from the corner of S1 to the first foramen, where the void of the ala
    begins, and looks like the edge of a fracture.
    """
    x, y, z = place_mm
    limit = np.float32(rng.uniform(14, 28)) + np.float32(rng.uniform(-0.2, 0.5)) * z
    limit = limit + np.float32(rng.uniform(-0.4, 0.4)) * y
    limit = limit + np.sign(x) * np.float32(rng.normal(0, 1.5))
    dense = special.expit((limit - np.abs(x)) / np.float32(rng.uniform(0.4, 3.0)))
    image += sacral * (image < CORTICAL) * dense * np.float32(rng.uniform(0.0, 0.7))


def buttress(
    image: FloatArray, sacral: NDArray[np.bool_], place_mm: FloatArray, rng: np.random.Generator
) -> None:
    """Leave a block of dense bone where body and ala meet in front, on each side."""
    for side in (-1.0, 1.0):
        center = np.array([side * rng.uniform(18, 32), rng.uniform(-10, 9), rng.uniform(-15, 35)])
        radius = rng.uniform(3, 11, 3)
        far = sum(((place_mm[k] - center[k]) / radius[k]) ** 2 for k in range(3))
        image += sacral * np.exp(-far) * np.float32(rng.uniform(0.0, 1.6))
