"""The midsagittal curve of lumbar spine and sacrum, and coordinates along it.

The curve runs through the centres of the vertebral bodies: ``s`` is its arc length from the S1
upper end plate, positive caudally; ``v`` the distance from it, positive ventrally.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from sifdetect.synth.noise import Array, Points
from sifdetect.synth.scoliosis import STRAIGHT, LateralCurve, Scoliosis

STEP_MM = 1.0
TOP_MM, BOTTOM_MM = -330.0, 190.0
TABLE_MM, TABLE_NODES = 4.0, 170
SACRAL_HEIGHTS_MM = (30.0, 25.5, 22.0, 18.0, 18.5)
"""S1 to S5 along the curve, together about 114 mm."""
SIXTH_MM = 15.0
"""Height of a sixth segment, that of a first coccygeal one (chosen)."""
KYPHOSIS_SHARE = (0.05, 0.12, 0.26, 0.32, 0.25)
"""Share of the sacral kyphosis in each segment, as in the Visible Human: S1 and S2 are nearly
straight, the bend is strongest at S4."""
WEDGE_SHARE = 0.6
"""The share of the S1 body's height over which its wedge turns the curve."""
DISC_MM = 9.0
VERTEBRA_MM = 28.0
LORDOSIS_DEG = (13.0, 9.0, 11.0, 4.0, 9.0, 1.0, 6.0, 0.0, 3.0, -1.0, 1.0, -2.0)
"""Wedging from the L5/S1 disc upwards: disc, vertebra, disc … (Been and Kalichman 2014)."""


LEAN_DEG = (-25.0, 12.0)
"""How far backwards and forwards T12 may lean, the sign as that of the sacral slope (chosen)."""


def balanced(lordosis: float, slope_deg: float) -> float:
    """The factor on LORDOSIS_DEG, brought to where the trunk stays above the pelvis.

    A steep sacrum needs a lordotic spine (lordosis follows the slope, Vialle 2005).
    """
    whole = float(sum(LORDOSIS_DEG))
    back, front = LEAN_DEG
    return float(np.clip(lordosis, (slope_deg - front) / whole, (slope_deg - back) / whole))


