"""Grids, volumes and label maps in LPS millimetres; crop, resample, index <-> mm.

An array axis order is never assumed: ``affine_lps_mm`` maps the array index ``(i, j, k)`` of a
voxel centre to patient coordinates (LPS, millimetres; PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sifdetect.anatomy import Modality, MrWeighting, SacralLevel
from sifdetect.averaging import block_means, interpolated
from sifdetect.boxes import Box, marked_box

Floats = NDArray[np.float64]
FloatImage = NDArray[np.float32]


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    frozen = array.view()
    frozen.flags.writeable = False
    return frozen


@dataclass(frozen=True)
class Grid:
    """A regular lattice of voxel centres.

    Attributes:
        shape: number of voxels along the array axes.
        affine_lps_mm: (4, 4), array index (i, j, k, 1) to LPS millimetres. Orthogonal axes; either
            handedness.
        frame_of_reference_uid: Frame of Reference UID (0020,0052), None where the source has none.

    Raises:
        ValueError: the shape is empty, or the axes are degenerate or not orthogonal (a sheared
            stack, as gantry tilt makes it, is not a grid).
    """

    shape: tuple[int, int, int]
    affine_lps_mm: Floats
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine_lps_mm, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError("affine_lps_mm must be a finite 4x4 matrix")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"shape must be three positive numbers, not {self.shape}")
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        if (spacing < 1e-6).any():
            raise ValueError("affine_lps_mm has an axis of zero length")
        cosines = affine[:3, :3] / spacing
        if np.abs(cosines.T @ cosines - np.eye(3)).max() > 1e-2:
            raise ValueError("affine_lps_mm has axes that are not orthogonal (sheared stack)")
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "affine_lps_mm", _read_only(affine))

    @property
    def spacing_mm(self) -> Floats:
        """(3,) distance between neighbouring voxel centres along each array axis."""
        return np.asarray(np.linalg.norm(self.affine_lps_mm[:3, :3], axis=0))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.affine_lps_mm[:3, :3])))

    @property
    def center_lps_mm(self) -> Floats:
        """(3,) centre of the grid."""
        return self.index_to_mm((np.array(self.shape) - 1) / 2)

    def index_to_mm(self, index: ArrayLike) -> Floats:
        """(…, 3) array indices to (…, 3) LPS millimetres."""
        points = np.asarray(index, dtype=np.float64)
        return np.asarray(points @ self.affine_lps_mm[:3, :3].T + self.affine_lps_mm[:3, 3])

    def mm_to_index(self, points_lps_mm: ArrayLike) -> Floats:
        """(…, 3) LPS millimetres to (…, 3) fractional array indices."""
        offset = np.asarray(points_lps_mm, np.float64) - self.affine_lps_mm[:3, 3]
        return np.asarray(offset @ np.linalg.inv(self.affine_lps_mm[:3, :3]).T)

    def contains(self, points_lps_mm: ArrayLike) -> NDArray[np.bool_]:
        """(…,) True where a point (…, 3) lies inside a voxel, edges included."""
        index = self.mm_to_index(points_lps_mm)
        inside = (index >= -0.5) & (index <= np.array(self.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))

    def cropped(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Grid:
        """The part [start, stop) of the lattice, in the same place in space.

        Raises:
            ValueError: the part is empty or reaches outside the lattice.
        """
        if min(start) < 0 or any(b > n for b, n in zip(stop, self.shape, strict=True)):
            raise ValueError(f"crop {start} to {stop} reaches outside a grid of shape {self.shape}")
        affine = self.affine_lps_mm.copy()
        affine[:3, 3] = self.index_to_mm(start)
        size = tuple(b - a for a, b in zip(start, stop, strict=True))
        return Grid((size[0], size[1], size[2]), affine, self.frame_of_reference_uid)

    def resized(self, spacing_mm: ArrayLike) -> Grid:
        """The same box of voxels, edge to edge, cut into voxels of about ``spacing_mm`` (3,)."""
        wanted = np.broadcast_to(np.asarray(spacing_mm, dtype=np.float64), (3,))
        extent = np.array(self.shape) * self.spacing_mm
        shape = np.maximum(1, np.rint(extent / wanted)).astype(int)
        step = extent / shape / self.spacing_mm
        affine = self.affine_lps_mm.copy()
        affine[:3, :3] = self.affine_lps_mm[:3, :3] * step
        affine[:3, 3] = self.index_to_mm((step - 1) / 2)
        return Grid(tuple(shape.tolist()), affine, self.frame_of_reference_uid)

    def same_place(self, other: Grid, *, tolerance_mm: float = 1e-3) -> bool:
        """True where both lattices have the same voxels within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        ends = np.array([[0, 0, 0], [n - 1 for n in self.shape]])
        return bool(np.abs(self.index_to_mm(ends) - other.index_to_mm(ends)).max() <= tolerance_mm)


