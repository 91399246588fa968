"""Organs, bowel and vessels: each function writes its tissue into an array of the points' shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth.body import BodyParams, Tissue
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.shape import BoneField
from sifdetect.synth.spine import SpineCurve


def bowel(
    tissue: NDArray[np.uint8], body: BodyParams, points: Points, cavity: NDArray[np.bool_]
) -> None:
    """Loops of bowel with fluid, stool and gas."""
    loops = body.bowel.at(points)
    bowel = cavity & (loops > -0.35)
    tissue[bowel] = Tissue.VISCERA
    lumen = bowel & (loops > 0.55)
    tissue[lumen] = Tissue.FLUID
    content = body.coarse.at(points)
    tissue[lumen & (content > 1.2 - 1.6 * body.stool)] = Tissue.STOOL
    tissue[lumen & (content < -1.5 + 1.9 * body.gas)] = Tissue.GAS


def organs(
    tissue: NDArray[np.uint8],
    body: BodyParams,
    points: Points,
    bones: BoneField,
    *,
    cavity: NDArray[np.bool_],
) -> None:
    """Bladder, uterus or prostate, and rectum."""
    bladder = np.sqrt(
        (points.x / 1.2) ** 2 + (points.y - body.bladder_y_mm) ** 2 + ((points.z + 72) * 1.15) ** 2
    )
    tissue[(bladder < body.bladder_mm + 3) & (bones.wing_mm > 4)] = Tissue.MUSCLE
    tissue[bladder < body.bladder_mm] = Tissue.FLUID
    womb = np.sqrt(points.x**2 + (points.y - body.bladder_y_mm + 42) ** 2 + (points.z + 68) ** 2)
    tissue[cavity & (womb < 26)] = Tissue.VISCERA
    rectum = np.hypot(points.x + 4 * np.sin(bones.s_mm / 14), bones.v_mm - body.rectum_mm - 18)
    low = (bones.s_mm > 25) & (points.z > -150)
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
    side = np.abs(points.x)
    inside = (wall < -12) & (bones.v_mm > -10)
    height = body.organ_height_mm
    kidney = np.sqrt(
        ((side - 62) / 30) ** 2 + ((points.y + 8) / 28) ** 2 + ((points.z - height + 40) / 52) ** 2
    )
    liver = (points.x < 30) & (points.z > height - 0.5 * points.x - 60) & (points.y > -40)
    spleen = (points.x > 70) & (points.z > height) & (points.y < 20)
    dome = height + 70 - 0.004 * side**2
    tissue[inside & ((kidney < 1) | liver | spleen)] = Tissue.ORGAN
    tissue[inside & (points.z > dome) & (side > 28)] = Tissue.LUNG
    course = np.mod(points.z + 0.55 * points.y - 0.2 * side + body.organ_height_mm, 27.0)
    cage = (np.abs(wall + 9) < 4) & (points.z > height + 0.35 * points.y)
    tissue[cage & (course < 10)] = Tissue.RIB


def vessels(tissue: NDArray[np.uint8], curve: SpineCurve, body: BodyParams, points: Points) -> None:
    """Aorta or cava and the iliac vessels, their walls calcified in places."""
    top = curve.position_mm(curve.vertebra_bounds_mm[1][1], 26.0)
    high = curve.position_mm(-250.0, 28.0)
    split = (3.0, float(top[1]), float(top[2]))
    iliac = capsule(points, split, (48.0, 12.0, -40.0))
    external = capsule(points, (48.0, 12.0, -40.0), (74.0, 62.0, -95.0))
    internal = capsule(points, (44.0, 5.0, -30.0), (46.0, -22.0, -85.0))
    trunk = np.hypot(np.abs(points.x) - 11, points.y - (top[1] + high[1]) / 2)
    trunk = np.where(points.z > top[2], trunk * 0.75, 99.0)
    distance = np.minimum(np.minimum(iliac, external), np.minimum(internal * 1.4, trunk * 0.9))
    tissue[distance < body.vessel_mm] = Tissue.VESSEL
    rim = (np.abs(distance - body.vessel_mm) < 0.9) & (
        body.fine.at(points) > 2.6 - 2 * body.calcified
    )
    tissue[rim] = Tissue.CALCIFICATION


def capsule(
    points: Points, start: tuple[float, float, float], end: tuple[float, float, float]
) -> Array:
    """Distance to a segment between two points, mirrored to both sides, mm."""
    a, b = np.array(start), np.array(end)
    direction = b - a
    p = [np.abs(points.x) - a[0], points.y - a[1], points.z - a[2]]
    along = sum(p[k] * direction[k] for k in range(3)) / float(direction @ direction)
    along = np.clip(along, 0, 1)
    return np.asarray(
        np.sqrt(sum((p[k] - along * direction[k]) ** 2 for k in range(3))), dtype=np.float32
    )
