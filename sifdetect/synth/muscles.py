"""Muscles of the pelvis as implicit surfaces, in two sets: neighbours are in different ones.

Where a surface of one set meets one of the other lies the fat between the two muscles. Courses and
attachments: standard anatomy (Gray's Anatomy); thickness by own estimate on open CT scans.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sifdetect.synth.noise import Array, Points
from sifdetect.synth.place import Place, tube

ERECTOR_S_MM = (-150.0, -40.0, 0.0, 30.0, 60.0, 85.0, 105.0)
ERECTOR_THICK_MM = (40.0, 38.0, 34.0, 26.0, 15.0, 6.0, -4.0)
ERECTOR_WIDE_MM = (62.0, 60.0, 48.0, 38.0, 27.0, 16.0, 8.0)
PIRIFORMIS_X_MM = (10.0, 25.0, 60.0, 90.0, 120.0)
PIRIFORMIS_Y_MM = (-25.0, -25.0, -26.0, -14.0, 0.0)
PIRIFORMIS_Z_MM = (-56.0, -60.0, -76.0, -87.0, -94.0)
PIRIFORMIS_HALF_HEIGHT_MM = (21.0, 21.0, 16.0, 10.0, 4.0)
PSOAS_MIDDLE_MM = (((5.0, 45.0, 120.0), (48.0, 40.0, 34.0)), ((5.0, 45.0), (22.0, 22.0)))
"""Height and lateral, height and anterior place of the middle of psoas beside the bodies."""
PSOAS_Z_MM, PSOAS_THIN = (-35.0, 15.0, 60.0, 120.0), (1.0, 0.85, 0.76, 0.72)
"""Its breadth by height relative to that of a round muscle of the same section (own estimate)."""


@dataclass(frozen=True)
class MuscleField:
    """The muscles at a set of points.

    Attributes:
        first, second: signed distance to the muscles of each set, negative inside, mm, about.
        across, deep: position in a plane across the muscle's fibres, mm.
        grade: fatty infiltration relative to that of gluteus maximus.
    """

    first: Array
    second: Array
    across: Array
    deep: Array
    grade: Array


def evaluate(place: Place, bulk: float) -> MuscleField:
    """The muscles of both sides; ``bulk`` is their size, 1 in the mean patient."""
    multifidus, erector = _paraspinal(place, bulk)
    maximus = _maximus(place, bulk)
    medius, minimus = _abductors(place, bulk)
    first = (maximus, minimus, multifidus, _psoas(place, bulk), _obturator(place), _thigh(place, 0))
    lumborum = tube(place.along_spine(), ((62, -40, 15), (50, -10, 110)), (11 * bulk, 9 * bulk))
    front = (_iliacus(place, bulk), _thigh(place, 1), lumborum)
    second = (medius, erector, _piriformis(place, bulk), _floor(place), *front)
    shallow = maximus < 0
    back = np.minimum(multifidus, erector) < 1
    across = np.where(shallow, 0.66 * place.side + 0.74 * place.at.z, place.side + 0.3 * place.at.z)
    deep = np.where(back, place.v, place.at.y + np.where(shallow, 0.2, 0.4) * place.side)
    grade = np.where(back, np.where(multifidus < erector, 2.0, 1.5), np.where(shallow, 1.0, 0.6))
    fibres = (np.asarray(values, dtype=np.float32) for values in (across, deep, grade))
    return MuscleField(np.minimum.reduce(first), np.minimum.reduce(second), *fibres)


def gluteal_shell(place: Place) -> Array:
    """Depth below the dorsal surface of the buttock's muscle, mm; negative outside it."""
    size = place.scale
    across = np.abs(place.side / size - 70) / 76
    deep = np.clip(-(place.at.y / size + 12), 0, None) / 75
    down = np.clip(np.abs(place.at.z / size + 90) - 40, 0, None) / 85
    radius = (across**2.4 + deep**2.4 + down**2.4) ** np.float32(1 / 2.4)
    return np.asarray(np.minimum((1 - radius) * 66 * size, -place.wall - 1), dtype=np.float32)


def _paraspinal(place: Place, bulk: float) -> tuple[Array, Array]:
    """Multifidus on the laminae and the dorsal sacrum, erector spinae lateral to it."""
    knots = np.array(ERECTOR_S_MM) * place.scale
    thick = np.interp(place.s, knots, ERECTOR_THICK_MM) * place.scale * bulk**0.7
    wide = np.interp(place.s, knots, ERECTOR_WIDE_MM) * place.scale
    behind = place.behind
    side = np.abs(place.x)
    radius = np.sqrt((side / wide) ** 2 + (behind / np.maximum(thick, 1)) ** 2)
    mass = np.maximum((radius - 1) * np.minimum(wide, np.maximum(thick, 1)), 0.5 - thick)
    mass = np.maximum(np.maximum(mass, 1.5 - side), -behind - 7)
    mass = np.maximum(mass, place.wall + 1)
    septum = side - 0.42 * wide - 0.15 * behind
    return (
        np.maximum(mass, septum).astype(np.float32),
        np.maximum(mass, -septum).astype(np.float32),
    )


def _maximus(place: Place, bulk: float) -> Array:
    """Gluteus maximus: a sheet from posterior ilium, sacrum and coccyx down to the femur."""
    shell = gluteal_shell(place)
    thick = (20 + 16 * bulk) * np.clip(0.2 + place.side / 75, 0.2, 1)
    size = place.scale
    upper = 0.75 * (place.at.z + 2 * size) + 0.6 * (place.side - 45 * size)
    lower = -0.8 * (place.at.z + 116 * size) - 0.55 * (place.side - 8 * size)
    medial = np.interp(place.at.z / size, [-125, -100, -50, -20, 0], [2, 4, 15, 32, 40]) * size
    sheet = np.maximum(np.maximum(-shell, shell - thick), np.maximum(upper, lower))
    ventral = place.at.y + 0.15 * place.side - 8 * size
    return np.asarray(np.maximum(np.maximum(sheet, medial - place.side), ventral), dtype=np.float32)


