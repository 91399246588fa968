"""A pool of rendered cases on disk, and the training samples drawn from it.

A pool is written once by one or more processes, sample by sample, each atomically; training reads
whatever is there. Preprocessing is that of inference (``sifdetect.bundle``, ``sifdetect.segment``).

A sample of a real case may carry ``known``, uint8: what was annotated in it. Terms of a loss whose
truth is not known are left out; **absent means that everything is known**. It has one of two forms:

- shape (2,): ``known[0]`` is 1 if anatomy is annotated (classes, and level or place); ``known[1]``
  is the LesionBit sum of the lesions that were looked for;
- the shape of ``region`` or ``classes``, beside a key ``possible`` of the same shape: by voxel, the
  bits of the lesions that were looked for plus ``CLASS_KNOWN``, ``PLACE_KNOWN`` and ``DATA_KNOWN``;
  ``possible`` has the bit ``1 << c`` for each class c that the voxel may be of.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import (
    LOCALIZER_CLASS_OF_LABEL,
    REGION_CLASS_OF_LABEL,
    AnatomyLabel,
    Modality,
    MrWeighting,
)
from sifdetect.bundle import localizer_spec, region_spec
from sifdetect.synth import ct, mr
from sifdetect.synth.bones import BoneField
from sifdetect.synth.noise import Points
from sifdetect.synth.scene import CaseParams, Scene, points_of, sample_case, scene_at
from sifdetect.volume import Grid, SacralFrame

Rendered = dict[str, NDArray[Any]]
"""A pool sample: images as float16, labels as uint8, by name; see the two functions below.

Samples of real data say in ``known`` and ``possible`` what was annotated (``external/known.py``);
without these keys everything is known."""

FLUID = ((MrWeighting.STIR,), (MrWeighting.T2_FATSAT, MrWeighting.DIXON_WATER))
ANATOMICAL = ((MrWeighting.T1,), (MrWeighting.T2,))
"""Weightings to choose from for the first and the second image of a role."""
CLASS_KNOWN, PLACE_KNOWN, DATA_KNOWN = 32, 64, 128
"""Bits of ``known`` beside those of LesionBit: class; level or place; the scan has data here."""
JITTER_MM, JITTER_DEG = 5.0, 5.0
"""Standard deviation of a localizer's error, which the region network must bear."""


def render_region(seed: int, sources: Sequence[BoneField] = ()) -> Rendered:
    """One case in the box of the region networks, around a frame that is slightly off.

    Returns:
        ``ct``, ``fluid0…2``, ``anatomical0…2`` float16 images (the last of each by chance
        contrast); ``region`` RegionClass, ``lesions`` LesionBit sums, ``limb`` the number of the
        fracture's sheet that a voxel's lesions belong to or 0, uint8; ``level`` float16.
    """
    case = sample_case(seed, sources=sources)
    rng = np.random.default_rng([seed, 1])
    spec = region_spec(Modality.CT)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    frame = jittered(case.frame, rng)
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    points = points_of(case, grid)
    scene = scene_at(case, points, spec.spacing_mm)
    lookup = np.array([REGION_CLASS_OF_LABEL[label] for label in AnatomyLabel], dtype=np.uint8)
    sample: Rendered = {
        "region": lookup[scene.anatomy()],
        "lesions": scene.lesion_bits(),
        "limb": scene.lesions.limb,
        "level": np.clip(scene.bones.level, 0, 5).astype(np.float16),
    }
    return sample | _images(case, scene, points, grid.spacing_mm, rng)


def render_localizer(seed: int, sources: Sequence[BoneField] = ()) -> Rendered:
    """One case over the whole trunk on a 4 mm grid along the scanner's axes.

    Returns:
        ``ct``, ``fluid0…2``, ``anatomical0…2`` float16 images; ``classes`` LocalizerClass uint8;
        ``place`` float16 (3, …): position in the sacral frame in units of 100 mm.
    """
    case = sample_case(seed, tilt_deg=8.0, sources=sources)
    rng = np.random.default_rng([seed, 2])
    spacing = localizer_spec(Modality.CT).spacing_mm
    grid = trunk_grid(case, spacing)
    points = points_of(case, grid)
    scene = scene_at(case, points, spacing)
    lookup = np.array([LOCALIZER_CLASS_OF_LABEL[label] for label in AnatomyLabel], dtype=np.uint8)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), -1)
    place = case.frame.to_frame_mm(grid.index_to_mm(index)) / 100
    sample: Rendered = {
        "classes": lookup[scene.anatomy()],
        "place": np.moveaxis(place, -1, 0).astype(np.float16),
    }
    return sample | _images(case, scene, points, grid.spacing_mm, rng)


