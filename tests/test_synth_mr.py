"""Synthetic MR: the signal equations, what tissue looks like, and what a scanner does to it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sifdetect.anatomy import MrWeighting
from sifdetect.findings import Morphology
from sifdetect.synth import mr
from sifdetect.synth.body import Tissue
from sifdetect.synth.mr_scanner import (
    SliceStack,
    blurred,
    folded,
    ghosts,
    noise_left,
    point_spread,
    shifted,
)
from sifdetect.synth.mr_sequence import Sequence, signed_echo
from sifdetect.synth.mr_tissue import Relaxation, lipid, waters
from sifdetect.synth.noise import Array
from sifdetect.synth.scene import points_of, sample_case, scene_at

SPACING = np.full(3, 5.0)
EXAMS = range(12)


def echo(t1_ms: float, t2_ms: float, sequence: Sequence) -> float:
    """Signed signal of one substance of density 0.8."""
    values = (np.array([value]) for value in (t1_ms, t2_ms, 0.8))
    return float(signed_echo(Relaxation(*values), sequence)[0])


@cache
def subject() -> mr.Subject:
    """A patient with fresh fractures of both alae, from the back to the front of the pelvis."""
    case = sample_case(7, morphology=Morphology.BILATERAL)
    grid = case.frame.grid((-90.0, -115.0, -70.0), (90.0, 55.0, 60.0), 5.0)
    points = points_of(case, grid)
    return mr.Subject.of(
        scene_at(case, points, 1.0), points, mr.Microstructure.sample(np.random.default_rng(1))
    )


def exam(seed: int, *, fat: float | None = None) -> mr.MrParams:
    """An examination without noise; ``fat`` sets the mean share of lipid in marrow."""
    params = mr.MrParams.sample(np.random.default_rng(seed), random_contrast=False)
    marrow = params.marrow if fat is None else replace(params.marrow, fat=fat)
    return replace(params, marrow=marrow, coil=replace(params.coil, noise=0.0))


def acquisition(**changes: object) -> mr.Acquisition:
    """Coronal slices, read from right to left, without artefacts."""
    plain = mr.Acquisition(0, 2, 1.0, 0.5, 0.0, 0.0, 30.0, float("inf"))
    return replace(plain, **changes)  # type: ignore[arg-type]  # names are checked by replace


def marrow_and_muscle(image: Array) -> tuple[float, float]:
    """Median of healthy sacral marrow and of muscle."""
    scene = subject().scene
    sacral = (scene.bones.labels >= 1) & (scene.bones.labels <= 5) & (scene.bones.depth_mm > 4)
    healthy = sacral & (scene.lesion_bits() == 0) & (scene.disc_remnant == 0)
    return float(np.median(image[healthy])), float(np.median(image[scene.tissue == Tissue.MUSCLE]))


def seen(params: mr.MrParams, sequence: Sequence) -> Array:
    """Magnitude of water and fat together, before the scanner."""
    water, fat = mr.components(subject(), params, sequence)
    return np.abs(water + fat * mr.fat_left(subject(), params, sequence, SPACING))


def test_the_signal_equations_give_what_a_pocket_calculator_gives() -> None:
    """T1 1000, T2 50, TR 2000, TE 50 ms; inversion at 150 ms leaves a negative signal."""
    plain = Sequence(MrWeighting.T2, 2000, 50, 0.0, 1.0)
    inverted = Sequence(MrWeighting.STIR, 2000, 50, 150.0, 1.0)
    poor = replace(inverted, inversion=0.9)
    assert echo(1000, 50, plain) == pytest.approx(0.25448, abs=1e-5)
    assert echo(1000, 50, inverted) == pytest.approx(-0.17249, abs=1e-5)
    assert echo(1000, 50, poor) == pytest.approx(-0.15114, abs=1e-5)


@pytest.mark.parametrize("field_t", [1.5, 3.0])
def test_fat_vanishes_at_its_own_inversion_time_only(field_t: float) -> None:
    """20 % before the null fat is at least a third as bright as muscle, as on real scans."""
    fat = lipid(field_t, 12)
    null = float(fat.t1_ms[0] * np.log(2 / (1 + np.exp(-4000 / fat.t1_ms[0]))))
    at_null = Sequence(MrWeighting.STIR, 4000, 50, null, 1.0, echo_train=12, field_t=field_t)
    early = replace(at_null, ti_ms=0.8 * null)
    muscle = signed_echo(waters(field_t)[0], early)[Tissue.MUSCLE]
    assert signed_echo(fat, at_null)[0] == pytest.approx(0, abs=1e-6)
    assert signed_echo(fat, early)[0] < 0
    assert abs(signed_echo(fat, early)[0]) > abs(muscle) / 3


def test_an_echo_train_brightens_fat() -> None:
    """A fast spin echo at TE 100 shows more than twice the fat of a single echo."""
    sequence = Sequence(MrWeighting.T2, 4000, 100, 0.0, 1.0)
    single, train = (float(signed_echo(lipid(1.5, n), sequence)[0]) for n in (1, 16))
    assert train > 2 * single


@pytest.mark.parametrize("seed", EXAMS)
def test_old_marrow_is_darker_than_muscle_where_stir_nulls_fat_and_brighter_on_t1(
    seed: int,
) -> None:
    """Fatty marrow, TI at the null of fat."""
    params = exam(seed, fat=0.9)
    t1 = lipid(params.field_t, 12).t1_ms[0]
    null = float(t1 * np.log(2 / (1 + np.exp(-4000 / t1))))
    stir = Sequence(MrWeighting.STIR, 4000, 45, null, 1.0, echo_train=12, field_t=params.field_t)
    dark, muscle = marrow_and_muscle(seen(params, stir))
    bright, around = marrow_and_muscle(
        seen(params, params.sequence(np.random.default_rng(seed), MrWeighting.T1))
    )
    assert dark < 0.75 * muscle
    assert bright > 1.3 * around


def test_marrow_on_stir_spans_what_real_scans_show() -> None:
    """From darker than muscle to the 1.4–1.9 times of the two real STIR scans measured."""
    ratios = []
    for seed in range(40):
        params = exam(seed)
        stir = params.sequence(np.random.default_rng(seed), MrWeighting.STIR)
        marrow, muscle = marrow_and_muscle(seen(params, stir))
        ratios.append(marrow / muscle)
    assert min(ratios) < 0.5
    assert max(ratios) > 1.4


@pytest.mark.parametrize(
    "weighting", [MrWeighting.STIR, MrWeighting.T2_FATSAT, MrWeighting.DIXON_WATER]
)
def test_edema_is_brighter_than_marrow_on_every_fluid_sensitive_series(
    weighting: MrWeighting,
) -> None:
    """Whatever the marrow, the field and the timing, where fat suppression works."""
    edema = (subject().scene.lesions.edema > 0.7) & (subject().scene.lesions.lucency < 0.1)
    edema &= subject().scene.cortex_share < 0.1
    assert edema.sum() > 20
    for seed in EXAMS:
        params = exam(seed)
        sequence = params.sequence(np.random.default_rng(seed), weighting)
        image = seen(params, replace(sequence, fails=float("inf")))
        assert np.median(image[edema]) > 1.15 * marrow_and_muscle(image)[0]


def test_a_failing_saturation_brings_fat_back_where_the_field_is_off() -> None:
    """Somewhere more than half of the fat stays, mostly near the skin, hardly any in the middle."""
    near = np.abs(subject().points.y - subject().points.y.min()) < 25
    shares: list[NDArray[np.floating]] = []
    for seed in EXAMS:
        params = exam(seed)
        sequence = Sequence(MrWeighting.T2_FATSAT, 4000, 60, 0.0, 0.03, fails=2.0)
        share = mr.fat_left(subject(), params, sequence, SPACING)
        shares.append(np.broadcast_to(share, near.shape))
    mean = np.mean(shares, axis=0)
    assert max(float(one.max()) for one in shares) > 0.6
    assert np.median(np.stack(shares)) < 0.1
    assert mean[near].mean() > 1.5 * mean[~near].mean()


def test_chemical_shift_moves_fat_and_leaves_water() -> None:
    """A Dixon water image is the same with and without shift; a T1 is not, nor is its fat lost."""
    params, near, far = exam(3), acquisition(), acquisition(shift_mm=10.0)
    t1 = params.sequence(np.random.default_rng(3), MrWeighting.T1)
    water = replace(t1, weighting=MrWeighting.DIXON_WATER, fat_left=0.0)

    def image(sequence: Sequence, how: mr.Acquisition) -> Array:
        rng = np.random.default_rng(0)
        return mr.render(subject(), params, sequence, how, spacing_mm=SPACING, rng=rng)

    assert np.allclose(image(water, near), image(water, far))
    assert np.abs(image(t1, near) - image(t1, far)).max() > 0.3
    line = np.zeros((1, 9, 1), dtype=np.float32)
    line[0, 3] = 1.0
    assert shifted(line, 1, 2.25)[0, :, 0] == pytest.approx([0, 0, 0, 0, 0, 0.75, 0.25, 0, 0])
    assert shifted(line, 1, -1.0)[0, 2, 0] == 1


def test_what_lies_beyond_the_field_of_view_folds_in_from_the_other_side() -> None:
    """Nothing is lost; the far end appears at the near end; too much does not fold."""
    image = np.arange(10, dtype=np.float32).reshape(1, 10, 1)
    result = folded(image, 1, 2)
    assert result[0, :, 0].tolist() == [2 + 8, 3 + 9, 4, 5, 6 + 0, 7 + 1]
    assert result.sum() == image.sum()
    with pytest.raises(ValueError, match="do not fold"):
        folded(image, 1, 4)


@pytest.mark.parametrize("stack", [SliceStack(1, 3, 1, 2.2), SliceStack(1, 2, 1, 2.0)])
def test_a_slice_profile_keeps_the_mean_and_has_its_thickness(stack: SliceStack) -> None:
    """Each slice weighs its own points by 1 in all; a ramp keeps its value at the centre."""
    rows = stack.profile(13)
    ramp = np.broadcast_to(np.arange(13, dtype=np.float32)[None, :, None], (2, 13, 2))
    assert rows.sum(axis=1) == pytest.approx(np.ones(len(rows)))
    assert stack.cut(ramp)[0, :4, 0] == pytest.approx(stack.centers(13)[:4], abs=1e-5)
    assert 1 / rows[1].max() == pytest.approx(stack.thickness, rel=0.2)


def test_a_gap_between_slices_is_not_seen() -> None:
    """A point in the middle of the gap of thin slices leaves no trace."""
    image = np.zeros((1, 24, 1), dtype=np.float32)
    image[0, 8] = 1.0
    assert SliceStack(1, 8, 4, 4.0).cut(image).max() == 0
    assert SliceStack(1, 8, 4, 8.0).cut(image).max() > 0


def test_a_coarse_matrix_rings_at_edges_unless_filtered() -> None:
    """Overshoot of a step: some with a truncated k-space, less with an apodized one."""
    step = np.repeat([0.0, 1.0], 20)
    sharp, soft = (np.convolve(step, point_spread(2.0, a), "valid") for a in (0.0, 0.8))
    assert sharp.max() > 1.03
    assert soft.max() < 0.5 * (sharp.max() - 1) + 1
    assert point_spread(2.0, 0.3).sum() == pytest.approx(1)


def test_interpolated_noise_is_measured_as_it_is() -> None:
    """White noise blurred by the matrix has the deviation that is told of it."""
    white = np.random.default_rng(0).standard_normal((60, 20, 60)).astype(np.float32)
    coarse = acquisition(pixel_mm=2.0)
    inner = blurred(white, coarse, np.ones(3))[10:-10, :, 10:-10]
    assert inner.std() == pytest.approx(noise_left(coarse, np.ones(3)), rel=0.05)
    assert noise_left(coarse, np.ones(3)) < 0.7


def test_ghosts_lie_along_the_phase_axis() -> None:
    """Copies at the distance of the ghosts, weaker with their order, and nowhere else."""
    moving = np.zeros((5, 40, 3), dtype=np.float32)
    moving[2, 20, 1] = 1.0
    copies = ghosts(moving, 1, 6.2, 0.4)
    assert np.flatnonzero(copies[2, :, 1]).tolist() == [2, 8, 14, 26, 32, 38]
    assert copies[2, 14, 1] == pytest.approx(0.4)
    assert copies[2, 32, 1] < copies[2, 26, 1]
    assert copies.sum() == pytest.approx(copies[2, :, 1].sum())


def test_a_spine_coil_is_bright_at_the_back_or_noisy_in_front() -> None:
    """Signal falls with depth; evened out, the noise grows with it instead."""
    coil = replace(exam(0).coil, bias=0.0, amplified=0.0, fall_mm=80.0, normalised=False)
    points = subject().points
    back, front = points.y < -70, points.y > 0
    signal, noise = coil.gains(points, float(points.y.min()))
    flat, louder = replace(coil, normalised=True).gains(points, float(points.y.min()))
    assert signal[back].mean() > 2 * signal[front].mean()
    assert np.ptp(noise) == np.ptp(flat) == 0
    assert louder[front].mean() > 2 * louder[back].mean()


def test_air_shows_rayleigh_noise() -> None:
    """Where there is no signal the magnitude's mean is √(π/2) of the noise's deviation."""
    params = replace(exam(2), coil=replace(exam(2).coil, noise=0.05, amplified=0.0))
    params = replace(params, coil=replace(params.coil, fall_mm=float("inf")))
    nothing = Sequence(MrWeighting.T2, 4000, 60, 0.0, 0.0, water_left=0.0)
    rng = np.random.default_rng(5)
    image = mr.render(subject(), params, nothing, acquisition(), spacing_mm=SPACING, rng=rng)
    assert image.mean() == pytest.approx(0.05 * np.sqrt(np.pi / 2), rel=0.03)
