"""Organs, bowel and vessels: each function writes its tissue into an array of the points' shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.body import BodyParams, Tissue
from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array, Points, rounded
from sifdetect.synth.place import Place, tube
from sifdetect.synth.shape import BoneField

ARTERIES = (
    ((9, 68, 160, 1.5), (9, 48, 60, 1.4), (10, 44, 36, 1.2), (34, 24, -14, 1.0)),
    ((34, 24, -14, 0.85), (56, 44, -52, 0.8), (74, 66, -100, 0.75), (84, 62, -150, 0.7)),
    ((34, 24, -14, 0.75), (44, -2, -52, 0.65), (46, -18, -84, 0.45)),
)
"""Common, external and internal iliac course: lateral, anterior, cranial, share of the radius."""
ORGANS_X_MM, ORGANS_Z_MM = 65.0, 10.0
"""Bladder, uterus and rectum lie medial of this and below it, however large they are drawn."""
WOMB_MM, FASCIA_MM = 26.0, 20.0
"""Radius of the uterus; from the rectum's wall to the outside of its fascia."""


def bowel(
    tissue: NDArray[np.uint8], body: BodyParams, points: Points, cavity: NDArray[np.bool_]
) -> None:
    """Loops of bowel with wall, fluid, stool and gas, in mesenteric fat."""
    loops, content = rounded(body.bowel, points), rounded(body.coarse, points, 300.0)
    index = np.flatnonzero(cavity)
    loops, content = loops.ravel()[index], content.ravel()[index]
    x, y, z = (axis.ravel()[index] for axis in (points.x, points.y, points.z))
    value = np.full(len(index), Tissue.FAT, dtype=np.uint8)
    value[loops > -0.25] = Tissue.VISCERA
    folds = np.abs(np.mod(loops * 9 + content * 14 + 0.15 * (x + y - z), 5.0) - 2.5) < 0.5
    lumen = (loops > 0.1) & ~(folds & (loops < 0.5))
    value[lumen] = Tissue.STOOL
    value[lumen & (content < -0.5)] = Tissue.FLUID
    value[lumen & (content > 0) & (content > 1.2 - 1.6 * body.stool)] = Tissue.STOOL
    upward = 95 - y if body.prone else y
    value[lumen & (upward + 22 * content > 95 - 90 * body.gas)] = Tissue.GAS
    tissue.reshape(-1)[index] = value


def organs(
    tissue: NDArray[np.uint8],
    body: BodyParams,
    points: Points,
    bones: BoneField,
    *,
    cavity: NDArray[np.bool_],
    waves: tuple[Array, Array],
) -> None:
    """Bladder, uterus or prostate, and the rectum in its fat and fascia.

    Args:
        waves: coarse and fine texture of the body at the points.
    """
    index = _organs_index(body, points, bones)
    inside = cavity.ravel()[index]
    x, y, z, s, v, wing, filling, fine = (
        values.ravel()[index]
        for values in (
            *(points.x, points.y, points.z, bones.s_mm, bones.v_mm, bones.wing_mm),
            *waves,
        )
    )
    found = tissue.reshape(-1)[index]
    bladder = np.sqrt((x / 1.2) ** 2 + (y - body.bladder_y_mm) ** 2 + ((z + 72) * 1.15) ** 2)
    found[(bladder < body.bladder_mm + 3) & (wing > 4)] = Tissue.MUSCLE
    found[bladder < body.bladder_mm] = Tissue.FLUID
    womb = np.sqrt(x**2 + (y - body.bladder_y_mm + 42) ** 2 + (z + 68) ** 2)
    found[inside & (womb < WOMB_MM)] = Tissue.VISCERA
    rectum = np.hypot(x + 6 * np.sin(s / 19), v - body.rectum_mm - 18)
    low = (s > 25) & (z > -150)
    around = low & (rectum < body.rectum_mm + FASCIA_MM) & (bladder > body.bladder_mm + 3)
    found[around] = Tissue.FAT
    found[around & (np.abs(fine) < 0.2)] = Tissue.SEPTUM
    found[around & (rectum > body.rectum_mm + 19)] = Tissue.SEPTUM
    found[low & (rectum < body.rectum_mm + 3)] = Tissue.VISCERA
    inner = low & (rectum < body.rectum_mm)
    found[inner] = Tissue.STOOL if body.stool > 0.3 else Tissue.VISCERA
    found[inner & (filling > 1.0 - 2 * body.gas)] = Tissue.GAS
    tissue.reshape(-1)[index] = found


