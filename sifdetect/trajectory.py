"""Straight lines of access through an ala: those that are tried, and what each comes close to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sifdetect.anatomy import AnatomyLabel, SacralLevel, Side
from sifdetect.components import Points, Sacrum
from sifdetect.volume import Floats

NEAR_MM = 5.0
"""Fracture this close to a line counts as reached by it: cement spreads about a centimetre wide."""

CLEAR_MM = 2.5
"""Least distance of a line to foramina, canal, joint and ventral cortex: the radius of an 11 G
needle, 1.5 mm, and 1 mm."""

IN_BONE = 0.97
"""Share of a line that lies in bone: the cut corner of a voxel is forgiven."""

TIP_MM = 5.0
"""Least distance of the tip to any cortex."""

ROOMY_MM = 8.0
"""Beyond this, more room is worth nothing."""

SKIN_MM = 80.0
"""Length of the way to the bone that is looked at."""

_STEP_MM = 1.5
_LEAVES_MM = 4.5
_BLOCKING = (
    AnatomyLabel.HIP_RIGHT,
    AnatomyLabel.HIP_LEFT,
    AnatomyLabel.L5,
    AnatomyLabel.LUMBAR,
    AnatomyLabel.SACRAL_BODY,
    AnatomyLabel.SACRAL_CORRIDOR_RIGHT,
    AnatomyLabel.SACRAL_CORRIDOR_LEFT,
    AnatomyLabel.SACRAL_ALA_RIGHT,
    AnatomyLabel.SACRAL_ALA_LEFT,
)


@dataclass(frozen=True)
class Lines:
    """Straight lines in the sacral frame, mm: (n, 3) entries and (n, 3) targets."""

    entry: Floats
    target: Floats

    def __len__(self) -> int:
        return len(self.entry)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Lines:
        """Some of the lines."""
        return Lines(self.entry[chosen], self.target[chosen])

    @cached_property
    def length_mm(self) -> Floats:
        """(n,) from entry to target."""
        return np.asarray(np.linalg.norm(self.target - self.entry, axis=1))

    @cached_property
    def direction(self) -> Floats:
        """(n, 3) unit vectors from entry to target."""
        return np.asarray((self.target - self.entry) / self.length_mm[:, None])

    def distance_mm(self, points_mm: Floats) -> Floats:
        """(n, m) distance of points (m, 3) to each line between its ends."""
        gap = points_mm[None] - self.entry[:, None]
        along = np.einsum("nmk,nk->nm", gap, self.direction)
        along = np.clip(along, 0, self.length_mm[:, None])
        square = np.einsum("nmk,nmk->nm", gap, gap)
        cross = np.einsum("nmk,nk->nm", gap, self.direction)
        return np.asarray(np.sqrt(np.maximum(square - 2 * along * cross + along**2, 0)))


@dataclass(frozen=True)
class Ala:
    """One half of a sacrum as a line of access meets it.

    Attributes:
        sacrum: the bone.
        fracture_mm: (m, 3) voxels of the fracture in the sacral frame.
    """

    sacrum: Sacrum
    side: Side
    fracture_mm: Floats

    @property
    def sign(self) -> float:
        """+1 on the patient's left, as the frame's x."""
        return 1.0 if self.side is Side.LEFT else -1.0

    @cached_property
    def half(self) -> Points:
        """Bone of ala and corridor."""
        return self.sacrum.halves[self.side]

    @cached_property
    def foramina_mm(self) -> dict[SacralLevel, Floats]:
        """Voxels of each foramen of the side in the sacral frame."""
        return {
            level: points
            for (side, level), points in sorted(
                self.sacrum.foramina_mm.items(), key=lambda item: item[0][1]
            )
            if side is self.side
        }

    @cached_property
    def anterior_mm(self) -> Floats:
        """(n, 3) ventral surface of the half."""
        return self._surface(+1)[0]

    @cached_property
    def dorsal(self) -> tuple[Floats, Floats]:
        """(n, 3) dorsal surface of the half but for what faces the joint; (n,) its level."""
        points, level = self._surface(-1)
        face = self.sacrum.joint_mm[self.side]
        if len(face) == 0 or len(points) == 0:
            return points, level
        free = cKDTree(face).query(points)[0] > CLEAR_MM
        return points[free], level[free]

    def _surface(self, ventral: int) -> tuple[Floats, Floats]:
        """The first voxel of bone of each row from front to back (+1), or from back to front."""
        bone = self.half
        if len(bone) == 0:
            return np.zeros((0, 3)), np.zeros(0)
        across = bone.frame_mm[:, [0, 2]]
        # From a voxel's own centre on: between two of them rounding would be a matter of noise.
        bins = np.rint((across - across[0]) / self.sacrum.voxel_mm).astype(int)
        _, which = np.unique(bins, axis=0, return_inverse=True)
        outermost = np.full(which.max() + 1, -np.inf)
        np.maximum.at(outermost, which.ravel(), ventral * bone.frame_mm[:, 1])
        first = ventral * bone.frame_mm[:, 1] == outermost[which.ravel()]
        return bone.frame_mm[first], bone.level[first].astype(np.float64)

    def least_mm(self, line: Lines, wall_mm: Floats) -> float | None:
        """Distance of one line to the nearest face of some voxels, 0 inside; None without any."""
        if len(wall_mm) == 0:
            return None
        nearest = float(line.distance_mm(wall_mm).min())
        return max(0.0, nearest - self.sacrum.voxel_mm / 2)

    def room_mm(self, lines: Lines) -> Floats:
        """(n,) least distance of each line to foramina, canal, joint and ventral cortex, about."""
        joint = self.sacrum.joint_mm[self.side]
        walls = [*self.foramina_mm.values(), self.sacrum.canal_mm, joint, self.anterior_mm]
        known = [wall for wall in walls if len(wall)]
        if not known:
            return np.full(len(lines), ROOMY_MM)
        gap = cKDTree(np.concatenate(known)).query(_samples(lines), distance_upper_bound=20.0)[0]
        return np.asarray(gap.min(axis=1) - self.sacrum.voxel_mm / 2)

    def tip_mm(self, lines: Lines) -> Floats:
        """(n,) distance of the tips to the nearest surface of the sacrum."""
        return np.asarray(self.sacrum.surface.query(lines.target)[0])

    def in_bone(self, lines: Lines) -> Floats:
        """(n,) share of each line that lies in sacral bone."""
        return np.asarray(self._holds(_samples(lines), self.sacrum.mask).mean(axis=1))

    def approachable(self, lines: Lines) -> NDArray[np.bool_]:
        """(n,) True where no bone lies on the way from the skin to the entry, as far as in view."""
        values = self.sacrum.segmentation.anatomy.values
        back = np.arange(_LEAVES_MM, SKIN_MM, _STEP_MM)
        way = lines.entry[:, None] - lines.direction[:, None] * back[None, :, None]
        return np.asarray(~self._holds(way, np.isin(values, _BLOCKING)).any(axis=1))

    def share(self, lines: Lines) -> Floats:
        """(n,) share of the fracture within NEAR_MM of each line."""
        points = self.fracture_mm[:: max(1, len(self.fracture_mm) // 500)]
        if len(points) == 0:
            return np.zeros(len(lines))
        return np.asarray((lines.distance_mm(points) <= NEAR_MM).mean(axis=1))

    def _holds(self, points_mm: Floats, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(…,) value of a mask at points (…, 3) of the sacral frame; False outside the grid."""
        segmentation = self.sacrum.segmentation
        place = segmentation.frame.to_lps_mm(points_mm)
        index = np.rint(segmentation.grid.mm_to_index(place)).astype(int)
        inside = ((index >= 0) & (index < np.array(mask.shape))).all(axis=-1)
        index[~inside] = 0
        return np.asarray(mask[tuple(np.moveaxis(index, -1, 0))] & inside)


