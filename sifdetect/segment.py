"""Volumes and sacral frame to anatomy labels and lesion probabilities in the region's box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from sifdetect.anatomy import (
    SACRUM_LABELS,
    AnatomyLabel,
    LesionBit,
    Modality,
    MrWeighting,
    RegionClass,
    Side,
    label_of,
)
from sifdetect.bundle import BundleSpec, normalised
from sifdetect.engine import Bundle
from sifdetect.view import coverage, seen
from sifdetect.volume import Grid, LabelMap, SacralFrame, Segmentation, Volume

_BONE = (*SACRUM_LABELS, AnatomyLabel.L5, AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT)
_SACRAL = (RegionClass.SACRAL_BODY, RegionClass.SACRAL_CORRIDOR, RegionClass.SACRAL_ALA)
LINE_CHANNEL = list(LesionBit).index(LesionBit.FRACTURE_LINE)
SHEET_MM = 6.0
"""A fracture gap is 0.3-3 mm wide; with the voxels at its faces it stays below this."""
SACRUM_TOP_MM = 56.0
"""Frame z that no sacrum reaches: the superior articular processes end about 50 mm above S2."""
HIP_MEDIAL_MM = 22.0
"""Frame |x| that no ilium reaches: the posterior spines are some 40 mm beside the midline."""
FAINT = {(Modality.CT, LesionBit.FRACTURE_LINE): 0.5}
"""Probability down to which an outline that reaches its threshold somewhere goes on (decision
0035): a line on CT fades where the gap is closed."""
_MIN_MIDLINE_VOXELS = 500
_MAX_MIDLINE_SHIFT_MM = 10.0
_MAX_MIDLINE_SLOPE = 0.15


@dataclass(frozen=True)
class Roles:
    """The volume for each image channel of a region network; None where there is none.

    Attributes:
        fluid_sensitive: STIR, T2 with fat suppression or Dixon water; None for CT.
        anatomical: the CT; for MR a T1, else a T2.
    """

    fluid_sensitive: Volume | None
    anatomical: Volume | None

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Those that are there, the one that shows edema first."""
        return tuple(v for v in (self.fluid_sensitive, self.anatomical) if v is not None)


@dataclass(frozen=True)
class PreparedRegion:
    """A region network's input.

    Attributes:
        channels: float32 (inputs, …grid.shape): images, then frame x, y, z in units of 100 mm.
        grid: the box in the sacral frame.
        in_view: bool of grid.shape: True where any image has data.
    """

    channels: NDArray[np.float32]
    grid: Grid
    in_view: NDArray[np.bool_]


def choose_roles(volumes: Sequence[Volume], frame: SacralFrame) -> Roles:
    """One volume for each role: the one that covers most of the sacrum, then the finest."""

    def rank(volume: Volume) -> tuple[float, float]:
        covered = float(np.mean(list(coverage(frame, volume.grid).values())))
        return (-round(covered, 1), volume.grid.voxel_volume_mm3)

    def best(*weightings: MrWeighting | None) -> Volume | None:
        for weighting in weightings:
            fitting = [v for v in volumes if v.weighting is weighting]
            if fitting:
                return min(fitting, key=rank)
        return None

    if any(v.modality is Modality.CT for v in volumes):
        return Roles(None, best(None))
    fluid = [v for v in volumes if v.weighting is not None and v.weighting.fluid_sensitive]
    return Roles(min(fluid, key=rank) if fluid else None, best(MrWeighting.T1, MrWeighting.T2))


def prepare(roles: Roles, frame: SacralFrame, spec: BundleSpec) -> PreparedRegion:
    """The volumes as the region network sees them; a role that is not filled is all zeros."""
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    wanted = [roles.fluid_sensitive, roles.anatomical]
    if spec.modality is Modality.CT:
        wanted = [roles.anatomical]
    in_view = np.zeros(grid.shape, dtype=np.bool_)
    channels = np.zeros((len(spec.inputs), *grid.shape), dtype=np.float32)
    for channel, volume in enumerate(wanted):
        if volume is not None:
            inside = seen(volume.grid, grid)
            in_view |= inside
            channels[channel] = normalised(volume.resampled(grid).values, inside, spec.intensity)
    channels[len(wanted) :] = coordinates(spec)
    return PreparedRegion(channels, grid, in_view)


