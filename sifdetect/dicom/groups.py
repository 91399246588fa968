"""The stacks that lie in one series, told apart by orientation, size and contrast."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom.spatial import get_normal_vector

from sifdetect.dicom.frames import Frame
from sifdetect.volume import Floats

SAME_PLACE_MM = 0.05
"""Two planes nearer than this are at the same position; no stack has thinner slices than 0.1 mm."""
CONTRASTS = (
    "ImageType",
    "EchoTime",
    "InversionTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "TriggerTime",
)
"""What may tell apart planes at one position, most telling first."""


@dataclass(frozen=True)
class Group:
    """Planes that may make one stack, and what they differ in from the others of their series."""

    frames: tuple[Frame, ...]
    distinction: str = ""


def split(frames: Sequence[Frame]) -> list[Group]:
    """The stacks that lie in one series: by orientation and size, then by contrast.

    Planes at the same position are told apart by the first attribute of ``CONTRASTS`` (or all of
    them together) that leaves no two planes of one group at the same position. Where none does, the
    group keeps its doubles.
    """
    groups: dict[Hashable, list[Frame]] = {}
    for frame in frames:
        groups.setdefault(_geometry_key(frame, groups), []).append(frame)
    several = len(groups) > 1
    result = []
    for members in groups.values():
        label = _orientation_text(members[0]) if several else ""
        for group in _by_contrast(members):
            text = "; ".join(part for part in (label, group.distinction) if part)
            result.append(Group(group.frames, text))
    return result


def normal_of(frame: Frame) -> Floats:
    """(3,) unit vector along which axis 0 runs: slice, row, column index is right-handed."""
    normal = get_normal_vector(orthonormal(frame.orientation).tolist(), index_convention="DR")
    return np.asarray(normal, dtype=np.float64)


def orthonormal(orientation: Floats) -> Floats:
    """Cosines as a scanner rounds them, made exactly orthogonal and of unit length."""
    row, column = orientation.reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])


def _geometry_key(frame: Frame, known: dict[Hashable, list[Frame]]) -> Hashable:
    for key, members in known.items():
        other = members[0]
        if (
            (frame.rows, frame.columns) == (other.rows, other.columns)
            and np.allclose(frame.spacing_mm, other.spacing_mm, rtol=1e-3)
            and np.abs(frame.orientation - other.orientation).max() < 1e-3
            and frame.get("FrameOfReferenceUID") == other.get("FrameOfReferenceUID")
            and (frame.instance is other.instance or not frame.instance.enhanced)
        ):
            return key
    return len(known)


def _orientation_text(frame: Frame) -> str:
    x, y, z = normal_of(frame)
    return f"slice normal ({x:.2f}, {y:.2f}, {z:.2f})"


def _by_contrast(frames: list[Frame]) -> list[Group]:
    most = _planes_at_one_place(frames)
    if most == 1:
        return [Group(tuple(frames))]
    for keywords in (*((keyword,) for keyword in CONTRASTS), CONTRASTS):
        parts: dict[tuple[str, ...], list[Frame]] = {}
        for frame in frames:
            parts.setdefault(tuple(str(frame.get(one)) for one in keywords), []).append(frame)
        if _sensible(list(parts.values()), frames, most):
            return [
                Group(tuple(part), ", ".join(map(" ".join, zip(keywords, values, strict=True))))
                for values, part in parts.items()
            ]
    return [Group(tuple(frames))]


def _sensible(parts: list[list[Frame]], frames: list[Frame], most: int) -> bool:
    """True where the parts are stacks over each other, not one stack with a few doubles.

    An attribute that differs from slice to slice (an acquisition number of each rotation) makes too
    many parts; one that changes along the stack makes parts that hardly overlap.
    """
    if not 1 < len(parts) <= most + 1 or any(_planes_at_one_place(part) > 1 for part in parts):
        return False
    doubles = len(frames) - len(_places(frames))
    return doubles >= (len(frames) - max(map(len, parts))) / 2


def _planes_at_one_place(frames: Sequence[Frame]) -> int:
    """How many planes share the busiest position; the same instance sent twice counts once."""
    unique = {
        (frame.instance.dataset.get("SOPInstanceUID"), frame.number): frame for frame in frames
    }
    return max(_places(list(unique.values())))


def _places(frames: Sequence[Frame]) -> list[int]:
    """Number of planes at each position."""
    along = np.sort(along_normal_mm(frames))
    edges = np.flatnonzero(np.diff(along) >= SAME_PLACE_MM) + 1
    return [len(part) for part in np.split(along, edges)]


def along_normal_mm(frames: Sequence[Frame]) -> Floats:
    """(n,) millimetres along the slice normal."""
    return np.array([frame.position_lps_mm for frame in frames]) @ normal_of(frames[0])
