"""Lines that are not stated as a fracture, and what they do not add to a study's score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import LesionBit, Modality, Side
from sifdetect.findings import Basis
from sifdetect.measure import measure
from sifdetect.measurements import UNCERTAIN, Measurements
from sifdetect.score import LINE_MM3, SURE
from sifdetect.volume import Segmentation
from tests.phantoms import ACROSS_MM, SPACING_MM, Phantom

SIDES = (Side.RIGHT, Side.LEFT)
INSIDE_MM = 12.0
"""Half the width of a line that ends within the bodies."""


def on_ct(phantom: Phantom | Segmentation) -> Measurements:
    """As read from a CT."""
    seen = phantom.segmentation() if isinstance(phantom, Phantom) else phantom
    return measure(seen, fluid_sensitive=False, modality=Modality.CT)


def stated(measured: Measurements) -> set[Side]:
    """The sides that a fracture is stated of."""
    return {one.side for one in measured.fractures}


def uncertain(measured: Measurements) -> dict[Side, float]:
    """The volume of what is told as uncertain, by side."""
    return {one.side: one.volume_mm3 for one in measured.other_findings if one.kind == UNCERTAIN}


def at(phantom: Phantom, probability: float) -> Segmentation:
    """The phantom with another probability of its lines."""
    seen = phantom.segmentation()
    values = seen.probability.copy()
    line = values[list(LesionBit).index(LesionBit.FRACTURE_LINE)]
    line[line > 0.5] = probability
    return replace(seen, probability=values)


def broken(side: Side) -> Phantom:
    """A long line in one ala."""
    return Phantom().line(side, 0.2, 2.8)


@pytest.mark.parametrize("side", SIDES)
def test_a_small_line_beside_a_large_one_is_told_as_uncertain(side: Side) -> None:
    """With its side and volume, and nothing else is said of that side."""
    small = Phantom().line(side.opposite, 1.0, 1.25)
    volume_mm3 = float((small.lesions > 0).sum()) * SPACING_MM**3
    measured = on_ct(broken(side).line(side.opposite, 1.0, 1.25))
    assert stated(measured) == {side}
    assert uncertain(measured) == {side.opposite: pytest.approx(volume_mm3)}
    assert not (measured.components.values == 2).any()
    assert measured.sides[side.opposite].basis is None


@pytest.mark.parametrize("side", SIDES)
def test_what_makes_a_small_line_count(side: Side) -> None:
    """Alone, with edema of its own, nearly certain, or of a fifth of the other's length."""
    here = (side.opposite, 1.0, 1.25)
    assert stated(on_ct(Phantom().line(*here))) == {side.opposite}
    swollen = broken(side).line(*here).edema(side.opposite, 0.8, 1.6).segmentation()
    measured = measure(swollen, fluid_sensitive=True, modality=Modality.MR)
    assert {one.side: one.basis for one in measured.fractures}[side.opposite] is (
        Basis.LINE_AND_EDEMA
    )
    assert stated(on_ct(at(broken(side).line(*here), SURE + 0.01))) == set(SIDES)
    assert stated(on_ct(broken(side).line(side.opposite, 0.6, 1.2))) == set(SIDES)


def test_a_line_that_ends_within_the_bodies_is_no_fracture_by_itself() -> None:
    """A remnant of a disc does so; the reader is shown where it lies."""
    measured = on_ct(Phantom().across(1.0, INSIDE_MM, INSIDE_MM))
    assert stated(measured) == set()
    assert set(uncertain(measured)) == {Side.MIDLINE}
    assert (measured.transverse, measured.wall, measured.midline_line) == ((), None, False)


@pytest.mark.parametrize("side", SIDES)
def test_a_line_within_the_bodies_beside_one_ala_is_not_stated(side: Side) -> None:
    """One that goes on into the alae is, and one between two broken alae, and a certain one."""
    remnant = broken(side).across(1.0, INSIDE_MM, INSIDE_MM)
    assert stated(on_ct(remnant)) == {side}
    assert set(uncertain(on_ct(remnant))) == {Side.MIDLINE}
    assert stated(on_ct(broken(side).across(1.0, ACROSS_MM, ACROSS_MM))) == {side, Side.MIDLINE}
    assert stated(on_ct(remnant.line(side.opposite, 0.2, 2.8))) == {*SIDES, Side.MIDLINE}
    sure = at(broken(side).across(1.0, INSIDE_MM, INSIDE_MM), SURE + 0.01)
    assert stated(on_ct(sure)) == {side, Side.MIDLINE}


def test_edema_across_the_bodies_makes_their_line_count() -> None:
    """On MR a remnant has none."""
    phantom = broken(Side.RIGHT).edema(Side.RIGHT, 0.2, 2.8).across(1.5, INSIDE_MM, INSIDE_MM)
    dry = measure(phantom.segmentation(), fluid_sensitive=True, modality=Modality.MR)
    assert stated(dry) == {Side.RIGHT}
    strut = (np.abs(phantom.level - 1.5) < 0.3) & (np.abs(phantom.x) < 16.0) & phantom.sacrum
    phantom.lesions[strut] |= LesionBit.EDEMA.value
    wet = measure(phantom.segmentation(), fluid_sensitive=True, modality=Modality.MR)
    assert stated(wet) == {Side.RIGHT, Side.MIDLINE}


def on_mr(phantom: Phantom | Segmentation) -> Measurements:
    """As read from a T1."""
    seen = phantom.segmentation() if isinstance(phantom, Phantom) else phantom
    return measure(seen, fluid_sensitive=False, modality=Modality.MR)


def test_the_score_of_mr_is_that_of_lines_outside_the_bodies() -> None:
    """Whatever lies in the bodies, unless it is nearly certain; on CT it counts."""
    remnant = Phantom().across(1.0, INSIDE_MM, INSIDE_MM)
    assert on_mr(remnant).score == pytest.approx(0.05)
    assert on_ct(remnant).score == pytest.approx(0.9)
    assert on_mr(at(remnant, SURE + 0.01)).score == pytest.approx(SURE + 0.01)
    assert on_mr(Phantom().across(1.0)).score == pytest.approx(0.9)


@pytest.mark.parametrize("modality", list(Modality))
def test_the_score_needs_a_line_of_a_certain_size(modality: Modality) -> None:
    """LINE_MM3 of bone; less is what the score of whole bones is made of."""
    small, large = Phantom(), Phantom()
    for phantom, count in ((small, 0.8), (large, 1.2)):
        ala = np.argwhere(phantom.sacrum & (phantom.x > 30))
        some = ala[: round(count * LINE_MM3[modality] / SPACING_MM**3)]
        phantom.lesions[tuple(some.T)] |= LesionBit.FRACTURE_LINE.value
    read = {Modality.CT: on_ct, Modality.MR: on_mr}[modality]
    assert read(small).score == pytest.approx(0.05)
    assert read(large).score == pytest.approx(0.9)
