"""Key pictures of a study: three planes through the finding, in the patient's convention.

Whatever the scan's own planes are, the pictures are cut the way a radiologist hangs them: the
patient's right at the picture's left, cranial or anterior at its top, and all three at one scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, Modality
from sifdetect.boxes import Box, marked_box
from sifdetect.dicom.marks import NOWHERE, beside, ringed
from sifdetect.dicom.outline import numbers_in
from sifdetect.study import SeriesLabels
from sifdetect.volume import FloatImage, Floats, Grid, LabelMap, Volume

Point = tuple[float, float]

CT_WINDOW_HU = (-200.0, 750.0)
"""A bone window that still shows soft tissue; a fracture line in porotic bone drowns in 40/400."""

_MARGIN_MM = 16.0
_SMALLEST_MM, _LARGEST_MM = 120.0, 220.0
_STEEPEST_DEG = 60.0
_FEWEST_PIXELS = 12
_MOST_POINTS = 50_000
_SACRUM = [int(label) for label in SACRUM_LABELS]
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
        ticks: ends (x, y) of the lines along which the other pictures' planes cut this one.
        window: lowest and highest intensity shown, in HU for CT.
        marks: places (x, y) in or near the plane to which the reader is pointed.
    """

    title: str
    gray: NDArray[np.uint8]
    sacrum: FloatImage
    findings: dict[int, FloatImage]
    edges: tuple[str, str, str, str]
    pixel_mm: float
    ticks: tuple[tuple[Point, Point], ...] = ()
    window: tuple[float, float] = (0.0, 1.0)
    marks: tuple[Point, ...] = ()


@dataclass(frozen=True)
class _Plane:
    title: str
    across: Floats
    down: Floats
    edges: tuple[str, str, str, str]

    @property
    def through(self) -> Floats:
        return np.cross(self.across, self.down)


def pictures(
    labels: SeriesLabels, volume: Volume, *, size: tuple[int, int], marks: Floats = NOWHERE
) -> tuple[Picture, ...]:
    """Axial, coronal and sagittal pictures of ``size`` (width, height) pixels.

    Each plane goes through the place where it shows most of the findings, or without a finding
    through the first of ``marks`` (n, 3 in LPS mm), or most of the sacrum (sagittal: the midline);
    the sagittal one through a finding or mark that the others do not show. The coronal plane
    follows the tilt of the sacrum where enough of it was seen to know it.
    """
    labels = _boxed(labels)
    bone = _points(labels.anatomy, _SACRUM)
    found = _points(labels.findings, None)
    center = bone.mean(axis=0) if len(bone) else volume.grid.center_lps_mm
    pixel_mm = _pixel_mm(bone, size)
    target = next((points for points in (found, marks[:1]) if len(points)), bone)
    axial, coronal, sagittal = planes = _planes(labels)
    grids = [_grid(one, _through(one, target, center), pixel_mm, size) for one in (axial, coronal)]
    seen = {number for grid in grids for number in _shown_on(labels.findings, grid)}
    points = _sagittal_points(labels, bone=bone, seen=seen)
    if len(marks) and not len(found):
        points = (unseen if len(unseen := beside(marks, grids)) else marks)[:1]
    grids.append(_grid(sagittal, _through(sagittal, points, center), pixel_mm, size))
    cuts = [volume.resampled(grid).values[0] for grid in grids]
    low, high = _window(volume, cuts)
    bone_part = _part(labels.anatomy, _SACRUM)
    parts = {n: _part(labels.findings, [n]) for n in numbers_in(labels.findings)}
    return tuple(
        Picture(
            title=plane.title,
            gray=_gray(cut, low, high),
            sacrum=_share(bone_part, grid),
            findings={number: _share(part, grid) for number, part in parts.items()},
            edges=plane.edges,
            pixel_mm=pixel_mm,
            ticks=_ticks(grid, [other for other in grids if other is not grid]),
            window=(low, high),
            marks=ringed(marks, grid),
        )
        for plane, grid, cut in zip(planes, grids, cuts, strict=True)
    )


