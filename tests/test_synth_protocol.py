"""Examination protocols: where their series lie, and what their truth says of a cut sacrum."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sifdetect.anatomy import LesionBit, MrWeighting, SacralLevel
from sifdetect.findings import Morphology, Presence, StudyFindings
from sifdetect.synth.case import Protocol, make_case
from sifdetect.synth.coverage import as_covered, coverage_of
from sifdetect.synth.mr_series import mr_volumes
from sifdetect.synth.protocol import PROTOCOLS, Along, Field, MrSeries
from sifdetect.synth.scene import CaseParams, points_of, sample_case, scene_at
from sifdetect.synth.truth import truth_of
from sifdetect.volume import Grid, LabelMap, Volume
from tests.fresh import fresh_bilateral

WHOLE = Field((200.0, 150.0, 220.0), (0.0, 0.0, 0.0), Along.SACRUM)
CORONAL = Field((150.0, 36.0, 150.0), (0.0, -8.0, 0.0), Along.SACRUM)
SAGITTAL = Field((20.0, 100.0, 110.0), (0.0, 0.0, 0.0))
SMALL = Protocol(
    with_ct=False,
    weightings=(),
    series=(
        MrSeries(MrWeighting.STIR, (3.0, 6.0, 3.0), CORONAL, fold_mm=12.0),
        MrSeries(MrWeighting.T1, (3.0, 6.0, 3.0), CORONAL, fold_mm=12.0),
        MrSeries(MrWeighting.T2, (4.0, 2.5, 2.5), SAGITTAL),
    ),
)


@cache
def patient() -> CaseParams:
    """A patient with a fracture on each side."""
    return sample_case(fresh_bilateral(), morphology=Morphology.BILATERAL)


@cache
def truth() -> StudyFindings:
    """What is said of that patient where everything is in view."""
    return truth_of(patient())


@cache
def series() -> list[tuple[Volume, LabelMap, LabelMap]]:
    """Three small series of that patient, with anatomy and lesions."""
    return mr_volumes(patient(), SMALL.mr_series, np.random.default_rng(3))


def grid_of(box: Field) -> Grid:
    """A box around that patient's sacrum, at 5 mm."""
    return box.grid(patient().frame, (5.0, 5.0, 5.0))


def part(low: float, high: float, axis: int) -> Grid:
    """The box WHOLE, from ``low`` to ``high`` mm along an axis of the sacrum."""
    size, center = list(WHOLE.size_mm), list(WHOLE.center_mm)
    size[axis], center[axis] = high - low, (high + low) / 2
    return grid_of(
        Field((size[0], size[1], size[2]), (center[0], center[1], center[2]), WHOLE.along)
    )


def test_the_default_examination_lies_where_it_always_lay() -> None:
    """An axial CT of 300 × 230 × 190 mm and oblique coronal slices along the sacrum."""
    frame = patient().frame
    ct, stir, t1 = Protocol().grids(frame)
    assert (ct.shape, stir.shape) == ((248, 192, 76), (248, 26, 208))
    assert ct.spacing_mm == pytest.approx([1.2, 1.2, 2.5])
    assert ct.center_lps_mm == pytest.approx(frame.origin_lps_mm + np.array([0, -10, 5]))
    assert stir.affine_lps_mm[:3, :3] == pytest.approx(frame.axes.T * [1.0, 4.0, 1.0])
    assert frame.to_frame_mm(stir.center_lps_mm) == pytest.approx([0, 0, -10])
    assert stir.same_place(t1)


def test_every_series_has_its_weighting_and_its_place() -> None:
    """Volumes follow the protocol's order; series of one field share their voxels."""
    volumes = [one[0] for one in series()]
    kinds = [volume.weighting for volume in volumes]
    assert kinds == [MrWeighting.STIR, MrWeighting.T1, MrWeighting.T2]
    for volume, grid in zip(volumes, SMALL.grids(patient().frame), strict=True):
        assert volume.grid.same_place(grid)
        assert volume.values.std() > 0
    assert [one.slice_axis for one in SMALL.mr_series] == [1, 1, 0]


@pytest.mark.parametrize("number", [0, 2])
def test_labels_show_the_middle_of_their_slices(number: int) -> None:
    """Anatomy of every voxel is what the patient has at that voxel's centre, fold or not."""
    labels = series()[number][1]
    points = points_of(patient(), labels.grid)
    expected = scene_at(patient(), points, float(np.sort(labels.grid.spacing_mm)[0])).anatomy()
    bone = expected > 0
    assert (labels.values == expected)[bone].mean() > 0.97
    assert ((labels.values > 0) == bone).mean() > 0.99