def trunk_grid(case: CaseParams, spacing_mm: float) -> Grid:
    """A grid over trunk and pelvis: right→left, posterior→anterior, caudal→cranial."""
    low, high = np.array([-208.0, -160.0, -184.0]), np.array([208.0, 160.0, 264.0])
    axes = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
    return SacralFrame(case.pose.shift_mm, axes).grid(low, high, spacing_mm)


def jittered(frame: SacralFrame, rng: np.random.Generator) -> SacralFrame:
    """The frame as a localizer might have found it."""
    a, b, c = np.radians(rng.normal(0, JITTER_DEG, 3))
    skew = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    u, _, vt = np.linalg.svd(np.eye(3) + skew)
    shift = rng.normal(0, JITTER_MM, 3)
    return SacralFrame(frame.origin_lps_mm + shift, frame.axes @ (u @ vt))


def _images(
    case: CaseParams,
    scene: Scene,
    points: Points,
    spacing_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Rendered:
    scan = ct.CtParams.sample(rng, tagged=case.body.tagged_stool)
    hu = ct.render(scene, points, scan, spacing_mm=spacing_mm, rng=rng)
    images: Rendered = {"ct": hu.astype(np.float16)}
    subject = mr.Subject.of(scene, points, mr.Microstructure.sample(rng))
    marrow = mr.Marrow.sample(rng)
    for role, weightings in (("fluid", FLUID), ("anatomical", ANATOMICAL)):
        for number in range(3):
            exam = replace(mr.MrParams.sample(rng, random_contrast=number == 2), marrow=marrow)
            kinds = weightings[number % 2]
            sequence = exam.sequence(rng, kinds[int(rng.integers(len(kinds)))])
            series = acquisition(scene.tissue.shape, spacing_mm, rng)
            image = mr.render(subject, exam, sequence, series, spacing_mm=spacing_mm, rng=rng)
            if series.stack is not None:
                image = series.stack.spread(image, scene.tissue.shape[series.stack.axis])
            images[f"{role}{number}"] = np.clip(image, 0, 30).astype(np.float16)
    return images


def acquisition(
    shape: tuple[int, ...], spacing_mm: NDArray[np.float64], rng: np.random.Generator
) -> mr.Acquisition:
    """How a series samples a lattice: slices of 1.5–6 mm (gap included) along any of its axes."""
    axis = int(rng.integers(3))
    series = mr.Acquisition.sample(rng, axis)
    step = int(np.rint(rng.uniform(1.5, 6.0) / spacing_mm[axis]))
    if step < 2 or shape[axis] <= step:
        return series
    thickness = step * float(rng.uniform(0.7, 1.0))
    return replace(series, stack=mr.SliceStack(axis, step, int(rng.integers(step)), thickness))


@dataclass(frozen=True)
class Pool:
    """A folder of rendered samples, one ``<seed>.npz`` each."""

    folder: Path

    def write(self, seeds: range, render: Callable[[int], Rendered]) -> None:
        """Render and store every seed that is not there yet; safe beside other writers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            target = self.path(seed)
            if target.exists():
                continue
            partial = self.folder / f"{seed:07d}.{os.getpid()}.part"
            with partial.open("wb") as stream:
                np.savez(stream, **render(seed))  # type: ignore[arg-type]  # names are fixed above
            partial.rename(target)

    def path(self, seed: int) -> Path:
        """Where the sample of a seed lies, or will lie."""
        return self.folder / f"{seed:07d}.npz"

    def names(self) -> list[Path]:
        """The samples that are there, in order of their seeds."""
        return sorted(self.folder.glob("*.npz"))
