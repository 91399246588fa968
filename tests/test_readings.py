"""CT and MR of one study: what each says is kept, and where they differ is said."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sifdetect.anatomy import LesionBit, Modality, MrWeighting, Plane, Side
from sifdetect.changes import Registration
from sifdetect.classify import Context, classify
from sifdetect.findings import BakkerType, Basis, Presence, SourceSeries
from sifdetect.fragility import NO_BRUISE, NO_CT
from sifdetect.measure import measure
from sifdetect.measurements import withheld
from sifdetect.readings import Joined, Reading, join, laid_over, telling
from sifdetect.register import Fit
from sifdetect.rules import NO_EDEMA
from sifdetect.study import Series
from sifdetect.volume import Grid, SacralFrame, Volume
from tests.phantoms import FULL, Phantom, oblique_frame, straight_frame

TOGETHER = Fit(np.eye(4), Registration(method="same frame of reference", accepted=True))
APART = Fit(np.eye(4), Registration(method="rigid", residual_mm=4.2))
SIDE = Side.LEFT


def read(phantom: Phantom, modality: Modality, *, frame: str | None = "1.2") -> Reading:
    """What the pipeline makes of a phantom, all of which is in view."""
    segmentation = phantom.segmentation()
    fluid = modality is Modality.MR
    weighting = MrWeighting.STIR if fluid else None
    measured = measure(segmentation, fluid_sensitive=fluid, modality=modality)
    grid = Grid((5, 6, 7), np.eye(4), frame)
    volume = Volume(np.zeros(grid.shape, np.float32), grid, modality, weighting)
    source = SourceSeries(
        series_instance_uid=modality.value,
        modality=modality,
        weighting=weighting,
        plane=Plane.AXIAL,
        used=True,
        reason="",
    )
    placed = replace(segmentation, frame=replace(segmentation.frame, coverage=FULL))
    stated = classify(measured, Context(coverage=FULL))
    return Reading((Series(volume, source),), placed, measured, stated)


@cache
def edema() -> Reading:
    """MR with edema of one ala."""
    return read(Phantom().edema(SIDE, 0.1, 2.5), Modality.MR)


@cache
def line() -> Reading:
    """CT with a line in the same place."""
    return read(Phantom().line(SIDE, 0.2, 2.4), Modality.CT)


@cache
def intact(modality: Modality) -> Reading:
    """A sacrum without a finding."""
    return read(Phantom(), modality)


def codes(joined: Joined) -> list[str]:
    """Of the warnings."""
    return [one.code for one in joined.warnings]


def test_edema_that_ct_does_not_show_is_called_ct_occult() -> None:
    """MR is reported; the ala is named."""
    joined = join(edema(), [(intact(Modality.CT), TOGETHER)])
    (occult,) = (one for one in joined.warnings if one.code == "ct-occult")
    assert occult.text == "left ala: marrow edema on MR, no line on CT (CT-occult)"
    assert joined.bakker.left is BakkerType.A1


def test_a_line_that_only_mr_shows_is_said_to_be_seen_there() -> None:
    """What CT does not show is not denied to MR."""
    both = read(Phantom().edema(SIDE, 0.1, 2.5).line(SIDE, 0.2, 2.4), Modality.MR)
    assert both.measurements.fractures[0].basis is Basis.LINE_AND_EDEMA
    joined = join(both, [(intact(Modality.CT), TOGETHER)])
    (occult,) = (one for one in joined.warnings if one.code == "ct-occult")
    seen = "marrow edema and a fracture line on MR, no line on CT (CT-occult)"
    assert occult.text == f"left ala: {seen}"


def test_a_line_on_ct_without_edema_is_called_old() -> None:
    """The line stays reported, and that MR shows no edema there is said."""
    joined = join(line(), [(intact(Modality.MR), TOGETHER)])
    assert [one.basis for one in joined.fractures] == [Basis.LINE]
    assert "ct-without-edema" in codes(joined)
    assert "modalities-disagree" in codes(joined)


def test_sclerosis_on_ct_without_edema_is_called_old() -> None:
    """The late sign."""
    healed = read(Phantom().sclerosis(SIDE, 0.1, 2.5), Modality.CT)
    joined = join(intact(Modality.MR), [(healed, TOGETHER)])
    (old,) = (one for one in joined.warnings if one.code == "ct-without-edema")
    assert old.text == "left ala: a band of sclerosis on CT, no marrow edema on MR: old"


def test_an_uncertain_finding_on_mr_is_no_absence() -> None:
    """An edema that is too uncertain to be stated does not make a line on CT old."""
    unsure = replace(edema(), measurements=withheld(edema().measurements))
    assert "ct-without-edema" not in codes(join(line(), [(unsure, TOGETHER)]))


def test_the_line_of_ct_sets_the_type_of_an_edema_on_mr() -> None:
    """A1 is a bruise without a line on CT; with one the line's own type holds."""
    alone = join(edema(), [])
    assert alone.bakker.left is BakkerType.A1
    joined = join(edema(), [(line(), TOGETHER)])
    (fracture,) = joined.fractures
    assert fracture.basis is Basis.LINE_AND_EDEMA
    assert fracture.edema_mm3 == alone.fractures[0].edema_mm3
    assert fracture.foramen_distance_mm == line().measurements.fractures[0].foramen_distance_mm
    assert joined.bakker.left is line().classification.bakker.left is not BakkerType.A1
    assert joined.denis.left == line().classification.denis.left
    assert "left ala by the line on CT" in joined.bakker.rule
    unseen = [*joined.denis.unseen, *joined.morphology.unseen, *joined.bakker.unseen]
    assert not any("no line seen" in text or "CT is not seen" in text for text in unseen)
    assert "line-on-ct-only" in codes(joined)
    assert "no-line" not in codes(joined)


