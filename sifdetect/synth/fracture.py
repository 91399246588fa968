"""Which fractures a sacrum has: patterns, courses and stages (clinical.md §1–3).

Where their sheets run is told in sheets.py, what they do to the bone in lesions.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from sifdetect.anatomy import Side
from sifdetect.findings import Morphology
from sifdetect.synth.noise import SmoothNoise
from sifdetect.synth.sheets import Course, Limb, Sheet, TransverseLimb

THROUGH = (0.0, 5.0)
"""Levels of a limb that parts one side of the sacrum from the rest, so that it may be displaced."""
ACROSS, TAIL_LEVELS = 4.0, (2.2, 3.2)
"""Reach of a transverse limb through the whole width, and where it lies: below the joints."""
CROSSING = (Morphology.TRANSVERSE, Morphology.H, Morphology.U, Morphology.T, Morphology.LAMBDA)
"""Patterns with a transverse limb."""


class Stage(Enum):
    """Age of a fracture, by what it shows."""

    ACUTE = "acute"
    SUBACUTE = "subacute"
    CHRONIC = "chronic"
    HEALED = "healed"

    @property
    def swollen(self) -> bool:
        """True while there is edema enough to be seen."""
        return self in (Stage.ACUTE, Stage.SUBACUTE)


@dataclass(frozen=True)
class FractureParams:
    """All fractures of one sacrum.

    Attributes:
        fragments: further sheets of a comminuted S1; they belong to the transverse limb.
    """

    morphology: Morphology
    stage: Stage
    limbs: tuple[Limb, ...]
    transverse: TransverseLimb | None
    margin: SmoothNoise
    fragments: tuple[Sheet, ...] = ()

    @staticmethod
    def sample(rng: np.random.Generator, morphology: Morphology) -> FractureParams:
        """Draw the limbs that make up a pattern (clinical.md §3)."""
        stage = Stage(rng.choice([s.value for s in Stage], p=[0.46, 0.27, 0.19, 0.08]))
        crossing = morphology in CROSSING
        comminuted = crossing and rng.random() < 0.06
        level = float(rng.uniform(0.55, 0.95) if comminuted else rng.uniform(0.9, 2.1))
        limbs = tuple(
            _limb(rng, side, stage, span=span, crossing=crossing)
            for side, span in _spans(rng, morphology, level)
        )
        transverse = _transverse(rng, level, limbs) if crossing else None
        params = FractureParams(morphology, stage, limbs, transverse, SmoothNoise.sample(rng, 9.0))
        return replace(params, fragments=_fragments(rng)) if comminuted else params

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """The limbs, then the transverse one; their number from 1 is the owner in LesionField."""
        return (*self.limbs, *(() if self.transverse is None else (self.transverse,)))


def _spans(
    rng: np.random.Generator, morphology: Morphology, level: float
) -> list[tuple[Side, tuple[float, float]]]:
    """(side, (upper, lower) level) of the vertical limbs of a pattern."""
    full = (float(rng.uniform(0.05, 0.35)), float(rng.uniform(level + 0.7, 3.1)))
    above = (float(rng.uniform(0.05, 0.3)), level + 0.05)
    first = Side.LEFT if rng.random() < 0.5 else Side.RIGHT
    free = (float(rng.uniform(0.05, 0.5)), float(rng.uniform(1.3, 2.8)))
    return {
        Morphology.UNILATERAL: [(first, THROUGH if rng.random() < 0.15 else free)],
        Morphology.BILATERAL: [(first, free), (first.opposite, full)],
        Morphology.H: [(first, full), (first.opposite, full)],
        Morphology.U: [(first, above), (first.opposite, above)],
        Morphology.T: [(first, full)],
        Morphology.LAMBDA: [(first, full), (first.opposite, above)],
    }.get(morphology, [])


_COURSES = {
    Course.PARALLEL: 0.54,
    Course.FORAMINAL: 0.24,
    Course.INTO_JOINT: 0.1,
    Course.RIM: 0.06,
    Course.BUCKLE: 0.06,
}


def _limb(
    rng: np.random.Generator,
    side: Side,
    stage: Stage,
    *,
    span: tuple[float, float],
    crossing: bool,
) -> Limb:
    """One limb; those that meet a transverse one go through the whole depth of the sacrum."""
    course = Course(rng.choice([c.value for c in _COURSES], p=list(_COURSES.values())))
    if crossing and course in (Course.RIM, Course.BUCKLE, Course.INTO_JOINT):
        course = Course.PARALLEL
    if span == THROUGH or (course is Course.BUCKLE and not stage.swollen):
        course = Course.PARALLEL
    lateral = {
        Course.FORAMINAL: float(rng.uniform(1.35, 1.75)),
        Course.INTO_JOINT: float(rng.uniform(2.3, 2.5)),
        Course.RIM: float(rng.uniform(2.5, 2.7)),
    }.get(course, float(rng.uniform(2.25, 2.75)))
    short = (span[0] + 0.1, min(span[1], span[0] + float(rng.uniform(0.7, 1.2))))
    whole = crossing or span == THROUGH or rng.random() < 0.5
    dorsal = 1.0 if whole else float(rng.uniform(0.4, 0.9))
    shallow = {Course.RIM: 0.3, Course.BUCKLE: 0.35}
    local = course in shallow
    bruise = stage is Stage.ACUTE and course is Course.PARALLEL and not crossing
    occult = bool(bruise and span != THROUGH and rng.random() < 0.2)
    return Limb(
        side=side,
        lateral=lateral,
        upper=short[0] if local else span[0],
        lower=short[1] if local else span[1],
        dorsal=shallow.get(course, dorsal),
        width_mm=float(np.clip(rng.lognormal(0.1, 0.55), 0.3, 3.0)),
        edema_mm=float(rng.uniform(6, 17)),
        occult=occult,
        roughness=SmoothNoise.sample(rng, 11.0),
        course=course,
    )


def _transverse(rng: np.random.Generator, level: float, limbs: tuple[Limb, ...]) -> TransverseLimb:
    """The limb between vertical ones; alone it ends in the bodies or parts the whole tail."""
    reach = {limb.side: limb.lateral for limb in limbs}
    free = float(rng.uniform(1.2, 1.9))
    width = float(np.clip(rng.lognormal(0.2, 0.5), 0.5, 3.5))
    edema = float(rng.uniform(5, 11))
    low = float(rng.uniform(*TAIL_LEVELS))
    if not limbs and rng.random() < 0.5:
        free, level = ACROSS, low
    return TransverseLimb(
        level=level,
        right=reach.get(Side.RIGHT, free),
        left=reach.get(Side.LEFT, free),
        width_mm=width,
        edema_mm=edema,
        roughness=SmoothNoise.sample(rng, 11.0),
    )


def _fragments(rng: np.random.Generator) -> tuple[Sheet, ...]:
    """Sheets that break S1 up: one or two upright ones near the midline and one lying."""
    upright = [
        Limb(
            side=Side.LEFT if offset > 0 else Side.RIGHT,
            lateral=abs(float(offset)),
            upper=-0.2,
            lower=1.0,
            dorsal=1.0,
            width_mm=float(rng.uniform(0.8, 3.0)),
            edema_mm=6.0,
            occult=False,
            roughness=SmoothNoise.sample(rng, 9.0),
            course=Course.MIDLINE,
        )
        for offset in rng.choice([-0.55, -0.15, 0.2, 0.5], int(rng.integers(1, 3)), replace=False)
    ]
    lying = TransverseLimb(
        level=float(rng.uniform(0.2, 0.4)),
        right=float(rng.uniform(0.2, 0.8)),
        left=float(rng.uniform(0.2, 0.8)),
        width_mm=float(rng.uniform(0.8, 3.0)),
        edema_mm=6.0,
        roughness=SmoothNoise.sample(rng, 9.0),
    )
    return (*upright, lying)