def _boxed(labels: SeriesLabels) -> SeriesLabels:
    """The labels in the box that holds them all: a scan is twenty times as large."""
    held = [one.box for one in (labels.anatomy, labels.findings) if one.box is not None]
    if not held:
        return labels
    first, second, third = (
        slice(min(box[axis].start for box in held), max(box[axis].stop for box in held))
        for axis in range(3)
    )
    start, stop = _corners((first, second, third))
    return replace(
        labels,
        anatomy=labels.anatomy.cropped(start, stop),
        findings=labels.findings.cropped(start, stop),
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
    """(n, 3) LPS positions of the voxels with one of the values; None: of any but zero.

    Evenly thinned out where there are very many: they only say where and how large it is.
    """
    wanted = np.ones(256, np.bool_)
    wanted[0] = False
    if values is not None:
        wanted[:] = False
        wanted[values] = True
    chosen = np.flatnonzero(wanted[labels.values])
    chosen = chosen[:: max(1, len(chosen) // _MOST_POINTS)]
    return labels.grid.index_to_mm(np.stack(np.unravel_index(chosen, labels.values.shape), axis=1))


def _sagittal_points(labels: SeriesLabels, *, bone: Floats, seen: set[int]) -> Floats:
    """The largest finding that no other picture shows, else the largest, else the sacral body."""
    counts = np.bincount(labels.findings.values.ravel(), minlength=1)
    counts[0] = 0
    unseen = counts.copy()
    unseen[[number for number in seen if number < len(unseen)]] = 0
    for sizes in (unseen, counts):
        if sizes.any():
            return _points(labels.findings, [int(sizes.argmax())])
    body = _points(labels.anatomy, [int(AnatomyLabel.SACRAL_BODY)])
    return np.broadcast_to(body.mean(axis=0), (1, 3)) if len(body) else bone


def _shown_on(labels: LabelMap, grid: Grid) -> list[int]:
    """The labels that have more than a few pixels on a grid."""
    counts = np.bincount(labels.resampled(grid).values.ravel())
    return [int(number) for number in np.flatnonzero(counts >= _FEWEST_PIXELS) if number > 0]


def _planes(labels: SeriesLabels) -> tuple[_Plane, ...]:
    caudal, tilted = _along_sacrum(labels)
    coronal = "Coronal oblique" if tilted else "Coronal"
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


def _ticks(grid: Grid, others: list[Grid]) -> tuple[tuple[Point, Point], ...]:
    """Where the planes of other pictures cut this one, from edge to edge; none where they miss."""
    _, height, width = grid.shape
    corners = np.array([[0, 0, 0], [0, 0, width], [0, height, width], [0, height, 0]])
    lines = []
    for other in others:
        depth = other.mm_to_index(grid.index_to_mm(corners))[:, 0]
        crossed = []
        for place in range(4):
            start, end = depth[place], depth[(place + 1) % 4]
            if start * end < 0:
                at = corners[place] + start / (start - end) * (
                    corners[(place + 1) % 4] - corners[place]
                )
                crossed.append((float(at[2]), float(at[1])))
        if len(crossed) == 2:
            lines.append((crossed[0], crossed[1]))
    return tuple(lines)


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


def _part(labels: LabelMap, values: list[int]) -> Volume | None:
    """The labels as 0 and 1 in the box that holds them; None where there are none.

    A finding fills a hundredth of a picture.
    """
    wanted = np.zeros(256, np.uint8)
    wanted[values] = 1
    mask = wanted[labels.values]
    box = marked_box(mask)
    if box is None:
        return None
    start, stop = _corners(box)
    return Volume(mask[box].astype(np.float32), labels.grid.cropped(start, stop), Modality.MR)


def _share(part: Volume | None, grid: Grid) -> FloatImage:
    """Share of the labels on a grid, interpolated so that thick slices make no stairs."""
    result = np.zeros(grid.shape, np.float32)
    place = part and _reached(part.grid, grid)
    if part and place:
        result[place] = part.resampled(grid.cropped(*_corners(place))).values
    return np.asarray(result[0], dtype=np.float32)


def _reached(source: Grid, grid: Grid) -> Box | None:
    """The part of a grid to which voxels of another can contribute; None where they reach none."""
    margin = np.ceil(grid.spacing_mm.max() / source.spacing_mm) + 1
    ends = [(-far, size - 1 + far) for size, far in zip(source.shape, margin, strict=True)]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3)
    index = grid.mm_to_index(source.index_to_mm(corners))
    low = np.clip(np.floor(index.min(axis=0)), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, 0, grid.shape).astype(int)
    if (low >= high).any():
        return None
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third


def _corners(box: Box) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    first, second, third = box
    return (first.start, second.start, third.start), (first.stop, second.stop, third.stop)
