"""The patient that tests of a plain fracture take."""

from __future__ import annotations

from functools import cache

from sifdetect.findings import Morphology
from sifdetect.synth.fracture import Stage
from sifdetect.synth.scene import sample_case


@cache
def fresh_bilateral() -> int:
    """The first seed whose bilateral fracture is acute, with lines, and alone.

    No ramus is broken, and nothing else in the bones looks like a fracture.
    """
    cases = (sample_case(seed, morphology=Morphology.BILATERAL) for seed in range(200))
    return next(
        case.seed
        for case in cases
        if case.fracture.stage is Stage.ACUTE
        and not case.ring.fractures
        and not case.confounders.lesions
        and not any(limb.lineless for limb in case.fracture.limbs)
    )
