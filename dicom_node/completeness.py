"""Is a study whole? Rules over what came and what the archive says it holds; no files, no network.

A series with fewer images than the archive has, or with a hole in its stack of slices, is waited
for until the force limit; then it is analysed as it is, and the result says what it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SAME_PLACE_MM = 0.05
_FEWEST_SLICES = 5
_HOLE = 1.5
"""A step of so many times the usual one is a hole."""
_LARGEST_HOLE = 0.5
"""A hole of more than this share of the slices that came parts two stacks; nothing is missing."""
_ANALYSED = ("CT", "MR")

Vector = tuple[float, ...]
Stack = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Where one slice lies.

    Attributes:
        stack: what it shares with the other slices of its stack: contrast, size.
        orientation: Image Orientation (Patient), six cosines.
        position: Image Position (Patient), LPS millimetres.
    """

    stack: Stack
    orientation: Vector
    position: Vector


@dataclass(frozen=True, kw_only=True)
class Held:
    """What came of one series."""

    series_instance_uid: str
    number: str
    instances: int
    planes: tuple[Plane, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What the archive says of one series."""

    number: str
    modality: str
    instances: int


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a study lacks, in sentences, and how long to wait before looking again; 0 closes it."""

    lacks: tuple[str, ...] = ()
    wait_seconds: float = 0.0


def judge(
    lacks: Sequence[str], *, age_seconds: float, force_seconds: float, look_seconds: float
) -> Verdict:
    """Wait for what is lacking, but not beyond the force limit.

    Args:
        age_seconds: since the first image came that is in no report yet.
    """
    left = force_seconds - age_seconds
    wait = min(look_seconds, left) if lacks and left > 0 else 0.0
    return Verdict(lacks=tuple(lacks), wait_seconds=wait)


def lacking(held: Iterable[Held], expected: Mapping[str, Counted] | None, expect: str) -> list[str]:
    """What a study lacks, in sentences.

    Args:
        expected: by Series Instance UID; None where the archive did not say.
        expect: ``series``, ``study`` or ``nothing``; see ``ArchiveConfig``.
    """
    came = {one.series_instance_uid: one for one in held}
    counted = {} if expected is None or expect == "nothing" else expected
    found = [
        sentence
        for uid, one in came.items()
        if (sentence := _short_of(one, counted.get(uid)) or _hole(one, counted.get(uid)))
    ]
    if expect == "study":
        found += [
            f"series {one.number} ({one.modality}, {one.instances} images) has not come"
            for uid, one in counted.items()
            if uid not in came and one.modality in _ANALYSED
        ]
    return found


def missing_slices(planes: Sequence[Plane]) -> int:
    """How many slices the stacks of a series lack between their first and last ones."""
    stacks: dict[Stack, list[float]] = {}
    for plane in planes:
        normal = _normal(plane.orientation)
        rounded = tuple(round(one, 2) for one in plane.orientation)
        along = math.fsum(a * b for a, b in zip(normal, plane.position, strict=True))
        stacks.setdefault((plane.stack, rounded), []).append(along)
    return sum(_missing(places) for places in stacks.values())


def _short_of(one: Held, counted: Counted | None) -> str:
    if counted is None or counted.instances <= one.instances:
        return ""
    return (
        f"series {one.number} has {one.instances} of the {counted.instances} images that the"
        " archive holds"
    )


def _hole(one: Held, counted: Counted | None) -> str:
    """A hole that the archive has too will not be filled."""
    missing = 0 if counted is not None else missing_slices(one.planes)
    return f"series {one.number} lacks {missing} slices between others" if missing else ""


def _missing(places: list[float]) -> int:
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] >= _SAME_PLACE_MM:
            kept.append(place)
    if len(kept) < _FEWEST_SLICES:
        return 0
    steps = [b - a for a, b in pairwise(kept)]
    usual = sorted(steps)[len(steps) // 2]
    holes = [round(step / usual) - 1 for step in steps if step > _HOLE * usual]
    return sum(hole for hole in holes if 0 < hole <= _LARGEST_HOLE * len(kept))


def _normal(orientation: Vector) -> Vector:
    a, b, c, d, e, f = orientation
    return b * f - c * e, c * d - a * f, a * e - b * d