@dataclass(frozen=True)
class SpineCurve:
    """A midsagittal curve.

    Attributes:
        slope_deg: sacral slope, the angle of the S1 upper end plate to the horizontal.
        kyphosis_deg: angle by which the curve turns forward from S1 to the lower end of S5.
        scale: size relative to the mean adult.
        lordosis: factor on LORDOSIS_DEG.
        wedge_deg: of the S1 body, which is higher in front; the curve leaves the end plate at a
            right angle and turns back by this before the kyphosis turns it forward.
        heights: (S1 … S5) factor on SACRAL_HEIGHTS_MM.
        bends: share of the kyphosis in S1 … S5, together 1.
        segments: how many of them the sacrum has; with four, what would be S5 is the first free
            coccygeal segment, with six the first coccygeal one is a segment of the sacrum.
        scoliosis: how the spine above the sacrum runs sideways.
    """

    slope_deg: float
    kyphosis_deg: float
    scale: float
    lordosis: float
    wedge_deg: float = 0.0
    heights: tuple[float, ...] = (1.0,) * 5
    bends: tuple[float, ...] = KYPHOSIS_SHARE
    segments: int = 5
    scoliosis: Scoliosis = STRAIGHT

    @cached_property
    def level_bounds_mm(self) -> NDArray[np.float64]:
        """(6,) arc length at the S1 upper end plate, S1/S2, … and the lower end of S5."""
        heights = np.array(SACRAL_HEIGHTS_MM) * np.array(self.heights)
        return np.concatenate([[0.0], np.cumsum(heights)]) * self.scale

    @property
    def sacral_end_mm(self) -> float:
        """Arc length at the lower end of the last sacral segment."""
        if self.segments > 5:
            return float(self.level_bounds_mm[5]) + SIXTH_MM
        return float(self.level_bounds_mm[self.segments])

    @cached_property
    def vertebra_bounds_mm(self) -> list[tuple[float, float]]:
        """(upper, lower) arc length of L5, L4, … T12, both negative."""
        bounds = []
        for index in range(len(LORDOSIS_DEG) // 2):
            lower = -(index + 1) * DISC_MM - index * VERTEBRA_MM
            bounds.append(((lower - VERTEBRA_MM) * self.scale, lower * self.scale))
        return bounds

    @cached_property
    def _line(self) -> tuple[Array, Array, Array]:
        """Arc length, angle (rad) and (n, 2) position (y, z) of the curve's points."""
        s = np.arange(TOP_MM, BOTTOM_MM + STEP_MM, STEP_MM)
        up = -np.cumsum(np.tile([DISC_MM, VERTEBRA_MM], 6)) * self.scale
        up_angle = -np.cumsum(LORDOSIS_DEG) * self.lordosis
        down_angle = -np.cumsum(self.bends) * self.kyphosis_deg
        knots = np.concatenate([up[::-1], self.level_bounds_mm, [self.level_bounds_mm[-1] + 35]])
        turn = np.concatenate([up_angle[::-1], [0.0], down_angle, [down_angle[-1] - 25]])
        wedged = np.interp(s, [0.0, WEDGE_SHARE * self.level_bounds_mm[1]], [0.0, self.wedge_deg])
        angle = np.radians(self.slope_deg + wedged + np.interp(s, knots, turn))
        angle = ndimage.gaussian_filter1d(angle, 4.0)
        step = np.stack([-np.sin(angle), -np.cos(angle)], -1) * STEP_MM
        position = np.cumsum(step, axis=0)
        position -= position[int(np.argmin(np.abs(s)))]
        return s.astype(np.float32), angle.astype(np.float32), position.astype(np.float32)

    @cached_property
    def lateral(self) -> LateralCurve:
        """How the curve runs sideways."""
        return self.scoliosis.curve(self.scale)

    def position_mm(self, s_mm: float, v_mm: float = 0.0, x_mm: float = 0.0) -> NDArray[np.float64]:
        """(3,) pelvic-frame position of a point (x, s, v)."""
        return np.asarray(self.positions_mm(np.array([[x_mm, s_mm, v_mm]]))[0])

    def positions_mm(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) pelvic-frame positions of (n, 3) points (x, s, v)."""
        line, angle, position = self._line
        bent = self.lateral.bent(*(places[:, axis].astype(np.float64) for axis in range(3)))
        x, s, v = (np.asarray(value, dtype=np.float64) for value in bent)
        a = np.interp(s, line, angle)
        y = np.interp(s, line, position[:, 0]) + v * np.cos(a)
        z = np.interp(s, line, position[:, 1]) - v * np.sin(a)
        return np.stack([x, y, z], axis=-1)

    @cached_property
    def _table(self) -> tuple[NDArray[np.float64], Array, Array]:
        """Origin (y, z) and the values of s and v on a lattice of ``TABLE_MM``."""
        s, angle, position = self._line
        origin = np.array([-320.0, -320.0])
        axis_y = origin[0] + TABLE_MM * np.arange(TABLE_NODES)
        axis_z = origin[1] + TABLE_MM * np.arange(TABLE_NODES)
        nodes = np.stack(np.meshgrid(axis_y, axis_z, indexing="ij"), -1)
        _, nearest = cKDTree(position).query(nodes.reshape(-1, 2))
        offset = nodes.reshape(-1, 2) - position[nearest]
        a = angle[nearest]
        along = -offset[:, 0] * np.sin(a) - offset[:, 1] * np.cos(a)
        ventral = offset[:, 0] * np.cos(a) - offset[:, 1] * np.sin(a)
        shape = nodes.shape[:2]
        arc = (s[nearest] + along).reshape(shape).astype(np.float32)
        return origin, arc, ventral.reshape(shape).astype(np.float32)

    def coordinates(self, points: Points) -> tuple[Array, Array]:
        """Arc length ``s`` and ventral offset ``v`` of every point, of the points' shape, mm.

        Those along the midsagittal curve, whatever the scoliosis.
        """
        origin, arc, ventral = self._table
        index = [(points.y - origin[0]) / TABLE_MM, (points.z - origin[1]) / TABLE_MM]
        s = ndimage.map_coordinates(arc, index, order=1, mode="nearest")
        v = ndimage.map_coordinates(ventral, index, order=1, mode="nearest")
        return s, v

    def place(self, points: Points) -> tuple[Array, Array, Array]:
        """Lateral position, arc length and ventral offset of every point along the bent curve."""
        return self.lateral.straightened(points.x, *self.coordinates(points))

    def straightened(self, points: Points, x: Array, s: Array, v: Array) -> Points:
        """Where points at (x, s, v), as ``place`` gives them, would lie beside a mean spine.

        So muscles and vessels that are given for that one follow a scoliosis and any lordosis.
        """
        if self.scoliosis == STRAIGHT:
            return Points(points.x, points.y + self._recess(points.z), points.z)
        x0, s0, v0 = self.lateral.bent(x, s, v)
        along, angle, _ = self._line
        a = np.interp(s0, along, angle).astype(np.float32)
        ds, dv = s - s0, v - v0
        forward, up = np.cos(a) * dv - np.sin(a) * ds, -np.cos(a) * ds - np.sin(a) * dv
        z = points.z + up
        return Points(points.x + x - x0, points.y + forward + self._recess(z), z)

    def _recess(self, z: Array) -> Array:
        """How much further back than a mean one of its size the spine lies at a height, mm."""
        usual = replace(_USUAL, scale=self.scale)
        own, mean = (
            np.interp(z, line[::-1, 1], line[::-1, 0]) for line in (self._line[2], usual._line[2])
        )
        share = np.clip(z / (40 * self.scale), 0, 1)
        return np.asarray((mean - own) * share, dtype=np.float32)

    @property
    def front_mm(self) -> float:
        """How far forward the curve comes from the S1 end plate up to L2."""
        s, _, position = self._line
        return float(position[(s > -160 * self.scale) & (s < 0), 0].max())

    def side_shift(self, z: Array) -> tuple[Array, Array]:
        """x of the curve, mm, and the turn of its vertebra, rad, at heights above the end plate."""
        s, _, position = self._line
        at = np.interp(z, position[::-1, 1], s[::-1])
        rows = (self.lateral.lateral_mm, self.lateral.turn)
        shift, turn = (np.interp(at, self.lateral.s_mm, row).astype(np.float32) for row in rows)
        return shift, turn


_USUAL = SpineCurve(slope_deg=40.0, kyphosis_deg=55.0, scale=1.0, lordosis=1.0, wedge_deg=20.0)
