"""Volume to sacral frame: where the sacrum is, how it lies, how much of it is in view."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from sifdetect.anatomy import AnatomyLabel, LocalizerClass
from sifdetect.bundle import BundleSpec, normalised
from sifdetect.engine import Bundle
from sifdetect.errors import NoSacrumInView
from sifdetect.fit import fit_frame
from sifdetect.view import coverage, seen
from sifdetect.volume import Grid, LabelMap, SacralFrame, Volume

MIN_SACRUM_MM3 = 8000.0
"""Less than this (about 4 % of a sacrum with its canal) is taken for something else."""

MAX_RESIDUAL_MM = 20.0
"""A sacrum whose voxels disagree more than this about where they are is not one."""

MIN_SPINE_MM3 = 10000.0
"""Less lumbar spine than this (a quarter of a vertebra) says nothing about where it lies."""

S1_TOP_MM = 45.0
"""Height of the upper end of S1 in the sacral frame; all lumbar vertebrae lie above it."""

_MIN_VOXELS = 16
_DIRECTIONS = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
_WEIGHT = {LocalizerClass.SACRUM: 1.0, LocalizerClass.L5: 0.2}


@dataclass(frozen=True)
class Prepared:
    """A localizer's input.

    Attributes:
        channels: float32 (1, …grid.shape), normalised.
        grid: right→left, posterior→anterior, caudal→cranial, along the scan's own axes.
        in_view: bool of grid.shape: True where the scan has data.
    """

    channels: NDArray[np.float32]
    grid: Grid
    in_view: NDArray[np.bool_]


@dataclass(frozen=True)
class Localization:
    """Where the sacrum is.

    Attributes:
        frame: with the coverage of each level by the scan.
        labels: AnatomyLabel values at the localizer's spacing; the sacrum is SACRAL_BODY.
        sacrum_volume_mm3: volume of what was taken for the sacrum, canal and foramina included.
        residual_mm: median disagreement of its voxels about the frame.
    """

    frame: SacralFrame
    labels: LabelMap
    sacrum_volume_mm3: float
    residual_mm: float


def prepare(volume: Volume, spec: BundleSpec) -> Prepared:
    """The volume as the localizer sees it: turned, coarse, padded, normalised."""
    grid = coarse_grid(volume.grid, spec.spacing_mm, spec.multiple)
    in_view = seen(volume.grid, grid)
    image = normalised(volume.resampled(grid).values, in_view, spec.intensity)
    return Prepared(image[None], grid, in_view)


def coarse_grid(source: Grid, spacing_mm: float, multiple: int) -> Grid:
    """A grid centred on ``source`` that covers it, along its axes nearest to the patient's.

    Array axes: right→left, posterior→anterior, caudal→cranial. The shape is a multiple of
    ``multiple`` and at least 16 voxels along each axis.
    """
    cosines = source.affine_lps_mm[:3, :3] / source.spacing_mm
    likeness = _DIRECTIONS @ cosines
    order = max(permutations(range(3)), key=lambda p: sum(abs(likeness[i, p[i]]) for i in range(3)))
    columns = [cosines[:, axis] * np.sign(likeness[i, axis] or 1) for i, axis in enumerate(order)]
    extent = (np.array(source.shape) * source.spacing_mm)[list(order)]
    count = np.maximum(np.ceil(extent / spacing_mm - 1e-6), _MIN_VOXELS)
    shape = (np.ceil(count / multiple) * multiple).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = np.stack(columns, axis=1) * spacing_mm
    affine[:3, 3] = source.center_lps_mm - affine[:3, :3] @ ((shape - 1) / 2)
    i, j, k = shape.tolist()
    return Grid((i, j, k), affine, source.frame_of_reference_uid)


def localize(volume: Volume, model: Bundle) -> Localization:
    """Where the sacrum is in a volume.

    Raises:
        NoSacrumInView: nothing in the volume looks like enough of a sacrum.
    """
    prepared = prepare(volume, model.spec)
    output = model.network(prepared.channels)
    classes = len(LocalizerClass)
    probability = special.softmax(output[:classes], axis=0)
    predicted_mm = np.moveaxis(output[classes:], 0, -1) * 100.0
    label = np.where(prepared.in_view, probability.argmax(axis=0), 0)
    sacrum = _largest(label == LocalizerClass.SACRUM)
    volume_mm3 = float(sacrum.sum() * prepared.grid.voxel_volume_mm3)
    if volume_mm3 < MIN_SACRUM_MM3:
        raise _nothing(f"only {volume_mm3 / 1000:.0f} ml look like it")
    used = sacrum | (label == LocalizerClass.L5)
    weight = sum(probability[c] * w for c, w in _WEIGHT.items())[used]
    points_mm = prepared.grid.index_to_mm(np.argwhere(used))
    frame, residual = fit_frame(predicted_mm[used], points_mm, weight)
    if residual > MAX_RESIDUAL_MM:
        raise _nothing(f"its parts disagree by {residual:.0f} mm about where they lie")
    if not _below_the_spine(label, frame, prepared.grid):
        raise _nothing("what looks like it lies beside the lumbar spine, not below it")
    frame = SacralFrame(frame.origin_lps_mm, frame.axes, coverage(frame, volume.grid))
    labels = _anatomy(np.where(sacrum | (label != LocalizerClass.SACRUM), label, 0))
    return Localization(frame, LabelMap(labels, prepared.grid), volume_mm3, residual)


def _below_the_spine(label: NDArray[np.int64], frame: SacralFrame, grid: Grid) -> bool:
    """True unless most of the lumbar vertebrae lie caudal of where S1 ends."""
    spine = np.argwhere((label == LocalizerClass.L5) | (label == LocalizerClass.LUMBAR))
    if len(spine) * grid.voxel_volume_mm3 < MIN_SPINE_MM3:
        return True
    height = frame.to_frame_mm(grid.index_to_mm(spine))[:, 2]
    return bool(np.median(height) >= S1_TOP_MM)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    components, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(components.ravel())[1:]
    return np.asarray(components == 1 + int(sizes.argmax()))


def _nothing(why: str) -> NoSacrumInView:
    return NoSacrumInView(
        f"No sacrum in the field of view ({why})",
        hint="Send a series that covers the sacrum from L5 to the coccyx",
    )


def _anatomy(label: NDArray[np.int64]) -> NDArray[np.uint8]:
    table = np.zeros(len(LocalizerClass), dtype=np.uint8)
    table[LocalizerClass.SACRUM] = AnatomyLabel.SACRAL_BODY
    table[LocalizerClass.L5] = AnatomyLabel.L5
    table[LocalizerClass.LUMBAR] = AnatomyLabel.LUMBAR
    table[LocalizerClass.HIP_RIGHT] = AnatomyLabel.HIP_RIGHT
    table[LocalizerClass.HIP_LEFT] = AnatomyLabel.HIP_LEFT
    return table[label]
