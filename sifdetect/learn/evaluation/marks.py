"""Marks of a lesion map against the true lesions, and how far its probabilities can be believed.

All of it is done on the grid of the region network, inside the sacrum that it outlined.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, Modality, Side
from sifdetect.findings import Basis, StudyFindings
from sifdetect.learn.evaluation.overlap import LEAST_MM3, Outlined
from sifdetect.learn.evaluation.scores import reliability
from sifdetect.volume import Segmentation

THRESHOLDS = tuple(round(0.05 * n, 2) for n in range(1, 20))
BASES = {
    LesionBit.FRACTURE_LINE: (Basis.LINE, Basis.LINE_AND_EDEMA),
    LesionBit.EDEMA: (Basis.EDEMA, Basis.LINE_AND_EDEMA),
}
HOME = {
    Side.RIGHT: (
        AnatomyLabel.SACRAL_CORRIDOR_RIGHT,
        AnatomyLabel.SACRAL_ALA_RIGHT,
        AnatomyLabel.SACRAL_FORAMEN_RIGHT,
    ),
    Side.LEFT: (
        AnatomyLabel.SACRAL_CORRIDOR_LEFT,
        AnatomyLabel.SACRAL_ALA_LEFT,
        AnatomyLabel.SACRAL_FORAMEN_LEFT,
    ),
    Side.MIDLINE: (AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_CANAL),
}
"""Where the fracture of a side is looked for."""
REGIONS = {
    "body": (AnatomyLabel.SACRAL_BODY,),
    "foraminal corridor": (AnatomyLabel.SACRAL_CORRIDOR_RIGHT, AnatomyLabel.SACRAL_CORRIDOR_LEFT),
    "ala": (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT),
}
"""Parts by which the calibration of voxels is told."""

Mask = NDArray[np.bool_]
_CUBE = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True)
class Marks:
    """Of one lesion on one modality of a case.

    Attributes:
        instances: true fractures that show it.
        hits, false: by threshold (THRESHOLDS), how many of them were marked, and marks of nothing.
        bins: by region (REGIONS), a reliability table of its voxels (see ``scores``).
    """

    lesion: str
    modality: str
    instances: int
    hits: tuple[int, ...]
    false: tuple[int, ...]
    bins: dict[str, list[list[float]]]


def marks(
    segmentation: Segmentation,
    drawn: Outlined,
    truth: StudyFindings,
    *,
    modality: Modality,
    shown: LesionBit,
) -> Iterator[Marks]:
    """One for each lesion of BASES that the scan can show; below LEAST_MM3 nothing counts.

    Args:
        drawn: the true labels of the series that lesions were read from, on its grid.
        truth: says which sides are fractured, and what shows it; what is out of view (confidence
            0) is not asked for.
        modality: of the scan.
        shown: lesions that the scan can show.
    """
    grid = segmentation.grid
    true_anatomy = drawn.anatomy.resampled(grid).values
    true_bits = drawn.lesions.resampled(grid).values
    sacral = np.isin(segmentation.anatomy.values, [int(label) for label in SACRUM_LABELS])
    inside = ndimage.binary_dilation(sacral)
    for lesion in (one for one in BASES if one in shown):
        true = (true_bits & lesion) > 0
        homes = [
            HOME[one.side]
            for one in truth.fractures
            if one.confidence > 0 and one.basis in BASES[lesion]
        ]
        parts = [true & np.isin(true_anatomy, [int(label) for label in home]) for home in homes]
        least = LEAST_MM3[lesion] / grid.voxel_volume_mm3
        parts = [part for part in parts if part.sum() >= least]
        probability = segmentation.probability[list(LesionBit).index(lesion)]
        reached, near = [grown(part) for part in parts], grown(true)
        counted = [
            count(np.where(inside, probability, 0) >= t, reached, near, least=least)
            for t in THRESHOLDS
        ]
        yield Marks(
            lesion=str(lesion.name).lower(),
            modality=modality.value,
            instances=len(parts),
            hits=tuple(hits for hits, _ in counted),
            false=tuple(false for _, false in counted),
            bins=_bins(segmentation, probability, true),
        )


def count(marked: Mask, reached: list[Mask], near: Mask, *, least: float) -> tuple[int, int]:
    """How many instances a mark meets, and how many marks meet no true lesion.

    A mark is a connected part (26 neighbours) of ``marked`` of at least ``least`` voxels.

    Args:
        reached: each true instance, ``grown``.
        near: all true voxels of the lesion, of whatever cause, ``grown``.
    """
    parts, found = ndimage.label(marked, _CUBE)
    if not found:
        return 0, 0
    large = np.flatnonzero(np.bincount(parts.ravel())[1:] >= least) + 1
    hits = sum(bool(np.isin(large, parts[one]).any()) for one in reached)
    return hits, len(np.setdiff1d(large, parts[near]))


def grown(mask: Mask) -> Mask:
    """A mark this near a lesion has met it: two voxels, 3 mm on the region network's grid."""
    return np.asarray(ndimage.binary_dilation(mask, _CUBE, iterations=2))


def _bins(
    segmentation: Segmentation, probability: NDArray[np.float32], true: Mask
) -> dict[str, list[list[float]]]:
    tables = {}
    for name, labels in REGIONS.items():
        where = np.isin(segmentation.anatomy.values, [int(one) for one in labels])
        where &= segmentation.in_view
        table = reliability(probability[where], true[where])
        tables[name] = [[round(float(x), 3) for x in row] for row in table]
    return tables
