"""A pelvis whose bones come from real surfaces; spine, femora and soft tissue are procedural."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

from sifdetect.anatomy import AnatomyLabel, Side
from sifdetect.synth import bones as real
from sifdetect.synth import hip, lumbar
from sifdetect.synth.acetabulum import fit_socket
from sifdetect.synth.noise import Array, Deformation, Points, SmoothNoise
from sifdetect.synth.scoliosis import Scoliosis
from sifdetect.synth.shape import COCCYX, FEMUR, BoneField, frame_of
from sifdetect.synth.spine import SACRAL_HEIGHTS_MM, SpineCurve, balanced
from sifdetect.volume import Floats, SacralFrame


@dataclass(frozen=True)
class MeshShape:
    """One variation of a real pelvis.

    Attributes:
        source: the bones as they were measured.
        curve: the spine above them; starts at their S1 upper end plate.
        stretch: (3,) factor along x, y and z.
    """

    source: real.BoneField
    curve: SpineCurve
    femora: hip.HipParams
    stretch: tuple[float, float, float]
    deformation: Deformation
    detail: Deformation
    roughness: SmoothNoise
    lumbar: lumbar.LumbarParams

    @staticmethod
    def sample(rng: np.random.Generator, source: real.BoneField) -> MeshShape:
        """Draw a variation: stretched by some 8 %, bent by some mm, either way round."""
        if rng.random() < 0.5:
            source = source.mirrored()
        scale, *each = np.clip(rng.normal(1.0, (0.06, 0.05, 0.05, 0.05)), 0.84, 1.16)
        stretch = (float(scale * each[0]), float(scale * each[1]), float(scale * each[2]))
        slope, kyphosis, size = _bow(source, stretch)
        lordosis = balanced(float(np.clip(rng.normal(1, 0.25), 0.4, 1.6)), slope)
        drawn = MeshShape(
            source=source,
            curve=SpineCurve(slope, kyphosis, size, lordosis),
            femora=hip.HipParams.sample(rng, size),
            stretch=stretch,
            deformation=Deformation.sample(rng, 70.0, float(rng.uniform(1.0, 5.0))),
            detail=Deformation.sample(rng, 18.0, float(rng.uniform(0.2, 0.9))),
            roughness=SmoothNoise.sample(rng, 7.0),
            lumbar=lumbar.LumbarParams.sample(rng),
        )
        # The sacrum is a real one: its base stays as it is.
        scoliosis = replace(Scoliosis.sample(rng, wear=0.6, female=None), base_deg=0.0)
        return replace(drawn, curve=replace(drawn.curve, scoliosis=scoliosis))

    @cached_property
    def frame(self) -> SacralFrame:
        """The sacral frame in the pelvic frame turned to LPS (x left, y posterior, z cranial)."""
        centers = self.source.body_centers_lps_mm
        right, left = self.source.landmarks_lps_mm[2:4]
        middle = (centers[1] + centers[2]) / 2
        half = (left - right) / 2
        landmarks = np.stack([centers[0], centers[3], middle, middle - half, middle + half])
        return frame_of(self._to_pelvis(landmarks), (self.deformation, self.detail))

    @cached_property
    def symphysis_mm(self) -> tuple[float, float]:
        """(y, z) of the centre of the pubic symphysis in the pelvic frame: of the hip bones within
        12 mm of the midline in the front half of the pelvis."""
        hip = np.argwhere(self.source.hip_depth_mm[::2, ::2, ::2] > 0) * 2
        x, y, z = self._to_pelvis(self.source.grid.index_to_mm(hip)).T
        middle = (np.abs(x) < 12) & (y > np.median(y))
        if not middle.any():
            raise ValueError("the hip bones do not reach the midline in front")
        return float(y[middle].mean()), float(z[middle].mean())

    @cached_property
    def _heads(self) -> tuple[Floats, Floats]:
        """(2, 3) centres of the right and the left hip joint, as on the left, and the heads' radii.

        In the fitted acetabula; where a source shows none, as the femora have them.
        """
        centers, radii = [], []
        for side, sign in ((Side.RIGHT, -1.0), (Side.LEFT, 1.0)):
            socket = fit_socket(self.source, side)
            if socket is None:
                center, radius = self.femora.center_mm, hip.HEAD_RADIUS_MM * self.femora.scale
            else:
                center = self._to_pelvis(socket.center_lps_mm) * np.array([sign, 1.0, 1.0])
                radius = socket.head_mm * float(np.mean(self.stretch))
            centers.append(center)
            radii.append(radius)
        return np.array(centers), np.array(radii)

    @property
    def hip_center_mm(self) -> Floats:
        """(3,) hip joint centre of the left side in the pelvic frame, the mean of both sides."""
        return np.asarray(self._heads[0].mean(axis=0))

    def bones(self, points: Points) -> BoneField:
        """The bones at points in the pelvic frame."""
        bent = self.detail.apply(self.deformation.apply(points))
        x, s, v = self.curve.place(bent)
        spine = lumbar.evaluate(self.curve, x, s, v, params=self.lumbar)
        femur = self._femur(bent)
        index = self._index(bent)
        rough = np.float32(0.35) * self.roughness.at(points)
        sacral = -_linear(self.source.sacrum_depth_mm, index) + rough
        wing = -_linear(self.source.hip_depth_mm, index)
        level = _linear(self.source.level, index)
        lateral = _linear(self.source.lateral, index)
        labels = ndimage.map_coordinates(self.source.labels, index, order=0, mode="nearest")
        labels = np.where(labels == real.COCCYX, np.uint8(COCCYX), labels)
        labels[(labels == 0) & (femur < 0) & (wing > 1)] = FEMUR
        free = (labels == 0) & (sacral > 1.5)
        labels[free & (spine.upper_mm < 0)] = AnatomyLabel.LUMBAR
        labels[free & (spine.l5_mm < 0)] = AnatomyLabel.L5
        others = np.minimum(np.minimum(femur, spine.upper_mm), spine.l5_mm)
        depth = -np.minimum(np.minimum(sacral, wing + rough), others)
        joint = (labels == 0) & (sacral < 6) & (wing < 6) & (np.abs(lateral) > 2.2) & (level < 3.4)
        disc = (spine.disc_mm < 0) & (labels == 0) & (s < 0)
        return BoneField(
            labels, depth, level, lateral, x, s, v, sacral, np.minimum(wing, 22), disc, joint
        )

    def _femur(self, points: Points) -> Array:
        """Signed distance to the femora, their heads in the acetabula."""
        (right, left), radii = self._heads
        on_left = points.x > 0
        size = np.where(on_left, radii[1], radii[0]) / (hip.HEAD_RADIUS_MM * self.femora.scale)
        place = (
            (axis - np.where(on_left, left[k], right[k])) / size + self.femora.center_mm[k]
            for k, axis in enumerate((np.abs(points.x), points.y, points.z))
        )
        seated = Points(*(axis.astype(np.float32) for axis in place))
        return np.asarray(hip.femur_mm(self.femora, seated) * size, dtype=np.float32)

    def _to_pelvis(self, points_lps_mm: Floats) -> Floats:
        offset = points_lps_mm - self.source.endplate_center_lps_mm
        return np.asarray(offset * np.array(self.stretch) * np.array([1.0, -1.0, 1.0]))

    def _index(self, points: Points) -> Array:
        """(3, …) index of points of the pelvic frame in the source's arrays."""
        affine = self.source.grid.affine_lps_mm
        center = self.source.endplate_center_lps_mm
        lps = [points.x / self.stretch[0], -points.y / self.stretch[1], points.z / self.stretch[2]]
        axes = [(lps[k] + (center[k] - affine[k, 3])) / affine[k, k] for k in range(3)]
        return np.stack(axes).astype(np.float32)


def _bow(source: real.BoneField, stretch: tuple[float, float, float]) -> tuple[float, float, float]:
    """Sacral slope (deg), kyphosis (deg) and size of real bones, for the spine's curve."""
    centers = source.body_centers_lps_mm * np.array(stretch)
    steps = np.diff(centers, axis=0)
    angles = np.degrees(np.arctan2(steps[:, 1], -steps[:, 2]))
    normal = source.endplate_normal_lps
    slope = float(np.degrees(np.arctan2(-normal[1], normal[2])))
    length = float(np.linalg.norm(steps, axis=1).sum())
    shown = float(sum(SACRAL_HEIGHTS_MM[: len(steps)]))
    return slope, float(max(slope - angles[-1], 10.0)), length / shown


def _linear(values: Array, index: Array) -> Array:
    return np.asarray(
        ndimage.map_coordinates(values, index, order=1, mode="nearest", output=np.float32)
    )
