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
    fine: Array,
) -> None:
    """Bladder, uterus or prostate, and the rectum in its fat and fascia."""
    bladder = np.sqrt(
        (points.x / 1.2) ** 2 + (points.y - body.bladder_y_mm) ** 2 + ((points.z + 72) * 1.15) ** 2
    )
    tissue[(bladder < body.bladder_mm + 3) & (bones.wing_mm > 4)] = Tissue.MUSCLE
    tissue[bladder < body.bladder_mm] = Tissue.FLUID
    womb = np.sqrt(points.x**2 + (points.y - body.bladder_y_mm + 42) ** 2 + (points.z + 68) ** 2)
    tissue[cavity & (womb < 26)] = Tissue.VISCERA
    rectum = np.hypot(points.x + 6 * np.sin(bones.s_mm / 19), bones.v_mm - body.rectum_mm - 18)
    low = (bones.s_mm > 25) & (points.z > -150)
    around = low & (rectum < body.rectum_mm + 20) & (bladder > body.bladder_mm + 3)
    tissue[around] = Tissue.FAT
    tissue[around & (np.abs(fine) < 0.2)] = Tissue.SEPTUM
    tissue[around & (rectum > body.rectum_mm + 19)] = Tissue.SEPTUM
    tissue[low & (rectum < body.rectum_mm + 3)] = Tissue.VISCERA
    inner = low & (rectum < body.rectum_mm)
    filling = body.coarse.at(points)
    tissue[inner] = Tissue.STOOL if body.stool > 0.3 else Tissue.VISCERA
    tissue[inner & (filling > 1.0 - 2 * body.gas)] = Tissue.GAS


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
    if points.z.size == 0 or float(points.z.max()) < height - 92:
        return
    side = np.abs(points.x)
    inside = (wall < -12) & (bones.v_mm > -10)
    kidney = np.sqrt(
        ((side - 62) / 30) ** 2 + ((points.y + 8) / 28) ** 2 + ((points.z - height + 40) / 52) ** 2
    )
    # The liver's lower edge rises to the left, its left lobe thins to a wedge in front.
    thin = np.clip((45 - points.x) / 75, 0, 1)
    edge = height - 60 + 0.65 * (points.x + 90) - 0.3 * (points.y - 30)
    liver = (points.z > edge) & (points.y > 62 - 102 * thin) & (points.x < 45)
    spleen = (
        ((points.x - 108) / 34) ** 2
        + ((points.y + 26) / 52) ** 2
        + ((points.z - height - 38 + 0.4 * points.y) / 55) ** 2
    ) < 1
    dome = height + 70 - 0.004 * side**2
    tissue[inside & ((kidney < 1) | liver | spleen)] = Tissue.ORGAN
    tissue[inside & (points.z > dome) & (side > 28)] = Tissue.LUNG
    course = np.mod(points.z + 0.55 * points.y - 0.2 * side + body.organ_height_mm, 27.0)
    cage = (np.abs(wall + 9) < 4) & (points.z > height + 0.35 * points.y) & (side > 40)
    tissue[cage & (course < 10)] = Tissue.RIB


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
