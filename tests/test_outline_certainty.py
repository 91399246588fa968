"""How sure the network is of the sacrum it outlines, and what is stated where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sifdetect.anatomy import Modality, MrWeighting, RegionClass
from sifdetect.bundle import region_spec
from sifdetect.dicom import sentences
from sifdetect.engine import Bundle
from sifdetect.errors import NoSacrumInView
from sifdetect.findings import Presence
from sifdetect.measurements import UNCERTAIN
from sifdetect.pipeline import analyze_study
from sifdetect.segment import PreparedRegion, interpret
from sifdetect.study import Analysis, Study
from sifdetect.volume import Grid, SacralFrame, Segmentation
from tests.bundles import PaintedModels, Painting
from tests.test_pipeline import CENTER, axial, broken_on_the_left, coronal, series


class Unsure(PaintedModels):
    """Reads what is painted, its logits of the bones a share of what they were."""

    def __init__(self, share: float) -> None:
        super().__init__()
        for modality in Modality:
            name = region_spec(modality).name
            self._loaded[name] = _softened(self._loaded[name], share)


def _softened(bundle: Bundle, share: float) -> Bundle:
    def network(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        output = bundle.network(channels)
        output[: len(RegionClass)] *= np.float32(share)
        return output

    return replace(bundle, network=network, single=None)


def analyzed(painting: Painting, weighting: MrWeighting | None, share: float) -> Analysis:
    """What is made of a study of one series."""
    scan = series(painting.volume(weighting), "1.1")
    return analyze_study(Study("1.2.3", (scan,)), Unsure(share))


def whole(grid: Grid) -> Painting:
    """A sacrum without a fracture."""
    return Painting(grid, CENTER)


SURE, UNSURE, LOST = 1.0, 0.40, 0.30
"""Shares of the logits at which the painted sacrum has a certainty of 1.00, 0.84 and 0.70."""
UNSURE_ON_MR = 0.335
"""0.76: MR is believed from 0.78 on, CT from 0.90."""


def outlined(body: float) -> Segmentation:
    """A cube of body whose logit is ``body``, the background's is 0.1 and all others' are 0."""
    spec = replace(region_spec(Modality.CT), threshold=(0.5,) * 5, temperature=(1.0,) * 5)
    assert spec.low_mm is not None
    assert spec.high_mm is not None
    frame = SacralFrame(np.zeros(3), np.diag([1.0, -1.0, 1.0]))
    grid = frame.grid(spec.low_mm, spec.high_mm, spec.spacing_mm)
    output = np.zeros((len(spec.outputs), *grid.shape), dtype=np.float32)
    output[RegionClass.BACKGROUND] = 0.1
    output[RegionClass.SACRAL_BODY, 40:60, 40:60, 40:60] = body
    channels = np.zeros((len(spec.inputs), *grid.shape), dtype=np.float32)
    whole_view = np.ones(grid.shape, dtype=np.bool_)
    return interpret(output, PreparedRegion(channels, grid, whole_view), frame, spec)


def test_the_certainty_is_that_of_the_sacrum_alone() -> None:
    """Softmax of the classes over the voxels of the sacrum; what is around it does not count."""
    expected = np.exp(2.0) / (np.exp(2.0) + np.exp(0.1) + len(RegionClass) - 2)
    assert outlined(2.0).certainty == pytest.approx(expected, abs=1e-5)


def test_without_a_sacrum_there_is_no_certainty() -> None:
    """Nothing is outlined."""
    assert outlined(0.0).certainty == 0.0


@pytest.mark.parametrize("weighting", [None, MrWeighting.STIR])
def test_nothing_is_excluded_on_an_outline_that_is_unsure(weighting: MrWeighting | None) -> None:
    """The same images, read by a network that is sure, exclude; the report says what to do."""
    grid = axial() if weighting is None else coronal()
    sure = analyzed(whole(grid), weighting, SURE).findings
    share = UNSURE if weighting is None else UNSURE_ON_MR
    unsure = analyzed(whole(grid), weighting, share).findings
    assert sure.presence is Presence.ABSENT
    assert unsure.presence is Presence.INDETERMINATE
    assert unsure.presence_reason is not None
    assert unsure.presence_reason.rule == "no finding, outline of the sacrum uncertain"
    assert "outline-uncertain" in {warning.code for warning in unsure.warnings}
    assert "outline-uncertain" not in {warning.code for warning in sure.warnings}


def test_no_fracture_is_stated_on_an_outline_that_is_unsure() -> None:
    """What would have been one is listed as uncertain, with its side."""
    sure = analyzed(broken_on_the_left(axial()), None, SURE).findings
    unsure = analyzed(broken_on_the_left(axial()), None, UNSURE).findings
    assert sure.presence is Presence.PRESENT
    assert unsure.presence is Presence.INDETERMINATE
    assert unsure.fractures == ()
    stated = [fracture.side for fracture in sure.fractures]
    assert [one.side for one in unsure.other_findings if one.kind == UNCERTAIN] == stated


def test_the_report_begins_with_the_outline() -> None:
    """The first sentence says it, and what is in view is called uncertain as well."""
    sure = analyzed(broken_on_the_left(axial()), None, SURE).findings
    unsure = analyzed(broken_on_the_left(axial()), None, UNSURE).findings
    first = sentences.headline(unsure)
    assert first.startswith("Indeterminate: the outline of the sacrum is uncertain; look at it")
    assert "(left)" in first
    assert "This holds if the outline of the sacrum is right" in sentences.coverage(unsure)[-1]
    assert sentences.recommendations(unsure)[0].startswith("The outline of the sacrum is uncertain")
    assert "outline" not in " ".join([sentences.headline(sure), *sentences.coverage(sure)])


@pytest.mark.parametrize("weighting", [None, MrWeighting.STIR])
def test_what_hardly_looks_like_a_sacrum_is_none(weighting: MrWeighting | None) -> None:
    """The series is refused, in words that say what to send."""
    grid = axial() if weighting is None else coronal()
    with pytest.raises(NoSacrumInView, match="does not look enough like a sacrum"):
        analyzed(whole(grid), weighting, LOST)
