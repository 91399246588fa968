"""What is written beside a case about what it shows."""

from __future__ import annotations

from dataclasses import replace

from sifdetect.findings import Morphology
from sifdetect.learn.record import shown
from sifdetect.synth.fracture import Stage
from sifdetect.synth.scene import sample_case
from sifdetect.synth.sheets import Course


def test_a_fresh_fracture_without_a_line_is_ct_occult() -> None:
    """The same fracture with a line, or healed, is not; mimics are named as the truth has them."""
    drawn = sample_case(11, morphology=Morphology.UNILATERAL, mimics=4.0)
    mimics = {mimic.value for mimic in drawn.confounders.mimics}
    assert mimics
    for occult, stage in ((True, Stage.ACUTE), (False, Stage.ACUTE), (True, Stage.HEALED)):
        limbs = tuple(
            replace(limb, occult=occult, course=Course.PARALLEL) for limb in drawn.fracture.limbs
        )
        broken = replace(drawn.fracture, limbs=limbs, stage=stage)
        told = shown(replace(drawn, fracture=broken))
        assert told["stage"] == stage.value
        assert told["ct_occult"] is (occult and stage is Stage.ACUTE)
        assert set(told["mimics"]) == mimics
