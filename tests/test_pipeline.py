"""The pipeline: which series are read, in which order, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sifdetect import pipeline
from sifdetect.anatomy import (
    AnatomyLabel,
    Modality,
    MrWeighting,
    Plane,
    RegionClass,
    SacralLevel,
    Side,
)
from sifdetect.engine import Bundle
from sifdetect.errors import NoSacrumInView, UnsuitableSeries
from sifdetect.findings import Basis, Presence, SourceSeries
from sifdetect.localize import Localization, localize
from sifdetect.pipeline import analyze_study
from sifdetect.study import Series, Study
from sifdetect.volume import Grid, Volume
from tests.bundles import EDEMA, LINE, PaintedModels, Painting

CENTER = np.array([12.0, -20.0, 300.0])
MODELS = PaintedModels()


def axial(*, slices: int = 60, low_mm: float = -75.0, frame: str = "1.2") -> Grid:
    """An axial stack of 2.5 × 1.1 × 1.4 mm voxels, slice, row, column, about the sacrum."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = 2.5, 1.1, 1.4, 1.0
    affine[:3, 3] = CENTER + np.array([-90.0, -70.0, low_mm])
    return Grid((slices, 130, 130), affine, frame)


def coronal(frame: str = "1.2") -> Grid:
    """A coronal stack of 4 × 1.3 × 0.9 mm voxels, rows downwards, about the sacrum."""
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = 4.0, -1.3, 0.9, 1.0
    affine[:3, 3] = CENTER + np.array([-85.0, -44.0, 85.0])
    return Grid((24, 130, 190), affine, frame)


def series(volume: Volume, uid: str) -> Series:
    """The volume as a usable series."""
    source = SourceSeries(
        series_instance_uid=uid,
        modality=volume.modality,
        weighting=volume.weighting,
        plane=Plane.AXIAL,
        used=True,
        reason="",
    )
    return Series(volume, source)


def empty() -> Volume:
    """A CT of nothing."""
    return Volume(np.zeros(axial().shape, np.float32), axial(), Modality.CT)


def broken_on_the_left(grid: Grid) -> Painting:
    """A vertical line 4 mm wide through the left ala, from S1 to S2."""
    return Painting(grid, CENTER).paint((33, -12, -20), (37, 12, 40), LINE)


def bruised_on_the_right(grid: Grid) -> Painting:
    """Marrow edema in the right ala."""
    return Painting(grid, CENTER).paint((-48, -12, -20), (-28, 12, 40), EDEMA)


def test_a_fracture_on_ct_is_found_where_it_is() -> None:
    """Side, basis and place in patient coordinates, and its voxels on the scanner's grid."""
    scan = series(broken_on_the_left(axial()).volume(), "1.1")
    analysis = analyze_study(Study("1", (scan,)), MODELS)
    findings, (labels,) = analysis.findings, analysis.labels
    assert findings.presence is Presence.PRESENT
    (fracture,) = findings.fractures
    assert (fracture.side, fracture.basis) == (Side.LEFT, Basis.LINE)
    truth = CENTER + np.array([35.0, 0.0, 10.0])
    assert fracture.centroid_lps_mm == pytest.approx(tuple(truth), abs=3.0)
    assert labels.findings.grid is scan.volume.grid
    assert labels.findings.centroid_lps_mm(1) == pytest.approx(truth, abs=3.0)
    left = labels.anatomy.centroid_lps_mm(AnatomyLabel.SACRAL_ALA_LEFT)
    assert left is not None
    assert left[0] > CENTER[0]


