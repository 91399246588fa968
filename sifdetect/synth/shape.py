"""The bony pelvis: parameters, and the bones they make at any set of points."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.synth import hip, joint, lumbar, sacrum
from sifdetect.synth.lattice import Lattice
from sifdetect.synth.noise import Array, Deformation, Points, SmoothNoise
from sifdetect.synth.sacrum import SacrumField
from sifdetect.synth.scoliosis import Scoliosis
from sifdetect.synth.spine import KYPHOSIS_SHARE, SpineCurve, balanced
from sifdetect.synth.variants import NO_VARIANT, VariantParams
from sifdetect.volume import Floats, SacralFrame

FEMALE_SHARE = 0.5
FEMALE_LENGTH, FEMALE_WIDTH = 0.97, 1.01
"""Relative to the mean of both sexes."""
YOUNGEST, OLDEST = 50.0, 95.0
"""Ages of those who are drawn, years; 78 on the mean, as patients with such a fracture are old."""


@dataclass(frozen=True)
class ShapeParams:
    """All that fixes the bones of one pelvis.

    Attributes:
        age_years: drives the sacrum's osteophytes and the width of the sacroiliac joints.
    """

    curve: SpineCurve
    sacrum: sacrum.SacrumParams
    hip: hip.HipParams
    deformation: Deformation
    detail: Deformation
    roughness: SmoothNoise
    joint_gap_mm: float
    lumbar: lumbar.LumbarParams
    variants: VariantParams = NO_VARIANT
    female: bool = True
    age_years: float = 75.0

    @staticmethod
    def sample(rng: np.random.Generator) -> ShapeParams:
        """Draw a pelvis: sacral slope 40 ± 8° (Vialle 2005), kyphosis 55 ± 12°, size ± 5 %.

        Half are women's, whose sacra are shorter and, for their length, wider.
        """
        scale = float(np.clip(rng.normal(1.0, 0.05), 0.86, 1.14))
        slope = float(np.clip(rng.normal(40, 8), 18, 62))
        kyphosis = float(np.clip(rng.normal(55, 12), 20, 95))
        lordosis = balanced(float(np.clip(rng.normal(1.0, 0.25), 0.3, 1.6)), slope)
        curve = SpineCurve(slope, kyphosis, scale, lordosis)
        drawn = ShapeParams(
            curve=curve,
            sacrum=sacrum.SacrumParams.sample(rng),
            hip=hip.HipParams.sample(rng, scale),
            deformation=Deformation.sample(rng, 70.0, float(rng.uniform(0.8, 3.0))),
            detail=Deformation.sample(rng, 18.0, float(rng.uniform(0.3, 1.3))),
            roughness=SmoothNoise.sample(rng, 7.0),
            joint_gap_mm=float(rng.uniform(1.0, 3.2)),
            lumbar=lumbar.LumbarParams.sample(rng),
        )
        return drawn._varied(rng)._completed(rng)

    def _varied(self, rng: np.random.Generator) -> ShapeParams:
        """The pelvis with the form of its sacrum drawn in detail, that of a woman or a man."""
        female = bool(rng.random() < FEMALE_SHARE)
        bends = np.array(KYPHOSIS_SHARE) * np.exp(rng.normal(0, 0.35, 5))
        length = FEMALE_LENGTH if female else 2 - FEMALE_LENGTH
        heights = length * np.clip(rng.normal(1.0, (0.03, 0.03, 0.05, 0.06, 0.08)), 0.84, 1.18)
        curve = replace(
            self.curve,
            wedge_deg=float(np.clip(rng.normal(20, 7), 2, 38)),
            heights=tuple(float(h) for h in heights),
            bends=tuple(float(b) for b in bends / bends.sum()),
        )
        width = FEMALE_WIDTH if female else 2 - FEMALE_WIDTH
        form = self.sacrum.varied(rng, width=width)
        variants = VariantParams.sample(rng)
        curve, form = variants.applied(curve, form)
        return replace(self, curve=curve, sacrum=form, variants=variants, female=female)

    def _completed(self, rng: np.random.Generator) -> ShapeParams:
        """The pelvis with age, scoliosis and a sixth segment, drawn last: all else stays as it was.

        Joint spaces narrow with age (Shibata 2002, J Orthop Sci); by how much is chosen.
        """
        form = self.sacrum.set_apart(rng)
        age = YOUNGEST + (OLDEST - YOUNGEST) * float(rng.beta(3.2, 2.0))
        wear = (age - YOUNGEST) / (OLDEST - YOUNGEST)
        form = form.aged(rng, wear=wear, female=self.female)
        scoliosis = Scoliosis.sample(rng, wear=wear, female=self.female)
        variants, curve = self.variants.completed(rng, self.curve)
        return replace(
            self,
            sacrum=form,
            curve=replace(curve, scoliosis=scoliosis),
            variants=variants,
            joint_gap_mm=self.joint_gap_mm * (1.15 - 0.3 * wear),
            age_years=age,
        )

    @cached_property
    def frame(self) -> SacralFrame:
        """The sacral frame in the pelvic frame turned to LPS (x left, y posterior, z cranial)."""
        bounds = self.curve.level_bounds_mm
        ends = [self.curve.position_mm(float(s)) for s in (bounds[0], bounds[3])]
        middle = self.curve.position_mm(float(bounds[1] + bounds[2]) / 2)
        across = [middle + np.array([side * 40.0, 0.0, 0.0]) for side in (-1, 1)]
        return frame_of(np.stack([*ends, middle, *across]), (self.deformation, self.detail))

    @property
    def symphysis_mm(self) -> tuple[float, float]:
        """(y, z) of the centre of the pubic symphysis in the pelvic frame."""
        return self.hip.symphysis_mm

    def bones(self, points: Points) -> BoneField:
        """The bones at points in the pelvic frame."""
        return evaluate(self, points)

    def sacrum_at(self, points: Points) -> SacrumField:
        """The sacrum alone at points in the pelvic frame, with its bends."""
        bent = self.detail.apply(self.deformation.apply(points))
        x, s, v = self.curve.place(bent)
        return sacrum.evaluate(self.curve, self.sacrum, x, s=s, v=v)


def frame_of(landmarks_mm: Floats, bends: tuple[Deformation, ...]) -> SacralFrame:
    """The sacral frame of a bent pelvis, in the pelvic frame turned to LPS.

    Args:
        landmarks_mm: (5, 3) before bending, pelvic frame: S1 upper end plate, S3 lower end, centre
            of S2, a point to the right of it, one to the left.
        bends: what the points go through before they are looked up, in this order.
    """
    moved = np.asarray(landmarks_mm, dtype=np.float64)
    for bend in reversed(bends):
        wanted, there = moved, moved.copy()
        for _ in range(4):
            there = there - (bend.apply(Points(*there.T.astype(np.float32))).stacked() - wanted)
        moved = there
    upper, lower, origin, right, left = moved * np.array([1.0, -1.0, 1.0])
    cranial = (upper - lower) / np.linalg.norm(upper - lower)
    lateral = left - right - ((left - right) @ cranial) * cranial
    lateral /= np.linalg.norm(lateral)
    return SacralFrame(origin, np.stack([lateral, np.cross(lateral, cranial), cranial]))


@dataclass(frozen=True)
class BoneField:
    """The bones at a set of points, all arrays of the points' shape.

    Attributes:
        labels: AnatomyLabel values; FEMUR and COCCYX are bone without a label of their own.
        depth_mm: distance inside the surface of the nearest bone, positive inside.
        level: 0 at the S1 upper end plate … 5 at the lower end of S5, unclipped.
        lateral: 0 midline, ±1 and ±2 borders of the foramina, ±3 lateral surface; + is left.
        x_mm, s_mm, v_mm: coordinates along the spine's curve, lateral ones from where it runs.
        sacrum_mm, wing_mm: signed distance to sacrum and iliac wing, positive outside.
        disc: True in an intervertebral disc. joint: True in the sacroiliac gap.
    """

    labels: NDArray[np.uint8]
    depth_mm: Array
    level: Array
    lateral: Array
    x_mm: Array
    s_mm: Array
    v_mm: Array
    sacrum_mm: Array
    wing_mm: Array
    disc: NDArray[np.bool_]
    joint: NDArray[np.bool_]


LATTICE_MM = 2.0
"""Spacing at which the parts of the bones are evaluated; they are filled in between."""
FEMUR, COCCYX = 20, 21
"""Numbers of bones that no network is asked for; beyond AnatomyLabel on purpose."""


@dataclass(frozen=True)
class _Parts:
    """What the bones are made of, on a coarse lattice: smooth fields that overlap still.

    Attributes:
        x, s, v: coordinates along the spine's curve after the bends, mm.
        bone: the sacrum. spine: L5 and what lies above and below. hips: hip bones and femora.
    """

    x: Array
    s: Array
    v: Array
    bone: SacrumField
    spine: lumbar.LumbarField
    hips: hip.HipField

    @staticmethod
    def of(params: ShapeParams, points: Points) -> _Parts:
        """The parts at points in the pelvic frame."""
        bent = params.detail.apply(params.deformation.apply(points))
        x, s, v = params.curve.place(bent)
        return _Parts(
            x=x,
            s=s,
            v=v,
            bone=sacrum.evaluate(params.curve, params.sacrum, x, s=s, v=v),
            spine=lumbar.evaluate(params.curve, x, s, v, params=params.lumbar),
            hips=hip.evaluate(params.hip, bent),
        )

    def filled(self, lattice: Lattice) -> _Parts:
        """The parts at every point between those of the lattice."""

        def each(part: Any) -> Any:
            return type(part)(*(lattice.filled(getattr(part, f.name)) for f in fields(part)))

        x, s, v = (lattice.filled(values) for values in (self.x, self.s, self.v))
        return _Parts(x, s, v, each(self.bone), each(self.spine), each(self.hips))


def evaluate(params: ShapeParams, points: Points) -> BoneField:
    """The bones of one pelvis at points in the pelvic frame."""
    lattice = Lattice(points, LATTICE_MM)
    at = _Parts.of(params, lattice.points(points)).filled(lattice)
    rough = np.float32(0.35) * params.roughness.at(points)
    bone = at.bone
    hip_mm = joint.with_joint(
        at.hips.bone_mm, bone, at.x, at.v, gap_mm=params.joint_gap_mm, hips=params.hip
    )
    labels, depth = _nearest(_surfaces(params, at, hip_mm), rough)
    _divide(labels, bone, points.x)
    near = (np.abs(bone.lateral) > 2.4) & (bone.level > 0) & (bone.level < 3.2)
    gap = near & (labels == 0) & (bone.bone_mm < 6) & (hip_mm < 6)
    disc = (at.spine.disc_mm < 0) & (labels == 0) & (at.s < 0)
    return BoneField(
        labels=labels,
        depth_mm=depth,
        level=bone.level,
        lateral=bone.lateral,
        x_mm=at.x,
        s_mm=at.s,
        v_mm=at.v,
        sacrum_mm=bone.bone_mm,
        wing_mm=at.hips.wing_mm,
        disc=disc,
        joint=gap,
    )


def _surfaces(params: ShapeParams, at: _Parts, hip_mm: Array) -> dict[int, Array]:
    """Signed distance to the surface of each bone, by its label; of two, the later one is seen."""
    place = (at.x, at.s, at.v)
    bone, spine = at.bone.bone_mm, at.spine
    l5_mm = np.maximum(spine.l5_mm, 2.2 - bone)
    return {
        int(AnatomyLabel.HIP_LEFT): hip_mm,
        FEMUR: at.hips.femur_mm,
        COCCYX: params.variants.with_bridge(spine.coccyx_mm, params.curve, place),
        int(AnatomyLabel.LUMBAR): spine.upper_mm,
        int(AnatomyLabel.L5): params.variants.with_mass(l5_mm, bone, place),
        int(AnatomyLabel.SACRAL_BODY): bone,
    }


def _nearest(surfaces: dict[int, Array], rough: Array) -> tuple[NDArray[np.uint8], Array]:
    """The bone that each point lies in, and its depth below the surface of the nearest one."""
    nearest = np.full(rough.shape, 50.0, dtype=np.float32)
    labels = np.zeros(rough.shape, dtype=np.uint8)
    for number, surface in surfaces.items():
        labels[surface < -rough] = number
        np.minimum(nearest, surface, out=nearest)
    return labels, -(nearest + rough)


def _divide(labels: NDArray[np.uint8], bone: sacrum.SacrumField, x: Array) -> None:
    """Give the sacrum its zones and sides, the hips their sides; mark foramina and canal."""
    left = x > 0
    sacral = labels == AnatomyLabel.SACRAL_BODY
    zone = np.abs(bone.lateral)
    corridor, ala = sacral & (zone >= 1) & (zone < 2), sacral & (zone >= 2)
    labels[corridor & ~left] = AnatomyLabel.SACRAL_CORRIDOR_RIGHT
    labels[corridor & left] = AnatomyLabel.SACRAL_CORRIDOR_LEFT
    labels[ala & ~left] = AnatomyLabel.SACRAL_ALA_RIGHT
    labels[ala & left] = AnatomyLabel.SACRAL_ALA_LEFT
    labels[(labels == AnatomyLabel.HIP_LEFT) & ~left] = AnatomyLabel.HIP_RIGHT
    free = labels == 0
    foramen = free & (bone.foramen_mm < 0)
    labels[foramen & ~left] = AnatomyLabel.SACRAL_FORAMEN_RIGHT
    labels[foramen & left] = AnatomyLabel.SACRAL_FORAMEN_LEFT
    labels[free & (bone.canal_mm < 0) & (bone.level > 0)] = AnatomyLabel.SACRAL_CANAL
