"""Two dates of one sacrum: what is called new, grown, unchanged, shrunk or healed, and what not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sifdetect.anatomy import LesionBit, Modality, SacralLevel, Side
from sifdetect.changes import Change, FindingChange
from sifdetect.compare import APART_MM, Dated, compare, new_contralateral
from sifdetect.findings import Basis, Presence
from sifdetect.measure import measure
from tests.phantoms import FULL, Phantom

STILL = np.eye(4)


def dated(
    phantom: Phantom, modality: Modality = Modality.MR, *, fluid: bool | None = None
) -> Dated:
    """What is measured on a phantom, all of which is in view; MR has a STIR unless told."""
    shows_edema = modality is Modality.MR if fluid is None else fluid
    measured = measure(phantom.segmentation(), fluid_sensitive=shows_edema, modality=modality)
    return Dated(
        study_instance_uid="1.2",
        modality=modality,
        fluid_sensitive=shows_edema,
        presence=Presence.PRESENT if measured.fractures else Presence.ABSENT,
        fractures=measured.fractures,
        coverage=FULL,
        marked=measured.components,
    )


@cache
def edema(*sides: Side, lower: float = 1.9, x_mm: float = 38.0) -> Dated:
    """MR with edema of S1 and S2, or further down, in the alae named."""
    phantom = Phantom()
    for side in sides:
        phantom.edema(side, 0.1, lower, x_mm)
    return dated(phantom)


@cache
def on_ct(lower: float = 1.9) -> Dated:
    """CT with a line in the right ala."""
    return dated(Phantom().line(Side.RIGHT, 0.1, lower), Modality.CT)


def stated(changes: tuple[FindingChange, ...]) -> list[tuple[Side, Change]]:
    """Side and change of each row, in order."""
    return [(one.side, one.change) for one in changes]


def test_the_same_finding_twice_is_unchanged_and_overlaps_itself() -> None:
    """Volumes of both dates and the Dice coefficient stand in the row."""
    (one,) = compare(edema(Side.RIGHT), edema(Side.RIGHT), STILL)
    assert (one.side, one.change, one.measure) == (Side.RIGHT, Change.UNCHANGED, "edema")
    assert one.volume_mm3 == one.prior_volume_mm3
    assert one.overlap == pytest.approx(1.0)
    assert (one.id, one.prior_id) == ("F1", "F1")


def test_a_new_contralateral_ala_comes_first() -> None:
    """Right before, both now: the left one goes before what became of the right one."""
    now, prior = edema(Side.RIGHT, Side.LEFT, lower=2.9), edema(Side.RIGHT, lower=1.2)
    changes = compare(now, prior, STILL)
    assert stated(changes) == [(Side.LEFT, Change.NEW), (Side.RIGHT, Change.GROWN)]
    assert new_contralateral(list(changes), prior) == (Side.LEFT,)
    assert changes[0].prior_id is None


def test_a_new_ala_without_an_earlier_one_is_not_contralateral() -> None:
    """Nothing before: new, and nothing is opposite it."""
    prior = edema()
    changes = compare(edema(Side.LEFT), prior, STILL)
    assert stated(changes) == [(Side.LEFT, Change.NEW)]
    assert new_contralateral(list(changes), prior) == ()


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (1.2, 2.9, Change.GROWN),
        (2.9, 1.2, Change.SHRUNK),
        (1.9, 2.1, Change.UNCHANGED),
        (2.1, 1.9, Change.UNCHANGED),
    ],
)
def test_volume_of_edema_tells_growth(before: float, after: float, change: Change) -> None:
    """A tenth more lies within what a repeated examination gives; more than twice does not."""
    now, prior = edema(Side.LEFT, lower=after), edema(Side.LEFT, lower=before)
    assert stated(compare(now, prior, STILL)) == [(Side.LEFT, change)]


def test_a_finding_that_is_gone_is_healed() -> None:
    """The earlier id stands alone."""
    (one,) = compare(edema(), edema(Side.RIGHT), STILL)
    assert (one.change, one.id, one.prior_id) == (Change.HEALED, None, "F1")


def test_a_line_that_left_a_band_of_sclerosis_is_healed() -> None:
    """CT: the late sign in the place of the line."""
    now = dated(Phantom().sclerosis(Side.RIGHT, 0.1, 2.5), Modality.CT)
    assert [one.basis for one in now.fractures] == [Basis.SCLEROSIS]
    (one,) = compare(now, on_ct(2.5), STILL)
    assert one.change is Change.HEALED
    assert "sclerosis" in one.reason


def test_a_longer_line_has_grown() -> None:
    """CT: length and volume of the line."""
    assert stated(compare(on_ct(2.9), on_ct(1.2), STILL)) == [(Side.RIGHT, Change.GROWN)]


def test_edema_on_mr_is_not_new_where_ct_came_before() -> None:
    """CT shows no edema: that it was not there is not known."""
    nothing = dated(Phantom(), Modality.CT)
    (one,) = compare(edema(Side.RIGHT), nothing, STILL)
    assert one.change is Change.NOT_COMPARED
    assert "CT" in one.reason


def test_edema_is_not_healed_where_nothing_would_show_it() -> None:
    """An MR without fat suppression after one with."""
    blind = dated(Phantom(), fluid=False)
    (one,) = compare(blind, edema(Side.RIGHT), STILL)
    assert one.change is Change.NOT_COMPARED
    assert "fat-suppressed" in one.reason


def test_ct_and_mr_of_two_dates_are_not_measured_against_each_other() -> None:
    """Seen on both; whether it grew is not said."""
    assert stated(compare(edema(Side.RIGHT), on_ct(), STILL)) == [(Side.RIGHT, Change.NOT_COMPARED)]


@pytest.mark.parametrize("cut", ["now", "prior"])
def test_what_was_out_of_view_is_neither_new_nor_healed(cut: str) -> None:
    """S2 was cut: a finding that reaches into it cannot be called new, nor gone."""
    seen, missed = edema(Side.RIGHT), edema()
    missed = replace(missed, coverage=FULL | {SacralLevel.S2: 0.4})
    now, prior = (missed, seen) if cut == "now" else (seen, missed)
    (one,) = compare(now, prior, STILL)
    assert one.change is Change.NOT_COMPARED
    assert "S2" in one.reason


def test_a_finding_too_uncertain_to_be_stated_is_not_healed() -> None:
    """It may be there still; nor is another one, as nothing at all is stated of such a scan."""
    now = replace(edema(), uncertain=frozenset({Side.LEFT}))
    assert stated(compare(now, edema(Side.RIGHT), STILL)) == [(Side.RIGHT, Change.NOT_COMPARED)]


def test_edema_elsewhere_in_the_same_ala_is_another_finding() -> None:
    """S1 before, S3 now, farther apart than registration and outlines can be wrong."""
    upper, lower = (
        dated(Phantom().ball(LesionBit.EDEMA, (40.0, -8.0, z), 9.0)) for z in (32.0, -24.0)
    )
    changes = compare(lower, upper, STILL)
    assert stated(changes) == [(Side.LEFT, Change.NEW), (Side.LEFT, Change.HEALED)]
    assert new_contralateral(list(changes), upper) == ()
    # Without registration their places cannot be compared: one finding of that ala.
    assert len(compare(lower, upper)) == 1


def test_a_new_contralateral_ala_goes_before_what_is_new_elsewhere() -> None:
    """Right S1 before; right S3 and left now: the left one is said first all the same."""
    prior = dated(Phantom().ball(LesionBit.EDEMA, (-40.0, -8.0, 32.0), 9.0))
    now = Phantom().ball(LesionBit.EDEMA, (-40.0, -8.0, -24.0), 9.0)
    changes = compare(dated(now.edema(Side.LEFT, 0.1, 1.9)), prior, STILL)
    assert stated(changes) == [
        (Side.LEFT, Change.NEW),
        (Side.RIGHT, Change.NEW),
        (Side.RIGHT, Change.HEALED),
    ]


def test_a_shift_within_what_registration_leaves_makes_no_new_finding() -> None:
    """The same finding moved by APART_MM less a voxel is still the same."""
    moved = STILL.copy()
    moved[0, 3] = APART_MM - 1.5
    (one,) = compare(edema(Side.LEFT), edema(Side.LEFT), moved)
    assert one.change is Change.UNCHANGED
    assert one.overlap is not None
    assert one.overlap < 1.0


def test_nothing_on_either_date_gives_no_rows() -> None:
    """An intact sacrum twice."""
    assert compare(edema(), edema(), STILL) == ()
