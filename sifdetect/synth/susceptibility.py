"""What metal does to an MR image: a void larger than itself, a bright rim on one side, a shift."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.synth.noise import Array

VOID_MM = 2.5
"""How far the void reaches beyond the metal; titanium in spin echoes at 1.5 T, own estimate."""
SHIFT_MM, FADE_MM = 5.0, 4.0
"""Displacement along the readout at the metal's surface, and the distance over which it fades."""
REACH_MM = 16.0


def with_metal(image: Array, metal_mm: Array | None, spacing_mm: NDArray[np.float64]) -> Array:
    """An image with the metal's artefacts; the readout runs along its first axis.

    Args:
        metal_mm: distance of every voxel to the nearest metal; None where there is none.
        spacing_mm: (3,) of the image's lattice.
    """
    if metal_mm is None:
        return image
    where = np.flatnonzero(metal_mm < REACH_MM)
    if len(where) == 0:
        return image
    distance = np.maximum(metal_mm.reshape(-1)[where], 0)
    index = np.stack(np.unravel_index(where, image.shape)).astype(np.float32)
    ahead = _along_readout(metal_mm, index)
    index[0] += SHIFT_MM * np.exp(-distance / FADE_MM) / spacing_mm[0]
    near = ndimage.map_coordinates(image, index, order=1, mode="nearest")
    bright = 1.4 * float(np.percentile(near, 90))
    rim = np.exp(-(((distance - VOID_MM - 1.2) / 1.0) ** 2)) * np.clip(0.3 + ahead, 0, 1)
    near = near + (bright - near) * 0.7 * rim
    near = near * np.clip((distance - VOID_MM) / 1.5 + 0.5, 0.02, 1)
    result = image.copy()
    result.reshape(-1)[where] = near
    return result


def around_metal(
    water: Array, fat: Array, metal_mm: Array | None, spacing_mm: NDArray[np.float64]
) -> tuple[Array, Array]:
    """Water and fat near metal, where they can no longer be told apart: all as water.

    Arguments as for ``with_metal``.
    """
    if metal_mm is None:
        return water, fat
    near = metal_mm < REACH_MM
    bent = with_metal(np.abs(water + fat), metal_mm, spacing_mm)
    return np.where(near, bent, water), np.where(near, np.float32(0), fat)


def _along_readout(metal_mm: Array, index: Array) -> Array:
    """1 where the distance grows along the readout as fast as it can, below 0 where it shrinks."""
    steps = [
        ndimage.map_coordinates(metal_mm, index + offset, order=0, mode="nearest")
        for offset in np.array([[[1.0], [0], [0]], [[-1.0], [0], [0]]])
    ]
    slope = steps[0] - steps[1]
    return np.asarray(slope / max(float(np.abs(slope).max()), 1e-3))
