"""Where bone cement lies on a CT: in an ala, a foramen, the canal, or outside the cortex."""

from __future__ import annotations

import numpy as np

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, SacralLevel, Side
from sifdetect.components import HALF, Points, Sacrum, lesion
from sifdetect.measurements import SIDES
from sifdetect.mimics import MIN_CEMENT_MM3
from sifdetect.sacroplasty import Cement, CementSide
from sifdetect.voxels import joined

EDGE_VOXELS = 1.5
"""Cement this close to the bone is the bone's: a voxel of the edge is part bone, part not."""

_FORAMINA = {
    Side.RIGHT: AnatomyLabel.SACRAL_FORAMEN_RIGHT,
    Side.LEFT: AnatomyLabel.SACRAL_FORAMEN_LEFT,
}


def cement_of(sacrum: Sacrum) -> Cement | None:
    """Volume of cement by place; None where there are less than MIN_CEMENT_MM3 in the sacrum.

    Lumps that reach into neither the sacrum nor its foramina or canal (that of a vertebroplasty or
    a hip prosthesis) are left out. Voxels in a foramen or the canal count there; what lies in none
    of them and more than EDGE_VOXELS from the bone is outside the cortex.
    """
    points = _of_the_sacrum(sacrum)
    if points is None:
        return None
    label = sacrum.segmentation.anatomy.values[tuple(points.index.T)]
    canal = label == AnatomyLabel.SACRAL_CANAL
    hole = np.isin(label, list(_FORAMINA.values()))
    off = sacrum.surface.query(points.frame_mm)[0]
    bone = np.isin(label, SACRUM_LABELS)
    outside = ~bone & ~canal & ~hole & (off > EDGE_VOXELS * sacrum.voxel_mm)
    rest = points.only(~canal & ~hole & ~outside)
    return Cement(
        sides=tuple(
            CementSide(
                side=side,
                bone_mm3=sacrum.volume_mm3(rest.of(*HALF[side])),
                foramen_mm3=_by_foramen(sacrum, points.only(label == _FORAMINA[side])),
            )
            for side in SIDES
        ),
        body_mm3=sacrum.volume_mm3(rest.of(AnatomyLabel.SACRAL_BODY)),
        canal_mm3=sacrum.volume_mm3(canal),
        outside_mm3=sacrum.volume_mm3(outside),
    )


def _of_the_sacrum(sacrum: Sacrum) -> Points | None:
    """The voxels of all lumps of cement that lie in the sacrum, its foramina or its canal, or
    reach into them."""
    points = sacrum.points(lesion(sacrum.segmentation, LesionBit.CEMENT))
    if len(points) == 0:
        return None
    label = sacrum.segmentation.anatomy.values[tuple(points.index.T)]
    inside = np.isin(label, (*SACRUM_LABELS, *_FORAMINA.values(), AnatomyLabel.SACRAL_CANAL))
    number = joined(points.index, sacrum.segmentation.grid.spacing_mm, 0.0)
    touching = np.isin(number, np.unique(number[inside]))
    points = points.only(touching)
    return points if sacrum.volume_mm3(points) >= MIN_CEMENT_MM3 else None


def _by_foramen(sacrum: Sacrum, points: Points) -> dict[SacralLevel, float]:
    """Volume by level; the S1 foramen lies between S1 and S2, around 1 on the level scale.

    In a sacrum of six segments there is one below S5, around 5; it is not the fourth.
    """
    nearest = np.clip(np.rint(points.level), 1, 5).astype(int)
    return {
        SacralLevel(level): sacrum.volume_mm3(nearest == level)
        for level in np.unique(nearest).tolist()
    }
