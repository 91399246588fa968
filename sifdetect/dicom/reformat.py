"""Key pictures of a study: three planes through the finding, in the patient's convention.

Whatever the scan's own planes are, the pictures are cut the way a radiologist hangs them: the
patient's right at the picture's left, cranial or anterior at its top, and all three at one scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, Modality
from sifdetect.study import SeriesLabels
from sifdetect.volume import FloatImage, Floats, Grid, LabelMap, Volume

CT_WINDOW_HU = (-200.0, 750.0)
"""A bone window that still shows soft tissue; a fracture line in porotic bone drowns in 40/400."""

_MARGIN_MM = 16.0
_SMALLEST_MM, _LARGEST_MM = 120.0, 220.0
_STEEPEST_DEG = 60.0
_LEFT = np.array([1.0, 0.0, 0.0])
_POSTERIOR = np.array([0.0, 1.0, 0.0])
_DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class Picture:
    """One plane.

    Attributes:
        title: name of the plane.
        gray: (rows, columns) uint8, windowed.
        sacrum: float32 of the same shape, share of sacral bone; 0.5 is its border.
        findings: number of a finding (from 1) to float32, its share; 0.5 is its border.
        edges: letters of the patient's sides at the left, right, top and bottom of the picture.
        pixel_mm: width and height of a pixel.
    """

    title: str
    gray: NDArray[np.uint8]
    sacrum: FloatImage
    findings: dict[int, FloatImage]
    edges: tuple[str, str, str, str]
    pixel_mm: float


@dataclass(frozen=True)
class _Plane:
    title: str
    across: Floats
    down: Floats
    edges: tuple[str, str, str, str]

    @property
    def through(self) -> Floats:
        return np.cross(self.across, self.down)


def pictures(labels: SeriesLabels, volume: Volume, *, size: tuple[int, int]) -> tuple[Picture, ...]:
    """Axial, coronal and sagittal pictures of ``size`` (width, height) pixels.

    Each plane goes through the place where it shows most of the findings, or without a finding
    most of the sacrum (sagittal: the midline). The coronal plane follows the tilt of the sacrum
    where enough of it was seen to know it.
    """
    bone = _points(labels.anatomy, [int(label) for label in SACRUM_LABELS])
    found = _points(labels.findings, None)
    center = bone.mean(axis=0) if len(bone) else volume.grid.center_lps_mm
    pixel_mm = _pixel_mm(bone, size)
    target = found if len(found) else bone
    grids = []
    planes = _planes(labels)
    for plane in planes:
        points = target
        if plane.title == "Sagittal":
            points = _sagittal_points(labels, bone=bone)
        grids.append(_grid(plane, _through(plane, points, center), pixel_mm, size))
    cuts = [volume.resampled(grid).values[0] for grid in grids]
    low, high = _window(volume, cuts)
    return tuple(
        Picture(
            title=plane.title,
            gray=_gray(cut, low, high),
            sacrum=_share(labels.anatomy, [int(label) for label in SACRUM_LABELS], grid),
            findings=_shares(labels.findings, grid),
            edges=plane.edges,
            pixel_mm=pixel_mm,
        )
        for plane, grid, cut in zip(planes, grids, cuts, strict=True)
    )


def _pixel_mm(bone: Floats, size: tuple[int, int]) -> float:
    """So that the sacrum and some of its surroundings fit in, upright or lying."""
    width, height = size
    if not len(bone):
        return _LARGEST_MM / width
    across, *upright = np.ptp(bone, axis=0) + 2 * _MARGIN_MM
    fitting = max(across / width, max(upright) / height)
    return float(np.clip(fitting, _SMALLEST_MM / width, _LARGEST_MM / width))


def _points(labels: LabelMap, values: list[int] | None) -> Floats:
    """(n, 3) LPS positions of the voxels with one of the values; None: of any but zero."""
    chosen = labels.values > 0 if values is None else np.isin(labels.values, values)
    return labels.grid.index_to_mm(np.argwhere(chosen))


def _sagittal_points(labels: SeriesLabels, *, bone: Floats) -> Floats:
    """The largest finding, else the sacral body, else the sacrum."""
    counts = np.bincount(labels.findings.values.ravel())
    if len(counts) > 1 and counts[1:].any():
        return _points(labels.findings, [int(counts[1:].argmax()) + 1])
    body = _points(labels.anatomy, [int(AnatomyLabel.SACRAL_BODY)])
    return np.broadcast_to(body.mean(axis=0), (1, 3)) if len(body) else bone


def _planes(labels: SeriesLabels) -> tuple[_Plane, ...]:
    caudal, tilted = _along_sacrum(labels)
    coronal = "Coronal, along the sacrum" if tilted else "Coronal"
    return (
        _Plane("Axial", _LEFT, _POSTERIOR, ("R", "L", "A", "P")),
        _Plane(coronal, _LEFT, caudal, ("R", "L", "H", "F")),
        _Plane("Sagittal", _POSTERIOR, _DOWN, ("A", "P", "H", "F")),
    )


def _along_sacrum(labels: SeriesLabels) -> tuple[Floats, bool]:
    """Unit vector down the sacrum in the sagittal plane, and whether the sacrum showed it."""
    points = _points(labels.anatomy, [AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_CANAL])
    if len(points) < 50 or np.ptp(points[:, 2]) < 50:
        return _DOWN, False
    spread, directions = np.linalg.eigh(np.cov(points[:, 1:].T))
    if spread[1] < 2.5 * spread[0]:
        return _DOWN, False
    y, z = directions[:, 1] * (-1 if directions[1, 1] > 0 else 1)
    angle = np.clip(np.arctan2(y, -z), -np.deg2rad(_STEEPEST_DEG), np.deg2rad(_STEEPEST_DEG))
    return np.array([0.0, np.sin(angle), -np.cos(angle)]), True


def _through(plane: _Plane, points: Floats, center: Floats) -> Floats:
    """The centre of the picture: ``center``, moved to the depth where most of ``points`` lie."""
    if not len(points):
        return center
    depth = points @ plane.through
    bins = max(3, int(np.ptp(depth) / 2.0))
    counts, edges = np.histogram(depth, bins=bins)
    smooth = np.convolve(counts, [0.5, 1.0, 0.5], mode="same")
    best = int(smooth.argmax())
    wanted = (edges[best] + edges[best + 1]) / 2
    return np.asarray(center + (wanted - center @ plane.through) * plane.through)


def _grid(plane: _Plane, center: Floats, pixel_mm: float, size: tuple[int, int]) -> Grid:
    width, height = size
    affine = np.eye(4)
    affine[:3, :3] = np.stack([plane.through, plane.down, plane.across], axis=1) * pixel_mm
    affine[:3, 3] = center - affine[:3, :3] @ np.array([0, (height - 1) / 2, (width - 1) / 2])
    return Grid((1, height, width), affine)


def _window(volume: Volume, cuts: list[FloatImage]) -> tuple[float, float]:
    if volume.modality is Modality.CT:
        return CT_WINDOW_HU
    shown = np.concatenate([cut[cut > 0].ravel() for cut in cuts])
    if not len(shown):
        return 0.0, 1.0
    low, high = np.percentile(shown, (1.0, 98.5))
    return float(low), float(max(high, low + 1e-3))


def _gray(cut: FloatImage, low: float, high: float) -> NDArray[np.uint8]:
    return np.asarray(np.clip((cut - low) / (high - low), 0, 1) * 255, dtype=np.uint8)


def _share(labels: LabelMap, values: list[int], grid: Grid) -> FloatImage:
    """Share of the labels on a grid, interpolated so that thick slices make no stairs."""
    mask = np.isin(labels.values, values).astype(np.float32)
    resampled = Volume(mask, labels.grid, Modality.MR).resampled(grid)
    return np.asarray(resampled.values[0], dtype=np.float32)


def _shares(labels: LabelMap, grid: Grid) -> dict[int, FloatImage]:
    numbers = [int(number) for number in np.unique(labels.values) if number > 0]
    return {number: _share(labels, [number], grid) for number in numbers}
