"""Coordinates of a sacrum given as voxels: level, lateral zone, foramina and canal.

All of it is measured on the bone itself, along a curve through the centres of its bodies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from sifdetect.anatomy import AnatomyLabel
from sifdetect.volume import FloatImage, Floats, Grid

CLOSING_MM = 6.5
"""Half the width of what counts as a hole: sacral foramina measure 8 to 14 mm."""
FUNNEL_MM = 16.0
"""The same for the ventral openings."""
DEFAULT_MEDIAL_MM = np.array([17.0, 15.0, 13.5, 12.0])
DEFAULT_LATERAL_MM = np.array([29.0, 26.0, 23.0, 21.0])
"""Borders of the foramina where a bone shows none (Arman 2009, Eur Spine J)."""


@dataclass(frozen=True)
class SacralMap:
    """Coordinates of every voxel of a grid; arrays of ``grid.shape``.

    Attributes:
        level: 0 at the S1 upper end plate … 5 at the tip of S5; runs on beyond both.
        lateral: 0 midline, ±1 medial and ±2 lateral border of the foramina, ±3 lateral surface;
            positive on the patient's left.
        cavity: AnatomyLabel numbers of foramina and canal, zero elsewhere.
    """

    level: FloatImage
    lateral: FloatImage
    cavity: NDArray[np.uint8]


@dataclass(frozen=True)
class _Curve:
    """Level and ventral offset (mm) of the points of the midsagittal plane, (n1, n2) arrays."""

    level: FloatImage
    ventral: FloatImage


def sacral_map(bone: NDArray[np.bool_], grid: Grid, body_centers_lps_mm: Floats) -> SacralMap:
    """Coordinates of a sacrum whose midsagittal plane is x = 0.

    Args:
        bone: of ``grid.shape``; axis 0 of the grid runs along +x.
        body_centers_lps_mm: (n, 3) centres of the upper end plate of S1, of S1/S2, S2/S3 …; as
            far down as the bone reaches, six for a whole sacrum.

    Raises:
        ValueError: fewer than three centres, which make no curve.
    """
    if len(body_centers_lps_mm) < 3:
        raise ValueError("a sacral curve needs the end plate and at least two discs")
    x = grid.index_to_mm(np.stack([np.arange(grid.shape[0]), *[np.zeros(grid.shape[0])] * 2], -1))
    across = x[:, 0].astype(np.float32)
    curve = _curve(grid, body_centers_lps_mm)
    sides = []
    for sign in (-1.0, 1.0):
        half = np.flatnonzero(across * sign > 0)
        half = half[np.argsort(np.abs(across[half]))]
        sides.append((half, _lateral(bone[half], np.abs(across[half]), curve)))
    lateral = np.zeros(grid.shape, dtype=np.float32)
    for (half, value), sign in zip(sides, (-1.0, 1.0), strict=True):
        lateral[half] = value * np.float32(sign)
    level = np.broadcast_to(curve.level, grid.shape).astype(np.float32)
    return SacralMap(level, lateral, _cavity(bone, grid, curve, lateral))


def levels(grid: Grid, body_centers_lps_mm: Floats) -> FloatImage:
    """(n2, n3) level of every row of voxels along axis 0, as in SacralMap."""
    return _curve(grid, body_centers_lps_mm).level


def _curve(grid: Grid, centers: Floats) -> _Curve:
    knots = np.arange(len(centers))
    spline = CubicSpline(knots, centers[:, 1:])
    parameter = np.arange(0, len(centers) - 1 + 1e-9, 0.01)
    line, tangent = spline(parameter), spline(parameter, 1)
    scale = np.linalg.norm(tangent, axis=1)
    tangent = tangent / scale[:, None]
    plane = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape[1:]], indexing="ij"), -1)
    index = np.concatenate([np.zeros((*plane.shape[:2], 1)), plane], -1)
    points = grid.index_to_mm(index)[..., 1:].reshape(-1, 2)
    _, nearest = cKDTree(line).query(points)
    offset = points - line[nearest]
    along = (offset * tangent[nearest]).sum(axis=1) / scale[nearest]
    # Caudal is +tangent; ventral is the tangent turned so that it points to −y for a standing body.
    ventral = offset[:, 0] * tangent[nearest, 1] - offset[:, 1] * tangent[nearest, 0]
    shape = plane.shape[:2]
    level = (parameter[nearest] + along).reshape(shape)
    return _Curve(level.astype(np.float32), ventral.reshape(shape).astype(np.float32))


def _lateral(bone: NDArray[np.bool_], x_mm: FloatImage, curve: _Curve) -> FloatImage:
    """Unsigned lateral coordinate of one half, its axis 0 running from the midline outwards."""
    medial_at, lateral_at = _foramen_borders(bone, x_mm, curve)
    knots = np.arange(6.0)
    clipped = np.clip(curve.level, 0, 5)
    medial = np.interp(clipped, knots, _ends(medial_at)).astype(np.float32)
    lateral = np.interp(clipped, knots, _ends(lateral_at)).astype(np.float32)
    outer = np.maximum(_outer_border(bone, x_mm, curve, lateral), lateral + 3)
    x = x_mm[:, None, None]
    corridor = 1 + (x - medial) / (lateral - medial)
    beyond = 2 + (x - lateral) / (outer - lateral)
    zone = np.where(x < medial, x / medial, np.where(x < lateral, corridor, beyond))
    return np.asarray(np.clip(zone, 0, 4), dtype=np.float32)


def _ends(at_foramina: Floats) -> Floats:
    """Values at levels 0 to 5 from those at the four foramina."""
    return np.concatenate([[at_foramina[0] * 1.1], at_foramina, [at_foramina[3] * 0.7]])


def _foramen_borders(
    bone: NDArray[np.bool_], x_mm: FloatImage, curve: _Curve
) -> tuple[Floats, Floats]:
    """(4,) medial and (4,) lateral border in mm of the gap between body and lateral mass."""
    medial, lateral = DEFAULT_MEDIAL_MM.copy(), DEFAULT_LATERAL_MM.copy()
    for number in range(4):
        near = np.abs(curve.level - (number + 1)) < 0.2
        rows = bone[:, near & (curve.ventral > -7) & (curve.ventral < 4)].T
        gaps = [gap for row in rows if (gap := _first_gap(row, x_mm)) is not None]
        if len(gaps) >= 8:
            medial[number], lateral[number] = np.median(np.array(gaps), axis=0)
    return medial, lateral


def _first_gap(row: NDArray[np.bool_], x_mm: FloatImage) -> tuple[float, float] | None:
    """Where a row leaves the body and where it enters the lateral mass; None without a gap."""
    change = np.flatnonzero(np.diff(row.astype(np.int8)))
    if len(change) < 2 or not row[: change[0] + 1].all():
        return None
    start, stop = float(x_mm[change[0]]), float(x_mm[change[1]])
    return (start, stop) if start > 6 and 3 < stop - start < 22 else None


def _outer_border(
    bone: NDArray[np.bool_], x_mm: FloatImage, curve: _Curve, lateral: FloatImage
) -> FloatImage:
    """x of the lateral surface in every row of the half, smoothed over about 3 mm."""
    last = bone.shape[0] - 1 - np.argmax(bone[::-1], axis=0)
    reach = np.where(bone.any(axis=0), x_mm[last], 0.0)
    known = reach > lateral + 2
    step = abs(float(x_mm[1] - x_mm[0]))
    weight = ndimage.gaussian_filter(known.astype(np.float32), 3 / step)
    total = ndimage.gaussian_filter(np.where(known, reach, 0).astype(np.float32), 3 / step)
    by_level = [
        float(np.quantile(reach[near], 0.9))
        if (near := known & (abs(curve.level - s) < 0.3)).any()
        else 0.0
        for s in np.arange(0, 5.01, 0.5)
    ]
    plain = np.interp(curve.level, np.arange(0, 5.01, 0.5), by_level).astype(np.float32)
    return np.asarray((total + 0.02 * plain) / (weight + 0.02), dtype=np.float32)


def _cavity(
    bone: NDArray[np.bool_], grid: Grid, curve: _Curve, lateral: FloatImage
) -> NDArray[np.uint8]:
    spacing, zone = float(grid.spacing_mm[0]), np.abs(lateral)
    hole = _closed(bone, CLOSING_MM / spacing) & ~bone
    near_foramen = np.abs(curve.level - np.clip(np.rint(curve.level), 1, 4)) < 0.45
    beside = (zone >= 0.9) & (zone < 2.2) & near_foramen
    # Ventrally a foramen widens to a funnel that only body and lateral mass enclose.
    funnel = _closed(bone, FUNNEL_MM / spacing) & _between(bone, lateral) & (curve.ventral > -9)
    foramen = _opened((hole | (funnel & ~bone)) & beside, 1.5 / spacing)
    behind = (curve.ventral < -2) & (curve.level > -0.15) & (curve.level < 4.6)
    canal = _largest(_opened(hole & (zone < 0.9) & behind, 1.0 / spacing))
    result = np.zeros(grid.shape, dtype=np.uint8)
    result[canal] = AnatomyLabel.SACRAL_CANAL
    result[foramen & (lateral < 0)] = AnatomyLabel.SACRAL_FORAMEN_RIGHT
    result[foramen & (lateral > 0)] = AnatomyLabel.SACRAL_FORAMEN_LEFT
    distance, nearest = ndimage.distance_transform_edt(result == 0, return_indices=True)
    missed = hole & (distance * spacing < 2.5)
    return np.where(missed, result[tuple(nearest)], result)


def _between(bone: NDArray[np.bool_], lateral: FloatImage) -> NDArray[np.bool_]:
    """Voxels that have bone of their own side both medially and laterally in their row."""
    result = np.zeros(bone.shape, dtype=bool)
    for side in (lateral < 0, lateral > 0):
        own = bone & side
        from_low = np.logical_or.accumulate(own, axis=0)
        from_high = np.logical_or.accumulate(own[::-1], axis=0)[::-1]
        result |= from_low & from_high & side
    return result


def _closed(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    margin = int(np.ceil(radius)) + 2
    padded = np.pad(mask, margin)
    grown = ndimage.distance_transform_edt(~padded) <= radius
    core = tuple(slice(margin, -margin) for _ in range(3))
    return np.asarray((ndimage.distance_transform_edt(grown) > radius)[core])


def _opened(mask: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    core = ndimage.distance_transform_edt(mask) > radius
    return np.asarray(mask & (ndimage.distance_transform_edt(~core) <= radius))


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    return np.asarray(parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]))
