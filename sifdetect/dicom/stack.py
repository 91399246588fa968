"""Planes to a regular stack: sorted, checked for doubles, gaps, tilt and shear.

Positions are measured along the slice normal (PS3.3 C.7.6.2.1.1); neither file names nor Instance
Number (0020,0013) nor Slice Location (0020,1041) say anything about order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from highdicom import CoordinateSystemNames, VolumeGeometry
from numpy.typing import NDArray

from sifdetect.dicom.frames import Frame
from sifdetect.dicom.groups import SAME_PLACE_MM, along_normal_mm, normal_of, orthonormal
from sifdetect.errors import UnsuitableSeries
from sifdetect.findings import Warning
from sifdetect.volume import Floats, Grid

MIN_SLICES = 5
MAX_SHEAR = 5e-3
"""Sine of the angle between the stacking direction and the slice normal: 0.29 degrees."""
MAX_MISSING_MM = 6.0
"""Longest run of missing slices that is filled from its neighbours; a fracture line is longer."""
MAX_MISSING_SHARE = 0.1
"""Share of all slices that may be filled; a single one always may."""
REGULARITY = 0.1
"""A plane may lie this share of the slice spacing away from its place in the lattice."""


@dataclass(frozen=True)
class Stack:
    """Planes in order of axis 0.

    Attributes:
        frames: one a plane; at an index in ``filled`` the nearest plane that was sent.
        grid: axis 0 slice, axis 1 row, axis 2 column.
        filled: indices along axis 0 that were not sent.
        warnings: what was mended.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    filled: tuple[int, ...] = ()
    warnings: tuple[Warning, ...] = ()


def build_stack(frames: Sequence[Frame], name: str) -> Stack:
    """Planes of one orientation and size, in the order of space.

    Args:
        frames: in any order; of planes at the same position the one with the lowest Instance Number
            is kept.
        name: of the series, for the messages.

    Raises:
        UnsuitableSeries: fewer than MIN_SLICES planes, a sheared stack (gantry tilt), irregular
            positions, or more missing planes than may be filled.
    """
    if len(frames) < MIN_SLICES:
        raise _too_few(len(frames), name)
    ordered, distances, warnings = _without_doubles(frames, name)
    if len(ordered) < MIN_SLICES:
        raise _too_few(len(ordered), name)
    _refuse_shear(ordered, name)
    places, spacing_mm = _lattice(distances, name)
    count = int(places[-1]) + 1
    filled = tuple(sorted(set(range(count)) - set(places.tolist())))
    if filled:
        warnings.append(_checked_gaps(places, spacing_mm, name))
    return Stack(
        frames=tuple(_nearest(ordered, places, place) for place in range(count)),
        grid=_grid(ordered, spacing_mm, count),
        filled=filled,
        warnings=tuple(warnings),
    )


def _too_few(count: int, name: str) -> UnsuitableSeries:
    return UnsuitableSeries(
        f"{name} has {count} slices at different positions, fewer than {MIN_SLICES}"
    )


def _without_doubles(
    frames: Sequence[Frame], name: str
) -> tuple[list[Frame], Floats, list[Warning]]:
    """Planes sorted along the normal, one a place."""
    by_number = sorted(frames, key=lambda frame: frame.number_of("InstanceNumber") or 0.0)
    along = along_normal_mm(by_number)
    kept: list[int] = []
    for index in np.argsort(along, kind="stable").tolist():
        if not kept or along[index] - along[kept[-1]] >= SAME_PLACE_MM:
            kept.append(index)
        else:
            kept[-1] = min(kept[-1], index)
    doubles = len(frames) - len(kept)
    warnings = []
    if doubles:
        text = f"{name} has {doubles} slices at a position that is taken; the first one was kept"
        warnings.append(Warning(code="duplicate-slices", text=text))
    return [by_number[index] for index in kept], along[kept], warnings


