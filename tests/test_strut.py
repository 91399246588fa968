"""The strut of an H on MR: edema across the bodies of which little is outlined (decision 0039)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import LesionBit, Modality, MrWeighting, Side
from sifdetect.classify import classify
from sifdetect.findings import Basis, Morphology
from sifdetect.marrow import FAINT
from sifdetect.measure import measure
from sifdetect.measurements import Measurements
from sifdetect.rules import Context
from sifdetect.volume import Segmentation
from tests.phantoms import FULL, Phantom

LEVEL, HALF_LEVELS, HALF_MM = 1.5, 0.3, 16.0


def on_mr(seen: Segmentation) -> Measurements:
    """As read from a STIR."""
    return measure(seen, fluid_sensitive=True, modality=Modality.MR)


def pattern(measured: Measurements) -> Morphology | None:
    """The pattern of a fracture that is certain."""
    context = Context(coverage=FULL, probability=0.99, weightings=(MrWeighting.STIR,))
    return classify(measured, context).morphology.value


def broken(*sides: Side) -> Phantom:
    """Line and edema in whole alae."""
    phantom = Phantom()
    for side in sides:
        phantom.line(side, 0.2, 2.8).edema(side, 0.2, 2.8)
    return phantom


def band(phantom: Phantom) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Marrow across the bodies at S2."""
    inside = (np.abs(phantom.level - LEVEL) < HALF_LEVELS) & (np.abs(phantom.x) < HALF_MM)
    return np.asarray(inside & phantom.sacrum)


def with_faint(phantom: Phantom, probability: float) -> Segmentation:
    """Edema of that probability in the band, which nothing outlines."""
    seen = phantom.segmentation()
    values = seen.probability.copy()
    values[list(LesionBit).index(LesionBit.EDEMA)][band(phantom)] = probability
    return replace(seen, probability=values)


def test_a_short_line_in_a_strut_of_edema_is_a_part_of_it() -> None:
    """The edema tells that it goes across; without it the line makes no pattern."""
    phantom = broken(Side.RIGHT, Side.LEFT).across(LEVEL, 3.0, 9.0)
    assert pattern(on_mr(phantom.segmentation())) is Morphology.INDETERMINATE
    phantom.lesions[band(phantom)] |= LesionBit.EDEMA.value
    measured = on_mr(phantom.segmentation())
    (limb,) = measured.transverse
    assert limb.basis is Basis.EDEMA
    assert limb.level == pytest.approx(LEVEL, abs=0.1)
    assert not measured.midline_line
    assert {one.side: one.basis for one in measured.fractures}[Side.MIDLINE] is (
        Basis.LINE_AND_EDEMA
    )
    assert pattern(measured) is Morphology.H


def test_a_tall_line_in_such_edema_stays_a_line_of_the_midline() -> None:
    """It runs along the sacrum, whatever is swollen around it."""
    phantom = broken(Side.RIGHT, Side.LEFT)
    phantom.lesions[band(phantom)] |= LesionBit.EDEMA.value
    tall = (np.abs(phantom.x) < 2) & (phantom.level > 1.0) & (phantom.level < 2.0)
    phantom.lesions[tall & phantom.sacrum] |= LesionBit.FRACTURE_LINE.value
    measured = on_mr(phantom.segmentation())
    assert (measured.transverse, measured.midline_line) == ((), True)


def test_a_faint_band_between_two_broken_alae_is_the_strut() -> None:
    """It is told as edema, with how likely that is."""
    measured = on_mr(with_faint(broken(Side.RIGHT, Side.LEFT), FAINT + 0.05))
    midline = {one.side: one for one in measured.fractures}[Side.MIDLINE]
    assert midline.basis is Basis.EDEMA
    assert midline.confidence == pytest.approx(FAINT + 0.05, abs=0.01)
    assert pattern(measured) is Morphology.H


@pytest.mark.parametrize(
    ("sides", "probability"),
    [((Side.RIGHT, Side.LEFT), FAINT - 0.05), ((Side.RIGHT,), FAINT + 0.05), ((), FAINT + 0.05)],
)
def test_what_is_fainter_or_lies_beside_one_ala_is_none(
    sides: tuple[Side, ...], probability: float
) -> None:
    """Nothing is said of the midline."""
    measured = on_mr(with_faint(broken(*sides), probability))
    assert {one.side for one in measured.fractures} == set(sides)
    assert measured.transverse == ()
