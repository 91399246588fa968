"""Synthetic examinations: images, lesions and truth that fit each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import LesionBit, Modality, MrWeighting, Side
from sifdetect.findings import Morphology, Presence
from sifdetect.learn.scanned import headers_of
from sifdetect.synth.case import Protocol, SyntheticCase, make_case
from sifdetect.synth.mr import Sequence, spin_echo
from sifdetect.synth.scene import sample_case
from sifdetect.synth.shape import ShapeParams
from sifdetect.synth.truth import truth_of
from tests.fresh import fresh_bilateral

COARSE = Protocol(ct_spacing_mm=(3.0, 3.5, 4.0), mr_spacing_mm=(2.5, 6.0, 2.0))


@pytest.fixture(scope="module")
def bilateral() -> SyntheticCase:
    """A case with a fresh fracture on each side and nothing else broken, coarse."""
    return make_case(fresh_bilateral(), morphology=Morphology.BILATERAL, protocol=COARSE)


def test_the_same_seed_gives_the_same_voxels(bilateral: SyntheticCase) -> None:
    """Rendering is deterministic."""
    again = make_case(fresh_bilateral(), morphology=Morphology.BILATERAL, protocol=COARSE)
    for first, second in zip(bilateral.volumes, again.volumes, strict=True):
        assert np.array_equal(first.values, second.values)
    assert bilateral.truth == again.truth


def test_an_examination_has_ct_stir_and_t1_on_their_grids(bilateral: SyntheticCase) -> None:
    """Volumes, anatomy and lesions belong together, one each."""
    kinds = [(v.modality, v.weighting) for v in bilateral.volumes]
    expected = [
        (Modality.CT, None),
        (Modality.MR, MrWeighting.STIR),
        (Modality.MR, MrWeighting.T1),
    ]
    assert kinds == expected
    for volume, labels in zip(bilateral.volumes, bilateral.anatomy, strict=True):
        assert volume.grid.same_place(labels.grid)


@pytest.mark.parametrize("morphology", list(Morphology)[:-1])
def test_the_truth_names_the_pattern_that_was_drawn(morphology: Morphology) -> None:
    """Presence, morphology, sides and transverse limb follow from the pattern."""
    truth = truth_of(sample_case(5, morphology=morphology))
    sides = {fracture.side for fracture in truth.fractures}
    vertical = {"none": 0, "unilateral": 1, "transverse": 0, "T": 1}.get(morphology.value, 2)
    assert truth.morphology.value is morphology
    assert (truth.presence is Presence.PRESENT) == (morphology is not Morphology.NONE)
    assert len(sides - {Side.MIDLINE}) == vertical
    crossing = morphology.value in ("transverse", "H", "U", "T", "lambda")
    assert (Side.MIDLINE in sides) == crossing
    assert (truth.denis.zone == 3) == crossing


def test_edema_lies_where_the_truth_has_its_fractures(bilateral: SyntheticCase) -> None:
    """Each fracture's centroid has edema or a line within 12 mm on the MR series' grid."""
    lesions = bilateral.lesions[1]
    index = np.argwhere(lesions.values & (LesionBit.EDEMA | LesionBit.FRACTURE_LINE))
    points = lesions.grid.index_to_mm(index)
    for fracture in bilateral.truth.fractures:
        nearest = np.linalg.norm(points - np.array(fracture.centroid_lps_mm), axis=1).min()
        assert nearest < 12


def test_edema_is_bright_on_stir_and_dark_on_t1() -> None:
    """Against the marrow of the same bodies, as clinical.md has it (acute fracture)."""
    case = make_case(
        fresh_bilateral(),
        morphology=Morphology.BILATERAL,
        protocol=Protocol(False, mr_spacing_mm=(2, 4, 2)),
    )
    bits, anatomy = case.lesions[0].values, case.anatomy[0].values
    sacral = (anatomy >= 1) & (anatomy <= 5)
    swollen = sacral & (bits == LesionBit.EDEMA)
    stir, t1 = (volume.values for volume in case.volumes)
    plain = sacral & (bits == 0)
    assert np.median(stir[swollen]) > 1.2 * np.median(stir[plain])
    assert np.median(t1[swollen]) < 0.95 * np.median(t1[plain])


def test_inversion_nulls_fat_at_its_own_inversion_time() -> None:
    """STIR's signal of fat vanishes where TI = T1 ln 2 for a long TR."""
    fat = np.array([300.0], dtype=np.float32)
    nulled = Sequence(MrWeighting.STIR, 1e6, 40, 300 * float(np.log(2)), 1.0)
    later = Sequence(MrWeighting.STIR, 1e6, 40, 300.0, 1.0)
    t2, density = fat / 3, np.ones(1, dtype=np.float32)
    assert spin_echo(fat, t2, density, nulled)[0] == pytest.approx(0, abs=1e-6)
    assert spin_echo(fat, t2, density, later)[0] > 0.1


def test_the_headers_say_the_sex_that_was_drawn(bilateral: SyntheticCase) -> None:
    """F for a woman's bones, M for a man's, so that both occur."""
    said = set()
    for seed in range(6):
        one = replace(bilateral, params=sample_case(seed))
        assert isinstance(one.params.shape, ShapeParams)
        sex = headers_of(one)[0].patient_sex
        assert sex == ("F" if one.params.shape.female else "M")
        said.add(sex)
    assert said == {"F", "M"}
