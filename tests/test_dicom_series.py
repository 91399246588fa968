"""Telling series apart: what is analysed, as what, in which order; and why the rest is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    EnhancedMRImageStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from sifdetect.anatomy import Modality, MrWeighting, Plane
from sifdetect.dicom.facts import SeriesFacts, modality_of
from sifdetect.dicom.refusals import REFUSALS, refusal
from sifdetect.dicom.series import kernel_rank, plane_of
from sifdetect.dicom.weightings import WEIGHTINGS, weighting_rule
from tests import builders
from tests.builders import Built

STIR, T2_FATSAT, DIXON_WATER = MrWeighting.STIR, MrWeighting.T2_FATSAT, MrWeighting.DIXON_WATER
T1, T2, OTHER = MrWeighting.T1, MrWeighting.T2, MrWeighting.OTHER
SE, GR, IR = frozenset({"SE"}), frozenset({"GR"}), frozenset({"SE", "IR"})


def mr(**facts: Any) -> SeriesFacts:
    """Facts of an MR series."""
    return SeriesFacts(sop_class_uid=MRImageStorage, modality=Modality.MR, **facts)


def timed(
    repetition_ms: float, echo_ms: float, inversion_ms: float | None = None, **facts: Any
) -> SeriesFacts:
    """Facts of a spin echo (unless told otherwise) with its times."""
    times = {"repetition_ms": repetition_ms, "echo_ms": echo_ms, "inversion_ms": inversion_ms}
    return mr(**{"sequence": SE, **times, **facts})


@pytest.mark.parametrize(
    ("facts", "weighting"),
    [
        (timed(4000, 50, 160, sequence=IR), STIR),
        (timed(5200, 38, 220, sequence=IR), STIR),
        (timed(4000, 50, None, sequence=IR, words="cor tirm"), STIR),
        (timed(4000, 50, None, words="stir sag"), STIR),
        (timed(2000, 12, 860, sequence=IR, words="t1 flair sag"), T1),
        (timed(9000, 120, 2500, sequence=IR), OTHER),
        (timed(3500, 70, options=frozenset({"FS"})), T2_FATSAT),
        (timed(3000, 35, options=frozenset({"FS", "PFP"})), T2_FATSAT),
        (timed(3500, 70, words="t2_tse_fs_cor"), T2_FATSAT),
        (timed(3500, 70, words="t2 cor spair"), T2_FATSAT),
        (timed(3500, 70, words="t2 no fs"), T2),
        (timed(4000, 101, options=frozenset({"SAT1"}), words="t2_tse_sag_320_p2"), T2),
        (timed(4000, 90, image_type=("DERIVED", "PRIMARY", "DIXON", "WATER")), DIXON_WATER),
        (timed(4000, 90, words="t2_tse_dixon_cor_w"), DIXON_WATER),
        (timed(600, 10, image_type=("DERIVED", "PRIMARY", "DIXON", "WATER")), OTHER),
        (timed(4000, 90, image_type=("DERIVED", "PRIMARY", "DIXON", "FAT")), OTHER),
        (timed(600, 10), T1),
        (timed(600, 10, options=frozenset({"FS"}), words="t1 fs post gd"), OTHER),
        (timed(5, 2, sequence=GR, words="vibe"), T1),
        (timed(600, 20, sequence=GR, words="t2* medic"), OTHER),
        (timed(2500, 30), OTHER),
        (mr(words="STIR cor".lower()), STIR),
        (mr(words="sag t2 fatsat"), T2_FATSAT),
        (mr(words="sag t2"), T2),
        (mr(words="ax t2* gre"), OTHER),
        (mr(words="t1 tse cor"), T1),
        (mr(), OTHER),
    ],
    ids=lambda value: value.value if isinstance(value, MrWeighting) else "",
)
def test_the_weighting_follows_physics_then_words(
    facts: SeriesFacts, weighting: MrWeighting
) -> None:
    """Times and options decide; the description only where they cannot."""
    assert weighting_rule(facts).weighting is weighting


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (mr(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), "localizer"),
        (mr(words="t2_localizer"), "localizer"),
        (mr(words="3-plane loc"), "localizer"),
        (mr(image_type=("DERIVED", "SECONDARY", "MIP")), "projection"),
        (mr(image_type=("DERIVED", "PRIMARY", "DIFFUSION", "ADC")), "diffusion"),
        (mr(b_value=800.0), "diffusion"),
        (mr(words="ep2d_diff_b0_800 adc"), "diffusion"),
        (mr(words="t1_twist dynamic"), "perfusion"),
        (mr(image_type=("ORIGINAL", "PRIMARY", "P", "ND")), "phase or flow"),
        (mr(image_type=("DERIVED", "PRIMARY", "MODULUS SUBTRACT")), "subtraction"),
        (mr(image_type=("DERIVED", "PRIMARY", "T2 MAP")), "map"),
        (mr(image_type=("DERIVED", "SECONDARY", "MPR")), "reformat"),
        (mr(image_type=("DERIVED", "SECONDARY", "OTHER")), "derived"),
        (mr(colored=True), "screen capture"),
        (mr(image_type=("DERIVED", "SECONDARY", "SCREEN SAVE")), "screen capture"),
        (SeriesFacts(sop_class_uid=SecondaryCaptureImageStorage, modality=None), "screen capture"),
        (SeriesFacts(sop_class_uid=SegmentationStorage, modality=None), "no CT or MR image"),
    ],
)
def test_what_cannot_be_analysed_is_refused_by_its_rule(facts: SeriesFacts, name: str) -> None:
    """Each kind of series that would mislead has its own reason."""
    found = refusal(facts)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "facts",
    [
        timed(4000, 101, image_type=("ORIGINAL", "PRIMARY", "M", "ND"), words="t2_tse_tra"),
        timed(4000, 50, 160, words="location a; block 2; t2 tse different flow comp"),
        timed(4000, 90, image_type=("DERIVED", "SECONDARY", "DIXON", "WATER")),
        timed(500, 9, image_type=("DERIVED", "PRIMARY", "M", "NORM")),
    ],
)
def test_an_ordinary_series_is_not_refused(facts: SeriesFacts) -> None:
    """Words that merely look alike, and what a scanner computes itself, are no reason."""
    assert refusal(facts) is None


def test_every_rule_has_a_name_of_its_own_and_a_source() -> None:
    """The name reaches the report; the citation is where to check it."""
    for rules in (REFUSALS, WEIGHTINGS):
        names = [rule.name for rule in rules]
        assert len(set(names)) == len(names)
        assert all(rule.citation for rule in rules)


def test_the_modality_is_that_of_the_sop_class() -> None:
    """A missing or wrong Modality neither hides an MR image nor makes one of a capture."""
    assert modality_of(MRImageStorage, "") is Modality.MR
    assert modality_of(EnhancedMRImageStorage, "CT") is Modality.MR
    assert modality_of(SecondaryCaptureImageStorage, "MR") is None


def test_the_plane_is_named_by_the_normal_within_20_degrees() -> None:
    """A coronal stack tilted along the sacrum by 15° is coronal, by 25° oblique."""
    for tilt_deg, plane in ((0, Plane.CORONAL), (15, Plane.CORONAL), (25, Plane.OBLIQUE)):
        tilt = np.radians(tilt_deg)
        assert plane_of((0.0, -np.cos(tilt), np.sin(tilt))) is plane
    assert plane_of((0, 0, -1)) is Plane.AXIAL
    assert plane_of((1, 0, 0)) is Plane.SAGITTAL


def test_the_rest_of_a_study_says_why_it_is_not_used(tmp_path: Path) -> None:
    """Among a STIR, a localizer and a secondary capture only the first is read."""
    about = builders.header(study_seed="study")
    builders.mr_series(tmp_path / "a", about=about)
    scout = replace(about, series_number=2, series_description="Localizer")
    builders.mr_series(tmp_path / "b", about=scout, orientation=builders.SAGITTAL)
    capture = builders.slices(Built(about=replace(about, series_number=3)))[:1]
    capture[0].SOPClassUID = SecondaryCaptureImageStorage
    capture[0].file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    builders.save(capture, tmp_path / "c")
    study = builders.read_one(tmp_path)
    assert [series.source.reason for series in study.series] == [
        "STIR: inversion time that nulls fat"
    ]
    reasons = sorted(source.reason for source in study.refused)
    assert reasons[0] == "localizer (scout)"
    assert reasons[1].startswith("secondary or screen capture")


def test_the_most_telling_mr_series_comes_first(tmp_path: Path) -> None:
    """Fluid-sensitive before T1 before T2, whatever their numbers; none is dropped."""
    order = [T2, T1, T2_FATSAT, DIXON_WATER, STIR]
    for number, weighting in enumerate(order, start=1):
        about = builders.header(study_seed="study", series_number=number)
        builders.mr_series(tmp_path / str(number), about=about, weighting=weighting)
    study = builders.read_one(tmp_path)
    found = [series.source.weighting for series in study.series]
    assert found == [STIR, T2_FATSAT, DIXON_WATER, T1, T2]


@pytest.mark.parametrize("weighting", [STIR, T2_FATSAT, T2, T1, OTHER])
def test_an_enhanced_mr_image_tells_its_weighting(tmp_path: Path, weighting: MrWeighting) -> None:
    """The functional groups of a multi-frame say the same as the classic attributes."""
    folder = builders.mr_series(tmp_path, weighting=weighting, enhanced=True)
    (series,) = builders.read_one(folder).series
    assert series.source.weighting is weighting


def test_of_several_ct_reconstructions_the_thin_one_is_used(tmp_path: Path) -> None:
    """A thick and a lung-kernel reconstruction of the same region are left out by name."""
    kinds = [("thick", 4.0, 6, "B30f"), ("thin", 1.0, 24, "B60f"), ("lung", 1.0, 24, "Bl57")]
    for number, (name, spacing_mm, slices, kernel) in enumerate(kinds, start=1):
        about = builders.header(
            study_seed="s", series_number=number, series_description=name, kernel=kernel
        )
        shape, spacing = (slices, 34, 42), (spacing_mm, 0.9, 0.7)
        builders.ct_series(tmp_path / name, about=about, shape=shape, spacing_mm=spacing)
    study = builders.read_one(tmp_path)
    assert [series.source.description.split(";")[0] for series in study.series] == ["thin"]
    assert all("series 'thin' shows the same region" in one.reason for one in study.refused)


def test_ct_series_of_different_regions_are_both_used(tmp_path: Path) -> None:
    """A series of the chest does not replace a thicker one of the pelvis."""
    about = builders.header(study_seed="s")
    builders.ct_series(tmp_path / "chest", about=about, spacing_mm=(1.0, 0.9, 0.7))
    pelvis = replace(about, series_number=2)
    low = (-11.0, 7.0, -600.0)
    builders.ct_series(tmp_path / "pelvis", about=pelvis, origin_lps_mm=low)
    study = builders.read_one(tmp_path)
    assert [series.volume.grid.spacing_mm[0] for series in study.series] == pytest.approx([1, 3])


def test_kernel_and_contrast_medium_are_noted(tmp_path: Path) -> None:
    """The description of a CT series says what a reader would look for."""
    about = builders.header(series_description="Abdomen", kernel="B30f")
    folder = builders.ct_series(tmp_path, about=about, attributes={"ContrastBolusAgent": "Iohexol"})
    description = builders.read_one(folder).series[0].source.description
    assert description.startswith("Abdomen; kernel B30f; contrast medium Iohexol; 8 × 34 × 42 at")


def test_a_lung_kernel_ranks_behind() -> None:
    """Soft-tissue and bone kernels are alike fit, lung kernels are not."""
    assert [kernel_rank(name, "") for name in ("B30f", "B60f", "BONEPLUS", "FC30")] == [0] * 4
    assert [kernel_rank(name, "") for name in ("LUNG", "Bl57", "FC51", "B80f")] == [1] * 4
    assert kernel_rank("", "thorax lung 1.0") == 1
