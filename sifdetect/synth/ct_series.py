"""A CT series slice by slice: several samples through thick slices, slabs that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit
from sifdetect.synth import ct
from sifdetect.synth.scene import CaseParams, points_of, scene_at
from sifdetect.volume import FloatImage, Grid

SLAB_VOXELS = 1_500_000
"""Voxels rendered at once; bounds the memory of a whole-pelvis scan."""
THIN_MM = 1.6
"""Increment up to which one sample through a slice shows what lies in it."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Slab:
    """Slices ``start`` to ``stop`` and the grid that renders them.

    Attributes:
        grid: with a margin of ``before`` samples below, ``samples`` for each slice.
    """

    start: int
    stop: int
    before: int
    samples: int
    grid: Grid

    def slices(self, values: NDArray[Any], sample: int) -> NDArray[Any]:
        """One sample of every slice without the margin."""
        count = (self.stop - self.start) * self.samples
        return values[:, :, self.before + sample : self.before + count : self.samples]


def rendered(
    case: CaseParams, grid: Grid, params: ct.CtParams, rng: np.random.Generator
) -> tuple[FloatImage, Labels, Labels]:
    """HU, AnatomyLabel values and LesionBit sums on a grid whose last axis is the scanner's.

    Its spacing along that axis is the increment; ``params.overlap`` makes the slices thicker.
    """
    increment = float(grid.spacing_mm[2])
    thickness = increment * params.overlap
    samples = 1 if increment <= THIN_MM else 2
    if samples == 2:  # two samples at a quarter from the middle are a profile in themselves
        thickness = float(np.sqrt(thickness**2 - (increment / 1.4) ** 2))
    scan = replace(params, slice_mm=thickness)
    hu = np.empty(grid.shape, dtype=np.float32)
    anatomy, lesions = (np.empty(grid.shape, dtype=np.uint8) for _ in range(2))
    for slab in _slabs(grid, samples, margin=int(np.ceil(params.overlap))):
        points = points_of(case, slab.grid)
        scene = scene_at(case, points, float(grid.spacing_mm[:2].mean()))
        image = ct.render(scene, points, scan, spacing_mm=slab.grid.spacing_mm, rng=rng)
        bits, labels = scene.lesion_bits(), scene.anatomy()
        each = range(samples)
        part = slice(slab.start, slab.stop)
        hu[:, :, part] = np.mean([slab.slices(image, k) for k in each], axis=0)
        anatomy[:, :, part] = slab.slices(labels, 0)
        lesions[:, :, part] = slab.slices(bits, 0)
        lines = bits & np.uint8(LesionBit.FRACTURE_LINE)
        lesions[:, :, part] |= slab.slices(lines, samples - 1)
    return hu, anatomy, lesions


def _slabs(grid: Grid, samples: int, *, margin: int) -> Iterator[_Slab]:
    """Parts of at most SLAB_VOXELS samples, each with ``margin`` slices more on either side."""
    count = grid.shape[2]
    each = max(1, SLAB_VOXELS // (grid.shape[0] * grid.shape[1] * samples))
    step = grid.affine_lps_mm[:3, 2]
    for start in range(0, count, each):
        stop = min(start + each, count)
        affine = grid.affine_lps_mm.copy()
        affine[:3, 2] = step / samples
        first = start - margin - (samples - 1) / (2 * samples)
        affine[:3, 3] = grid.affine_lps_mm[:3, 3] + first * step
        shape = (grid.shape[0], grid.shape[1], (stop - start + 2 * margin) * samples)
        yield _Slab(start, stop, margin * samples, samples, Grid(shape, affine))
