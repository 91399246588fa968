"""Soft tissue around the bones: what fills the body, wall to wall, at any set of points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.synth import viscera
from sifdetect.synth.body import BodyParams, Tissue
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.shape import FEMUR, BoneField
from sifdetect.synth.spine import SpineCurve


def evaluate(
    curve: SpineCurve, body: BodyParams, points: Points, bones: BoneField
) -> NDArray[np.uint8]:
    """Tissue values at points in the pelvic frame."""
    waviness = 6 * body.contour.at(points)
    skin_mm = _outline(body, points) + waviness
    tissue = np.full(points.x.shape, Tissue.FAT, dtype=np.uint8)
    wall = skin_mm + body.fat_mm
    cavity = _cavity(wall, points, bones)
    tissue[(wall < 0) & (wall > -13 * body.muscle) & (points.y > -40)] = Tissue.MUSCLE
    _muscles(tissue, curve, body, points, bones)
    viscera.bowel(tissue, body, points, cavity & (tissue != Tissue.MUSCLE))
    viscera.organs(tissue, body, points, bones, cavity=cavity)
    viscera.upper_trunk(tissue, body, points, bones, wall=wall)
    viscera.vessels(tissue, curve, body, points)
    _fatty_streaks(tissue, body, points)
    _spinal_content(tissue, curve, body, points, bones)
    _bones(tissue, body, bones)
    tissue[skin_mm > -2.5] = Tissue.SKIN
    tissue[skin_mm > 0] = Tissue.AIR
    table = points.y - body.center_y_mm + body.half_depth_mm + 8 + body.fat_mm * 0.1
    hollow = table - 0.0004 * points.x**2
    tissue[(np.abs(hollow) < 2.5) & (np.abs(points.x) < 215) & (skin_mm > 0)] = Tissue.TABLE
    return tissue


def cortex_mm(body: BodyParams, points: Points, bones: BoneField) -> Array:
    """Thickness of the cortex at every point, mm.

    It varies, is thinner where an ala bears no joint, and degenerate facet joints thicken it.
    """
    varied = body.cortex_mm * np.exp(0.35 * body.coarse.at(points))
    lateral = np.abs(bones.lateral)
    varied = np.where((bones.sacrum_mm < 0) & (lateral > 1) & (lateral < 2.7), 0.6 * varied, varied)
    side = np.abs(points.x)
    facet = (bones.v_mm < -14) & (bones.s_mm < 16) & (side > 9) & (side < 34)
    return np.asarray(varied + facet * body.facet_mm * (1 + 0.4 * body.fine.at(points)))


def disc_remnant(body: BodyParams, points: Points, bones: BoneField) -> Array:
    """Share, 0–1, of what is left of the discs S1/S2, S2/S3 and S3/S4 between the bodies."""
    result = np.zeros(points.x.shape, dtype=np.float32)
    inside = (np.abs(bones.lateral) < 0.9) & (bones.v_mm > -12) & (bones.depth_mm > 1.0)
    wavy = 0.5 * body.coarse.at(points)
    for bound, thickness in enumerate(body.remnant_mm, start=1):
        if thickness > 0.3:
            from_bound = np.abs((bones.level - bound) * 24 + wavy)
            result = np.maximum(result, np.clip(thickness / 2 - from_bound + 0.5, 0, 1))
    return np.asarray(result * inside)


def _outline(body: BodyParams, points: Points) -> Array:
    """Signed distance to the skin, about; a superellipse, flattened where the body lies."""
    across = np.abs(points.x) / body.half_width_mm
    depth = (points.y - body.center_y_mm) / body.half_depth_mm
    radius = (across**2.5 + np.abs(depth) ** 2.5) ** (1 / 2.5)
    result: Array = ((radius - 1) * body.half_depth_mm).astype(np.float32)
    return result


def _cavity(wall: Array, points: Points, bones: BoneField) -> NDArray[np.bool_]:
    """Abdominal and pelvic cavity: in front of spine and sacrum, inside the wall and the wings."""
    behind = np.where(bones.s_mm < 0, 16.0, 8.0)
    narrow = np.clip(150 + points.z * 0.55, 45, 260)
    inside = (wall < -15) & (bones.v_mm > behind) & (np.abs(points.x) < narrow)
    result: NDArray[np.bool_] = inside & (bones.wing_mm > 10) & (points.z > -105)
    return result


def _muscles(
    tissue: NDArray[np.uint8],
    curve: SpineCurve,
    body: BodyParams,
    points: Points,
    bones: BoneField,
) -> None:
    size = curve.scale * body.muscle
    side = np.abs(points.x)
    back = -24 - bones.v_mm
    taper = np.clip((80 - bones.s_mm) / 110, 0, 1)
    erector = (
        (back > 0) & (back < 40 * taper * size) & (side < (18 + 34 * taper) * size) & (side > 3)
    )
    center = 38 + np.clip(points.z * -0.22, -6, 40)
    psoas = np.hypot((side - center) / 20, (bones.v_mm - 6 - np.clip(-points.z, 0, 90) * 0.35) / 20)
    low_psoas = points.z > -105
    wing = bones.wing_mm
    lateral = side - (70 + 0.38 * points.y)
    iliacus = (wing < 15 * size) & (lateral < 0) & (points.z > -75) & (points.y > -45)
    gluteal = (wing < 21.9) & (lateral >= -5) & (points.z < 45)
    bulk = np.hypot((side - 82) / 62, (points.y + 68) / 34) < size
    bulk &= (points.z < 0) & (points.z > -190)
    adductors = (points.z < -95) & (side > 12) & (np.hypot(side - 95, points.y + 5) < 72 * size)
    piriformis = viscera.capsule(points, (26, -42, -52), (118, -15, -98)) < 12 * size
    floor = (np.abs(points.z + 105 + side * -0.25) < 6) & (side < 60) & (np.abs(points.y) < 60)
    any_muscle = erector | ((psoas < size) & low_psoas) | iliacus | gluteal | bulk
    tissue[any_muscle | adductors | piriformis | floor] = Tissue.MUSCLE


def _fatty_streaks(tissue: NDArray[np.uint8], body: BodyParams, points: Points) -> None:
    """Fat planes between and inside muscles; more of them where there is less muscle."""
    streak = body.fine.at(points) > 0.9 + 0.9 * body.muscle
    planes = np.abs(body.coarse.at(points)) < 0.06
    tissue[(tissue == Tissue.MUSCLE) & (streak | planes)] = Tissue.FAT


def _spinal_content(
    tissue: NDArray[np.uint8],
    curve: SpineCurve,
    body: BodyParams,
    points: Points,
    bones: BoneField,
) -> None:
    size = curve.scale
    lumbar = bones.s_mm < 5
    center = np.where(lumbar, -26.0, np.interp(bones.level, [0, 1, 2, 3], [-24, -20, -15, -12]))
    radius = np.hypot(points.x, bones.v_mm - center * size)
    canal = ((radius < 13 * size) & lumbar) | (bones.labels == 8)
    tissue[canal & (bones.depth_mm < 0)] = Tissue.FAT
    sac = np.clip(1.6 + body.thecal_sac_level - bones.level, 0, 1.6) / 1.6
    tissue[canal & (radius < 9.5 * size * np.sqrt(sac)) & (bones.depth_mm < 0)] = Tissue.CSF
    roots = np.hypot(np.abs(points.x) - 4, bones.v_mm - center * size + 3)
    tissue[canal & (roots < 2.2)] = Tissue.NERVE
    foramen = (bones.labels == 6) | (bones.labels == 7)
    tissue[foramen] = Tissue.FAT
    tissue[foramen & (body.fine.at(points) > 0.1)] = Tissue.NERVE
    tissue[bones.disc] = Tissue.DISC
    tissue[bones.joint] = Tissue.CARTILAGE
    tissue[bones.joint & (bones.v_mm < -20)] = Tissue.LIGAMENT


def _bones(tissue: NDArray[np.uint8], body: BodyParams, bones: BoneField) -> None:
    solid = ((bones.labels > 0) & (bones.labels < 6)) | (
        (bones.labels > 8) & (bones.labels <= FEMUR + 1)
    )
    tissue[solid] = Tissue.MARROW
    tissue[solid & (bones.depth_mm < body.cortex_mm)] = Tissue.CORTEX
