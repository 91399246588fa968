"""What is seen in the pelvis and must not be called a fracture of the sacrum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sifdetect.anatomy import AnatomyLabel, LesionBit, Side
from sifdetect.components import Points, Sacrum, lesion
from sifdetect.findings import OtherFinding
from sifdetect.gaps import closer
from sifdetect.voxels import Mask, joined

SACROILIAC_EDEMA = "sacroiliac edema"
SACROILIAC_EDEMA_AND_LINE = "sacroiliac edema with a line along the joint"
"""Kinds of other findings."""

MIN_MASS_MM3 = 500.0
"""A ball 10 mm across: smaller round lesions (bone islands, cysts) are common and mean little."""

MIN_CEMENT_MM3 = 100.0
"""A tenth of a millilitre; a sacroplasty leaves 3–8 ml in an ala."""

MIN_ILIAC_EDEMA_MM3 = 300.0
"""A layer 3 mm deep over 1 cm², beyond what one voxel of blur across the joint makes."""

MIN_ILIAC_LINE_MM3 = 80.0
"""As for a line in the sacrum."""

ILIAC_DEPTH_MM = 4.0
"""Iliac edema counts beyond this distance from the sacrum: joint width and one voxel of blur."""

SUBCHONDRAL_MM = 12.0
"""Edema that stays this close to the joint face follows the joint, not the load path of the ala."""

SUBCHONDRAL_SHARE = 0.75
"""Share of an ala's edema within SUBCHONDRAL_MM that makes it subchondral."""

LINE_SHARE = 0.9
"""Share of a line within SUBCHONDRAL_MM of the joint face that makes it the joint's: erosions, and
the bony plate between two layers of edema."""

MASS_MARGIN_MM = 10.0
"""Edema this close to a mass is taken for the mass's own."""

_BRIDGED_MM = 3.0
_HIPS = {Side.RIGHT: AnatomyLabel.HIP_RIGHT, Side.LEFT: AnatomyLabel.HIP_LEFT}


@dataclass(frozen=True)
class Mimics:
    """What is set aside before fractures are named.

    Attributes:
        findings: to be reported as other findings.
        near_mass: bool of the grid's shape: voxels of a mass and MASS_MARGIN_MM around it.
    """

    findings: tuple[OtherFinding, ...]
    near_mass: Mask


def find(sacrum: Sacrum) -> Mimics:
    """Masses, cement and lines in the hip bones."""
    segmentation = sacrum.segmentation
    masses = list(_lumps(sacrum, lesion(segmentation, LesionBit.MASS_LIKE), MIN_MASS_MM3))
    cement = list(_lumps(sacrum, lesion(segmentation, LesionBit.CEMENT), MIN_CEMENT_MM3))
    hip = np.isin(segmentation.anatomy.values, list(_HIPS.values()))
    broken = lesion(segmentation, LesionBit.FRACTURE_LINE) & hip
    lines = list(_lumps(sacrum, broken, MIN_ILIAC_LINE_MM3))
    named = (("mass-like", masses), ("cement", cement), ("line in the hip bone", lines))
    return Mimics(
        findings=tuple(_finding(kind, sacrum, lump) for kind, lumps in named for lump in lumps),
        near_mass=_near(sacrum, masses),
    )


def sacroiliac_edema(
    sacrum: Sacrum, edema: Points, line: Points, side: Side
) -> OtherFinding | None:
    """Edema on both sides of one sacroiliac joint that stays close to it; None where it is not so.

    Subchondral edema with a counterpart in the ilium is the pattern of sacroiliac joint disease
    (Lambert 2016, Ann Rheum Dis 75:1958); that of a fracture lies in the ala, away from the joint.
    A line that follows the joint as well is told with it; any other speaks for a fracture.

    Args:
        sacrum: the bone.
        edema: edema of the sacrum on that side.
        line: the fracture line of that side; may be empty.
        side: of the patient.
    """
    iliac = _iliac_edema(sacrum, side)
    if sacrum.volume_mm3(iliac) < MIN_ILIAC_EDEMA_MM3 or not follows_joint(sacrum, edema, side):
        return None
    if len(line) and not follows_joint(sacrum, line, side, LINE_SHARE):
        return None
    return OtherFinding(
        kind=SACROILIAC_EDEMA_AND_LINE if len(line) else SACROILIAC_EDEMA,
        side=side,
        centroid_lps_mm=sacrum.centroid_lps_mm(np.concatenate([edema.index, iliac.index])),
        volume_mm3=sacrum.volume_mm3(edema) + sacrum.volume_mm3(iliac),
    )


def follows_joint(
    sacrum: Sacrum, points: Points, side: Side, share: float = SUBCHONDRAL_SHARE
) -> bool:
    """True where such a share of the points lie within SUBCHONDRAL_MM of the joint face."""
    face = sacrum.joint_mm[side]
    if len(points) == 0 or len(face) == 0:
        return False
    beside_joint = closer(points.frame_mm, face, SUBCHONDRAL_MM)
    return bool(beside_joint.mean() >= share)


def _iliac_edema(sacrum: Sacrum, side: Side) -> Points:
    segmentation = sacrum.segmentation
    hip = segmentation.anatomy.values == _HIPS[side]
    points = sacrum.points(lesion(segmentation, LesionBit.EDEMA) & hip)
    if len(points) == 0:
        return points
    depth = sacrum.surface.query(points.frame_mm)[0] - sacrum.voxel_mm
    return points.only((depth >= ILIAC_DEPTH_MM) & (depth <= ILIAC_DEPTH_MM + SUBCHONDRAL_MM))


def _lumps(sacrum: Sacrum, mask: Mask, least_mm3: float) -> Iterator[Points]:
    points = sacrum.points(mask)
    number = joined(points.index, sacrum.segmentation.grid.spacing_mm, _BRIDGED_MM)
    for n in np.unique(number):
        lump = points.only(number == n)
        if sacrum.volume_mm3(lump) >= least_mm3:
            yield lump


def _finding(kind: str, sacrum: Sacrum, lump: Points) -> OtherFinding:
    reach = (lump.offset_mm.min(), lump.offset_mm.max())
    middle = reach[0] < -sacrum.voxel_mm and reach[1] > sacrum.voxel_mm
    side = Side.LEFT if lump.offset_mm.mean() > 0 else Side.RIGHT
    return OtherFinding(
        kind=kind,
        side=Side.MIDLINE if middle else side,
        centroid_lps_mm=sacrum.centroid_lps_mm(lump.index),
        volume_mm3=sacrum.volume_mm3(lump),
    )


def _near(sacrum: Sacrum, masses: list[Points]) -> Mask:
    near = np.zeros(sacrum.segmentation.grid.shape, dtype=np.bool_)
    spacing = sacrum.segmentation.grid.spacing_mm
    margin = np.ceil(MASS_MARGIN_MM / spacing).astype(int)
    for mass in masses:
        low = np.maximum(mass.index.min(axis=0) - margin, 0)
        high = np.minimum(mass.index.max(axis=0) + margin + 1, near.shape)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        index = np.stack(np.meshgrid(*(np.arange(s.start, s.stop) for s in box), indexing="ij"), -1)
        inside = closer(index.reshape(-1, 3) * spacing, mass.index * spacing, MASS_MARGIN_MM)
        near[box] |= inside.reshape(index.shape[:-1])
    return near
