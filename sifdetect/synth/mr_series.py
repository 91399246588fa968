"""MR series of an examination: slices cut from finer lattices, with the labels of their middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, Modality
from sifdetect.synth import mr
from sifdetect.synth.mr_scanner import cropped
from sifdetect.synth.protocol import MrSeries
from sifdetect.synth.scene import CaseParams, Scene, points_of, scene_at
from sifdetect.synth.shifted import Shift
from sifdetect.volume import Grid, LabelMap, Volume

SLAB_VOXELS = 1_500_000
"""Lattice points rendered at once; bounds the memory of a whole-pelvis scan."""
UNITS = 1000.0
"""Stored value of the brightest common tissue."""


@dataclass(frozen=True)
class _Setting:
    """What the series of one field share: lattice points for each slice, and what folds in."""

    grid: Grid
    axis: int
    step: int
    phase_axis: int
    fold: int

    @staticmethod
    def of(series: MrSeries, grid: Grid, phase: int) -> _Setting:
        inside = [axis for axis in range(3) if axis != series.slice_axis]
        phase_axis = inside[phase]
        return _Setting(
            grid=grid,
            axis=series.slice_axis,
            step=2 if grid.spacing_mm[series.slice_axis] <= 4.5 else 3,
            phase_axis=phase_axis,
            fold=round(series.fold_mm / float(grid.spacing_mm[phase_axis])),
        )

    def lattice(self, slices: Grid) -> Grid:
        """The lattice of a slab: ``step`` points a slice, and half a slice more at each end."""
        count, pad = np.array(slices.shape), np.zeros(3, dtype=int)
        pad[self.axis] = self.step // 2
        count[self.axis] = (count[self.axis] - 1) * self.step + 1
        pad[self.phase_axis] = self.fold
        affine = slices.affine_lps_mm.copy()
        affine[:3, self.axis] /= self.step
        affine[:3, 3] -= affine[:3, :3] @ pad
        count += 2 * pad
        return Grid((int(count[0]), int(count[1]), int(count[2])), affine)

    def labels(self, scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Anatomy in the middle of each slice; lesions there, and any line within the slice."""
        first, size = self.step // 2, scene.tissue.shape[self.axis]
        middle = np.arange(first, size - first, self.step)
        bits = scene.lesion_bits()
        lesions = np.take(bits, middle, self.axis)
        for other in range(-(self.step // 2), (self.step - 1) // 2 + 1):
            near = np.take(bits, middle + other, self.axis)
            lesions |= near & np.uint8(LesionBit.FRACTURE_LINE)
        anatomy = np.take(scene.anatomy(), middle, self.axis)
        return (
            cropped(anatomy, self.phase_axis, self.fold).astype(np.uint8),
            cropped(lesions, self.phase_axis, self.fold).astype(np.uint8),
        )


def mr_volumes(
    params: CaseParams,
    series: Sequence[MrSeries],
    rng: np.random.Generator,
    shift: Shift | None = None,
) -> list[tuple[Volume, LabelMap, LabelMap]]:
    """Render MR series of one examination: volume, anatomy and lesions of each, in order.

    All share patient, scanner and frame of reference; each has its timing and its artefacts.
    """
    if not series:
        return []
    exam = mr.MrParams.sample(rng, random_contrast=False)
    exam = exam if shift is None else shift.exam(exam)
    micro = mr.Microstructure.sample(rng)
    result: dict[int, tuple[Volume, LabelMap, LabelMap]] = {}
    for members in _by_field(series):
        numbers, one = [number for number, _ in members], members[0][1]
        grid = one.field.grid(params.frame, one.spacing_mm)
        setting = _Setting.of(one, grid, int(rng.integers(2)))
        plans = [_plan(exam, member, setting, rng) for _, member in members]
        plans = plans if shift is None else [shift.plan(*one) for one in plans]
        images = [np.empty(grid.shape, dtype=np.float32) for _ in members]
        labels = tuple(np.empty(grid.shape, dtype=np.uint8) for _ in range(2))
        each = max(1, SLAB_VOXELS // setting.step)
        for start, stop, part in slabs(grid, axis=one.slice_axis, voxels=each):
            lattice = setting.lattice(part)
            points = points_of(params, lattice)
            scene = scene_at(params, points, float(np.sort(grid.spacing_mm)[:2].mean()))
            subject = mr.Subject.of(scene, points, micro)
            box = tuple(slice(start, stop) if a == setting.axis else slice(None) for a in range(3))
            for image, (sequence, taken) in zip(images, plans, strict=True):
                image[box] = UNITS * mr.render(
                    subject, exam, sequence, taken, spacing_mm=lattice.spacing_mm, rng=rng
                )
            for whole, slab in zip(labels, setting.labels(scene), strict=True):
                whole[box] = slab
        anatomy, lesions = (LabelMap(values, grid) for values in labels)
        for number, image in zip(numbers, images, strict=True):
            volume = Volume(image, grid, Modality.MR, series[number].weighting)
            result[number] = (volume, anatomy, lesions)
    return [result[number] for number in range(len(series))]


def slabs(grid: Grid, *, axis: int, voxels: int) -> Iterator[tuple[int, int, Grid]]:
    """The grid cut along an axis into parts (start, stop, grid) of at most so many voxels."""
    across = grid.shape[0] * grid.shape[1] * grid.shape[2] // grid.shape[axis]
    each = max(1, voxels // across)
    for start in range(0, grid.shape[axis], each):
        stop = min(start + each, grid.shape[axis])
        low, high = [0, 0, 0], list(grid.shape)
        low[axis], high[axis] = start, stop
        yield start, stop, grid.cropped((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def _by_field(series: Sequence[MrSeries]) -> list[list[tuple[int, MrSeries]]]:
    """The series with their numbers, together those that share their voxels."""
    groups: dict[object, list[tuple[int, MrSeries]]] = {}
    for number, one in enumerate(series):
        groups.setdefault((one.field, one.spacing_mm, one.fold_mm), []).append((number, one))
    return list(groups.values())


def _plan(
    exam: mr.MrParams, series: MrSeries, setting: _Setting, rng: np.random.Generator
) -> tuple[mr.Sequence, mr.Acquisition]:
    """Timing and sampling of one series; its acquired pixel is up to half wider than the stored."""
    drawn = mr.Acquisition.sample(rng, setting.axis)
    stored = float(np.sort(setting.grid.spacing_mm)[:2].max())
    pixel = stored * float(rng.uniform(1.0, 1.5))
    taken = replace(
        drawn,
        read_axis=3 - setting.axis - setting.phase_axis,
        phase_axis=setting.phase_axis,
        pixel_mm=pixel,
        shift_mm=drawn.shift_mm * pixel / max(drawn.pixel_mm, 1e-3),
        stack=mr.SliceStack(
            setting.axis, setting.step, setting.step // 2, setting.step * (1 - series.gap)
        ),
        fold=setting.fold,
    )
    return exam.sequence(rng, series.weighting), taken
