"""Size and form of one sacrum, relative to the mean one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

FORAMEN_APART_SD_MM = (0.4, 1.15, 1.0, 0.9)
"""Spread of the foramina's distance from the midline beyond that of the width, each side; S1 and S2
after the shape model (morphometry.py), S3 and S4, which it lacks, chosen."""
FORAMEN_APART_CORRELATION = 0.3
"""Of that distance from level to level; 0.2 between S1 and S2 in the shape model."""


@dataclass(frozen=True)
class SacrumParams:
    """Size and shape relative to the mean; one entry of ``foramen_*`` per foramen S1–S4.

    Attributes:
        joint_slant: mm that the auricular surface moves inwards per mm towards the back, about.
        asymmetry: relative difference in width between a side and the mean of both.
        ala_drop: level at which the upper surface of the ala starts, at v = 0; 0 is flush with
            the end plate, 0.5 half an S1 body below it.
        ala_slope: factor on the slope of that surface towards the front.
        ala_skew_mm: how much higher the right ala lies than the mean of both.
        ala_sweep: factor on how far the alae swing forward of the bodies.
        ala_back_mm: how much further back the alae reach than the mean.
        taper: factor on the width at S5 relative to that at S1.
        canal: factor on the depth of the sacral canal; its width follows by a third.
        crest: factor on the median and lateral crests.
        hiatus: level at which the canal loses its roof.
        foramen_out: ventrolateral direction of the foramina, mm outwards per mm forward.
        foramen_skew: relative difference in size between a left foramen and the mean of its pair.
        foramen_apart_mm: how much further from the midline the foramina lie than the mean.
        rim_spur_mm: (right, left) osteophyte at the front of the S1 end plate's rim.
        joint_spur_mm: (right, left) osteophyte at the ventral edge of the sacroiliac joint.
    """

    width: float
    depth: float
    foramen_size: tuple[float, float, float, float]
    foramen_shift_mm: tuple[float, float, float, float]
    joint_slant: float
    asymmetry: float
    ala_drop: float = 0.25
    ala_slope: float = 1.0
    ala_skew_mm: float = 0.0
    ala_sweep: float = 1.0
    ala_back_mm: float = 0.0
    taper: float = 1.0
    canal: float = 1.0
    crest: float = 1.0
    hiatus: float = 3.9
    foramen_out: float = 0.5
    foramen_skew: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    foramen_apart_mm: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    rim_spur_mm: tuple[float, float] = (0.0, 0.0)
    joint_spur_mm: tuple[float, float] = (0.0, 0.0)

    @staticmethod
    def sample(rng: np.random.Generator) -> SacrumParams:
        """Draw a shape; standard deviations are those of adults (width 4 %, foramina 10 %)."""
        size = np.clip(rng.normal(1.0, 0.1, 4), 0.75, 1.3)
        shift = rng.normal(0.0, 1.0, 4)
        return SacrumParams(
            width=float(np.clip(rng.normal(0.98, 0.04), 0.86, 1.1)),
            depth=float(np.clip(rng.normal(1.01, 0.07), 0.84, 1.22)),
            foramen_size=(float(size[0]), float(size[1]), float(size[2]), float(size[3])),
            foramen_shift_mm=(float(shift[0]), float(shift[1]), float(shift[2]), float(shift[3])),
            joint_slant=float(rng.uniform(-0.12, 0.12)),
            asymmetry=float(rng.normal(0.0, 0.02)),
        )

    def varied(self, rng: np.random.Generator, *, width: float) -> SacrumParams:
        """The shape with the rest of its form drawn (own estimates) and ``width`` times as wide."""
        skew = rng.normal(0.0, 0.06, 4)
        return replace(
            self,
            width=self.width * width,
            ala_drop=float(np.clip(rng.normal(0.19, 0.17), -0.1, 0.75)),
            ala_slope=float(np.clip(rng.normal(1.0, 0.15), 0.5, 1.5)),
            ala_skew_mm=float(rng.normal(0.0, 1.2)),
            ala_sweep=float(np.clip(rng.normal(1.25, 0.2), 0.6, 1.8)),
            ala_back_mm=float(np.clip(rng.normal(1.9, 4.0), -7, 10)),
            taper=float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2)),
            canal=float(np.clip(rng.normal(1.0, 0.14), 0.7, 1.4)),
            crest=float(np.clip(rng.normal(0.8, 0.25), 0.2, 1.6)),
            hiatus=float(np.clip(rng.normal(3.9, 0.3), 3.0, 4.5)),
            foramen_out=float(np.clip(rng.normal(0.5, 0.1), 0.2, 0.8)),
            foramen_skew=(float(skew[0]), float(skew[1]), float(skew[2]), float(skew[3])),
        )

    def set_apart(self, rng: np.random.Generator) -> SacrumParams:
        """The shape with its foramina nearer to the midline or further from it, as drawn."""
        common, *own = np.clip(rng.normal(0, 1, 5), -2.2, 2.2)
        share = FORAMEN_APART_CORRELATION
        drawn = np.sqrt(share) * common + np.sqrt(1 - share) * np.array(own)
        first, second, third, fourth = (np.array(FORAMEN_APART_SD_MM) * drawn).tolist()
        return replace(self, foramen_apart_mm=(first, second, third, fourth))

    def aged(self, rng: np.random.Generator, *, wear: float, female: bool) -> SacrumParams:
        """The shape with the osteophytes of age; ``wear`` runs from 0 at 50 years to 1 at 95.

        Those of the joint's ventral edge are common and rarer in women (Shibata 2002, J Orthop
        Sci; Ziegeler 2021, Sci Rep: odds ratio 0.15); the sizes are chosen.
        """
        rim = np.clip(rng.normal(0.5 + 2.2 * wear, 1.1), 0, 4) * rng.uniform(0.6, 1.3, 2)
        usual = 0.4 + 2.2 * wear - 1.0 * female
        joint = np.clip(rng.normal(usual, 1.0), 0, 4) * rng.uniform(0.6, 1.3, 2)
        return replace(
            self,
            rim_spur_mm=(float(rim[0]), float(rim[1])),
            joint_spur_mm=(float(joint[0]), float(joint[1])),
        )
