"""An S1 that is broken into several fragments, told by the lines in its body."""

from __future__ import annotations

import numpy as np

from sifdetect.anatomy import AnatomyLabel
from sifdetect.components import Points, Sacrum, plane_normal
from sifdetect.measurements import TransverseLimb

AWAY_LEVELS = 0.25
"""Lines farther than this, 7 mm, from a transverse limb are none of its waves."""

IN_S1 = 1.2
"""A transverse limb above this breaks S1 or its lower end plate."""


def comminution_mm3(sacrum: Sacrum, line: Points, limb: TransverseLimb) -> float:
    """Volume of a line's voxels in the S1 body that lie away from its transverse limb.

    Where the limb lies below S1, one further sheet parts that body in two; only lines that make no
    single plane leave it in several fragments, and count.
    """
    away = np.abs(line.level - limb.level) > AWAY_LEVELS
    fragments = line.only(away & (line.level < 1.0)).of(AnatomyLabel.SACRAL_BODY)
    if limb.level >= IN_S1 and plane_normal(fragments.frame_mm) is not None:
        return 0.0
    return sacrum.volume_mm3(fragments)