def test_a_line_is_labelled_anywhere_within_a_slice() -> None:
    """Thick slices keep lines that their middle misses."""
    lesions = series()[0][2]
    points = points_of(patient(), lesions.grid)
    middle = scene_at(patient(), points, 3.0).lesions.line
    line = (lesions.values & LesionBit.FRACTURE_LINE) > 0
    assert line[middle].all()
    assert line.sum() > middle.sum()


def test_coverage_is_the_share_of_bone_in_view() -> None:
    """Everything, a half, both halves, nothing."""
    left, right = part(0, 100, 0), part(-100, 0, 0)
    assert coverage_of(patient(), [grid_of(WHOLE)]).by_level == dict.fromkeys(SacralLevel, 1.0)
    assert coverage_of(patient(), [left]).sacrum == pytest.approx(0.5, abs=0.06)
    both = coverage_of(patient(), [left, right])
    assert both.sacrum == pytest.approx(1.0)
    assert both.limits == ()
    assert coverage_of(patient(), [grid_of(replace(WHOLE, center_mm=(0, 0, 400)))]).sacrum == 0


@pytest.mark.parametrize("name", ["lumbar-mr", "cut-ct"])
def test_a_cut_protocol_shows_s1_and_not_s5(name: str) -> None:
    """The share falls from level to level, and the limits name what is missing."""
    covered = coverage_of(patient(), PROTOCOLS[name].grids(patient().frame))
    shares = [covered.by_level[level] for level in SacralLevel]
    assert shares[0] > 0.3
    assert shares[4] == 0
    assert max(shares[:3]) > covered.sacrum > shares[3]
    assert "S5 is not in view" in covered.limits


@pytest.mark.parametrize("name", ["pelvic-ct", "trunk-ct", "sacral-ct", "pelvic-mr"])
def test_a_whole_protocol_shows_the_whole_sacrum(name: str) -> None:
    """At least 95 % of the bone of S1 to S4."""
    covered = coverage_of(patient(), PROTOCOLS[name].grids(patient().frame))
    assert min(covered.by_level[level] for level in list(SacralLevel)[:4]) > 0.95


def test_the_truth_stays_where_everything_is_in_view() -> None:
    """Nothing changes for a sacrum that is wholly covered."""
    assert as_covered(truth(), patient(), [grid_of(WHOLE)]) == truth()


def test_a_fracture_out_of_view_is_kept_and_not_asserted() -> None:
    """Half of a sacrum with a fracture on each side: one is stated, the other side is unknown."""
    left = next(one for one in truth().fractures if one.side.value == "left")
    other = next(one for one in truth().fractures if one.side.value == "right")
    stated = as_covered(truth(), patient(), [part(-2, 100, 0)])
    by_id = {one.id: one for one in stated.fractures}
    assert stated.presence is Presence.PRESENT
    assert (by_id[left.id].confidence, by_id[other.id].confidence) == (1.0, 0.0)
    assert f"{other.id} is not in view" in stated.coverage.limits
    assert stated.morphology.value is Morphology.INDETERMINATE
    assert (stated.denis.left, stated.denis.right) == (truth().denis.left, None)


def test_a_cut_sacrum_without_a_finding_in_view_is_indeterminate() -> None:
    """The same is said whether or not a fracture hides below the lowest slice."""
    sound = sample_case(21, morphology=Morphology.NONE)
    above = grid_of(WHOLE).cropped((0, 0, 36), (40, 30, 44))
    for said, params in ((truth(), patient()), (truth_of(sound), sound)):
        stated = as_covered(said, params, [above])
        assert (stated.presence, stated.probability) == (Presence.INDETERMINATE, 0.5)


def test_an_examination_states_what_its_own_series_cover() -> None:
    """A case whose only series shows the midline cannot exclude a fracture of the alae."""
    midline = replace(SMALL, series=SMALL.series[2:])
    case = make_case(21, morphology=Morphology.NONE, protocol=midline)
    assert 0.05 < case.truth.coverage.sacrum < 0.5
    assert case.truth.presence is Presence.INDETERMINATE
    assert [volume.weighting for volume in case.volumes] == [MrWeighting.T2]


def test_a_varied_protocol_is_another_view_of_the_same_kind() -> None:
    """Fields and voxels move within bounds; weightings, planes and a seed's result stay."""
    plain = PROTOCOLS["sacral-mr"]
    one, again = (plain.varied(np.random.default_rng(4)) for _ in range(2))
    assert one == again
    assert one != plain
    for first, second in zip(plain.series, one.series, strict=True):
        assert (first.weighting, first.slice_axis) == (second.weighting, second.slice_axis)
        ratio = np.array(second.spacing_mm) / np.array(first.spacing_mm)
        assert 0.8 < ratio.min() <= ratio.max() < 1.3
