"""What a surgeon or an interventionist left: screws, a hip prosthesis, cement in an ala."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.synth.canvas import Canvas, Course, ala_mm, capsule_mm, level_mm
from sifdetect.synth.material import Material
from sifdetect.synth.mimic import KIND, Mimic
from sifdetect.synth.noise import Array, Points, SmoothNoise

SCREW_MM = 3.6
"""Radius of an iliosacral screw."""
ENOUGH_BONE = 0.85
"""Share of a screw in bone from which no better course is looked for; cortex counts less, and the
joint is the rest."""
ILIA = (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT)
HOLLOWS = (
    AnatomyLabel.SACRAL_FORAMEN_RIGHT,
    AnatomyLabel.SACRAL_FORAMEN_LEFT,
    AnatomyLabel.SACRAL_CANAL,
)
METAL_REACH_MM = 20.0
"""Distance to which the surroundings of metal are worked out, for MR."""


@dataclass(frozen=True)
class Rod:
    """A capsule of metal between two places (x, s, v) along the spine's curve."""

    start_mm: tuple[float, float, float]
    stop_mm: tuple[float, float, float]
    radius_mm: float


@dataclass(frozen=True)
class IliosacralScrews:
    """Screws from the outer face of the ilium into S1 or S2, 7 mm thick, with a washer each.

    Attributes:
        ways: of each screw the courses to choose from, tip and a place near the ilium's outer face.
    """

    ways: tuple[tuple[Course, ...], ...]
    mimic: Mimic = Mimic.ILIOSACRAL_SCREW

    @property
    def kind(self) -> str:
        """Metal."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[IliosacralScrews, ...]:
        """Draw one or two screws, from one side or both."""
        levels = [14.0, 41.0] if rng.random() < 0.3 else [14.0]
        sides = [-1.0, 1.0] if rng.random() < 0.4 else [float(rng.choice([-1, 1]))]
        screws = []
        for side in sides:
            for s in levels:
                past = float(rng.uniform(3, 14) if len(sides) > 1 else rng.uniform(-12, 10))
                end, deep = s + float(rng.normal(0, 2)), float(rng.uniform(-12, -6))
                down, back = float(rng.normal(0, 2)), float(rng.normal(0, 2))
                first = 15.0 if s < 20 else 6.0
                screws.append(
                    tuple(
                        (
                            (side * past, end, deep + dv),
                            (side * 79, s + first + ds + down, v + back),
                        )
                        for dv in (0.0, -7.0, 7.0)
                        for ds in (0.0, 6.0, -6.0, -12.0)
                        for v in (-6.0, -13.0, -20.0)
                    )
                )
        return (IliosacralScrews(tuple(screws)),)

    def paint(self, canvas: Canvas) -> None:
        """The course that keeps best to the bone, from where it meets the ilium."""
        ends = []
        for ways in self.ways:
            tip, head = _through_bone(canvas, ways)
            outward = (head - tip) / np.linalg.norm(head - tip)
            ends += [(head, tip), (head, head + 2 * outward)]
        _paint_metal(canvas, np.array(ends), [SCREW_MM, 1.6 * SCREW_MM] * len(self.ways))


@dataclass(frozen=True)
class Screws:
    """Pedicle screws of L5 and S1 of both sides, with heads and rods; straight in space."""

    rods: tuple[Rod, ...]
    mimic: Mimic = Mimic.PEDICLE_SCREWS

    @property
    def kind(self) -> str:
        """Metal."""
        return KIND[self.mimic]

    @staticmethod
    def pedicle(rng: np.random.Generator) -> tuple[Screws, ...]:
        """Draw a bilateral fusion of L5 and S1."""
        rods: list[Rod] = []
        for side in (-1.0, 1.0):
            heads = []
            for entry_s, tip_s, tip_v in ((-24.0, -24.0, 10.0), (2.0, 12.0, 9.0)):
                x, s = side * float(rng.uniform(21, 25)), entry_s + float(rng.normal(0, 1.5))
                tip = (side * float(rng.uniform(9, 14)), tip_s, tip_v)
                rods.append(Rod((x, s, -38.0), tip, float(rng.uniform(2.8, 3.5))))
                rods.append(Rod((x, s, -42.0), (x, s, -38.0), 5.5))
                heads.append((x, s, -43.0))
            rods.append(Rod(heads[0], heads[1], 2.75))
        return (Screws(tuple(rods)),)

    def paint(self, canvas: Canvas) -> None:
        """Metal wherever it goes."""
        places = np.array([place for rod in self.rods for place in (rod.start_mm, rod.stop_mm)])
        ends = canvas.pelvic_mm(places).reshape(-1, 2, 3)
        radii = [rod.radius_mm for rod in self.rods]
        _paint_metal(canvas, ends, radii)


@dataclass(frozen=True)
class HipProsthesis:
    """Head, cup, neck and stem of a total hip replacement of one side."""

    side: int
    head_mm: float
    stem_mm: float
    mimic: Mimic = Mimic.HIP_PROSTHESIS

    @property
    def kind(self) -> str:
        """Metal."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[HipProsthesis, ...]:
        """Draw one side; head radius 14 to 18 mm."""
        side, head = int(rng.choice([-1, 1])), float(rng.uniform(14, 18))
        return (HipProsthesis(side, head, float(rng.uniform(5.5, 7.5))),)

    def paint(self, canvas: Canvas) -> None:
        """Capsules about the hip joint's centre; the cup is a shell around the head."""
        center = canvas.hip_center_mm * np.array([self.side, 1, 1])

        def at(x: float, y: float, z: float) -> NDArray[np.float64]:
            return np.asarray(center + np.array([self.side * x, y, z]))

        neck, shaft, tip = at(37, -8, -26), at(44, -12, -34), at(36, -5, -140)
        cup = at(-8, -3, 5)
        ends = np.array([(at(0, 0, 0), at(1, 0, -1)), (at(0, 0, 0), neck), (shaft, tip)])
        ends = np.concatenate([ends, [(neck, shaft), (cup, at(-7, -2.6, 4.5))]])
        radii = [self.head_mm, 6.0, self.stem_mm, 7.5, self.head_mm + 4]
        _paint_metal(canvas, ends, radii)


