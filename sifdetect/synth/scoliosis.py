"""Scoliosis: the spine bent sideways, with the rotation of its vertebrae that goes with it.

Coordinates: ``x`` lateral, + is left; ``s`` and ``v`` along the midsagittal curve (spine.py). Above
the S1 end plate the curve itself runs sideways; a point's coordinates are then taken from the bent
curve and turned with its vertebra, so that a bone that is straight in them is bent in the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from sifdetect.synth.noise import Array

STANDING_DEG = {True: 5.1, False: 4.0, None: 4.55}
"""Scale of the gamma distribution of Cobb's angle (its shape is 2) of women, men, and where the sex
is not known. 10° and more have 41 % of the women and 28 % of the men (McAviney 2020, Eur Spine J
29:2960, pooled: 41.2 and 27.5 %; Hong 2010, J Bone Joint Surg Br 92:980: 35.5 % of 1347 people of
60 to 94 years)."""
AGE_FACTOR = (0.45, 0.9)
"""At 50 years, and what is added until 95. In Kebaish 2011 (Spine 36:731) 3 % have 11° or more at
40 to 50 years, 50 % from 90 on; here 48 % of the women and 33 % of the men from 88 on."""
WORST_DEG = 50.0
LYING = 0.8
"""Cobb's angle lying relative to standing: 35 to 44° in lumbar curves (Brink 2017, Scoliosis Spinal
Disord 12:18, supine MR beside upright radiographs; adolescents, none so complete was found of the
old)."""
BODY_MM, DISC_MM = 28.0, 9.0
LEVEL_MM = BODY_MM + DISC_MM
"""A vertebra and a disc (spine.py)."""
L5 = (DISC_MM + BODY_MM / 2) / LEVEL_MM
"""The middle of L5, in vertebrae above the S1 end plate; the end vertebrae are L4 or L3 below."""
RIGID = 0.5
"""How much of the bend beside a vertebra lies in it; the discs' wedges take the rest (chosen)."""
TOP_MM, BOTTOM_MM = -330.0, 60.0
BASE_MM = 28.0
"""Height of the S1 body, in which the tilt of its end plate fades."""
NEAR_MM, FAR_MM = 50.0, 130.0
"""From the midline: up to where tissue follows its vertebra, and from where it does not at all."""


@dataclass(frozen=True)
class Scoliosis:
    """A lumbar curve, as it is lying; angles in degrees, positive where it is convex to the left.

    Attributes:
        cobb_deg: between its two most tilted vertebrae.
        apex: its most lateral place, in vertebrae above the S1 end plate; 2.6 is the middle of L3.
        lower_share: share of the angle below the apex, in the lumbosacral countercurve.
        rotation_deg: of the apical vertebra; bodies turn towards the convexity.
        base_deg: tilt of the S1 end plate against the rest of the sacrum.
    """

    cobb_deg: float = 0.0
    apex: float = 2.6
    lower_share: float = 0.5
    rotation_deg: float = 0.0
    base_deg: float = 0.0

    @staticmethod
    def sample(rng: np.random.Generator, *, wear: float, female: bool | None) -> Scoliosis:
        """Draw a curve: its angle by sex and age, to either side as often.

        Rotation is a quarter of the angle, 0.05 to 0.5 times: 0.17 to 0.25 on the mean lying and
        standing in Brink 2017. Apex, its spread and the tilt of the base are chosen.

        Args:
            wear: 0 at 50 years to 1 at 95.
            female: None where the sex is not known.
        """
        age = AGE_FACTOR[0] + AGE_FACTOR[1] * wear
        standing = float(np.clip(rng.gamma(2.0, STANDING_DEG[female] * age), 0, WORST_DEG))
        sign = 1.0 if rng.random() < 0.5 else -1.0
        cobb = sign * LYING * standing
        return Scoliosis(
            cobb_deg=cobb,
            apex=float(np.clip(rng.normal(2.9, 0.4), 2.6, 3.7)),
            lower_share=float(rng.uniform(0.4, 0.55)),
            rotation_deg=cobb * float(np.clip(rng.normal(0.25, 0.09), 0.05, 0.5)),
            base_deg=float(np.clip(rng.normal(0.07 * cobb, 1.0), -4.0, 4.0)),
        )

    def curve(self, scale: float) -> LateralCurve:
        """The curve of a pelvis of that size."""
        s = np.arange(TOP_MM, BOTTOM_MM + 1)
        above = _in_discs(-s / scale) / LEVEL_MM
        lower, upper = self.lower_share * self.cobb_deg, (1 - self.lower_share) * self.cobb_deg
        ends = [L5 + max(1, round(self.apex - L5 - 1.4)), L5 + round(self.apex - L5 + 1.9)]
        knots = [0.0, ends[0], self.apex, ends[1], ends[1] + 2.6]
        tilt = PchipInterpolator(knots, [self.base_deg, lower, 0.0, -upper, 0.0])
        turn = PchipInterpolator([0.0, self.apex, self.apex + 3.5], [0.0, self.rotation_deg, 0.0])
        leaning = np.where(above > 0, tilt(np.clip(above, 0, knots[-1])), self.base_deg)
        leaning *= np.clip(1 - s / (BASE_MM * scale), 0, 1)
        turned = turn(np.clip(above, 0, self.apex + 3.5))
        leaning, turned = (
            np.radians(ndimage.gaussian_filter1d(angle, 6.0)) for angle in (leaning, turned)
        )
        turned *= s < 0
        lateral = np.cumsum((np.tan(leaning) * (s < 0))[::-1])[::-1]
        return LateralCurve(*(a.astype(np.float32) for a in (s, lateral, leaning, turned)))


