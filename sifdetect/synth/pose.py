"""How the patient lies in the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sifdetect.synth.noise import Array, Points
from sifdetect.volume import Floats, Grid, SacralFrame


@dataclass(frozen=True)
class Pose:
    """How the patient lies in the scanner: LPS = rotation · (pelvic frame, y flipped) + shift."""

    rotation: Floats
    shift_mm: Floats

    @staticmethod
    def sample(rng: np.random.Generator, *, tilt_deg: float) -> Pose:
        """Draw rotations of standard deviation ``tilt_deg`` about each axis and a shift."""
        a, b, c = np.radians(rng.normal(0, tilt_deg, 3) * np.array([1.5, 1.0, 1.0]))
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        return Pose(about_x @ about_y @ about_z, rng.normal(0, 25, 3))

    def to_pelvis(self, points_lps_mm: Floats) -> Points:
        """Points (…, 3) in LPS as points of the pelvic frame."""
        local = (points_lps_mm - self.shift_mm) @ self.rotation
        x, y, z = (np.ascontiguousarray(local[..., k], dtype=np.float32) for k in range(3))
        return Points(x, -y, z)

    def placed(self, frame: SacralFrame) -> SacralFrame:
        """A frame given for the unturned pelvis, where it lies in the scanner."""
        origin = self.rotation @ frame.origin_lps_mm + self.shift_mm
        return SacralFrame(origin, frame.axes @ self.rotation.T)

    def points_of(self, grid: Grid) -> Points:
        """The voxel centres of a grid in patient coordinates, in the pelvic frame."""
        turned = self.rotation * np.array([1.0, -1.0, 1.0])
        first = (grid.affine_lps_mm[:3, 3] - self.shift_mm) @ turned
        steps = grid.affine_lps_mm[:3, :3].T @ turned
        return Points(*(_ramp(grid.shape, first[k], steps[:, k]) for k in range(3)))


def _ramp(shape: tuple[int, int, int], first: float, steps: Floats) -> Array:
    """A coordinate over a grid, given at its first voxel, with its step along each array axis."""
    i, j, k = (np.arange(n) * step for n, step in zip(shape, steps, strict=True))
    plane = (first + i[:, None] + j).astype(np.float32)
    return np.asarray(plane[:, :, None] + k.astype(np.float32))
