"""The bones of a real trauma CT, which came without anything around them, set into soft tissue."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BONES = ("SA", "LI", "RI")
"""Sacrum and hip bones, as their files are named."""
AIR_HU, FAT_HU, MUSCLE_HU = -1000.0, -100.0, 45.0
NOISE_HU = 12.0
_MARGIN = np.array([60, 50, 8])
_TRUNK, _MUSCLE = (18.0, 28.0), (2.0, 8.0)
"""Voxels of the outlines beyond the bones: of the skin and of the muscle under the fat."""


def pasted(folder: Path, out: Path) -> NDArray[np.bool_]:
    """Write a CT of the bones in an elliptic trunk of muscle and fat, with noise, as NIfTI.

    Args:
        folder: ``001_*.nii.gz``, where all but bone is zero, and the masks that a human drew.
        out: NIfTI of int16 HU on the bones' own grid, cut to what is around them.

    Returns:
        the mask of the sacrum on the grid of ``out``.
    """
    affine = nib.Nifti1Image.from_filename(folder / f"001_{BONES[0]}.nii.gz").affine
    masks = [_values(folder / f"001_{name}_mask.nii.gz") > 0 for name in BONES]
    hu = sum(
        np.where(mask, _values(folder / f"001_{name}.nii.gz"), 0)
        for name, mask in zip(BONES, masks, strict=True)
    )
    bone = np.any(masks, axis=0)
    low, high = (f(np.argwhere(bone), axis=0) for f in (np.min, np.max))
    first = np.maximum(low - _MARGIN, 0)
    box = tuple(slice(a, b) for a, b in zip(first, high + _MARGIN, strict=True))
    image = np.where(bone[box], np.asarray(hu)[box], _trunk(bone[box]))
    image = ndimage.gaussian_filter(image, 0.4)
    image += np.random.default_rng(0).normal(0, NOISE_HU, image.shape)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ first
    made = nib.Nifti1Image(image.astype(np.int16), moved)  # type: ignore[no-untyped-call]  # nibabel
    made.to_filename(out)
    return masks[0][box]


def _values(file: Path) -> NDArray[np.float32]:
    return np.asarray(nib.Nifti1Image.from_filename(file).dataobj, dtype=np.float32)


def _trunk(bone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """HU of an elliptic cylinder around the bones: muscle, then fat, then air."""
    index = np.argwhere(bone.any(axis=2))
    middle, half = (index.min(axis=0) + index.max(axis=0)) / 2, np.ptp(index, axis=0) / 2
    x, y = np.indices(bone.shape[:2])

    def within(beyond: tuple[float, float]) -> NDArray[np.bool_]:
        a, b = half + beyond
        return np.asarray(((x - middle[0]) / a) ** 2 + ((y - middle[1]) / b) ** 2 <= 1)

    section = np.where(within(_MUSCLE), MUSCLE_HU, FAT_HU)
    section = np.where(within(_TRUNK), section, AIR_HU)
    return np.broadcast_to(section[:, :, None], bone.shape)
