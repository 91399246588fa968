"""Soft tissue around the bones: what fills the body, wall to wall, at any set of points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.synth import ligaments, muscles, viscera
from sifdetect.synth.body import BodyParams, Tissue
from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array, Points, rounded, warped
from sifdetect.synth.place import DORSAL_S_MM, DORSAL_V_MM, Place
from sifdetect.synth.shape import FEMUR, BoneField
from sifdetect.synth.spine import SpineCurve

SAC_LEVELS = (-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
SAC_V_MM = (-25.0, -23.0, -21.5, -19.0, -15.5, -13.3, -9.3, -7.5)
"""Centre of the canal, ventral of the curve (CANAL_* in sacrum_profiles.py; above, lumbar.py)."""
CREST_Z_MM = 38.0
"""Height of the iliac crests above the S1 end plate; below it the wall ends at the wings."""
BESIDE_BONE_MM = 8.0
"""No voxel whose centre is farther away is partly bone."""
LATTICE_MM = 3.4
"""Spacing at which muscles, vessels and nerves are evaluated; they are filled in between."""


@dataclass(frozen=True)
class Waves:
    """The two textures of a body at a set of points; what is evaluated there shares them."""

    coarse: Array
    fine: Array

    @staticmethod
    def of(body: BodyParams, points: Points) -> Waves:
        """The textures at points in the pelvic frame."""
        return Waves(body.coarse.at(points), body.fine.at(points))


def evaluate(
    curve: SpineCurve, body: BodyParams, points: Points, bones: BoneField, *, waves: Waves
) -> NDArray[np.uint8]:
    """Tissue values at points in the pelvic frame."""
    lattice = Lattice(points, LATTICE_MM)
    skin, fat_mm = _outline(body, lattice.points(points), curve)
    place = Place.on(lattice, points, bones, wall=skin + fat_mm, curve=curve)
    skin_mm, wall = lattice.filled(skin), lattice.filled(place.wall)
    tissue = np.full(points.x.shape, Tissue.FAT, dtype=np.uint8)
    fine = waves.fine
    _subcutaneous(tissue, body, points, wall=wall, fine=fine)
    lateral = (lattice.filled(place.outside_wing) > 0) & (points.z < CREST_Z_MM * curve.scale)
    cavity = _cavity(wall, points, bones) & ~lateral
    viscera.bowel(tissue, body, points, cavity)
    viscera.organs(tissue, body, points, bones, cavity=cavity, waves=(waves.coarse, fine))
    viscera.upper_trunk(tissue, body, points, bones, wall=wall)
    _abdominal_wall(tissue, body, points, np.where(lateral, np.float32(1), wall))
    _muscles(tissue, body, lattice, place)
    viscera.vessels(tissue, body, lattice, place, fine=fine)
    ligaments.evaluate(tissue, lattice, place, bones, fine=fine)
    _spinal_content(tissue, curve.scale, body, points, bones, fine=fine)
    _bones(tissue, body, bones)
    tissue[skin_mm > -2.0] = Tissue.SKIN
    tissue[skin_mm > 0] = Tissue.AIR
    tissue[_table(body, points, curve) & (skin_mm > 0)] = Tissue.TABLE
    return tissue


def cortex_mm(body: BodyParams, bones: BoneField, waves: Waves) -> Array:
    """Thickness of the cortex at every point, mm; 0 far outside the bones.

    It varies, is thinner where an ala bears no joint, and degenerate facet joints thicken it.
    """
    near = np.flatnonzero(bones.depth_mm > -BESIDE_BONE_MM)
    coarse, fine, lateral, sacrum, s, v, side = (
        values.ravel()[near]
        for values in (
            *(waves.coarse, waves.fine, bones.lateral, bones.sacrum_mm),
            *(bones.s_mm, bones.v_mm, bones.x_mm),
        )
    )
    lateral, side = np.abs(lateral), np.abs(side)
    varied = body.cortex_mm * np.exp(0.35 * coarse)
    varied = np.where((sacrum < 0) & (lateral > 1) & (lateral < 2.7), 0.6 * varied, varied)
    facet = (v < -14) & (s < 16) & (side > 9) & (side < 34)
    result = np.zeros(bones.depth_mm.shape, dtype=np.float32)
    result.reshape(-1)[near] = varied + facet * np.float32(body.facet_mm) * (1 + 0.4 * fine)
    return result


def disc_remnant(body: BodyParams, bones: BoneField, waves: Waves) -> Array:
    """Share, 0–1, of what is left of the discs S1/S2, S2/S3 and S3/S4 between the bodies."""
    result = np.zeros(bones.depth_mm.shape, dtype=np.float32)
    inside = (np.abs(bones.lateral) < 0.9) & (bones.v_mm > -12) & (bones.depth_mm > 1.0)
    index = np.flatnonzero(inside)
    wavy, level = 0.5 * waves.coarse.ravel()[index], bones.level.ravel()[index]
    left = np.zeros(len(index), dtype=np.float32)
    for bound, thickness in enumerate(body.remnant_mm, start=1):
        if thickness > 0.3:
            from_bound = np.abs((level - bound) * 24 + wavy)
            np.maximum(left, np.clip(thickness / 2 - from_bound + 0.5, 0, 1), out=left)
    result.reshape(-1)[index] = left
    return result


def _outline(body: BodyParams, points: Points, curve: SpineCurve) -> tuple[Array, Array]:
    """Signed distance to the skin, about, and the thickness of the fat below it.

    The outline is a superellipse, flattened where the body lies; fat is thinner over the sacrum.
    It follows a scoliotic spine by half, and stands out behind where the vertebrae turn backwards.
    """
    shift, turn = curve.side_shift(points.z)
    points = Points(points.x - np.float32(0.5) * shift, points.y, points.z)
    back, front = _half_depths(body, curve)
    half_width = max(body.half_width_mm, 146 * curve.scale + 0.7 * body.fat_mm)
    across = np.abs(points.x) / half_width
    forward = points.y - body.center_y_mm
    depth = forward / np.where(forward < 0, back, front).astype(np.float32)
    radius = (across**2.5 + np.abs(depth) ** 2.5) ** np.float32(1 / 2.5)
    lying = depth if body.prone else -depth
    flat = np.clip(lying - 0.8, 0, None) * 0.9 * body.half_depth_mm
    cleft = np.exp(-((points.x / 14) ** 2)) * np.clip((-points.z - 75) / 50, 0, 1) * (forward < 0)
    waves = 6 * rounded(body.contour, points) + 14 * cleft
    hump = 0.6 * points.x * np.sin(turn) * np.exp(-((points.x / 80) ** 2)) * (forward < 0)
    skin = (radius - 1) * back + flat + waves - hump
    thin = np.exp(-((points.x / 45) ** 2)) * (points.z > -110) * (forward < 0)
    fat_mm = body.fat_mm * (1 - 0.3 * thin)
    return skin.astype(np.float32), fat_mm.astype(np.float32)


def _half_depths(body: BodyParams, curve: SpineCurve) -> tuple[float, float]:
    """From the centre to the back and to the front, with room for the bones and what covers them.

    Muscle behind the sacrum and fat over it: own estimate on open CT scans.
    """
    knots = zip(DORSAL_S_MM * curve.scale, DORSAL_V_MM * curve.scale, strict=True)
    dorsal = -min(float(curve.position_mm(s, v)[1]) for s, v in knots if s >= 0)
    back = dorsal + 8 + 13 * body.muscle + 0.7 * body.fat_mm + body.center_y_mm
    # In front of the most lordotic vertebra vessels, bowel and the wall.
    spine = curve.front_mm + 46 * curve.scale + 0.95 * body.fat_mm
    front = max(84 * curve.scale + 0.5 * body.fat_mm, spine) - body.center_y_mm
    return max(body.half_depth_mm, back), max(body.half_depth_mm, front)


def _table(body: BodyParams, points: Points, curve: SpineCurve) -> NDArray[np.bool_]:
    """The patient table, slightly hollow, behind the body or in front of it."""
    back, front = _half_depths(body, curve)
    sign, reach = (-1, front) if body.prone else (1, back)
    below = sign * (points.y - body.center_y_mm) + reach + 6
    hollow = below - 0.0004 * points.x**2
    return np.asarray((np.abs(hollow) < 2.5) & (np.abs(points.x) < 215))


def _subcutaneous(
    tissue: NDArray[np.uint8], body: BodyParams, points: Points, *, wall: Array, fine: Array
) -> None:
    """Thin septa in the fat below the skin, along it and across, and the superficial fascia."""
    deep = np.clip(wall / max(body.fat_mm, 1.0), 0, 1)
    lobules = np.abs(fine + 0.12 * wall) < 0.05
    fascia = np.abs(deep - 0.45 - 0.05 * fine) < 0.4 / max(body.fat_mm, 4.0)
    tissue[(wall > 0) & (lobules | fascia)] = Tissue.SEPTUM


def _cavity(wall: Array, points: Points, bones: BoneField) -> NDArray[np.bool_]:
    """Abdominal and pelvic cavity: in front of spine and sacrum, inside the wall and the wings."""
    behind = np.where(bones.s_mm < 0, np.float32(16), np.float32(8))
    narrow = np.clip(150 + points.z * 0.55, 45, 260)
    inside = (wall < -15) & (bones.v_mm > behind) & (np.abs(points.x) < narrow)
    result: NDArray[np.bool_] = inside & (bones.wing_mm > 10) & (points.z > -105)
    return result


def _abdominal_wall(
    tissue: NDArray[np.uint8], body: BodyParams, points: Points, wall: Array
) -> None:
    """Rectus beside the linea alba, three layers at the flanks; above the inguinal ligament.

    Args:
        wall: distance to the deep surface of the subcutaneous fat; positive lateral to the wings,
            where the muscles of the wall end.
    """
    # At the flank the layers thin out to the fascia of the back.
    ends = np.clip((points.y + 62) / 40, 0.05, 1).astype(np.float32)
    thick, flat = 12 * body.muscle * ends, tissue.reshape(-1)
    index = np.flatnonzero((wall < 0) & (wall > -thick) & (points.y > -62))
    x, z, wall, thick = (values.ravel()[index] for values in (points.x, points.z, wall, thick))
    side = np.abs(x)
    inside = (flat[index] != Tissue.FLUID) & (z > -110 + 0.85 * np.minimum(side, 120))
    layers = (side > 62) & (np.abs(np.mod(wall, thick / 3) - 1) < 0.5)
    gap = side < 1.2 + 4 * np.clip(-wall / thick, 0, 1) ** 2
    flat[index[inside & ~layers & ~gap]] = Tissue.MUSCLE


def _muscles(tissue: NDArray[np.uint8], body: BodyParams, lattice: Lattice, place: Place) -> None:
    """Muscles, the fat between them, and the fat that runs along their fibres."""
    bent = place.moved(warped(body.coarse, place.at, 2.2))
    field = muscles.evaluate(bent, body.muscle)
    patches = np.clip(1 + 0.6 * rounded(body.coarse, place.at, 111.0), 0.2, 2.2)
    first, second = lattice.filled(field.first), lattice.filled(field.second)
    muscle = np.minimum(first, second) < 0
    tissue[muscle] = Tissue.MUSCLE
    width = 0.4 + 1.1 * body.infiltration
    between = muscle & (np.abs(first - second) < width)
    tissue[between] = Tissue.FAT
    index = np.flatnonzero(muscle)
    across, deep, grade = (
        lattice.filled(values).ravel()[index]
        for values in (field.across, field.deep, field.grade * patches)
    )
    streaks = body.streaks[across.astype(np.int16) & 255, deep.astype(np.int16) & 255]
    ridge, share = np.abs(streaks), body.infiltration * grade
    flat = tissue.reshape(-1)
    flat[index[ridge < 0.18 + 0.75 * share]] = Tissue.FATTY_MUSCLE
    flat[index[ridge < 0.5 * share - 0.06]] = Tissue.FAT


def _spinal_content(
    tissue: NDArray[np.uint8],
    scale: float,
    body: BodyParams,
    points: Points,
    bones: BoneField,
    *,
    fine: Array,
) -> None:
    """Thecal sac and roots in the canal, roots in fat in the foramina, discs."""
    size = scale
    near = (np.abs(bones.x_mm) < 13 * size) & (bones.v_mm < 0) & (bones.depth_mm < 0)
    index = np.flatnonzero(near & (bones.v_mm > -44 * size) & (bones.level < 4.5))
    flat = tissue.reshape(-1)
    level, side, deep, behind, labels = (
        values.ravel()[index]
        for values in (bones.level, np.abs(bones.x_mm), bones.v_mm, bones.s_mm, bones.labels)
    )
    middle = np.interp(level, SAC_LEVELS, SAC_V_MM) * size
    radius = np.hypot(side, deep - middle)
    canal = ((radius < 13 * size) & (behind < 5)) | (labels == AnatomyLabel.SACRAL_CANAL)
    flat[index[canal]] = Tissue.FAT
    sac = np.clip(1.6 + body.thecal_sac_level - level, 0, 1.6) / 1.6
    flat[index[canal & (radius < 9.5 * size * np.sqrt(sac))]] = Tissue.CSF
    roots = np.hypot(side - 4, deep - middle + 3)
    flat[index[canal & (roots < 2.2)]] = Tissue.NERVE
    _foraminal_roots(tissue, size, bones, fine)
    tissue[bones.disc] = Tissue.DISC
    annulus = bones.disc & ((bones.x_mm / 25) ** 2 + ((bones.v_mm + 1) / 17) ** 2 > 0.72 * size**2)
    tissue[annulus] = Tissue.LIGAMENT


def _foraminal_roots(tissue: NDArray[np.uint8], size: float, bones: BoneField, fine: Array) -> None:
    """A root in the fat of each foramen, from the canal outwards and forward as the foramen runs.

    About 6 mm thick with its ganglion (own estimate).
    """
    left, right = AnatomyLabel.SACRAL_FORAMEN_LEFT, AnatomyLabel.SACRAL_FORAMEN_RIGHT
    index = np.flatnonzero((bones.labels == left) | (bones.labels == right))
    flat = tissue.reshape(-1)
    flat[index] = Tissue.FAT
    level, zone, v, uneven = (
        values.ravel()[index] for values in (bones.level, np.abs(bones.lateral), bones.v_mm, fine)
    )
    number = np.clip(np.rint(level), 1, 5)
    along = (level - number) * 23 - 0.12 * (v / size + 12)
    across = (zone - 1.45 - 0.034 * np.clip(v / size, -16, 14)) * 14
    entering = v / size - np.interp(number, SAC_LEVELS, SAC_V_MM) - 2
    # Medially it comes out of the canal, in front of the sac.
    away = np.where((across < 0) & (v < -6 * size), np.abs(entering), np.abs(across))
    nerve = np.hypot(away, along) < 3.0 + 0.5 * uneven
    flat[index[nerve]] = Tissue.NERVE


def _bones(tissue: NDArray[np.uint8], body: BodyParams, bones: BoneField) -> None:
    solid = ((bones.labels > 0) & (bones.labels < 6)) | (
        (bones.labels > 8) & (bones.labels <= FEMUR + 1)
    )
    tissue[solid] = Tissue.MARROW
    tissue[solid & (bones.depth_mm < body.cortex_mm)] = Tissue.CORTEX
