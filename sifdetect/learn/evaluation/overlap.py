"""How well outlines fit: Dice, surface Dice at 2 mm and the 95 % Hausdorff distance, by MONAI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.meandice import compute_dice
from monai.metrics.utils import get_edge_surface_distance
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit
from sifdetect.limbs import MIN_LINE_MM3
from sifdetect.score import MIN_EDEMA_MM3
from sifdetect.volume import Floats, LabelMap

TOLERANCE_MM = 2.0
NEAR_MM = 15.0
"""L5, hips and lesions count this far around the true sacrum: the pipeline looks no farther."""
SACRUM = "sacrum"
NEIGHBOURS = (AnatomyLabel.L5, AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT)
PARTS = (
    *SACRUM_LABELS,
    AnatomyLabel.SACRAL_FORAMEN_RIGHT,
    AnatomyLabel.SACRAL_FORAMEN_LEFT,
    AnatomyLabel.SACRAL_CANAL,
)
STRUCTURES = (SACRUM, *(label.name.lower() for label in (*PARTS, *NEIGHBOURS)))
LESIONS = tuple(str(lesion.name).lower() for lesion in LesionBit)
"""Names, in the order of the report."""
LEAST_MM3 = dict.fromkeys(LesionBit, MIN_EDEMA_MM3) | {LesionBit.FRACTURE_LINE: MIN_LINE_MM3}
"""Smaller lesions are not asked for: the pipeline would not take them for a finding either."""

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Overlap:
    """Of one structure or lesion on one series.

    Attributes:
        dice: 0–1.
        surface_dice: share of both surfaces within TOLERANCE_MM of each other; None not measured.
        hd95_mm: None where nothing was found, or it was not measured.
    """

    name: str
    dice: float
    surface_dice: float | None = None
    hd95_mm: float | None = None


@dataclass(frozen=True)
class Outlined:
    """What is, or was found, on one series: AnatomyLabel values and LesionBit sums on its grid."""

    anatomy: LabelMap
    lesions: LabelMap


def overlaps(truth: Outlined, found: Outlined, shown: LesionBit) -> tuple[Overlap, ...]:
    """The sacrum as one, its parts, L5 and the hips (by Dice alone), then the lesions ``shown``.

    What the truth does not hold, and lesions below LEAST_MM3, are left out. Both are of one grid;
    where a surface meets the border of the image it counts on both.
    """
    sacral = np.isin(truth.anatomy.values, PARTS) | np.isin(found.anatomy.values, PARTS)
    spacing, voxel_mm3 = truth.anatomy.grid.spacing_mm, truth.anatomy.grid.voxel_volume_mm3
    box = _box(sacral, np.ceil(NEAR_MM / spacing).astype(int).tolist())
    true, said = truth.anatomy.values[box], found.anatomy.values[box]
    sacrum = np.isin(true, SACRUM_LABELS)
    if not sacrum.any():
        return ()
    near = np.asarray(ndimage.distance_transform_edt(~sacrum, sampling=spacing)) <= NEAR_MM
    results = [_measured(SACRUM, sacrum, np.isin(said, SACRUM_LABELS), spacing)]
    for label in PARTS:
        if (mine := true == label).any():
            results.append(_measured(label.name.lower(), mine, said == label, spacing))
    for label in NEIGHBOURS:
        if (mine := near & (true == label)).any():
            results.append(Overlap(label.name.lower(), dice(mine, near & (said == label))))
    for name, lesion in zip(LESIONS, LesionBit, strict=True):
        mine = near & ((truth.lesions.values[box] & lesion) > 0)
        if lesion in shown and mine.sum() * voxel_mm3 >= LEAST_MM3[lesion]:
            marked = near & ((found.lesions.values[box] & lesion) > 0)
            results.append(_measured(name, mine, marked, spacing))
    return tuple(results)


def dice(truth: Mask, found: Mask) -> float:
    """Dice of two masks of one shape; 1 where both are empty."""
    if not truth.any() and not found.any():
        return 1.0
    return float(compute_dice(_batch(found), _batch(truth), ignore_empty=False)[0, 0])


def _measured(name: str, truth: Mask, found: Mask, spacing_mm: Floats) -> Overlap:
    if not found.any():
        return Overlap(name, 0.0, 0.0)
    box = _box(truth | found, [1, 1, 1])
    held_truth, held = truth[box], found[box]
    surface, distance = surface_fit(held_truth, held, spacing_mm)
    return Overlap(name, dice(held_truth, held), surface, distance)


def surface_fit(truth: Mask, found: Mask, spacing_mm: Floats) -> tuple[float, float]:
    """Surface Dice at TOLERANCE_MM and the 95 % Hausdorff distance (mm) of two masks, none empty.

    As MONAI's ``compute_surface_dice`` and ``compute_hausdorff_distance`` give them; they make the
    same distance maps one after the other, here they are made once.
    """
    pair = (_batch(found)[0, 0], _batch(truth)[0, 0])
    _, ways, _ = get_edge_surface_distance(*pair, spacing=spacing_mm.tolist(), symmetric=True)
    near = sum(int((way <= TOLERANCE_MM).sum()) for way in ways)
    distance = max(float(torch.quantile(way, 0.95)) for way in ways)
    return near / sum(len(way) for way in ways), distance


def _box(mask: Mask, margin: list[int]) -> tuple[slice, ...]:
    """The part of an array that holds a mask, and so many voxels more along each axis."""
    extents = list(_extents(mask))
    return tuple(
        slice(max(0, low - more), high + 1 + more)
        for (low, high), more in zip(extents, margin, strict=True)
    )


def _extents(mask: Mask) -> Iterator[tuple[int, int]]:
    """First and last index along each axis; 0 and -1 for an empty mask."""
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        yield (int(there[0]), int(there[-1])) if len(there) else (0, -1)


def _batch(mask: Mask) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask))[None, None].float()
