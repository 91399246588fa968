"""A boxy sacrum with known measures, in a sacral frame that lies oblique to the patient's axes.

Right and left are told apart by the sign of x, as in the frame: negative is the patient's right.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, LesionBit, SacralLevel, Side
from sifdetect.findings import Morphology
from sifdetect.volume import LabelMap, SacralFrame, Segmentation

SPACING_MM = 1.5
LOW_MM, HIGH_MM = (-75.0, -42.0, -84.0), (75.0, 30.0, 66.0)
BOUND_MM = (45.0, 14.0, -14.0, -38.0, -58.0, -76.0)
"""Frame z of the S1 upper end plate, S1/S2, … and the tip of S5."""

MEDIAL_MM, LATERAL_MM = 16.5, 28.5
"""Borders of the foraminal corridor."""

FORAMEN_HALF_HEIGHT_MM = 4.5
ALA_MM = (54.0, 50.0, 42.0, 34.0, 32.0)
"""Half width of S1 to S5."""

JOINT_MM = 3.0
ACROSS_MM = 38.0
"""Where vertical lines stand unless told otherwise, and transverse ones end at them."""

FULL = dict.fromkeys(SacralLevel, 1.0)

Bools = NDArray[np.bool_]
Array = NDArray[np.float64]


def oblique_frame() -> SacralFrame:
    """A sacral frame tilted about all three axes of the patient, far from the origin."""
    a, b, c = np.radians([35.0, -12.0, 8.0])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    axes = np.diag([1.0, -1.0, 1.0]) @ (about_x @ about_y @ about_z)
    return SacralFrame(np.array([31.0, -54.0, -410.0]), axes)


def straight_frame() -> SacralFrame:
    """A sacral frame along the patient's axes."""
    return SacralFrame(np.array([0.0, 0.0, 0.0]), np.diag([1.0, -1.0, 1.0]))


@dataclass
class Phantom:
    """A sacrum to put findings into; every method returns the phantom."""

    frame: SacralFrame = field(default_factory=oblique_frame)

    def __post_init__(self) -> None:
        self.grid = self.frame.grid(LOW_MM, HIGH_MM, SPACING_MM)
        index = np.stack(np.meshgrid(*map(np.arange, self.grid.shape), indexing="ij"), -1)
        place = self.frame.to_frame_mm(self.grid.index_to_mm(index))
        self.x, self.y, self.z = (place[..., axis] for axis in range(3))
        self.level = np.interp(-self.z, -np.array(BOUND_MM), np.arange(6.0))
        self.anatomy = np.zeros(self.grid.shape, dtype=np.uint8)
        self.lesions = np.zeros(self.grid.shape, dtype=np.uint8)
        self.in_view: Bools = np.ones(self.grid.shape, dtype=np.bool_)
        self._bones()
        self._holes()

    @property
    def sacrum(self) -> Bools:
        """The bone."""
        first, last = AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_ALA_LEFT
        return np.asarray((self.anatomy >= first) & (self.anatomy <= last))

    def line(self, side: Side, upper: float, lower: float, x_mm: float = 38.0) -> Phantom:
        """A sagittal sheet 3 mm thick at ``x_mm`` from the midline, from level to level."""
        return self._put(LesionBit.FRACTURE_LINE, self._sheet(side, upper, lower, x_mm, 1.5))

    def edema(self, side: Side, upper: float, lower: float, x_mm: float = 38.0) -> Phantom:
        """Edema up to 8 mm around such a sheet."""
        return self._put(LesionBit.EDEMA, self._sheet(side, upper, lower, x_mm, 8.0))

    def sclerosis(self, side: Side, upper: float, lower: float, x_mm: float = 38.0) -> Phantom:
        """Sclerosis up to 4 mm around such a sheet."""
        return self._put(LesionBit.SCLEROSIS, self._sheet(side, upper, lower, x_mm, 4.0))

    def across(self, level: float, right_mm: float = 24.0, left_mm: float = 24.0) -> Phantom:
        """A transverse sheet 3 mm thick from ``right_mm`` to ``left_mm``."""
        z = float(np.interp(level, np.arange(6.0), BOUND_MM))
        here = (np.abs(self.z - z) < 1.5) & (self.x > -right_mm) & (self.x < left_mm)
        return self._put(LesionBit.FRACTURE_LINE, here)

    def joint_edema(self, side: Side, depth_mm: float) -> Phantom:
        """Edema on both sides of a sacroiliac joint, S1 and S2, ``depth_mm`` deep."""
        surface = np.interp(self.level, [0.0, 1.0, 1.001, 2.0], [*ALA_MM[:1] * 2, *ALA_MM[1:2] * 2])
        from_joint = np.abs(self._away(side) - surface - JOINT_MM / 2) - JOINT_MM / 2
        inside = (from_joint < depth_mm) & (self.level < 1.8) & (self._away(side) > 0)
        self.lesions[inside & (self.anatomy > 0)] |= LesionBit.EDEMA.value
        return self

    def ball(self, bit: LesionBit, center_mm: tuple[float, float, float], radius: float) -> Phantom:
        """A round lesion in bone at a place in the sacral frame."""
        x, y, z = center_mm
        inside = (self.x - x) ** 2 + (self.y - y) ** 2 + (self.z - z) ** 2 < radius**2
        self.lesions[inside & (self.anatomy > 0)] |= bit.value
        return self

    def without(self, hidden: Bools) -> Phantom:
        """The same, nothing seen where ``hidden``."""
        self.in_view &= ~hidden
        self.anatomy[hidden] = 0
        self.lesions[hidden] = 0
        return self

    def segmentation(self) -> Segmentation:
        """As a perfect network would see it, at probability 0.9."""
        bits = np.array([bit.value for bit in LesionBit], dtype=np.uint8).reshape(-1, 1, 1, 1)
        probability = np.where(self.lesions & bits, 0.9, 0.05).astype(np.float32)
        return Segmentation(
            anatomy=LabelMap(self.anatomy.copy(), self.grid),
            lesions=LabelMap(self.lesions.copy(), self.grid),
            probability=probability,
            level=np.where(self.sacrum, self.level, 2.5).astype(np.float32),
            frame=self.frame,
            in_view=self.in_view,
        )

    def _away(self, side: Side) -> Array:
        """Distance from the midline towards one side."""
        return np.asarray(self.x if side is Side.LEFT else -self.x)

    def _sheet(self, side: Side, upper: float, lower: float, x_mm: float, half: float) -> Bools:
        across = np.abs(self._away(side) - x_mm) < half
        return np.asarray(across & (self.level >= upper) & (self.level <= lower))

    def _put(self, bit: LesionBit, inside: Bools) -> Phantom:
        self.lesions[inside & self.sacrum] |= bit.value
        return self

    def _bones(self) -> None:
        width = np.array(ALA_MM)[np.clip(np.floor(self.level), 0, 4).astype(int)]
        away = np.abs(self.x)
        tall = (self.z <= BOUND_MM[0]) & (self.z >= BOUND_MM[5])
        bone = tall & (away < width) & (self.y > -27) & (self.y < 9)
        bone |= tall & (away < MEDIAL_MM) & (self.y > -33) & (self.y < 12)
        for side in (Side.RIGHT, Side.LEFT):
            own = bone & (self._away(side) > 0)
            corridor = own & (away >= MEDIAL_MM) & (away < LATERAL_MM)
            self.anatomy[corridor] = AnatomyLabel[f"SACRAL_CORRIDOR_{side.name}"]
            self.anatomy[own & (away >= LATERAL_MM)] = AnatomyLabel[f"SACRAL_ALA_{side.name}"]
            gap = away - width
            hip = (gap > JOINT_MM) & (gap < 22) & (self.level < 2.5) & (np.abs(self.y + 9) < 18)
            hip &= (self.z < BOUND_MM[0]) & (self._away(side) > 0)
            self.anatomy[hip] = AnatomyLabel[f"HIP_{side.name}"]
        self.anatomy[bone & (away < MEDIAL_MM)] = AnatomyLabel.SACRAL_BODY
        l5 = (self.z > BOUND_MM[0] + 8) & (away < 24) & (np.abs(self.y) < 15)
        self.anatomy[l5] = AnatomyLabel.L5

    def _holes(self) -> None:
        away = np.abs(self.x)
        canal = (away < 10.5) & (self.y > -27) & (self.y < -13.5) & self.sacrum
        self.anatomy[canal] = AnatomyLabel.SACRAL_CANAL
        for bound in BOUND_MM[1:5]:
            tunnel = (away > MEDIAL_MM + 1.5) & (away < LATERAL_MM - 1.5) & self.sacrum
            tunnel &= np.abs(self.z - bound) < FORAMEN_HALF_HEIGHT_MM
            for side in (Side.RIGHT, Side.LEFT):
                own = tunnel & (self._away(side) > 0)
                self.anatomy[own] = AnatomyLabel[f"SACRAL_FORAMEN_{side.name}"]


