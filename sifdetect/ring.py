"""The anterior ring of the pelvis: are the pubic rami in view, and is one of them broken?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, LesionBit, Side
from sifdetect.measurements import SIDES, Ring
from sifdetect.volume import Floats, LabelMap, SacralFrame
from sifdetect.voxels import indices

PUBIC_MM = 12.0
"""No part of a hip bone but the pubis comes this close to the symphysis."""

ASIDE_MM = 20.0
"""A symphysis does not lie farther than this from the midline of the sacrum."""

MIN_PUBIS_MM3 = 400.0
"""Less pubis than this is the edge of the scan, or a few wrong voxels."""

RAMI_MM = 70.0
"""From the symphysis to the root of the upper ramus and the lower end of the lower one."""

OBTURATOR_MM = 110.0
"""From the symphysis to the tuber of the ischium: below the obturator foramen the anterior ring
goes on, in the ramus of the ischium."""

DOWNWARD = 0.5
"""Sine of the angle, 30°, by which what lies there is below the symphysis along the sacrum's chord;
an acetabulum lies at the same distance beside or above it."""

MIN_RAMUS_LINE_MM3 = 80.0
"""As for a line in the sacrum."""

_HIPS = {Side.RIGHT: AnatomyLabel.HIP_RIGHT, Side.LEFT: AnatomyLabel.HIP_LEFT}


def ring_of(anatomy: LabelMap, lesions: LabelMap, frame: SacralFrame) -> Ring:
    """Which rami are in view and which are broken.

    A side is in view where its pubis reaches the symphysis and the scan goes on for RAMI_MM around
    it. It is broken where a fracture line lies in the hip bone within RAMI_MM of that pubis, or
    within OBTURATOR_MM downwards, where the ramus of the ischium closes the obturator foramen.

    Args:
        anatomy: AnatomyLabel values on any grid.
        lesions: LesionBit sums on the same grid.
        frame: the sacral frame, for the midline.
    """
    seen, broken = set(), set()
    hips = {side: anatomy.values == _HIPS[side] for side in SIDES}
    places = {side: anatomy.grid.index_to_mm(indices(hip)) for side, hip in hips.items()}
    across = {s: (at - frame.origin_lps_mm) @ frame.axes[0] for s, at in places.items()}
    symphysis = _symphysis_mm(across, anatomy.grid.voxel_volume_mm3)
    for side, hip in hips.items():
        pubis = places[side][np.abs(across[side] - symphysis) <= PUBIC_MM]
        if len(pubis) * anatomy.grid.voxel_volume_mm3 < MIN_PUBIS_MM3:
            continue
        center = pubis.mean(axis=0)
        if _goes_on(anatomy, frame, center, side):
            seen.add(side)
        line = hip & ((lesions.values & LesionBit.FRACTURE_LINE) > 0)
        cracks = anatomy.grid.index_to_mm(indices(line))
        if (
            _of_ring(cracks - center, frame).sum() * anatomy.grid.voxel_volume_mm3
            >= MIN_RAMUS_LINE_MM3
        ):
            broken.add(side)
    return Ring(seen=frozenset(seen), broken=frozenset(broken))


def _symphysis_mm(across: dict[Side, Floats], voxel_mm3: float) -> float:
    """Place of the symphysis, mm to the left of the sacrum's midline: midway between both hip
    bones where they come closest to it; 0 where that tells nothing."""
    rank = int(MIN_PUBIS_MM3 / voxel_mm3)
    if any(len(mm) <= rank for mm in across.values()):
        return 0.0
    left = float(np.partition(across[Side.LEFT], rank)[rank])
    right = -float(np.partition(-across[Side.RIGHT], rank)[rank])
    middle = (left + right) / 2
    return middle if abs(middle) <= ASIDE_MM and left - right <= 2 * PUBIC_MM else 0.0


def _of_ring(from_pubis: Floats, frame: SacralFrame) -> NDArray[np.bool_]:
    """(n,) True for places, (n, 3) LPS mm from the pubis, that lie in a ramus."""
    away = np.linalg.norm(from_pubis, axis=1)
    down = -(from_pubis @ frame.axes[2])
    return np.asarray((away <= RAMI_MM) | ((away <= OBTURATOR_MM) & (down >= DOWNWARD * away)))


def _goes_on(anatomy: LabelMap, frame: SacralFrame, center: Floats, side: Side) -> bool:
    """True where the scan reaches RAMI_MM to the side of the symphysis and half of it around."""
    outward = frame.axes[0] * (1.0 if side is Side.LEFT else -1.0)
    half = RAMI_MM / 2
    ends = [center + outward * half, center + frame.axes[2] * half, center - frame.axes[2] * half]
    return bool(anatomy.grid.contains(np.stack(ends)).all())