def _abductors(place: Place, bulk: float) -> tuple[Array, Array]:
    """Gluteus medius and, below it on the wing, minimus."""
    size, lateral = place.scale, place.outside_wing
    across = (place.side / size - 72) / (56 + 18 * bulk)
    deep = (place.at.y / size - 2) / 74
    down = np.clip(np.abs(place.at.z / size + 45) - 25, 0, None) / 72
    mass = (np.sqrt(across**2 + deep**2 + down**2) - 1) * 60 * size
    mass = np.maximum(np.maximum(mass, -lateral), place.wall + 1)
    behind = -place.at.y - 62 * size - 0.2 * place.at.z
    mass = np.maximum(mass, behind)
    inner = np.maximum(place.wing - (6 + 9 * bulk), place.at.z + 20 * size)
    minimus = np.maximum(mass, np.maximum(inner, -30 * size - place.at.y))
    return mass.astype(np.float32), minimus.astype(np.float32)


def _psoas(place: Place, bulk: float) -> Array:
    """From the lumbar vertebrae over the pelvic brim to the lesser trochanter.

    Oval beside the bodies, against which it lies flat, round from the brim on.
    """
    place = place.along_spine()
    z = place.at.z / place.scale
    x, y = (np.interp(z, *middle) * place.scale for middle in PSOAS_MIDDLE_MM)
    thin = np.interp(z, PSOAS_Z_MM, PSOAS_THIN).astype(np.float32)
    side = x + (place.side - x) / thin
    at = Points(place.at.x, (y + (place.at.y - y) * thin).astype(np.float32), place.at.z)
    flat = replace(place, at=at, side=side.astype(np.float32))
    path = ((34, 22, 120), (40, 22, 45), (48, 22, 5), (60, 36, -45), (76, 50, -95), (98, 8, -160))
    radius = tuple(bulk**0.6 * r for r in (12.0, 19.0, 20.0, 17.0, 15.0, 11.0))
    return np.asarray(tube(flat, path, radius) * thin, dtype=np.float32)


def _iliacus(place: Place, bulk: float) -> Array:
    """On the inner face of the wing, thicker to the front, where it joins psoas."""
    thick = (4 + 8 * bulk) * np.clip(0.5 + (place.at.y + 40) / 60, 0.3, 1.5)
    sheet = np.maximum(np.minimum(place.wing, -place.outside_wing) - thick, place.outside_wing + 4)
    ends = np.maximum(-78 * place.scale - place.at.z, -42 * place.scale - place.at.y)
    return np.asarray(np.maximum(np.maximum(sheet, ends), place.wing - 21), dtype=np.float32)


def _piriformis(place: Place, bulk: float) -> Array:
    """From the ventral sacrum S2-S4 through the greater sciatic notch to the trochanter."""
    side = place.side / place.scale
    y, z, half = (
        np.interp(side, PIRIFORMIS_X_MM, values)
        for values in (PIRIFORMIS_Y_MM, PIRIFORMIS_Z_MM, PIRIFORMIS_HALF_HEIGHT_MM)
    )
    thick = 11.0 * bulk**0.7 * np.interp(side, [15, 60, 120], [0.9, 1.1, 0.4])
    radius = np.hypot((place.at.y / place.scale - y) / thick, (place.at.z / place.scale - z) / half)
    free = np.maximum((radius - 1) * thick, np.maximum(26 - side, side - 122))
    # Medially it lies on the bone, wherever that is.
    level = np.abs(place.s / place.scale - 60) - 27
    origin = np.maximum(place.sacrum - 9 * bulk**0.7, np.maximum(level, -2 - place.v))
    origin = np.maximum(origin, np.maximum(17 - side, side - 50))
    return np.asarray(np.minimum(free, origin) * place.scale, dtype=np.float32)


def _obturator(place: Place) -> Array:
    """Obturator internus on the inner wall of foramen and acetabulum."""
    size = place.scale
    sheet = np.maximum(place.wing - 12, place.side - 76 * size - 0.2 * place.at.y)
    ends = np.maximum(np.abs(place.at.z + 138 * size) - 45, np.abs(place.at.y - 24 * size) - 38)
    return np.asarray(np.maximum(np.maximum(sheet, ends), 20 * size - place.side), dtype=np.float32)


def _floor(place: Place) -> Array:
    """Levator ani, a funnel between the obturator muscles, and coccygeus."""
    size = place.scale
    funnel = np.abs(place.at.z + 138 * size - 0.5 * place.side + 0.1 * place.at.y) - 3
    funnel = np.maximum(funnel, place.side - 54 * size)
    funnel = np.maximum(funnel, np.abs(place.at.y - 8 * size) - 46 * size)
    coccygeus = tube(place, ((14, -30, -92), (52, -15, -106)), (6.0, 3.0))
    return np.asarray(np.minimum(funnel, coccygeus), dtype=np.float32)


def _thigh(place: Place, group: int) -> Array:
    """Adductors and hamstrings (0), extensors and flexors of the hip in front (1)."""
    if group == 0:
        inner = tube(place, ((30, 45, -135), (58, 30, -230)), (18.0, 26.0))
        outer = tube(place, ((60, -12, -178), (90, -20, -240)), (12.0, 20.0))
    else:
        inner = tube(place, ((105, 74, -30), (95, 55, -200)), (7.0, 11.0))
        outer = tube(place, ((122, 60, -40), (128, 30, -220)), (12.0, 20.0))
    return np.minimum(inner, outer)