def test_what_only_places_the_frame_is_asked_once() -> None:
    """One quick question that sees no lesion, then one in earnest, whose answer counts."""
    models, asked = PaintedModels(), []
    region = models.region(Modality.CT)

    def once(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        asked.append("once")
        answer = region.network(channels)
        answer[len(RegionClass) : -1] = -8.0
        return answer

    def in_earnest(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        asked.append("in earnest")
        return region.network(channels)

    models._loaded[region.spec.name] = Bundle(region.spec, in_earnest, once)
    scan = series(broken_on_the_left(axial()).volume(), "1.1")
    findings = analyze_study(Study("1", (scan,)), models).findings
    assert asked == ["once", "in earnest"]
    assert [one.side for one in findings.fractures] == [Side.LEFT]


def test_mr_is_read_from_both_series_of_one_frame_of_reference() -> None:
    """STIR and T1 are used together, and labels lie on the grid of each."""
    stir = series(bruised_on_the_right(coronal()).volume(MrWeighting.STIR), "1.1")
    t1 = series(Painting(axial(), CENTER).volume(MrWeighting.T1), "1.2")
    analysis = analyze_study(Study("1", (t1, stir)), MODELS)
    assert [one.source.series_instance_uid for one in analysis.labels] == ["1.1", "1.2"]
    assert [one.used for one in analysis.findings.sources] == [True, True]
    (fracture,) = analysis.findings.fractures
    assert (fracture.side, fracture.basis) == (Side.RIGHT, Basis.EDEMA)
    assert all(one.findings.values.any() for one in analysis.labels)


def test_mr_of_another_frame_of_reference_is_not_mixed_in() -> None:
    """A T1 whose place relative to the STIR is unknown is left out, and says so."""
    stir = series(bruised_on_the_right(coronal("1.2")).volume(MrWeighting.STIR), "1.1")
    t1 = series(Painting(axial(frame="1.9"), CENTER).volume(MrWeighting.T1), "1.2")
    findings = analyze_study(Study("1", (t1, stir)), MODELS).findings
    said = {one.series_instance_uid: one for one in findings.sources}
    assert said["1.1"].used
    assert not said["1.2"].used
    assert said["1.2"].reason


@pytest.mark.parametrize("residual_mm", [12.0, 3.0], ids=["voxels disagree", "little is seen"])
def test_where_a_series_leaves_the_localizer_unsure_another_one_places_the_sacrum(
    monkeypatch: pytest.MonkeyPatch, residual_mm: float
) -> None:
    """A frame of a fifth of a sacrum, 260 mm off, gives way to the T1's, which shows all of it."""
    stir = series(bruised_on_the_right(coronal()).volume(MrWeighting.STIR), "1.1")
    t1 = series(Painting(axial(), CENTER).volume(MrWeighting.T1), "1.2")

    def unsure_of_stir(volume: Volume, model: Bundle) -> Localization:
        found = localize(volume, model)
        if volume.weighting is not MrWeighting.STIR:
            return found
        off = replace(found.frame, origin_lps_mm=found.frame.origin_lps_mm + 150.0)
        return replace(found, frame=off, residual_mm=residual_mm, sacrum_volume_mm3=5e4)

    monkeypatch.setattr(pipeline, "localize", unsure_of_stir)
    (fracture,) = analyze_study(Study("1", (t1, stir)), MODELS).findings.fractures
    assert fracture.side is Side.RIGHT


def test_the_next_series_is_tried_where_one_holds_no_sacrum() -> None:
    """A chest series that comes first costs nothing but time."""
    chest = series(empty(), "1.1")
    pelvis = series(Painting(axial(), CENTER).volume(), "1.2")
    findings = analyze_study(Study("1", (chest, pelvis)), MODELS).findings
    assert [one.used for one in findings.sources] == [False, True]
    assert findings.presence is Presence.ABSENT


def test_the_series_that_shows_more_of_the_sacrum_is_read() -> None:
    """An abdomen that ends in S2 gives way to the pelvis that was scanned after it."""
    abdomen = series(Painting(axial(slices=30, low_mm=0.0), CENTER).volume(), "1.1")
    pelvis = series(Painting(axial(), CENTER).volume(), "1.2")
    findings = analyze_study(Study("1", (abdomen, pelvis)), MODELS).findings
    assert [one.used for one in findings.sources] == [False, True]
    assert findings.presence is Presence.ABSENT


def test_a_study_without_a_sacrum_is_refused() -> None:
    """No sacrum in any series is an error of the input, exit code 4."""
    chest = series(empty(), "1.1")
    with pytest.raises(NoSacrumInView) as caught:
        analyze_study(Study("1", (chest,)), MODELS)
    assert caught.value.exit_code == 4


def test_a_study_without_a_usable_series_says_why() -> None:
    """The reasons of the refused series reach the message."""
    source = replace(series(Painting(axial(), CENTER).volume(), "1.1").source, used=False)
    refused = replace(source, reason="Localizer")
    with pytest.raises(UnsuitableSeries, match="Localizer"):
        analyze_study(Study("1", (), (refused,)), MODELS)


def test_a_cut_sacrum_is_not_called_negative() -> None:
    """A stack that ends in S2 gives indeterminate, with what was not seen."""
    grid = axial(slices=30, low_mm=0.0)
    scan = series(Painting(grid, CENTER).volume(), "1.1")
    findings = analyze_study(Study("1", (scan,)), MODELS).findings
    assert findings.presence is Presence.INDETERMINATE
    assert findings.coverage.by_level[SacralLevel.S5] == 0.0
    assert findings.coverage.sacrum < 0.8
    assert any("S5" in limit for limit in findings.coverage.limits)


def test_ct_and_mr_of_one_study_are_both_read() -> None:
    """The modality that shows the fracture is reported; that the other does not is a warning."""
    ct = series(Painting(axial(), CENTER).volume(), "1.1")
    stir = series(bruised_on_the_right(coronal()).volume(MrWeighting.STIR), "1.2")
    analysis = analyze_study(Study("1", (ct, stir)), MODELS)
    findings = analysis.findings
    assert findings.presence is Presence.PRESENT
    assert "modalities-disagree" in [one.code for one in findings.warnings]
    assert all(one.used for one in findings.sources)
    assert {one.source.series_instance_uid for one in analysis.labels} == {"1.1", "1.2"}
    assert all(one.findings.values.any() for one in analysis.labels)


def test_a_modality_of_no_use_says_why_in_its_series() -> None:
    """An MR without a sacrum beside a CT with one is not called superfluous."""
    ct = series(Painting(axial(), CENTER).volume(), "1.1")
    stir = series(replace(empty(), modality=Modality.MR, weighting=MrWeighting.STIR), "1.2")
    findings = analyze_study(Study("1", (ct, stir)), MODELS).findings
    said = {one.series_instance_uid: one for one in findings.sources}
    assert said["1.1"].used
    assert not said["1.2"].used
    assert "No sacrum in the field of view" in said["1.2"].reason


def test_findings_say_who_found_them_and_how_long_it_took() -> None:
    """Version and checksum of both bundles, and seconds of each stage."""
    scan = series(Painting(axial(), CENTER).volume(), "1.1")
    findings = analyze_study(Study("1", (scan,)), PaintedModels()).findings
    assert findings.algorithm.bundles["region_ct"] == "0" * 64
    assert set(findings.timings_s) == {"localize", "segment", "measure"}


def test_a_finding_between_two_thick_slices_keeps_a_voxel() -> None:
    """A report must be able to point at every finding on the series it was seen on."""
    thick = thicker(coronal(), 12.0)
    painting = Painting(coronal(), CENTER).paint((-48, -2, -20), (-28, 6, 40), EDEMA)
    stir = painting.volume(MrWeighting.STIR)
    t1 = Painting(thick, CENTER).volume(MrWeighting.T1)
    study = Study("1", (series(stir, "1.1"), series(t1, "1.2")))
    analysis = analyze_study(study, MODELS)
    numbers = set(range(1, len(analysis.findings.fractures) + 1))
    assert numbers
    assert all(numbers <= set(np.unique(one.findings.values)) for one in analysis.labels)


def thicker(grid: Grid, slice_mm: float) -> Grid:
    """The stack with another slice distance and fewer slices, about the same middle."""
    affine = grid.affine_lps_mm.copy()
    affine[:3, 0] *= slice_mm / grid.spacing_mm[0]
    shape = (8, *grid.shape[1:])
    affine[:3, 3] = grid.center_lps_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid((8, shape[1], shape[2]), affine, grid.frame_of_reference_uid)
