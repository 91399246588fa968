"""The sacral foramina as tunnels, and the zones that their borders make."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from sifdetect.synth import sacrum_profiles as mean
from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum_params import SacrumParams

FORAMEN_MEDIAL_MM = (14.6, 12.4, 14.6, 13.8, 12.0)
"""From the midline to the medial border of the ventral foramina S1-S4, and of a fifth pair
(chosen, as all of that pair)."""
FORAMEN_HALF_WIDTH_MM = (6.25, 8.0, 6.7, 4.5, 3.3)
"""Half the width of the foramina at the depth of the curve; ventrally they open to a funnel."""
FORAMEN_HALF_HEIGHT_MM = (5.85, 6.9, 5.4, 3.8, 2.9)
FORAMEN_HEIGHT_FOLLOWS = (0.25, 1.0, 1.0, 1.0, 1.0)
"""Power of a foramen's size by which its height goes; its width goes by the first. In the shape
model the height of the S1 foramen varies by 1.3 mm, about what the bone around it makes already."""
SEGMENT_MM = (27.0, 23.0, 19.5, 16.5, 16.5)
"""Height of a segment at each foramen."""
FAR_MM = 30.0


@dataclass(frozen=True)
class SacralPlace:
    """Points near the sacrum, (n,) each: mm of the mean bone, ``s`` from the S1 end plate; ``side``
    is +1 on the left and -1 on the right.

    ``level`` is that of the mean bone whose form is found there, ``segment`` the sacrum's own; they
    differ where it has not five segments.
    """

    level: Array
    segment: Array
    x: Array
    v: Array
    s: Array
    side: Array


def foramina(at: SacralPlace, params: SacrumParams, count: int) -> Array:
    """Signed distance to the first ``count`` pairs of foramina, mm, about; negative inside."""
    nearest = np.full(at.level.shape, FAR_MM, dtype=np.float32)
    for index in range(count):
        near = (np.abs(at.segment - (index + 1)) < 0.6) & (at.x < 62)
        if near.any():
            here = SacralPlace(*(getattr(at, field.name)[near] for field in fields(at)))
            nearest[near] = np.minimum(nearest[near], _foramen(index, here, params))
    return nearest


def _foramen(index: int, at: SacralPlace, params: SacrumParams) -> Array:
    """A tunnel from the canal outwards and forward, wide in front, narrow to the back."""
    own = min(index, 3)
    skew, apart = np.float32(params.foramen_skew[own]), params.foramen_apart_mm[own]
    size = params.foramen_size[own] * (1 + skew * at.side)
    half_width, half_height = (
        FORAMEN_HALF_WIDTH_MM[index] * size,
        FORAMEN_HALF_HEIGHT_MM[index] * size ** FORAMEN_HEIGHT_FOLLOWS[index],
    )
    canal = float(mean.by_level(np.array([index + 1.0]), mean.CANAL_FRONT_MM)[0]) - 2.0
    forward = at.v - canal
    # Forward of the curve the tunnel widens to a groove that runs outwards.
    wide = 1 + 0.025 * np.clip(at.v, 0, 14)
    centre = FORAMEN_MEDIAL_MM[index] + apart + half_width
    centre = centre + params.foramen_out * np.clip(at.v, canal, 14) * (1 - 0.12 * index)
    shift = params.foramen_shift_mm[own] + 0.12 * forward
    along = (at.segment - index - 1) * SEGMENT_MM[index] - shift
    # Oval, the lateral end higher than the medial one, no two of them alike.
    tilt = 0.35 + 3 * skew
    oval = along + tilt * np.clip(at.x - centre, -10, 10)
    narrow = np.where(forward > 0, wide, np.clip(1 + 0.14 * forward, 0.42, 1.0))
    across = (at.x - centre) / (half_width * wide * narrow)
    up = oval / (half_height * narrow)
    tunnel = (np.sqrt(across**2 + up**2) - 1) * half_height * narrow
    tunnel = np.maximum(tunnel, 0.7 * (at.v - 15))
    root = np.sqrt((forward + 1) ** 2 + along**2) - half_height * 0.7
    root = np.maximum(root, np.maximum(at.x - centre, 4 - at.x))
    return np.asarray(np.minimum(tunnel, root), dtype=np.float32)


def zone(at: SacralPlace, params: SacrumParams, segments: int) -> Array:
    """``lateral`` of SacrumField, without its sign."""
    knots, pairs = np.arange(7.0), max(segments - 1, 4)
    width = np.array(FORAMEN_HALF_WIDTH_MM)[:pairs]
    apart = params.foramen_apart_mm + params.foramen_apart_mm[3:]
    border = (np.array(FORAMEN_MEDIAL_MM) + np.array(apart))[:pairs]
    medial_at = np.concatenate([[17.0], border, [9.0, 6.0]])[:7]
    lateral_at = np.concatenate([[29.5], border + 2 * width + 2, [15.0, 9.0]])[:7]
    clipped = np.clip(at.segment, 0, 6)
    medial = np.interp(clipped, knots, medial_at).astype(np.float32)
    lateral = np.interp(clipped, knots, lateral_at).astype(np.float32)
    side, _ = mean.SIDE.at(at.level, np.clip(at.v, -12, 20))
    outer = np.maximum(side + np.float32(params.joint_slant) * (at.v - 5), lateral + 3)
    inside = at.x / medial
    corridor = 1 + (at.x - medial) / (lateral - medial)
    beyond = 2 + (at.x - lateral) / (outer - lateral)
    zone = np.where(at.x < medial, inside, np.where(at.x < lateral, corridor, beyond))
    return np.asarray(np.clip(zone, 0, 4), dtype=np.float32)