def coordinates(spec: BundleSpec) -> NDArray[np.float32]:
    """(3, …shape) x, y and z of the box's voxel centres in the sacral frame, in units of 100 mm."""
    assert spec.low_mm is not None
    assert spec.shape is not None
    axes = [
        (low + (np.arange(n) + 0.5) * spec.spacing_mm) / 100.0
        for low, n in zip(spec.low_mm, spec.shape, strict=True)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def segment(roles: Roles, frame: SacralFrame, model: Bundle) -> Segmentation:
    """What the region network finds around the sacrum."""
    prepared = prepare(roles, frame, model.spec)
    output = model.network(prepared.channels)
    return interpret(output, prepared, frame, model.spec)


def interpret(
    output: NDArray[np.float32], prepared: PreparedRegion, frame: SacralFrame, spec: BundleSpec
) -> Segmentation:
    """Labels and probabilities from the network's output (outputs, …grid.shape)."""
    classes, lesions = len(RegionClass), len(LesionBit)
    region = output[:classes].argmax(axis=0)
    region = np.where(prepared.in_view, region, RegionClass.BACKGROUND)
    anatomy = _with_sides(plausible(region, spec), spec)
    temperature = np.array(spec.temperature, dtype=np.float32).reshape(-1, 1, 1, 1)
    logits = output[classes : classes + lesions] / temperature
    probability = np.where(prepared.in_view, special.expit(logits), 0).astype(np.float32)
    line = LINE_CHANNEL
    probability[line][lumps(probability[line] >= spec.threshold[line], spec.spacing_mm)] = 0.0
    return Segmentation(
        anatomy=LabelMap(anatomy, prepared.grid),
        lesions=LabelMap(_thresholded(probability, anatomy, spec), prepared.grid),
        probability=probability,
        level=np.clip(output[classes + lesions], 0.0, 5.0),
        frame=frame,
        in_view=prepared.in_view,
        certainty=_certainty(output[:classes], anatomy),
    )


def _certainty(logits: NDArray[np.float32], anatomy: NDArray[np.uint8]) -> float:
    """See ``Segmentation``; 0 without a sacrum."""
    sacrum = np.isin(anatomy, SACRUM_LABELS)
    if not sacrum.any():
        return 0.0
    return float(special.softmax(logits[:, sacrum], axis=0).max(axis=0).mean())


def plausible(region: NDArray[np.int64], spec: BundleSpec) -> NDArray[np.int64]:
    """The classes without what cannot be: see SACRUM_TOP_MM, HIP_MEDIAL_MM; one sacrum, one L5."""
    x, _, z = coordinates(spec) * 100.0
    kept = region.copy()
    kept[(region == RegionClass.HIP) & (np.abs(x) < HIP_MEDIAL_MM)] = RegionClass.BACKGROUND
    sacral = np.isin(region, [int(c) for c in _SACRAL])
    for mask in (sacral, region == RegionClass.L5):
        low = mask & (z < SACRUM_TOP_MM) if mask is sacral else mask
        kept[mask & ~_largest(low)] = RegionClass.BACKGROUND
    return kept


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(parts == 1 + int(np.bincount(parts.ravel())[1:].argmax()))


def lumps(line: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """The parts of a fracture-line mask that are no sheet: thicker than SHEET_MM every way.

    A gap in bone is a sheet of at most some 4 mm; where bone changes its density a network may see
    a line, but what it marks there is a lump.
    """
    radius = int(np.ceil(SHEET_MM / 2 / spacing_mm))
    offsets = np.indices((2 * radius + 1,) * 3) - radius
    ball = (offsets**2).sum(axis=0) <= radius**2
    core = ndimage.binary_opening(line, ball)
    return np.asarray(line & ndimage.binary_dilation(core, ball)) if core.any() else core


def midline_mm(region: NDArray[np.int64], spec: BundleSpec) -> NDArray[np.float64]:
    """(1, j, k) frame x of the midline plane, in mm, from the voxels of the bodies and the canal.

    Least squares x = a + b y + c z, held within 10 mm and 0.15 of the frame's own midline; that one
    is taken where too little is in view.
    """
    x, y, z = (axis.astype(np.float64) * 100.0 for axis in coordinates(spec))
    middle = (region == RegionClass.SACRAL_BODY) | (region == RegionClass.SACRAL_CANAL)
    if int(middle.sum()) < _MIN_MIDLINE_VOXELS:
        return np.zeros((1, *region.shape[1:]))
    terms = np.stack([np.ones(int(middle.sum())), y[middle], z[middle]], axis=1)
    shift, by_y, by_z = np.linalg.lstsq(terms, x[middle], rcond=None)[0]
    limit = _MAX_MIDLINE_SLOPE
    shift = np.clip(shift, -_MAX_MIDLINE_SHIFT_MM, _MAX_MIDLINE_SHIFT_MM)
    slope = np.clip(by_y, -limit, limit) * y[:1] + np.clip(by_z, -limit, limit) * z[:1]
    return np.asarray(shift + slope)


def _with_sides(region: NDArray[np.int64], spec: BundleSpec) -> NDArray[np.uint8]:
    x = coordinates(spec)[0] * 100.0
    left = x > midline_mm(region, spec)
    tables = [
        np.array([label_of(c, side) for c in RegionClass], dtype=np.uint8)
        for side in (Side.RIGHT, Side.LEFT)
    ]
    return np.where(left, tables[1][region], tables[0][region])


def _thresholded(
    probability: NDArray[np.float32], anatomy: NDArray[np.uint8], spec: BundleSpec
) -> NDArray[np.uint8]:
    """Lesion bits where the lesion can be: in bone and one voxel around; cement goes anywhere.

    What reaches the threshold is outlined, with all that is connected to it and reaches ``FAINT``.
    """
    bone = ndimage.binary_dilation(np.isin(anatomy, _BONE))
    bits = np.zeros(anatomy.shape, dtype=np.uint8)
    for lesion, values, threshold in zip(LesionBit, probability, spec.threshold, strict=True):
        faint = min(FAINT.get((spec.modality, lesion), threshold), threshold)
        found = values >= faint
        if lesion is not LesionBit.CEMENT:
            found &= bone
        if faint < threshold:
            found = _reaching(found, found & (values >= threshold))
        bits[found] |= lesion.value
    return bits


def _reaching(mask: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of a mask, corners counted, that hold a seed."""
    parts, _ = ndimage.label(mask, np.ones((3, 3, 3)))
    return np.asarray(np.isin(parts, np.unique(parts[seeds])))
