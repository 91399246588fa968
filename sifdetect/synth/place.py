"""Where points lie relative to the bones and the skin, on a coarse lattice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.shape import BoneField
from sifdetect.synth.spine import SpineCurve

DORSAL_S_MM = np.array([-150.0, -40.0, 0.0, 42.0, 65.0, 85.0, 105.0])
DORSAL_V_MM = np.array([-30.0, -30.0, -31.0, -25.0, -18.0, -13.0, -7.0])
"""Dorsal surface of laminae and sacrum beside the crest, along the curve (sacrum.py)."""
WING_Y_MM = np.array([-75.0, -66.0, -55.0, -36.0, -3.0, 22.0, 52.0, 75.0])
WING_X_MM = np.array([38.0, 42.0, 45.0, 62.0, 87.0, 106.0, 118.0, 122.0])
"""Middle of the iliac wing, 17 mm below the S1 end plate (hip.py)."""


@dataclass(frozen=True)
class Place:
    """Points of the lattice and their coordinates; arrays of one shape, millimetres.

    Attributes:
        at: position in the pelvic frame, perhaps warped; ``side`` is its distance from the midline.
        straight: where the points would lie beside a mean, straight spine.
        x, s, v: along the spine's curve.
        sacrum, wing: distance to sacrum and hip bone, positive outside, up to about 20.
        wall: distance to the deep surface of the subcutaneous fat, negative inside.
        scale: size of the pelvis relative to the mean.
    """

    at: Points
    side: Array
    straight: Points
    x: Array
    s: Array
    v: Array
    sacrum: Array
    wing: Array
    wall: Array
    scale: float

    @staticmethod
    def on(
        lattice: Lattice, points: Points, bones: BoneField, *, wall: Array, curve: SpineCurve
    ) -> Place:
        """The lattice among ``points``, the place of ``bones``; ``wall`` is on the lattice."""
        at = lattice.points(points)
        x, s, v, sacrum, wing = (
            lattice.taken(values)
            for values in (bones.x_mm, bones.s_mm, bones.v_mm, bones.sacrum_mm, bones.wing_mm)
        )
        straight = curve.straightened(at, x, s, v)
        return Place(at, np.abs(at.x), straight, x, s, v, sacrum, wing, wall, curve.scale)

    def moved(self, to: Points) -> Place:
        """The place with its points displaced; distances to the bones stay."""
        dx, dy, dz = to.x - self.at.x, to.y - self.at.y, to.z - self.at.z
        along = self.straight
        return replace(
            self,
            at=to,
            side=np.abs(to.x),
            straight=Points(along.x + dx, along.y + dy, along.z + dz),
            x=self.x + dx,
            s=self.s - dz,
            v=self.v + dy,
        )

    def along_spine(self) -> Place:
        """The place seen from the spine: for what follows it to where it runs."""
        return replace(self, at=self.straight, side=np.abs(self.straight.x))

    @property
    def behind(self) -> Array:
        """Distance behind the dorsal surface of laminae and sacrum."""
        face = np.interp(self.s, DORSAL_S_MM * self.scale, DORSAL_V_MM * self.scale)
        return np.asarray(face - self.v, dtype=np.float32)

    @property
    def outside_wing(self) -> Array:
        """Distance lateral to the middle of the iliac wing; negative in the pelvis."""
        middle = np.interp(self.at.y / self.scale, WING_Y_MM, WING_X_MM) * self.scale
        flare = 0.25 * (np.clip(self.at.z, -75, 45) + 17)
        return np.asarray(self.side - middle - flare, dtype=np.float32)


def tube(
    place: Place, path: tuple[tuple[float, float, float], ...], radius_mm: tuple[float, ...]
) -> Array:
    """Signed distance to a tube on both sides through points of the mean pelvis.

    Args:
        path: (lateral, anterior, cranial) of each knot; scaled to the pelvis.
        radius_mm: one for each knot, not scaled; linear in between.
    """
    result = np.full(place.side.shape, 99.0, dtype=np.float32)
    position = (place.side, place.at.y, place.at.z)
    for k in range(len(path) - 1):
        a, b = np.array(path[k]) * place.scale, np.array(path[k + 1]) * place.scale
        way = b - a
        offset = [position[i] - np.float32(a[i]) for i in range(3)]
        along = sum(offset[i] * np.float32(way[i]) for i in range(3)) / np.float32(way @ way)
        along = np.clip(along, 0, 1)
        square = sum((offset[i] - along * np.float32(way[i])) ** 2 for i in range(3))
        radius = np.float32(radius_mm[k]) + along * np.float32(radius_mm[k + 1] - radius_mm[k])
        result = np.minimum(result, np.sqrt(square) - radius)
    return np.asarray(result, dtype=np.float32)
