"""The two ways to an ala that the literature describes, as sets of lines to choose from."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from sifdetect.anatomy import AnatomyLabel, SacralLevel
from sifdetect.sacroplasty import Approach, Trajectory
from sifdetect.trajectory import NEAR_MM, TIP_MM, Ala, Lines, best
from sifdetect.volume import Floats

LATERAL_DEG = (0.0, 10.0, 20.0, 30.0)
"""Tilts of a short-axis line from the sagittal plane, medial to lateral, as the joint runs."""

WISHED_DEG = 15.0
"""The tilt that is wished for, other things equal."""

SKEW_DEG = (-10.0, 0.0, 10.0)
"""Tilts of the same towards the head and the feet."""

SHORTEST_MM, LONGEST_MM = 15.0, 60.0
"""Length of a short-axis line: a tip just below the dorsal cortex holds no cement."""

BESIDE_MM = 8.0
"""A tip this close to the fracture lies beside it."""

ENTRY_MM = 9.0
"""A long-axis line enters at most this far from the place that the literature names."""

TARGET_MM = (-8.0, -4.0, 0.0, 4.0, 8.0)
"""Places of its tip around the middle of S1, to the front and to the head."""

_PATCH_MM = 10.0
_GRID_MM = 4.0
_ALAR_LEVELS = (0.15, 2.2)
_S1 = (0.15, 0.85)


def trajectories(ala: Ala) -> tuple[Trajectory, ...]:
    """The line of each approach that suits a fractured ala best, as far as there is one."""
    found = []
    for approach, candidates in (
        (Approach.SHORT_AXIS, _short_axis),
        (Approach.LONG_AXIS, _long_axis),
    ):
        lines, wish = candidates(ala)
        chosen = best(ala, lines, wish)
        if chosen is not None:
            found.append(described(ala, approach, *chosen))
    return tuple(found)


def described(ala: Ala, approach: Approach, line: Lines, clear: bool) -> Trajectory:
    """One line with its measures, in LPS."""
    frame = ala.sacrum.segmentation.frame
    gaps = {level: ala.least_mm(line, points) for level, points in ala.foramina_mm.items()}
    return Trajectory(
        approach=approach,
        entry_lps_mm=_point(frame.to_lps_mm(line.entry[0])),
        target_lps_mm=_point(frame.to_lps_mm(line.target[0])),
        direction_lps=_point(line.direction[0] @ frame.axes),
        length_mm=float(line.length_mm[0]),
        foramen_distance_mm={level: gap for level, gap in gaps.items() if gap is not None},
        canal_distance_mm=ala.least_mm(line, ala.sacrum.canal_mm),
        anterior_cortex_distance_mm=ala.least_mm(line, ala.anterior_mm),
        joint_distance_mm=ala.least_mm(line, ala.sacrum.joint_mm[ala.side]),
        fracture_share=share_reached(line, ala.fracture_mm),
        clear=clear,
    )


def share_reached(line: Lines, fracture_mm: Floats) -> float:
    """Share of points (m, 3) within NEAR_MM of one line; 0 for no points."""
    if len(fracture_mm) == 0:
        return 0.0
    return float((line.distance_mm(fracture_mm) <= NEAR_MM).mean())


def _short_axis(ala: Ala) -> tuple[Lines, Floats]:
    """From the dorsal cortex of S1 and S2 inwards, and how far each is off the wished, as mm: a
    fifth of its height over the fracture's middle, and a quarter of the tilt in degrees.

    Perpendicular to the cortex in the sagittal plane and tilted from medial to lateral, between the
    foramina and the joint, to a tip in or beside the fracture (Kortman 2013, JNIS 5:461; first
    described by Garant 2002, JVIR 13:1265).
    """
    dorsal, level = ala.dorsal
    entry = _thinned(ala, dorsal[(level >= _ALAR_LEVELS[0]) & (level <= _ALAR_LEVELS[1])])
    slope = _slope(dorsal, entry)
    entry, slope = entry[np.isfinite(slope)], slope[np.isfinite(slope)]
    if len(entry) == 0 or len(ala.fracture_mm) == 0:
        return _no_lines()
    starts, ways, tilts = [], [], []
    for lateral in LATERAL_DEG:
        for skew in SKEW_DEG:
            up = np.tan(np.radians(skew) - np.arctan(slope))
            way = np.stack([np.full(len(up), np.tan(np.radians(lateral))), np.ones(len(up)), up], 1)
            way[:, 0] *= ala.sign
            starts.append(entry)
            ways.append(way / np.linalg.norm(way, axis=1, keepdims=True))
            off = np.abs(entry[:, 2] - np.median(ala.fracture_mm[:, 2])) / 5
            tilts.append(off + (abs(lateral - WISHED_DEG) + abs(skew)) / 4)
    return _to_the_fracture(
        ala, np.concatenate(starts), np.concatenate(ways), np.concatenate(tilts)
    )


def _to_the_fracture(ala: Ala, entry: Floats, way: Floats, wish: Floats) -> tuple[Lines, Floats]:
    """Lines as deep as there is fracture beside them and TIP_MM of bone before their tip."""
    deep = np.arange(SHORTEST_MM, LONGEST_MM, 1.5)
    place = entry[:, None] + way[:, None] * deep[None, :, None]
    beside = np.isfinite(cKDTree(ala.fracture_mm).query(place, distance_upper_bound=BESIDE_MM)[0])
    inside = ala.sacrum.surface.query(place)[0] >= TIP_MM
    # Near its entry a line is close to the cortex; from there on it must not come close again.
    inside = np.logical_and.accumulate(inside, axis=1)
    good = beside & inside
    reached = good.any(axis=1)
    last = good.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
    target = entry + way * deep[last][:, None]
    return Lines(entry[reached], target[reached]), wish[reached]


def _long_axis(ala: Ala) -> tuple[Lines, Floats]:
    """From behind S3 along the ala to S1, and how far each is from the line of the literature, mm.

    Entry midway between the lower end of the sacroiliac joint and the lateral edge of the S3
    foramen; tip where a lateral view shows the middle of S1 (Smith and Gilula, ASSR 2006).
    """
    joint = ala.sacrum.joint_mm[ala.side]
    foramen = ala.foramina_mm.get(SacralLevel.S3, np.zeros((0, 3)))
    center = _middle_of_s1(ala)
    if len(joint) < 20 or len(foramen) == 0 or center is None:
        return _no_lines()
    low = joint[joint[:, 2] <= np.percentile(joint[:, 2], 5)].mean(axis=0)
    away = foramen[:, 0] * ala.sign
    edge = foramen[away >= np.percentile(away, 90)].mean(axis=0)
    wanted = (low + edge) / 2
    surface = ala.dorsal[0]
    off = np.linalg.norm(surface[:, [0, 2]] - wanted[[0, 2]], axis=1)
    entry = _thinned(ala, surface[off <= ENTRY_MM])
    target = _tips(ala, center)
    if len(entry) == 0 or len(target) == 0:
        return _no_lines()
    wish = np.linalg.norm(entry[:, [0, 2]] - wanted[[0, 2]], axis=1)[:, None]
    wish = wish + np.linalg.norm(target[:, 1:] - center[1:], axis=1)[None]
    pairs = np.stack(np.meshgrid(np.arange(len(entry)), np.arange(len(target)), indexing="ij"), -1)
    a, b = pairs.reshape(-1, 2).T
    return Lines(entry[a], target[b]), wish.ravel()


def _tips(ala: Ala, center: Floats) -> Floats:
    """(n, 3) places in the ala of S1 that lie beside the middle of its body, or nearly."""
    alar = ala.half.of(*_ala_labels(ala)).frame_mm
    if len(alar) == 0:
        return np.zeros((0, 3))
    away = alar[:, 0] * ala.sign
    across = np.arange(away.min(), away.max(), 3.0) * ala.sign
    offsets = np.stack(np.meshgrid(across, TARGET_MM, TARGET_MM, indexing="ij"), -1).reshape(-1, 3)
    places = offsets + np.array([0.0, center[1], center[2]])
    near = cKDTree(alar).query(places)[0] <= ala.sacrum.voxel_mm
    deep = ala.sacrum.surface.query(places)[0] >= TIP_MM
    return np.asarray(places[near & deep])


def _middle_of_s1(ala: Ala) -> Floats | None:
    """Centre of the S1 body, ventral to the canal, in the sacral frame; None if it is not seen."""
    sacrum = ala.sacrum
    body = sacrum.bodies
    body = body.only((body.level >= _S1[0]) & (body.level <= _S1[1]))
    canal = sacrum.canal_mm
    if len(body) < 100:
        return None
    if len(canal):
        beside = np.abs(canal[:, 2] - np.median(body.frame_mm[:, 2])) < 10
        if beside.any():
            body = body.only(body.frame_mm[:, 1] > canal[beside][:, 1].max())
    return None if len(body) < 100 else np.asarray(body.frame_mm.mean(axis=0))


def _slope(surface: Floats, entry: Floats) -> Floats:
    """(n,) rise of the surface to the front for each mm upwards around each entry; NaN unknown."""
    slopes = np.full(len(entry), np.nan)
    if len(surface) == 0 or len(entry) == 0:
        return slopes
    for number, near in enumerate(cKDTree(surface).query_ball_point(entry, _PATCH_MM)):
        patch = surface[near]
        if len(patch) >= 12:
            terms = np.stack([np.ones(len(patch)), patch[:, 0], patch[:, 2]], axis=1)
            slopes[number] = np.linalg.lstsq(terms, patch[:, 1], rcond=None)[0][2]
    return slopes


def _thinned(ala: Ala, points: Floats) -> Floats:
    """One point of each square of the coronal plane, the one nearest to its middle; the squares of
    one side are the mirror image of those of the other."""
    if len(points) == 0:
        return points
    points = points[np.lexsort(np.round(points * np.array([ala.sign, 1.0, 1.0]), 3).T)]
    place = points[:, [0, 2]] * np.array([ala.sign, 1.0]) / _GRID_MM
    square = np.floor(place)
    off = np.round(np.linalg.norm(place - square - 0.5, axis=1), 3)
    order = np.argsort(off, kind="stable")
    _, first = np.unique(square[order], axis=0, return_index=True)
    return points[order[np.sort(first)]]


def _ala_labels(ala: Ala) -> tuple[AnatomyLabel, ...]:
    left, right = AnatomyLabel.SACRAL_ALA_LEFT, AnatomyLabel.SACRAL_ALA_RIGHT
    return (left if ala.sign > 0 else right,)


def _no_lines() -> tuple[Lines, Floats]:
    return Lines(np.zeros((0, 3)), np.zeros((0, 3))), np.zeros(0)


def _point(values: Floats) -> tuple[float, float, float]:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return (x, y, z)