@dataclass(frozen=True)
class CementDeposit:
    """Bone cement after sacroplasty; 3 to 8 ml in an ala (clinical.md §4).

    Attributes:
        lateral, level, behind_mm: its middle, as in BoneField.
        length: relative to its width, along the sacrum.
        leak: "" none, "foramen" or "canal"; ``leak_mm`` its radius.
    """

    side: int
    lateral: float
    level: float
    behind_mm: float
    volume_ml: float
    length: float
    leak: str
    leak_mm: float
    margin: SmoothNoise
    mimic: Mimic = Mimic.CEMENT

    @property
    def kind(self) -> str:
        """As cement is reported."""
        return KIND[self.mimic]

    @staticmethod
    def sample(rng: np.random.Generator) -> tuple[CementDeposit, ...]:
        """Draw both sides in four of five cases; one deposit in six leaks."""
        sides = (-1, 1) if rng.random() < 0.8 else (int(rng.choice([-1, 1])),)
        return tuple(
            CementDeposit(
                side=side,
                lateral=float(rng.uniform(2.35, 2.6)),
                level=float(rng.uniform(0.7, 1.3)),
                behind_mm=float(rng.uniform(8, 15)),
                volume_ml=float(rng.uniform(3, 8)),
                length=float(rng.uniform(1.2, 2.2)),
                leak=str(rng.choice(["", "foramen", "canal"], p=[0.83, 0.12, 0.05])),
                leak_mm=float(rng.uniform(2.5, 4.5)),
                margin=SmoothNoise.sample(rng, 5.0),
            )
            for side in sides
        )

    def paint(self, canvas: Canvas) -> None:
        """A lobulated lump in the marrow, and what has leaked."""
        radius = 0.93 * (3000 * self.volume_ml / (4 * np.pi * self.length)) ** (1 / 3)
        bones = canvas.bones
        reach = 1.6 * radius
        near = np.abs(bones.level - self.level) * 21 < reach * self.length
        near &= (bones.lateral * self.side > 0.5) & (np.abs(bones.v_mm + self.behind_mm) < reach)
        near &= bones.sacrum_mm < 2
        patch = canvas.patch(near)
        across = (patch.lateral * self.side - self.lateral) * ala_mm(patch.level)
        along = (patch.level - self.level) * level_mm(patch.level) / self.length
        deep = patch.v_mm + self.behind_mm
        bent = radius * np.clip(1 + 0.4 * self.margin.at(patch.points), 0.4, 1.7)
        outside = np.sqrt(across**2 + along**2 + deep**2) - bent
        share = patch.filled(outside) * patch.marrow * patch.sacral
        patch.fill(Material.CEMENT, share)
        patch.label_cement(share > 0.5)
        if self.leak:
            self._spill(canvas)

    def _spill(self, canvas: Canvas) -> None:
        """Cement in the foramen beside it or in the canal."""
        lateral = 1.45 if self.leak == "foramen" else 0.3
        behind = 8.0 if self.leak == "foramen" else 20.0
        bones = canvas.bones
        near = (np.abs(bones.level - 1) < 0.5) & (np.abs(bones.v_mm + behind) < 14)
        near &= (bones.lateral * self.side > -1) & (bones.lateral * self.side < 2.2)
        patch = canvas.patch(near)
        across = (patch.lateral * self.side - lateral) * 12
        along = (patch.level - 1) * level_mm(patch.level) / 1.6
        bent = self.leak_mm * np.clip(1 + 0.3 * self.margin.at(patch.points), 0.5, 1.5)
        outside = np.sqrt(across**2 + along**2 + (patch.v_mm + behind) ** 2) - bent
        share = patch.filled(outside) * patch.free
        patch.fill(Material.CEMENT, share)
        patch.label_cement(share > 0.5)


