"""Where mimics are painted: the fields at all points, and the few points that a mimic can reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import Mimic
from sifdetect.synth.noise import Array, Deformation, Points
from sifdetect.synth.shape import BoneField
from sifdetect.synth.spine import SpineCurve

Place = tuple[float, float, float]
"""(x, s, v) in the coordinates of the spine's curve, mm."""
Course = tuple[Place, ...]
Value = TypeVar("Value", bound=np.generic)
OWNED = 0.35
"""Strength from which a voxel counts as a mimic's in the truth; the labels' own (scene.VISIBLE)."""
LEVEL_MM = np.array([27.0, 27.0, 23.0, 19.5, 16.5, 15.0])
"""Height of a level unit around levels 0 … 5."""
ALA_MM = np.array([22.0, 24.0, 22.0, 17.0, 12.0, 8.0])
"""Width of a lateral unit beyond the foramina at levels 0 … 5."""


Lodgings = dict[tuple[tuple[Course, ...], float], Course]
"""Courses with the depth that they ask for, and the one that was taken; of one pelvis."""


class Bendable(Protocol):
    """What a pelvis must tell, so that things can be placed in it."""

    def bones(self, points: Points) -> BoneField:
        """The bones at points."""

    @property
    def curve(self) -> SpineCurve:
        """The spine's curve, before bending."""

    @property
    def deformation(self) -> Deformation:
        """The first bend."""

    @property
    def detail(self) -> Deformation:
        """The second one."""


@dataclass
class Canvas:
    """Mimics under construction, at all points.

    Attributes:
        points: pelvic frame. bones: the bones there.
        shape: the pelvis that they belong to; ``hip_center_mm`` (3,) its left hip joint.
        voxel_mm: size of the voxels, which blurs what is thinner.
        edema, sclerosis, share: float32, 0–1; ``material`` the Material that takes ``share``.
        mass, cement: True where labelled as such.
        owner: number of the mimic that each voxel belongs to, from 1; 0 none.
        metal_mm: distance to the nearest metal, up to 20; None where there is none.
        lodgings: what ``lodged`` has found in this pelvis.
    """

    points: Points
    bones: BoneField
    shape: Bendable
    hip_center_mm: NDArray[np.float64]
    voxel_mm: float
    lodgings: Lodgings = field(default_factory=dict)
    number: int = 0
    metal_mm: Array | None = None
    edema: Array = field(init=False)
    sclerosis: Array = field(init=False)
    share: Array = field(init=False)
    material: NDArray[np.uint8] = field(init=False)
    mass: NDArray[np.bool_] = field(init=False)
    cement: NDArray[np.bool_] = field(init=False)
    owner: NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.points.x.shape
        self.edema, self.sclerosis, self.share = (np.zeros(shape, np.float32) for _ in range(3))
        self.material, self.owner = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        self.mass, self.cement = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)

    def patch(self, near: NDArray[np.bool_]) -> Patch:
        """The points where ``near``, an array of the points' shape, is true."""
        return Patch(self, np.flatnonzero(near))

    def around(self, center: Place, reach_mm: float) -> Patch:
        """The points within a box about (x, s, v), in the coordinates of the spine's curve."""
        x, s, v = center
        index = np.flatnonzero(np.abs(self.points.x - np.float32(x)) < reach_mm)
        for values, middle in ((self.bones.s_mm, s), (self.bones.v_mm, v)):
            near = np.abs(values.ravel()[index] - np.float32(middle)) < reach_mm
            index = index[near]
        return Patch(self, index)

    def lodged(self, courses: tuple[Course, ...], least_mm: float) -> Course:
        """The first of some courses whose points all lie so deep in bone, or the deepest."""
        asked = (courses, least_mm)
        if asked not in self.lodgings:
            self.lodgings[asked] = self._lodged(*asked)
        return self.lodgings[asked]

    def _lodged(self, courses: tuple[Course, ...], least_mm: float) -> Course:
        points = self.pelvic_mm(np.array([place for course in courses for place in course]))
        depth = self.shape.bones(Points(*points.T.astype(np.float32))).depth_mm
        ends = np.cumsum([len(course) for course in courses])[:-1]
        shallowest = [float(part.min()) for part in np.split(depth, ends)]
        deep = [course for course, d in zip(courses, shallowest, strict=True) if d >= least_mm]
        return deep[0] if deep else courses[int(np.argmax(shallowest))]

    def pelvic_mm(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) pelvic-frame positions of (n, 3) places (x, s, v) along the spine's curve."""
        wanted = self.shape.curve.positions_mm(places)
        there = wanted.copy()
        for _ in range(4):
            at = Points(*there.T.astype(np.float32))
            bent = self.shape.detail.apply(self.shape.deformation.apply(at))
            there = there - (bent.stacked() - wanted)
        return there