def unilateral(phantom: Phantom, side: Side) -> Phantom:
    """One vertical line."""
    return phantom.line(side, 0.2, 2.5)


def bilateral(phantom: Phantom, side: Side) -> Phantom:
    """Two, one of them shorter."""
    return phantom.line(side, 0.2, 2.5).line(side.opposite, 0.3, 1.4)


def transverse(phantom: Phantom, _: Side) -> Phantom:
    """One line across the bodies."""
    return phantom.across(1.5)


def h_shape(phantom: Phantom, side: Side) -> Phantom:
    """Two full limbs and a transverse line between them."""
    limbs = phantom.line(side, 0.2, 2.6).line(side.opposite, 0.1, 2.4)
    return limbs.across(1.5, ACROSS_MM, ACROSS_MM)


def u_shape(phantom: Phantom, side: Side) -> Phantom:
    """Two limbs that end at the transverse line."""
    limbs = phantom.line(side, 0.2, 1.55).line(side.opposite, 0.1, 1.5)
    return limbs.across(1.5, ACROSS_MM, ACROSS_MM)


def t_shape(phantom: Phantom, side: Side) -> Phantom:
    """One full limb and a transverse line that ends in the other corridor."""
    reach = {side: ACROSS_MM, side.opposite: 24.0}
    return phantom.line(side, 0.2, 2.6).across(1.5, reach[Side.RIGHT], reach[Side.LEFT])


def lambda_shape(phantom: Phantom, side: Side) -> Phantom:
    """One full limb, the other above the transverse line only."""
    limbs = phantom.line(side, 0.2, 2.6).line(side.opposite, 0.2, 1.5)
    return limbs.across(1.5, ACROSS_MM, ACROSS_MM)


PATTERNS = {
    Morphology.UNILATERAL: unilateral,
    Morphology.BILATERAL: bilateral,
    Morphology.TRANSVERSE: transverse,
    Morphology.H: h_shape,
    Morphology.U: u_shape,
    Morphology.T: t_shape,
    Morphology.LAMBDA: lambda_shape,
}