def _refuse_shear(ordered: Sequence[Frame], name: str) -> None:
    positions = np.array([frame.position_lps_mm for frame in ordered])
    steps = positions - positions[0]
    normal = normal_of(ordered[0])
    sideways = np.linalg.norm(steps - np.outer(steps @ normal, normal), axis=1)
    # Rounded positions (often to 0.1 mm) must not make a short stack look sheared.
    if sideways[-1] > max(MAX_SHEAR * np.linalg.norm(steps[-1]), 0.15):
        angle = np.degrees(np.arcsin(sideways[-1] / np.linalg.norm(steps[-1])))
        raise UnsuitableSeries(
            f"{name} is sheared by {angle:.1f} degrees (gantry tilt): its slices are not stacked "
            "at right angles",
            hint="Send a reconstruction without tilt, or a multiplanar reformat",
        )
    straight = np.outer(steps @ normal / (steps[-1] @ normal), steps[-1])
    if np.linalg.norm(steps - straight, axis=1).max() > 1.0:
        raise UnsuitableSeries(f"{name} has slices that are shifted sideways against each other")


def _lattice(distances: Floats, name: str) -> tuple[NDArray[np.int64], float]:
    """Place of each plane in a regular lattice, and its spacing in millimetres."""
    spacing = float(np.median(np.diff(distances)))
    for _ in range(2):  # the second time with the spacing fitted over the whole length
        places = np.rint((distances - distances[0]) / spacing).astype(np.int64)
        if (np.diff(places) < 1).any() or places[-1] == 0:
            raise _irregular(distances, name)
        spacing = float(np.polyfit(places, distances, 1)[0])
    fitted = np.polyval(np.polyfit(places, distances, 1), places)
    if np.abs(fitted - distances).max() > max(0.1, REGULARITY * spacing):
        raise _irregular(distances, name)
    return places, spacing


def _irregular(distances: Floats, name: str) -> UnsuitableSeries:
    steps = np.diff(distances)
    return UnsuitableSeries(
        f"{name} has irregular slice positions: steps from {steps.min():.2f} to "
        f"{steps.max():.2f} mm",
        hint="Send a series with evenly spaced slices",
    )


def _checked_gaps(places: NDArray[np.int64], spacing_mm: float, name: str) -> Warning:
    runs = [int(b - a - 1) for a, b in pairwise(places) if b - a > 1]
    missing = sum(runs)
    longest_mm = max(runs) * spacing_mm
    text = f"{name} lacks {missing} of {int(places[-1]) + 1} slices, up to {longest_mm:.1f} mm"
    most = max(1.0, MAX_MISSING_SHARE * (int(places[-1]) + 1))
    if longest_mm > MAX_MISSING_MM or missing > most:
        raise UnsuitableSeries(
            f"{text} in one place; more than {MAX_MISSING_MM:.0f} mm or "
            f"{MAX_MISSING_SHARE:.0%} is not filled",
            hint="Send the missing slices",
        )
    return Warning(
        code="missing-slices", text=f"{text} in one place; they were filled from their neighbours"
    )


def _nearest(ordered: Sequence[Frame], places: NDArray[np.int64], place: int) -> Frame:
    return ordered[int(np.abs(places - place).argmin())]


def _grid(ordered: Sequence[Frame], spacing_mm: float, count: int) -> Grid:
    """The lattice in patient coordinates.

    The affine is PS3.3 Equation C.7.6.2.1-1 with the slice normal as third axis: axis 1 (the row
    index) advances by the first value of Pixel Spacing along the column direction, axis 2 by the
    second along the row direction.
    """
    first = ordered[0]
    uid = first.get("FrameOfReferenceUID")
    geometry = VolumeGeometry.from_attributes(
        image_position=first.position_lps_mm.tolist(),
        image_orientation=orthonormal(first.orientation).tolist(),
        rows=first.rows,
        columns=first.columns,
        pixel_spacing=first.spacing_mm,
        spacing_between_slices=spacing_mm,
        number_of_frames=count,
        coordinate_system=CoordinateSystemNames.PATIENT,
        frame_of_reference_uid=str(uid) if uid else None,
    )
    shape = (count, first.rows, first.columns)
    return Grid(shape, geometry.affine, geometry.frame_of_reference_uid)
