"""Measures of a sacrum, the same for a procedural one, a voxelised mesh and a drawn shape.

A sacrum is sampled on a straightened lattice: across (x), along the curve through the centres of
its bodies (level), and ventral of that curve (v). Every measure is read off that lattice, so that
two bones differ in a measure only where they differ in shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import CubicSpline

from sifdetect.synth.bones import BoneMeshes
from sifdetect.synth.meshes import midsagittal_plane
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.rasterize import Mesh, axis_aligned_grid, depth_mm, inside
from sifdetect.synth.shape import ShapeParams
from sifdetect.volume import Floats

LEVELS = np.arange(0.0, 5.01, 0.05)
X_MM = np.arange(-69.0, 69.1, 1.0)
V_MM = np.arange(-42.0, 30.1, 1.0)
SHEETS_MM = np.arange(6.0, -16.1, -1.0)
"""Ventral offsets of the coronal sheets that are searched for foramina, front to back."""
VOXEL_MM = 1.2
_FLIP = np.array([1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Straightened:
    """A sacrum on the lattice X_MM × V_MM × LEVELS.

    Attributes:
        depth_mm: (x, v, level) distance inside the surface, positive inside.
        centers_mm: (6, 2) ventral and cranial position (mm) of the end plate's centre, of S1/S2 …
            and of the lower end of S5 in the midsagittal plane.
        place_mm, ventral: (level, 2) the curve and its ventral unit normal, ventral and cranial.
        mm_per_level: (level,) length of one level along the curve.
        reach: last level that the bone itself, not another one's tail, has.
    """

    depth_mm: NDArray[np.float32]
    centers_mm: Floats
    place_mm: Floats
    ventral: Floats
    mm_per_level: Floats
    reach: float


def of_shape(shape: ShapeParams) -> Straightened:
    """A procedural sacrum, with the bends that its parameters hold."""
    bounds = shape.curve.level_bounds_mm
    centers = np.stack([shape.curve.position_mm(float(s)) for s in bounds])[:, 1:]

    def depth(points: Points) -> Array:
        return np.asarray(-shape.sacrum_at(points).bone_mm)

    return _straightened(centers, depth, 5.0)


def of_meshes(meshes: BoneMeshes, reach: float = 5.0) -> Straightened:
    """The sacral mesh alone, as voxels of VOXEL_MM; ``reach`` is the level at which it ends."""
    vertices, centers, _ = placed(meshes)
    lps = Mesh(vertices * _FLIP, meshes.sacrum.faces)
    margin = 8.0
    low, high = lps.vertices_lps_mm.min(axis=0), lps.vertices_lps_mm.max(axis=0)
    grid = axis_aligned_grid(low - margin, high + margin, VOXEL_MM)
    voxels = depth_mm(inside(lps, grid), VOXEL_MM)

    def depth(points: Points) -> Array:
        index = np.moveaxis(grid.mm_to_index(points.stacked() * _FLIP), -1, 0)
        return np.asarray(ndimage.map_coordinates(voxels, index, order=1, mode="nearest"))

    return _straightened(centers[:, 1:], depth, reach)


def placed(meshes: BoneMeshes) -> tuple[Floats, Floats, Floats]:
    """Sacral vertices (n, 3), body centres and end plate in the pelvic frame.

    The midsagittal plane of the sacrum becomes x = 0, the inclination in it stays.
    """
    point, normal = midsagittal_plane(meshes.sacrum.vertices_lps_mm)
    up = np.array([0.0, 0.0, 1.0]) - normal * normal[2]
    up /= np.linalg.norm(up)
    turn = np.stack([normal, np.cross(normal, up), up])
    start = meshes.body_centers_lps_mm[0]
    start = start - ((start - point) @ normal) * normal
    parts = (meshes.sacrum.vertices_lps_mm, meshes.body_centers_lps_mm, meshes.endplate_lps_mm)
    vertices, centers, endplate = ((part - start) @ turn.T for part in parts)
    return vertices, centers, endplate


def _straightened(centers: Floats, depth: Callable[[Points], Array], reach: float) -> Straightened:
    spline = CubicSpline(np.arange(len(centers)), centers)
    place, tangent = spline(LEVELS), spline(LEVELS, 1)
    length = np.linalg.norm(tangent, axis=1)
    # Caudal is the tangent; ventral lies a quarter turn from it.
    ventral = np.stack([-tangent[:, 1], tangent[:, 0]], -1) / length[:, None]
    x, v, k = np.meshgrid(X_MM, V_MM, np.arange(len(LEVELS)), indexing="ij")
    y, z = (place[k, a] + v * ventral[k, a] for a in range(2))
    points = Points(*(axis.astype(np.float32) for axis in (x, y, z)))
    return Straightened(depth(points).astype(np.float32), centers, place, ventral, length, reach)


NAMES = (
    ("width_s1", "greatest width of S1 and its alae, mm"),
    ("width_s3", "greatest width at the middle of S3, mm"),
    ("height", "straight ventral height, promontory to the lower end of S5, mm"),
    ("curved_length", "the same along the ventral surface in the midline, mm"),
    ("length_s1_s2", "chord of the bodies of S1 and S2, mm"),
    ("curvature", "angle between the axes of the S1 and the S5 body, deg"),
    ("s1_depth", "S1 body from front to back in the midline, 30 % below the end plate, mm"),
    ("s1_width", "S1 body between the ventral foramina S1, mm"),
    ("foramen_width_s1", "ventral foramen S1, transverse, mm"),
    ("foramen_width_s2", "ventral foramen S2, transverse, mm"),
    ("foramen_width_s3", "ventral foramen S3, transverse, mm"),
    ("foramen_width_s4", "ventral foramen S4, transverse, mm"),
    ("foramen_height_s1", "ventral foramen S1, along the curve, mm"),
    ("foramen_height_s2", "ventral foramen S2, along the curve, mm"),
    ("foramen_height_s3", "ventral foramen S3, along the curve, mm"),
    ("foramen_height_s4", "ventral foramen S4, along the curve, mm"),
    ("between_s1", "medial borders of the ventral foramina S1, mm apart"),
    ("between_s2", "medial borders of the ventral foramina S2, mm apart"),
    ("between_s3", "medial borders of the ventral foramina S3, mm apart"),
    ("between_s4", "medial borders of the ventral foramina S4, mm apart"),
    ("ala_medial", "ala from front to back beside the S1 foramen, mm"),
    ("ala_middle", "ala from front to back, middle of S1, at 70 % of the half width, mm"),
    ("canal_width_s2", "canal from side to side, middle of S2, mm"),
    ("canal_depth_s2", "canal from front to back in the midline, middle of S2, mm"),
)
"""Every measure's name and definition."""