def _through_bone(
    canvas: Canvas, ways: tuple[Course, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Tip and head (3,) in the pelvic frame of the first way with enough bone, or of the best.

    Each way is a straight line; its head lies where it leaves the ilium. Foramina and canal that
    it crosses count against it.
    """
    ends = canvas.pelvic_mm(np.array([place for way in ways for place in way])).reshape(-1, 2, 3)
    along = np.linspace(0, 1.35, 91)[None, :, None]
    line = ends[:, :1] + along * (ends[:, 1:] - ends[:, :1])
    bones = canvas.shape.bones(Points(*line.reshape(-1, 3).T.astype(np.float32)))
    labels, depth = (v.reshape(line.shape[:2]) for v in (bones.labels, bones.depth_mm))
    best, share = (0, along.shape[1] - 1), -1.0
    for number, (here, deep) in enumerate(zip(labels, depth, strict=True)):
        ilium = np.flatnonzero(np.isin(here, ILIA))
        last = int(ilium[-1]) if len(ilium) else along.shape[1] - 1
        hollow = np.isin(here[: last + 1], HOLLOWS)
        solid = float(np.mean(np.clip(deep[: last + 1] / SCREW_MM, 0, 1) - 3.0 * hollow))
        if solid > share:
            best, share = (number, last), solid
        if share > ENOUGH_BONE:
            break
    return line[best[0], 0], line[best]


def _paint_metal(canvas: Canvas, ends_mm: NDArray[np.float64], radii_mm: list[float]) -> None:
    """Capsules between (n, 2, 3) pelvic-frame points; keeps the distance to them for MR."""
    reach = max(radii_mm) + METAL_REACH_MM
    low, high = ends_mm.min(axis=(0, 1)) - reach, ends_mm.max(axis=(0, 1)) + reach
    at = canvas.points
    near = (at.x > low[0]) & (at.x < high[0]) & (at.y > low[1]) & (at.y < high[1])
    patch = canvas.patch(near & (at.z > low[2]) & (at.z < high[2]))
    outside = _nearest(patch.points, ends_mm, radii_mm)
    patch.fill(Material.METAL, patch.filled(outside))
    if canvas.metal_mm is None:
        canvas.metal_mm = np.full(at.x.shape, METAL_REACH_MM, dtype=np.float32)
    before = patch.of(canvas.metal_mm)
    canvas.metal_mm.reshape(-1)[patch.index] = np.minimum(before, outside)


def _nearest(points: Points, ends_mm: NDArray[np.float64], radii_mm: list[float]) -> Array:
    distances = [
        capsule_mm(points, start, stop) - np.float32(radius)
        for (start, stop), radius in zip(ends_mm, radii_mm, strict=True)
    ]
    return np.asarray(np.min(distances, axis=0), dtype=np.float32)
