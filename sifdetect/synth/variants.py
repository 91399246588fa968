"""Variants of the lumbosacral junction and the sacrum's ends: who has one, and its bone.

Levels keep their meaning in every variant: 0 is the end plate on which the last free disc rests,
5 the lower end of S5; a sacrum of four segments ends at 4 and has no S5, one of six at 6. What a
sixth segment is called stands in docs/decisions/0010. A transverse process of L5
that has joined an ala stays L5 above the ala's own surface; a coccyx that has joined S5 stays
coccyx.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sifdetect.synth.noise import Array
from sifdetect.synth.sacrum import SacrumParams, smooth_min
from sifdetect.synth.spine import SpineCurve

SACRALIZED = 0.08
"""Enlarged transverse process of L5 at the ala; 4-30 % by definition (Konin and Walz 2010)."""
LUMBARIZED = 0.04
"""S1 squared like a lumbar body, its alae low and weak (own estimate of the frequency)."""
DYSMORPHIC = 0.15
"""Upper sacrum with steep, low alae and large, uneven S1 foramina (own estimate)."""
COCCYX_FUSED = 0.2
"""First coccygeal segment joined to S5: six segments in one bone (21.7 % of 631 bodies, Bergman,
Encyclopedia of Human Anatomic Variation)."""
SIX_SEGMENTS = 0.6
"""Share of these in which it has a body as broad as S5's and a fifth pair of foramina: 13.6 % of 66
sacra (Singh 2014, Int J Morphol 32:125)."""
FOUR_SEGMENTS = 0.03
"""S5 free, a part of the coccyx: four segments. 1 % of the same bodies; more on purpose, so that
some are met in training."""


@dataclass(frozen=True)
class VariantParams:
    """Which variants a pelvis has.

    Attributes:
        l5_mass: (right, left) size of the mass between L5 and the ala relative to the mean one,
            0 for none.
        l5_fused: the mass has grown together with the ala; else a joint parts them.
        lumbarized, dysmorphic, coccyx_fused, four_segments, six_segments: as above; a pelvis with
            six_segments has no coccyx_fused.
    """

    l5_mass: tuple[float, float] = (0.0, 0.0)
    l5_fused: bool = False
    lumbarized: bool = False
    dysmorphic: bool = False
    coccyx_fused: bool = False
    four_segments: bool = False
    six_segments: bool = False

    @staticmethod
    def sample(rng: np.random.Generator) -> VariantParams:
        """Draw variants, each on its own; sacralized L5 and lumbarized S1 exclude each other."""
        draws, sizes = rng.random(6), np.clip(rng.normal(1.0, 0.15, 2), 0.7, 1.3)
        sides = (draws[1] < 0.7, draws[1] > 0.35) if draws[0] < SACRALIZED else (False, False)
        right, left = (float(size) * side for size, side in zip(sizes, sides, strict=True))
        lumbarized = SACRALIZED < draws[0] < SACRALIZED + LUMBARIZED
        return VariantParams(
            l5_mass=(right, left),
            l5_fused=bool(draws[2] < 0.5),
            lumbarized=bool(lumbarized),
            dysmorphic=bool(draws[3] < DYSMORPHIC and not lumbarized),
            coccyx_fused=bool(draws[4] < COCCYX_FUSED),
            four_segments=bool(draws[4] > 1 - FOUR_SEGMENTS),
        )

    def completed(
        self, rng: np.random.Generator, curve: SpineCurve
    ) -> tuple[VariantParams, SpineCurve]:
        """Variants and curve with what is drawn last: is a fused coccyx a segment of its own?"""
        if rng.random() > SIX_SEGMENTS or not self.coccyx_fused:
            return self, curve
        six = replace(self, six_segments=True, coccyx_fused=False)
        return six, replace(curve, segments=6)

    def applied(self, curve: SpineCurve, params: SacrumParams) -> tuple[SpineCurve, SacrumParams]:
        """Curve and sacrum of a pelvis with these variants."""
        if self.dysmorphic:
            first, *others = params.foramen_size
            params = replace(
                params,
                ala_drop=params.ala_drop + 0.3,
                ala_slope=1.6,
                foramen_size=(first * 1.15, others[0], others[1], others[2]),
            )
        if self.lumbarized:
            params = replace(params, ala_drop=params.ala_drop + 0.35, ala_back_mm=-4.0)
            curve = replace(curve, wedge_deg=0.3 * curve.wedge_deg)
        if self.four_segments:
            curve = replace(curve, segments=4)
        return curve, params

    def with_mass(self, l5_mm: Array, sacrum_mm: Array, at: tuple[Array, Array, Array]) -> Array:
        """The surface of L5 with the masses at its transverse processes.

        Args:
            l5_mm, sacrum_mm: signed distances without them.
            at: lateral position, arc length and ventral offset in mm, all of one shape.
        """
        if not any(self.l5_mass):
            return l5_mm
        near = np.flatnonzero((np.abs(at[0]) > 8) & (np.abs(at[1] + 10) < 45))
        x, s, v, sacrum, bone = (values.ravel()[near] for values in (*at, sacrum_mm, l5_mm))
        for size, side in zip(self.l5_mass, (-1, 1), strict=True):
            if size > 0:
                # From the process's root outwards and down into the ala.
                along = np.clip((x * side - 26) / 20, 0, 1)
                from_axis = np.hypot(s - (-24 + 30 * along), v - (-14 + 8 * along))
                beyond = np.maximum(np.maximum(24 - x * side, x * side - 50), 0)
                mass = np.hypot(from_axis, beyond) - 10.5 * size
                mass = mass if self.l5_fused else np.maximum(mass, 1.0 - sacrum)
                bone = smooth_min(bone, mass.astype(np.float32), 4.0)
        joined = l5_mm.copy()
        joined.reshape(-1)[near] = bone
        return joined

    def with_bridge(
        self, coccyx_mm: Array, curve: SpineCurve, at: tuple[Array, Array, Array]
    ) -> Array:
        """The surface of the coccyx, joined to S5 where it has fused; ``at`` as in with_mass."""
        if not self.coccyx_fused:
            return coccyx_mm
        x, s, v = at
        size = curve.scale
        end = curve.sacral_end_mm
        bridge = np.sqrt((x / (9.5 * size)) ** 2 + ((v - 1) / (5 * size)) ** 2) * 5 - 5
        bridge = np.maximum(bridge, np.abs(s - end - 2) - 6)
        return smooth_min(coccyx_mm, bridge.astype(np.float32), 2.0)


NO_VARIANT = VariantParams()