def measures(bone: Straightened) -> dict[str, float]:
    """The measures in NAMES; NaN where the bone does not reach or shows no such border."""
    inside = bone.depth_mm > 0
    half = float(np.ptp(_across(inside[:, :, _at(0.0) : _at(1.05)]))) / 2
    found = {
        "width_s1": 2 * half,
        "width_s3": float(np.ptp(_across(inside[:, :, _at(2.4) : _at(2.6)]))),
        "length_s1_s2": float(np.linalg.norm(bone.centers_mm[2] - bone.centers_mm[0])),
        "s1_depth": _thickness(inside[MIDDLE, :, _at(0.3)]),
        "ala_middle": _both_sides(inside, 0.7 * half, 0.6),
        **_midline(bone, inside),
        **_canal(inside[:, :, _at(1.5)]),
    }
    for number in range(1, 5):
        found |= _foramen(bone, number)
    lateral = found.pop("lateral_s1", float("nan"))
    for number in range(2, 5):
        found.pop(f"lateral_s{number}", None)
    found["s1_width"] = found["between_s1"]
    found["ala_medial"] = _both_sides(inside, lateral, 1.0) if np.isfinite(lateral) else lateral
    if bone.reach < 5:
        beyond = ("height", "curved_length", "curvature", "s3", "s4")
        found |= {name: float("nan") for name in found if name.endswith(beyond)}
    return {name: found.get(name, float("nan")) for name, _ in NAMES}


MIDDLE = len(X_MM) // 2


def _at(level: float) -> int:
    return round((level - float(LEVELS[0])) / 0.05)