@dataclass
class Patch:
    """Some of the points of a canvas, as flat arrays; painting here paints there."""

    canvas: Canvas
    index: NDArray[np.intp]

    def of(self, values: NDArray[Value]) -> NDArray[Value]:
        """The values of an array of the canvas' shape at these points."""
        return np.asarray(values.ravel()[self.index])

    @cached_property
    def points(self) -> Points:
        """Positions in the pelvic frame."""
        at = self.canvas.points
        return Points(*(self.of(a).astype(np.float32) for a in (at.x, at.y, at.z)))

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """Numbers of the bones, foramina and canal."""
        return np.asarray(self.canvas.bones.labels.ravel()[self.index])

    @cached_property
    def sacral(self) -> NDArray[np.bool_]:
        """True in the sacrum."""
        return np.asarray(np.isin(self.labels, [int(label) for label in SACRUM_LABELS]))

    @cached_property
    def hip(self) -> NDArray[np.bool_]:
        """True in a hip bone."""
        return np.isin(self.labels, (AnatomyLabel.HIP_LEFT, AnatomyLabel.HIP_RIGHT))

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """True outside the bones; foramina and canal are free."""
        hollow = (self.labels >= AnatomyLabel.SACRAL_FORAMEN_RIGHT) & (
            self.labels <= AnatomyLabel.SACRAL_CANAL
        )
        return np.asarray((self.labels == 0) | hollow)

    @cached_property
    def depth_mm(self) -> Array:
        """Depth below the surface of the nearest bone."""
        return self.of(self.canvas.bones.depth_mm)

    @cached_property
    def level(self) -> Array:
        """0 at the S1 end plate … 5."""
        return self.of(self.canvas.bones.level)

    @cached_property
    def lateral(self) -> Array:
        """±1 and ±2 borders of the foramina, ±3 lateral surface; + is left."""
        return self.of(self.canvas.bones.lateral)

    @cached_property
    def s_mm(self) -> Array:
        """Arc length along the spine's curve."""
        return self.of(self.canvas.bones.s_mm)

    @cached_property
    def v_mm(self) -> Array:
        """Ventral offset from the spine's curve."""
        return self.of(self.canvas.bones.v_mm)

    @cached_property
    def marrow(self) -> Array:
        """0–1, how much of a voxel lies in bone below a cortex of 1.3 mm."""
        inside = np.clip((self.depth_mm - 1.3) / self.canvas.voxel_mm + 0.5, 0, 1)
        return np.asarray(inside * ~self.free, dtype=np.float32)

    @cached_property
    def bone(self) -> Array:
        """0–1, how much of a voxel is bone, cortex too."""
        inside = np.clip(self.depth_mm / self.canvas.voxel_mm + 0.5, 0, 1)
        return np.asarray(inside * ~self.free, dtype=np.float32)

    def from_mm(self, center: Place) -> Array:
        """Distance to (x, s, v), in the coordinates of the spine's curve."""
        x, s, v = center
        across = self.points.x - x
        return np.asarray(np.sqrt(across**2 + (self.s_mm - s) ** 2 + (self.v_mm - v) ** 2))

    def filled(self, distance_mm: Array) -> Array:
        """0–1, share of each voxel inside a surface of signed distance ``distance_mm``."""
        return np.asarray(np.clip(0.5 - distance_mm / self.canvas.voxel_mm, 0, 1))

    def fill(self, material: Material, share: Array, thin: float = 1.0) -> None:
        """Put a material where it takes more of a voxel than what is there already.

        What is thinner than a voxel fills at most ``thin`` of it and owns it from less on.
        """
        before = self.of(self.canvas.share)
        more = (share > before) & (share > 0.02)
        where = self.index[more]
        self.canvas.share.reshape(-1)[where] = share[more]
        self.canvas.material.reshape(-1)[where] = material
        self._own(share / thin)

    def swell(self, strength: Array) -> None:
        """Put edema."""
        now = np.maximum(self.of(self.canvas.edema), strength)
        self.canvas.edema.reshape(-1)[self.index] = now
        self._own(strength)

    def harden(self, strength: Array) -> None:
        """Put sclerosis."""
        now = np.maximum(self.of(self.canvas.sclerosis), strength)
        self.canvas.sclerosis.reshape(-1)[self.index] = now
        self._own(strength)

    def label_mass(self, inside: NDArray[np.bool_]) -> None:
        """Label a mass."""
        self.canvas.mass.reshape(-1)[self.index[inside]] = True

    def label_cement(self, inside: NDArray[np.bool_]) -> None:
        """Label cement."""
        self.canvas.cement.reshape(-1)[self.index[inside]] = True

    def _own(self, strength: Array) -> None:
        self.canvas.owner.reshape(-1)[self.index[strength > OWNED]] = self.canvas.number


class Lesion(Protocol):
    """A mimic with its parameters."""

    @property
    def mimic(self) -> Mimic:
        """Its truth class."""

    @property
    def kind(self) -> str:
        """Its OtherFinding.kind."""

    def paint(self, canvas: Canvas) -> None:
        """Put it where it belongs."""


def level_mm(level: Array) -> Array:
    """Height in mm of a level unit at each level."""
    return np.asarray(np.interp(level, np.arange(6.0), LEVEL_MM), dtype=np.float32)


def ala_mm(level: Array) -> Array:
    """Width in mm of a lateral unit in the ala at each level."""
    return np.asarray(np.interp(level, np.arange(6.0), ALA_MM), dtype=np.float32)


def capsule_mm(
    points: Points, start_mm: NDArray[np.float64], stop_mm: NDArray[np.float64]
) -> Array:
    """Distance to the segment between two points (3,) of the same frame."""
    start, along = start_mm.astype(np.float32), (stop_mm - start_mm).astype(np.float32)
    offset = [axis - start[k] for k, axis in enumerate((points.x, points.y, points.z))]
    share = sum(o * along[k] for k, o in enumerate(offset)) / np.float32(along @ along)
    share = np.clip(share, 0, 1)
    return np.asarray(np.sqrt(sum((o - share * along[k]) ** 2 for k, o in enumerate(offset))))
