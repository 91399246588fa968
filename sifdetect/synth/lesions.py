"""What fractures do to the bone: gap, edema, sclerosis, and a bent cortex."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, Side
from sifdetect.synth.fracture import FractureParams, Stage
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.shape import BoneField
from sifdetect.synth.sheets import Course, Limb, distance_mm

LABEL_HALF_WIDTH_MM = 1.1
"""Half the width of a line in the label map: thinner ones would fall apart at 1.5 mm."""
BENT_MM = 1.8
"""How far a bent anterior cortex stands out; the torus fractures of adults are subtle."""
STRENGTH = {
    Stage.ACUTE: (1.0, 0.2),  # impacted trabeculae, too faint to be labelled
    Stage.SUBACUTE: (0.8, 0.45),
    Stage.CHRONIC: (0.25, 1.0),
    Stage.HEALED: (0.0, 0.7),
}
"""Strength of edema and of sclerosis by stage, 0-1."""


@dataclass(frozen=True)
class LesionField:
    """Lesions at a set of points.

    Attributes:
        lucency: 0–1, share of a voxel taken by the gap of a line (before blurring).
        edema, sclerosis: 0–1, strength.
        limb: 0 none, n the n-th of ``sheets`` whose line or edema it is.
        line: True in a line as labelled.
    """

    lucency: Array
    edema: Array
    sclerosis: Array
    limb: NDArray[np.uint8]
    line: NDArray[np.bool_]

    @staticmethod
    def none(shape: tuple[int, ...]) -> LesionField:
        """No lesion anywhere."""
        lucency, edema, sclerosis = (np.zeros(shape, dtype=np.float32) for _ in range(3))
        return LesionField(
            lucency, edema, sclerosis, np.zeros(shape, np.uint8), np.zeros(shape, bool)
        )

    def at(self, index: NDArray[np.intp]) -> LesionField:
        """The lesions at some of the points, given by their flat index."""
        return LesionField(*(getattr(self, f.name).reshape(-1)[index] for f in fields(self)))

    def put(self, index: NDArray[np.intp], part: LesionField) -> None:
        """Replace the lesions at some of the points, given by their flat index."""
        for item in fields(self):
            getattr(self, item.name).reshape(-1)[index] = getattr(part, item.name)

    def add(self, wound: Wound, distance: Array, voxel_mm: float) -> None:
        """Put one sheet, at unsigned ``distance`` (mm) of every point, into the fields."""
        wet, dense = STRENGTH[wound.stage]
        reach = wound.edema_mm * (1 + 0.35 * wound.margin)
        swelling = np.clip(1.6 - 1.3 * distance / np.maximum(reach, 1), 0, 1) * wound.bone
        np.maximum(self.edema, swelling * wet, out=self.edema)
        touched = swelling > 0.35
        if not wound.lineless:
            band = np.exp(-((distance / 4.5) ** 2)) * wound.bone
            np.maximum(self.sclerosis, band * dense, out=self.sclerosis)
            touched |= band > 0.5
            if wound.stage is not Stage.HEALED:
                self._part(wound, distance, voxel_mm)
        self.limb[(self.limb == 0) & touched] = wound.number

    def _part(self, wound: Wound, distance: Array, voxel_mm: float) -> None:
        half = wound.width_mm / 2
        gap = np.clip((half - distance) / voxel_mm + 0.5, 0, 1) * min(1.0, 2 * half / voxel_mm)
        np.maximum(self.lucency, gap * wound.bone, out=self.lucency)
        here = wound.bone & (distance < max(half, LABEL_HALF_WIDTH_MM))
        self.line[here] = True
        self.limb[here] = wound.number


@dataclass(frozen=True)
class Wound:
    """What a sheet does to the bone around it.

    Attributes:
        bone: True in the bone that it breaks. margin: waves of the edema's border, unit variance.
        number: among all sheets of a case, from 1.
        lineless: True where bone is bruised or bent without a gap.
    """

    bone: NDArray[np.bool_]
    margin: Array
    number: int
    stage: Stage
    width_mm: float
    edema_mm: float
    lineless: bool = False


def evaluate(
    params: FractureParams, points: Points, bones: BoneField, voxel_mm: float
) -> LesionField:
    """All fractures at points in the pelvic frame; ``voxel_mm`` blurs the gap."""
    field = LesionField.none(points.x.shape)
    if not params.sheets:
        return field
    there = np.flatnonzero(np.isin(bones.labels, [int(label) for label in SACRUM_LABELS]))
    sacral, labels = np.ones(len(there), bool), bones.labels.reshape(-1)[there]
    body = (labels == AnatomyLabel.SACRAL_BODY) & (bones.level.reshape(-1)[there] < 1)
    margin = params.margin.at(points).reshape(-1)[there]
    last, broken = len(params.sheets), LesionField.none(there.shape)
    parts = [(sheet, n, sacral) for n, sheet in enumerate(params.sheets, start=1)]
    parts += [(sheet, last, body) for sheet in params.fragments]
    for sheet, number, bone in parts:
        lineless = isinstance(sheet, Limb) and sheet.lineless
        wound = Wound(bone, margin, number, params.stage, sheet.width_mm, sheet.edema_mm, lineless)
        broken.add(wound, distance_mm(sheet, points, bones, there), voxel_mm)
    field.put(there, broken)
    return field


def bend(params: FractureParams, points: Points, bones: BoneField) -> None:
    """Let the anterior cortex stand out along every limb of that course, in place."""
    for limb in params.limbs:
        if limb.course is not Course.BUCKLE:
            continue
        near = np.abs(bones.lateral) > 1.8
        near &= (bones.lateral > 0) == (limb.side is Side.LEFT)
        near &= (np.abs(bones.sacrum_mm) < 8) & (bones.v_mm > -14) & (bones.labels < 6)
        distance = distance_mm(limb, points, bones)
        depth = bones.depth_mm + BENT_MM * np.exp(-((distance / 3.0) ** 2)).astype(np.float32)
        grown = near & (bones.labels == 0) & (depth > 0)
        bones.depth_mm[near] = depth[near]
        left = limb.side is Side.LEFT
        bones.labels[grown] = (
            AnatomyLabel.SACRAL_ALA_LEFT if left else AnatomyLabel.SACRAL_ALA_RIGHT
        )