def best(ala: Ala, lines: Lines, wish_mm: Floats) -> tuple[Lines, bool] | None:
    """The line to name, and whether it is clear; None where none stays in the bone.

    Of the lines that lie in bone, can be reached from behind and keep CLEAR_MM and TIP_MM, that
    with most of the fracture within NEAR_MM; a millimetre more room up to ROOMY_MM weighs as much
    as 2 % of the fracture, a millimetre of ``wish_mm`` as much as 1 %. Where none keeps them, the
    one with the most room.

    Args:
        lines: to choose from.
        wish_mm: (n,) how far each is from what was wished for; any measure in mm.
    """
    if len(lines) == 0:
        return None
    for holds in (lambda some: ala.in_bone(some) >= IN_BONE, ala.approachable):
        kept = holds(lines)
        lines, wish_mm = lines.only(kept), wish_mm[kept]
        if len(lines) == 0:
            return None
    room, tip = ala.room_mm(lines), ala.tip_mm(lines)
    clear = (room >= CLEAR_MM) & (tip >= TIP_MM)
    worth = ala.share(lines) + 0.02 * np.minimum(room, ROOMY_MM) - 0.01 * wish_mm
    if not clear.any():
        worth = np.minimum(room - CLEAR_MM, tip - TIP_MM)
    worth = np.where(clear | ~clear.any(), worth, -np.inf)
    # Rounded, so that lines of equal worth are told apart by their order and not by noise.
    chosen = int(np.argmax(np.round(worth, 6)))
    return lines.only(np.array([chosen])), bool(clear[chosen])


def _samples(lines: Lines) -> Floats:
    """(n, m, 3) points along each line, at most _STEP_MM apart."""
    count = int(np.ceil(lines.length_mm.max() / _STEP_MM)) + 1
    share = np.linspace(0, 1, max(count, 2))
    return lines.entry[:, None] + share[None, :, None] * (lines.target - lines.entry)[:, None]
