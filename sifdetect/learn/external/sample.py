"""One case of a dataset as a training sample, in the format of ``sifdetect.learn.dataset``.

Region samples have ``ct`` or ``fluid0…2`` and ``anatomical0…2``, ``region``, ``lesions``, ``limb``
and ``level``; localizer samples the same images, ``classes`` and ``place``: as ``render_region``
and ``render_localizer`` write them. Besides:

- ``known`` and ``possible`` say what was annotated: see ``known.py``.
- CT has no MR images and MR no ``ct``. With fewer than three images of a role they come again. A
  role without any image is all zeros in a region sample (as at inference); in a localizer sample,
  which shows one image at a time, the other role's images stand in.
- MR intensities are divided by their 99th percentile and cut at 30; the rules of ``bundle`` are
  free of scale. Outside the scan images hold ``Volume.outside``; ``known`` tells where that is.
- ``limb`` is 0 and ``level`` is 0 and not known: no data set has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import (
    LOCALIZER_CLASS_OF_LABEL,
    REGION_CLASS_OF_LABEL,
    AnatomyLabel,
    LesionBit,
    Modality,
    MrWeighting,
    RegionClass,
)
from sifdetect.bundle import BundleSpec, Task, localizer_spec, region_spec
from sifdetect.learn.dataset import Rendered, jittered
from sifdetect.learn.external.known import Annotation, known_bits, possible_classes
from sifdetect.learn.external.names import UNKNOWN_LESION
from sifdetect.localize import coarse_grid
from sifdetect.transfer import transferred
from sifdetect.view import seen
from sifdetect.volume import Grid, LabelMap, SacralFrame, Volume

BODY_MM, CORRIDOR_MM = 15.0, 28.0
"""Half widths of body and of body with foraminal corridors, for a guess where the whole sacrum was
outlined (the means of ``fit.MEAN_PLACE_MM`` lie between)."""
LINE_SHARE, AREA_SHARE = 0.25, 0.5
"""Share of a voxel that a lesion fills where the voxel is marked; a thin line keeps its length."""


@dataclass(frozen=True)
class Examination:
    """A case as read.

    Attributes:
        volumes: the first is the one that the labels were drawn on.
        anatomy, lesions: on one grid; zeros where nothing of it was annotated.
        annotated: structures that were looked for.
    """

    volumes: tuple[Volume, ...]
    anatomy: LabelMap
    lesions: LabelMap
    annotated: tuple[str, ...]

    @property
    def modality(self) -> Modality:
        """Of the first image."""
        return self.volumes[0].modality


def region_sample(case: Examination, frame: SacralFrame, rng: np.random.Generator) -> Rendered:
    """The case in the box of the region networks, around a frame off by a localizer's error.

    Args:
        frame: without error; ``rng`` moves it as ``learn.dataset.jittered`` does.
    """
    spec = region_spec(case.modality)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = jittered(frame, rng).grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    drawn = annotation(case, grid, spec)
    possible = possible_classes(drawn, REGION_CLASS_OF_LABEL)
    sample: Rendered = {
        "region": _region(drawn, grid, frame),
        "lesions": drawn.lesions & np.uint8(LesionBit(31)),
        "limb": np.zeros(grid.shape, dtype=np.uint8),
        "level": np.zeros(grid.shape, dtype=np.float16),
        "known": known_bits(drawn, possible, place=False),
        "possible": possible,
    }
    return sample | images(case.volumes, grid, Task.REGION)


def localizer_sample(case: Examination, frame: SacralFrame) -> Rendered:
    """The case on a 4 mm grid along the axes of its first image, as the localizer sees it."""
    spec = localizer_spec(case.modality)
    grid = coarse_grid(case.volumes[0].grid, spec.spacing_mm, 1)
    drawn = annotation(case, grid, spec)
    possible = possible_classes(drawn, LOCALIZER_CLASS_OF_LABEL)
    lookup = np.zeros(256, dtype=np.uint8)
    for label, one in LOCALIZER_CLASS_OF_LABEL.items():
        lookup[label] = one
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    place = frame.to_frame_mm(grid.index_to_mm(index)) / 100
    sample: Rendered = {
        "classes": lookup[drawn.anatomy],
        "place": np.moveaxis(place, -1, 0).astype(np.float16),
        "known": known_bits(drawn, possible, place=True),
        "possible": possible,
    }
    return sample | images(case.volumes, grid, Task.LOCALIZER)


def annotation(case: Examination, grid: Grid, spec: BundleSpec) -> Annotation:
    """What was outlined, on a sample's grid; nothing is known where no image or label reaches."""
    in_view = seen(case.volumes[0].grid, grid) & seen(case.anatomy.grid, grid)
    return Annotation(
        transferred(case.anatomy, grid).values,
        _lesions(case.lesions, grid),
        in_view,
        case.annotated,
        spec.spacing_mm,
    )


def images(volumes: Sequence[Volume], grid: Grid, task: Task) -> Rendered:
    """The images of a sample, float16, by the roles that a network knows."""
    if volumes[0].modality is Modality.CT:
        return {"ct": volumes[0].resampled(grid).values.astype(np.float16)}
    fluid = [one for one in volumes if one.weighting is not None and one.weighting.fluid_sensitive]
    others = (MrWeighting.T1, MrWeighting.T2, MrWeighting.OTHER)
    anatomical = [one for one in volumes if one.weighting in others]
    made: Rendered = {}
    for role, mine, theirs in (("fluid", fluid, anatomical), ("anatomical", anatomical, fluid)):
        used = mine or (theirs if task is Task.LOCALIZER else [])
        shown = [_mr(one, grid) for one in used] or [np.zeros(grid.shape, dtype=np.float16)]
        for number, image in enumerate(islice(cycle(shown), 3)):
            made[f"{role}{number}"] = image
    return made


def _mr(volume: Volume, grid: Grid) -> NDArray[np.float16]:
    values = volume.resampled(grid).values
    bright = float(np.percentile(volume.values, 99))
    return np.asarray(np.clip(values / max(bright, 1e-6), 0, 30), dtype=np.float16)


def _region(drawn: Annotation, grid: Grid, frame: SacralFrame) -> NDArray[np.uint8]:
    """RegionClass of each voxel; a guess by the distance from the midline in a whole sacrum."""
    lookup = np.zeros(256, dtype=np.uint8)
    for label, one in REGION_CLASS_OF_LABEL.items():
        lookup[label] = one
    region = lookup[drawn.anatomy]
    if drawn.whole_sacrum:
        index = np.argwhere(drawn.anatomy == AnatomyLabel.SACRAL_BODY)
        aside = np.abs(frame.to_frame_mm(grid.index_to_mm(index))[:, 0])
        guess = np.where(aside < CORRIDOR_MM, RegionClass.SACRAL_CORRIDOR, RegionClass.SACRAL_ALA)
        region[tuple(index.T)] = np.where(aside < BODY_MM, RegionClass.SACRAL_BODY, guess)
    return region


def _lesions(lesions: LabelMap, grid: Grid) -> NDArray[np.uint8]:
    """Sums of bits on another grid, each bit by the share of a voxel that it fills."""
    result = np.zeros(grid.shape, dtype=np.uint8)
    for bit in (*LesionBit, UNKNOWN_LESION):
        mask = (lesions.values & np.uint8(bit)) > 0
        if mask.any():
            share = Volume(mask.astype(np.float32), lesions.grid, Modality.MR).resampled(grid)
            least = LINE_SHARE if bit == LesionBit.FRACTURE_LINE else AREA_SHARE
            result[share.values >= least] |= np.uint8(bit)
    return result