def _across(part: NDArray[np.bool_]) -> Floats:
    """x of the columns that hold bone."""
    return X_MM[part.any(axis=(1, 2))]


def _thickness(line: NDArray[np.bool_]) -> float:
    """Length of the longest run of True in mm; NaN without any."""
    parts, count = ndimage.label(line)
    return float(np.bincount(parts)[1:].max()) if count else float("nan")


def _both_sides(inside: NDArray[np.bool_], x_mm: float, level: float) -> float:
    sides = [int(np.argmin(np.abs(X_MM - sign * x_mm))) for sign in (-1, 1)]
    return float(np.mean([_thickness(inside[side, :, _at(level)]) for side in sides]))


def _midline(bone: Straightened, inside: NDArray[np.bool_]) -> dict[str, float]:
    """Height, curved length and curvature of the ventral surface in the midsagittal plane."""
    rows = np.arange(_at(0.0), len(LEVELS))
    column = inside[MIDDLE][:, rows]
    front = V_MM[len(V_MM) - 1 - np.argmax(column[::-1], axis=0)]
    known = column.any(axis=0)
    line = (bone.place_mm[rows] + front[:, None] * bone.ventral[rows])[known]
    line = ndimage.gaussian_filter1d(line, 2.0, axis=0, mode="nearest")
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    first, last = bone.centers_mm[1] - bone.centers_mm[0], bone.centers_mm[5] - bone.centers_mm[4]
    turn = np.arctan2(last[0], -last[1]) - np.arctan2(first[0], -first[1])
    return {
        "height": float(np.linalg.norm(line[-1] - line[0])),
        "curved_length": float(steps.sum()),
        "curvature": float(np.degrees(turn)),
    }


def _canal(section: NDArray[np.bool_]) -> dict[str, float]:
    """Size of the hole that bone encloses in the midline of a section (x, v)."""
    holes, _ = ndimage.label(ndimage.binary_fill_holes(section) & ~section)
    middle = holes[MIDDLE - 2 : MIDDLE + 3]
    if not middle.any():
        return {}
    hole = holes == np.bincount(middle[middle > 0]).argmax()
    return {
        "canal_width_s2": float(hole.any(axis=1).sum()),
        "canal_depth_s2": float(hole[MIDDLE].sum()),
    }


def _foramen(bone: Straightened, number: int) -> dict[str, float]:
    """Size of a pair of foramina and distance between them, mean of both sides.

    Coronal sheets of the straightened bone are searched from the front for a hole that bone
    encloses beside the border of two bodies; the three most ventral sheets with one count.
    """
    levels = slice(_at(number - 0.6), _at(min(number + 0.7, LEVELS[-1])) + 1)
    step = 0.05 * float(bone.mm_per_level[_at(number)])
    sides = []
    for sign in (-1, 1):
        columns = np.flatnonzero(X_MM * sign >= 4)[::sign]
        part = bone.depth_mm[columns][:, :, levels] > 0
        sheets = (part[:, round(v - V_MM[0])] for v in SHEETS_MM)
        holes = [hole for sheet in sheets if (hole := _hole(sheet, step)) is not None]
        if holes:
            sides.append(np.mean(holes[:3], axis=0))
    if not sides:
        return {}
    width, height, medial, lateral = np.mean(sides, axis=0)
    return {
        f"foramen_width_s{number}": float(width),
        f"foramen_height_s{number}": float(height),
        f"between_s{number}": float(2 * medial),
        f"lateral_s{number}": float(lateral),
    }


def _hole(sheet: NDArray[np.bool_], step_mm: float) -> Floats | None:
    """Width, height, medial and lateral border (mm) of the largest hole; None without one.

    ``sheet`` (x from 4 mm outwards, level) is bone; holes of 15 to 500 mm² count.
    """
    parts, count = ndimage.label(ndimage.binary_fill_holes(sheet) & ~sheet)
    if not count:
        return None
    area = np.bincount(parts.ravel())[1:]
    largest = int(np.argmax(area))
    if not 15 <= area[largest] * step_mm <= 500:
        return None
    across, along = ndimage.find_objects(parts)[largest]
    return np.array(
        [
            across.stop - across.start,
            (along.stop - along.start) * step_mm,
            across.start + 3.5,
            across.stop + 3.5,
        ]
    )