@pytest.mark.parametrize("fit", [APART, None])
def test_what_does_not_lie_over_each_other_is_not_fused(fit: Fit | None) -> None:
    """Beyond 3 mm the edema keeps its own type, and that is said with the residual."""
    joined = join(edema(), [(line(), fit)])
    assert joined.fractures == edema().measurements.fractures
    assert joined.bakker.left is BakkerType.A1
    (said,) = (one for one in joined.warnings if one.code == "not-fused")
    assert ("4.2 mm" in said.text) == (fit is not None)


def test_a_line_elsewhere_in_the_ala_is_not_the_line_of_the_edema() -> None:
    """Edema of S1 on MR, a line in S3 on CT."""
    upper = read(Phantom().ball(LesionBit.EDEMA, (40.0, -8.0, 32.0), 9.0), Modality.MR)
    lower = read(Phantom().line(SIDE, 2.1, 2.9), Modality.CT)
    joined = join(upper, [(lower, TOGETHER)])
    assert joined.bakker.left is BakkerType.A1
    assert "apart" in codes(joined)


def test_what_the_other_modality_has_shown_is_not_called_unseen() -> None:
    """A line that CT states, with MR beside it that shows edema where there is one."""
    blind = {NO_EDEMA, NO_BRUISE}
    alone, both = join(line(), []), join(line(), [(intact(Modality.MR), None)])
    for joined, left in ((alone, blind), (both, set())):
        unseen = {*joined.denis.unseen, *joined.bakker.unseen, *joined.morphology.unseen}
        assert unseen & blind == left
    assert NO_CT not in join(edema(), [(intact(Modality.CT), None)]).bakker.unseen


def test_the_evidence_of_each_modality_is_kept_as_it_was() -> None:
    """Side by side, with how the one was laid over the other."""
    told = line().evidence(TOGETHER.registration)
    assert (told.modality, told.presence) == (Modality.CT, Presence.PRESENT)
    assert told.fractures == line().measurements.fractures
    assert told.registration == TOGETHER.registration
    assert sorted([line(), edema(), intact(Modality.MR)], key=telling)[0] is edema()


def test_one_frame_of_reference_is_not_registered_again() -> None:
    """The scanner knows better than outlines do; within 3 mm of each other they are fused."""
    fit = laid_over(line(), edema())
    assert fit is not None
    assert fit.registration.method == "same frame of reference"
    assert fit.registration.accepted
    assert (fit.matrix == np.eye(4)).all()


def test_outlines_that_disagree_in_one_frame_are_shown_but_not_fused() -> None:
    """A patient who moved between CT and MR, or a network that is wrong."""
    frame = straight_frame()
    moved = SacralFrame(frame.origin_lps_mm + np.array([6.0, 0.0, 5.0]), frame.axes)
    ct = read(Phantom(moved).line(SIDE, 0.2, 2.4), Modality.CT)
    mr = read(Phantom(frame).edema(SIDE, 0.1, 2.5), Modality.MR)
    fit = laid_over(ct, mr)
    assert fit is not None
    assert fit.place_known
    assert not fit.registration.accepted
    assert (fit.matrix == np.eye(4)).all()
    joined = join(mr, [(ct, fit)])
    assert joined.fractures == mr.measurements.fractures
    assert "not-fused" in codes(joined)


def test_two_frames_of_reference_are_laid_over_each_other() -> None:
    """CT and MR of one study on two tables."""
    ct = read(Phantom(oblique_frame()).line(SIDE, 0.2, 2.4), Modality.CT, frame="1.3")
    mr = read(Phantom(straight_frame()).edema(SIDE, 0.1, 2.5), Modality.MR)
    fit = laid_over(ct, mr)
    assert fit is not None
    assert fit.registration.accepted
    joined = join(mr, [(ct, fit)])
    assert joined.fractures[0].basis is Basis.LINE_AND_EDEMA
