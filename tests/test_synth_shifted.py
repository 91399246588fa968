"""The shifted half: unlike training, with the same fractures, spread evenly, never trained on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sifdetect.anatomy import MrWeighting
from sifdetect.cli import main
from sifdetect.learn.cases import Making
from sifdetect.learn.evaluation.sources import Generated
from sifdetect.learn.record import parameters
from sifdetect.synth.ct import CtParams
from sifdetect.synth.mr import Acquisition, MrParams
from sifdetect.synth.protocol import PROTOCOLS, Protocol
from sifdetect.synth.scene import sample_case
from sifdetect.synth.shape import ShapeParams
from sifdetect.synth.shifted import Clinic, Reconstruction, Shift, is_shifted


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 2 / 3, 1.0])
def test_any_few_numbers_hold_their_share(share: float) -> None:
    """Of n in a row, wherever they begin, share times n are shifted, give or take one."""
    chosen = np.array([is_shifted(number, share) for number in range(640_000, 640_300)])
    for count in (2, 3, 10, 100):
        found = np.convolve(chosen, np.ones(count), mode="valid")
        assert np.abs(found - share * count).max() < 1 + 1e-6


def test_each_profile_has_its_share_and_so_have_two_cases() -> None:
    """CT and MR in turn: half of each is shifted, and one of any two neighbours in a turn."""
    source = Generated(8, 640_001, ("pelvic-ct", "sacral-mr"), Making(shifted=0.5))
    made = [source.made_from(name) for name in source.names()]
    assert [seed for seed, _, _ in made] == list(range(640_001, 640_009))
    for profile in ("pelvic-ct", "sacral-mr"):
        assert sum(one for _, name, one in made if name == profile) == 2
    assert all(made[n][2] != made[n + 1][2] for n in range(0, 8, 2))


def test_the_fracture_stays_and_the_patient_is_another() -> None:
    """What was drawn for fracture, pose and rami is kept; bones bend more than any in training."""
    drawn = sample_case(21)
    changed = Shift.sample(21).patient(drawn)
    assert isinstance(changed.shape, ShapeParams)
    assert changed.shape.deformation.sd_mm >= 3.0
    assert changed.shape.detail.sd_mm >= 1.3
    assert (changed.fracture, changed.ring, changed.pose) == (
        drawn.fracture,
        drawn.ring,
        drawn.pose,
    )
    again = Shift.sample(21).patient(drawn)
    assert parameters(again) == parameters(changed)
    assert parameters(sample_case(21)) == parameters(drawn)


def test_each_clinic_sees_its_own_mimics() -> None:
    """Over a hundred patients: tumours in one, joints in the other, several times as often."""
    found = {clinic: [0, 0] for clinic in Clinic}
    drawn = sample_case(1)
    for seed in range(100):
        shift = Shift.sample(seed)
        mimics = shift.patient(replace(drawn, seed=seed)).confounders.mimics
        tumours = {one.value for one in mimics} & {"lytic metastasis", "blastic metastasis"}
        joints = {one.value for one in mimics} & {"sacroiliitis", "degenerative sacroiliac disease"}
        found[shift.clinic][0] += len(tumours)
        found[shift.clinic][1] += len(joints)
    assert found[Clinic.ONCOLOGY][0] > 3 * found[Clinic.RHEUMATOLOGY][0]
    assert found[Clinic.RHEUMATOLOGY][1] > 3 * found[Clinic.ONCOLOGY][1]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_slices_are_thicker_and_farther_apart(name: str) -> None:
    """Never thinner than the protocol's, CT from 4 mm, MR at most 7 mm; in the slice as it was."""
    before, after = PROTOCOLS[name], Shift.sample(3).protocol(PROTOCOLS[name])
    assert after.ct_spacing_mm[:2] == before.ct_spacing_mm[:2]
    assert not before.with_ct or after.ct_spacing_mm[2] >= 4
    for one, other in zip(before.mr_series, after.mr_series, strict=True):
        assert other.slice_axis == one.slice_axis
        assert max(one.spacing_mm) < max(other.spacing_mm) <= 7
        assert sorted(other.spacing_mm)[:2] == sorted(one.spacing_mm)[:2]
        assert other.thickness_mm == pytest.approx(max(other.spacing_mm) * (1 - other.gap))
        assert other.gap >= 0.3


def test_the_usual_protocol_keeps_its_series_once() -> None:
    """Its oblique coronal series are not there a second time."""
    after = Shift.sample(3).protocol(Protocol())
    assert [one.weighting for one in after.mr_series] == [MrWeighting.STIR, MrWeighting.T1]


def test_scanners_lie_outside_what_training_draws() -> None:
    """Over forty shifts: kernels, coil noise and marrow beyond every range of training."""
    rng = np.random.default_rng(1)
    scan, exam = CtParams.sample(rng), MrParams.sample(rng, random_contrast=False)
    taken = Acquisition.sample(rng, 1)
    kinds = set()
    for seed in range(40):
        shift = Shift.sample(seed)
        kinds.add(shift.reconstruction)
        kernel = shift.ct(scan).scanner.kernel
        sharp = shift.reconstruction is Reconstruction.SHARP
        assert (kernel.spread_mm <= 0.26 and kernel.edge >= 1) if sharp else kernel.spread_mm >= 0.6
        other = shift.exam(exam)
        assert not 0.4 < other.marrow.fat < 0.92
        assert other.marrow.patchy >= 0.13
        assert other.coil.noise >= 0.035
        sequence, series = shift.plan(exam.sequence(rng, MrWeighting.STIR), taken)
        assert not 35 < sequence.te_ms < 90
        assert series.pixel_mm > taken.pixel_mm
    assert kinds == set(Reconstruction)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["synth", "--cases", "1", "--seed", "1", "--shifted", "1.5"], "no share"),
        (["synth", "--cases", "1", "--seed", "1", "--shifted", "nan"], "no share"),
        (
            ["synth", "--cases", "1", "--seed", "1", "--shifted", "0.5", "--format", "region"],
            "never shifted",
        ),
        (["evaluate", "cases", "--shifted", "0.5"], "cannot be shifted"),
        (["evaluate", "--cases", "2", "--seed", "1", "--shifted", "-1"], "no share"),
    ],
)
def test_what_cannot_be_shifted_is_exit_code_2(
    command: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A share is 0 to 1, of cases that are made to be evaluated; nothing is written."""
    assert main([*command, "-o", str(tmp_path / "out")]) == 2
    assert re.search(reason, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