STRAIGHT = Scoliosis()


def _in_discs(above_mm: Array) -> Array:
    """Heights above the end plate, drawn together within the vertebrae and apart in the discs."""
    bounds, moved = [-100.0, 0.0], [-100.0, 0.0]
    for number in range(10):
        lower = number * LEVEL_MM + DISC_MM
        middle = lower + BODY_MM / 2
        bounds += [lower, lower + BODY_MM]
        moved += [middle - RIGID * BODY_MM / 2, middle + RIGID * BODY_MM / 2]
    return np.asarray(np.interp(above_mm, bounds, moved))


@dataclass(frozen=True)
class LateralCurve:
    """A lateral curve over arc length; (n,) arrays, one value a millimetre.

    Attributes:
        s_mm: arc length of the midsagittal curve. lateral_mm: x of the bent one.
        tilt, turn: angle to the midline, positive where it runs to the left upwards, and of the
            vertebra about its axis, positive where its front points to the left; rad.
    """

    s_mm: Array
    lateral_mm: Array
    tilt: Array
    turn: Array

    def straightened(self, x: Array, s: Array, v: Array) -> tuple[Array, Array, Array]:
        """Coordinates of points along the bent curve, from those along the straight one."""
        near = np.flatnonzero((s < BASE_MM * 1.6) & (np.abs(x) < FAR_MM))
        result = tuple(np.array(values, dtype=np.float32) for values in (x, s, v))
        if not near.size or not (np.any(self.tilt) or np.any(self.turn)):
            return result[0], result[1], result[2]
        x, s, v = (values.ravel()[near] for values in (x, s, v))
        share = _share(x)
        first = s - (x - self._at(self.lateral_mm, s)) * np.sin(self._at(self.tilt, s)) * share
        tilt = self._at(self.tilt, first) * share
        off, up = x - self._at(self.lateral_mm, first) * share, first - s
        arc = first - off * np.sin(tilt) - up * np.cos(tilt)
        across = off * np.cos(tilt) - up * np.sin(tilt)
        turn = self._at(self.turn, arc) * share
        moved = (
            across * np.cos(turn) - v * np.sin(turn),
            arc,
            across * np.sin(turn) + v * np.cos(turn),
        )
        for values, there in zip(result, moved, strict=True):
            values.reshape(-1)[near] = there
        return result[0], result[1], result[2]

    def bent(self, x: Array, s: Array, v: Array) -> tuple[Array, Array, Array]:
        """The inverse of ``straightened``: exact to NEAR_MM from the midline, about beyond it."""
        share = _share(x)
        turn, tilt = self._at(self.turn, s) * share, self._at(self.tilt, s) * share
        across = x * np.cos(turn) + v * np.sin(turn)
        ventral = -x * np.sin(turn) + v * np.cos(turn)
        lateral = self._at(self.lateral_mm, s) * share
        return lateral + across * np.cos(tilt), s + across * np.sin(tilt), ventral

    def _at(self, values: Array, s: Array) -> Array:
        index = np.clip(s - self.s_mm[0], 0, len(self.s_mm) - 1.001)
        low = index.astype(np.int32)
        rest = (index - low).astype(np.float32)
        return np.asarray(values[low] * (1 - rest) + values[low + 1] * rest)


def _share(x: Array) -> Array:
    """How much a point so far from the midline follows the spine, 1 to 0."""
    beyond = np.clip((np.abs(x) - NEAR_MM) / (FAR_MM - NEAR_MM), 0, 1)
    return np.asarray(1 - beyond * beyond * (3 - 2 * beyond), dtype=np.float32)