@dataclass(frozen=True)
class Volume:
    """Intensities on a grid: HU for CT, arbitrary units for MR.

    Attributes:
        values: float32 of ``grid.shape``; read-only.
        weighting: for MR; None for CT.
    """

    values: FloatImage
    grid: Grid
    modality: Modality
    weighting: MrWeighting | None = None

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise ValueError(f"values {self.values.shape} do not fit the grid {self.grid.shape}")
        object.__setattr__(self, "values", _read_only(np.asarray(self.values, dtype=np.float32)))

    @property
    def outside(self) -> float:
        """Intensity of nothing: air in CT, zero signal in MR."""
        return -1024.0 if self.modality is Modality.CT else 0.0

    def cropped(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
        """The voxels [start, stop), in the same place in space."""
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return replace(self, values=self.values[box], grid=self.grid.cropped(start, stop))

    def resampled(self, grid: Grid) -> Volume:
        """The volume on another grid: block means against aliasing, then trilinear."""
        reduced = _reduced(self, grid)
        values = _interpolate(reduced.values, reduced.grid, grid, order=1, outside=self.outside)
        return replace(self, values=values.astype(np.float32), grid=grid)


@dataclass(frozen=True)
class LabelMap:
    """Whole-number labels on a grid (AnatomyLabel values or LesionBit sums); read-only uint8."""

    values: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape:
            raise ValueError(f"values {self.values.shape} do not fit the grid {self.grid.shape}")
        object.__setattr__(self, "values", _read_only(np.asarray(self.values, dtype=np.uint8)))

    @cached_property
    def box(self) -> Box | None:
        """The smallest box that holds every voxel that is not zero; None without any."""
        return marked_box(self.values)

    def cropped(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> LabelMap:
        """The voxels [start, stop), in the same place in space."""
        (a, b, c), (i, j, k) = start, stop
        return LabelMap(self.values[a:i, b:j, c:k], self.grid.cropped(start, stop))

    def resampled(self, grid: Grid) -> LabelMap:
        """The labels on another grid, nearest neighbour; zero outside."""
        return LabelMap(_interpolate(self.values, self.grid, grid, order=0, outside=0), grid)

    def centroid_lps_mm(self, label: int) -> Floats | None:
        """(3,) mean position of the voxels that hold ``label``; None where there is none."""
        index = np.argwhere(self.values == label)
        return None if len(index) == 0 else self.grid.index_to_mm(index.mean(axis=0))


@dataclass(frozen=True)
class SacralFrame:
    """Where the sacrum is and how it lies.

    Attributes:
        origin_lps_mm: (3,) centre of the S2 body.
        axes: (3, 3), rows are unit vectors in LPS: right→left, posterior→anterior, caudal→cranial
            (along the chord of S1 to S3). In this order the triple is left-handed.
        coverage: share of each level's expected extent that lies in the field of view, 0–1.
    """

    origin_lps_mm: Floats
    axes: Floats
    coverage: dict[SacralLevel, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        axes = np.asarray(self.axes, dtype=np.float64)
        if axes.shape != (3, 3) or np.abs(axes @ axes.T - np.eye(3)).max() > 1e-6:
            raise ValueError("axes must be three orthogonal unit vectors")
        object.__setattr__(self, "axes", _read_only(axes))
        origin = np.asarray(self.origin_lps_mm, dtype=np.float64)
        object.__setattr__(self, "origin_lps_mm", _read_only(origin))

    def to_frame_mm(self, points_lps_mm: ArrayLike) -> Floats:
        """(…, 3) LPS millimetres to (…, 3) millimetres along the frame's axes."""
        points = np.asarray(points_lps_mm, dtype=np.float64)
        return np.asarray((points - self.origin_lps_mm) @ self.axes.T)

    def to_lps_mm(self, points_frame_mm: ArrayLike) -> Floats:
        """(…, 3) millimetres along the frame's axes to (…, 3) LPS millimetres."""
        points = np.asarray(points_frame_mm, dtype=np.float64)
        return np.asarray(points @ self.axes + self.origin_lps_mm)

    def grid(self, low_mm: ArrayLike, high_mm: ArrayLike, spacing_mm: float) -> Grid:
        """A grid along the frame's axes over the box [low, high] (3,) in frame millimetres."""
        low = np.asarray(low_mm, dtype=np.float64)
        size = np.rint((np.asarray(high_mm, dtype=np.float64) - low) / spacing_mm).astype(int)
        affine = np.eye(4)
        affine[:3, :3] = self.axes.T * spacing_mm
        affine[:3, 3] = self.to_lps_mm(low + spacing_mm / 2)
        return Grid(tuple(size.tolist()), affine)


@dataclass(frozen=True)
class Segmentation:
    """What was found around the sacrum, on one grid.

    Attributes:
        anatomy: AnatomyLabel values.
        lesions: LesionBit sums, thresholded.
        probability: float32 (5, …grid.shape), calibrated, in the order of LesionBit's bits.
        level: float32 of grid.shape: 0 at the S1 upper end plate … 5 at the tip of S5; sacrum only.
        frame: the sacral frame the region was cut in.
        in_view: bool of grid.shape: True where the scan has data.
        certainty: mean probability, 0–1, of the class that each voxel of the sacrum was given.
    """

    anatomy: LabelMap
    lesions: LabelMap
    probability: FloatImage
    level: FloatImage
    frame: SacralFrame
    in_view: NDArray[np.bool_]
    certainty: float = 1.0

    @property
    def grid(self) -> Grid:
        """The grid that all of the arrays share."""
        return self.anatomy.grid


def _reduced(volume: Volume, target: Grid) -> Volume:
    """Crop to the target's box, then average the blocks of voxels that one target voxel covers."""
    step = target.spacing_mm.max()
    corners = np.stack(np.meshgrid(*[(-1, n) for n in target.shape], indexing="ij"), -1)
    index = volume.grid.mm_to_index(target.index_to_mm(corners.reshape(-1, 3)))
    margin = np.ceil(step / volume.grid.spacing_mm) + 1
    low = np.clip(np.floor(index.min(0) - margin), 0, np.array(volume.grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(0) + margin) + 1, low + 1, volume.grid.shape).astype(int)
    cut = volume.cropped(tuple(low.tolist()), tuple(high.tolist()))
    factor = np.floor(target.spacing_mm.min() / volume.grid.spacing_mm + 1e-6).astype(int)
    factor = np.clip(factor, 1, cut.grid.shape)
    if (factor == 1).all():
        return cut
    i, j, k = (np.array(cut.grid.shape) // factor).tolist()
    affine = cut.grid.affine_lps_mm.copy()
    affine[:3, :3] = affine[:3, :3] * factor
    affine[:3, 3] = cut.grid.index_to_mm((factor - 1) / 2)
    grid = Grid((i, j, k), affine, cut.grid.frame_of_reference_uid)
    return replace(cut, values=block_means(cut.values, np.array(grid.shape), factor), grid=grid)


def _interpolate(
    values: NDArray[Any], source: Grid, target: Grid, *, order: int, outside: float
) -> NDArray[Any]:
    to_source = np.linalg.inv(source.affine_lps_mm) @ target.affine_lps_mm
    return interpolated(values, to_source, target.shape, order=order, outside=outside)