def _organs_index(body: BodyParams, points: Points, bones: BoneField) -> NDArray[np.intp]:
    """Flat index of the points of the boxes about bladder, uterus and rectum with its fascia."""
    side, spare = np.abs(points.x), 0.1
    if side.size == 0 or float(side.min()) >= ORGANS_X_MM:
        return np.empty(0, dtype=np.intp)
    bladder, forward = body.bladder_mm + 3 + spare, points.y - np.float32(body.bladder_y_mm)
    boxes = (np.abs(forward) < bladder) & (np.abs(points.z + 72) < bladder)
    boxes |= (np.abs(forward + 42) < WOMB_MM + spare) & (np.abs(points.z + 68) < WOMB_MM + spare)
    # All round the rectum: from the fascia behind it to the one in front.
    reach = body.rectum_mm + FASCIA_MM + spare
    fascia = np.abs(bones.v_mm - np.float32(body.rectum_mm + 18)) < reach
    boxes |= fascia & (bones.s_mm > 25) & (side < reach + 6)
    boxes &= (side < ORGANS_X_MM) & (points.z < ORGANS_Z_MM)
    return np.flatnonzero(boxes)


def upper_trunk(
    tissue: NDArray[np.uint8],
    body: BodyParams,
    points: Points,
    bones: BoneField,
    *,
    wall: Array,
) -> None:
    """Kidneys, liver, spleen, lung bases and ribs: what a trunk scan shows above the pelvis."""
    height = body.organ_height_mm
    if points.z.size == 0 or float(points.z.max()) < height - 125:
        return
    index = np.flatnonzero((points.z >= height - 125) & (wall < -4.9))
    x, y, z, v, wall = (
        values.ravel()[index] for values in (points.x, points.y, points.z, bones.v_mm, wall)
    )
    found, side = tissue.reshape(-1)[index], np.abs(x)
    inside = (wall < -12) & (v > -10)
    kidney = ((side - 62) / 30) ** 2 + ((y + 8) / 28) ** 2 + ((z - height + 40) / 52) ** 2
    # The liver's lower edge rises to the left, its left lobe thins to a wedge in front.
    thin = np.clip((45 - x) / 75, 0, 1)
    edge = height - 60 + 0.65 * (x + 90) - 0.3 * (y - 30)
    liver = (z > edge) & (y > 62 - 102 * thin) & (x < 45)
    spleen = (
        ((x - 108) / 34) ** 2 + ((y + 26) / 52) ** 2 + ((z - height - 38 + 0.4 * y) / 55) ** 2
    ) < 1
    dome = height + 70 - 0.004 * side**2
    found[inside & ((kidney < 1) | liver | spleen)] = Tissue.ORGAN
    found[inside & (z > dome) & (side > 28)] = Tissue.LUNG
    course = np.mod(z + 0.55 * y - 0.2 * side + body.organ_height_mm, 27.0)
    cage = (np.abs(wall + 9) < 4) & (z > height + 0.35 * y) & (side > 40)
    found[cage & (course < 10)] = Tissue.RIB
    tissue.reshape(-1)[index] = found


def vessels(
    tissue: NDArray[np.uint8], body: BodyParams, lattice: Lattice, place: Place, *, fine: Array
) -> None:
    """Aorta and cava, iliac arteries and, behind and medial of them, veins."""
    radius, place = body.vessel_mm, place.along_spine()
    artery = np.minimum.reduce([tube(place, *_course(path, radius)) for path in ARTERIES])
    behind = Points(place.at.x, place.at.y + np.float32(1.7 * radius), place.at.z)
    moved = replace(place, at=behind, side=place.side + np.float32(0.8 * radius))
    vein = np.minimum.reduce([tube(moved, *_course(path, 1.15 * radius)) for path in ARTERIES])
    inside = lattice.filled(artery)
    tissue[(inside < 1.2) | (lattice.filled(vein) < 0)] = Tissue.VEIN
    tissue[inside < 1.2] = Tissue.MUSCLE
    tissue[inside < 0.4] = Tissue.VESSEL
    tissue[(np.abs(inside) < 0.9) & (fine > 2.6 - 2 * body.calcified)] = Tissue.CALCIFICATION


def _course(
    path: tuple[tuple[float, float, float, float], ...], radius_mm: float
) -> tuple[tuple[tuple[float, float, float], ...], tuple[float, ...]]:
    knots = tuple((x, y, z) for x, y, z, _ in path)
    return knots, tuple(radius_mm * share for *_, share in path)
