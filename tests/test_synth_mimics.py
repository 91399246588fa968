"""What looks like a fracture and is none: each mimic lies and looks as it should."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage, stats

from sifdetect.anatomy import SACRUM_LABELS, AnatomyLabel, LesionBit, MrWeighting, Side
from sifdetect.findings import Morphology
from sifdetect.synth import ct, mr
from sifdetect.synth.confounders import DRAW, ConfounderParams, Host, evaluate
from sifdetect.synth.ct_scanner import Kernel
from sifdetect.synth.hip import HipParams
from sifdetect.synth.implants import CementDeposit
from sifdetect.synth.material import HU, Material
from sifdetect.synth.mimic import KIND, RATE, SACROILIAC_EDEMA, Mimic
from sifdetect.synth.noise import Array, Points
from sifdetect.synth.sacroiliac_mimics import SacroiliacDisease
from sifdetect.synth.scene import VISIBLE, CaseParams, Scene, points_of, sample_case, scene_at
from sifdetect.synth.truth import truth_of
from sifdetect.volume import Grid

SPACING_MM = 2.5
LOW_MM, HIGH_MM = (-85.0, -62.0, -80.0), (85.0, 62.0, 60.0)
MASSES = (Mimic.LYTIC_METASTASIS, Mimic.BLASTIC_METASTASIS, Mimic.INFILTRATION, Mimic.MYELOMA)
HIPS = (AnatomyLabel.HIP_RIGHT, AnatomyLabel.HIP_LEFT)


@dataclass(frozen=True)
class Seen:
    """One case with one kind of mimic, at the voxels of a coarse grid."""

    case: CaseParams
    grid: Grid
    points: Points
    scene: Scene

    def made_of(self, material: Material, least: float = 0.8) -> NDArray[np.bool_]:
        """Where a material takes most of a voxel."""
        scene = self.scene
        return np.asarray((scene.material == material) & (scene.material_share > least))


@cache
def plain() -> Seen:
    """A whole sacrum without a fracture and without mimics."""
    case = sample_case(7, morphology=Morphology.NONE, mimics=0)
    grid = case.frame.grid(LOW_MM, HIGH_MM, SPACING_MM)
    points = points_of(case, grid)
    return Seen(case, grid, points, scene_at(case, points, SPACING_MM))


def bearing(mimic: Mimic, seed: int = 1) -> CaseParams:
    """The same with one kind of mimic and nothing else."""
    only = ConfounderParams.only(mimic, np.random.default_rng(seed))
    return replace(plain().case, confounders=only)


@cache
def seen(mimic: Mimic, seed: int = 1) -> Seen:
    """The scene of such a case; mimics change nothing else in it."""
    base, case = plain(), bearing(mimic, seed)
    host = Host(case.shape, HipParams.sample(np.random.default_rng(0), 1.0).center_mm, SPACING_MM)
    field = evaluate(case.confounders, base.points, base.scene.bones, host)
    return replace(base, case=case, scene=replace(base.scene, mimics=field))


def on_ct(one: Seen) -> Array:
    """HU, almost without noise and blur."""
    rng = np.random.default_rng(0)
    drawn = ct.CtParams.sample(rng)
    quiet = replace(drawn.artefacts, hardening_hu=0.0, metal=0.0, field_mm=float("inf"))
    sharp = Kernel(spread_mm=0.3, edge=0.0)
    scanner = replace(drawn.scanner, kernel=sharp, noise_hu=1.0, streak=0.0)
    scan = replace(drawn, scanner=scanner, artefacts=quiet, slice_mm=1.0)
    return ct.render(one.scene, one.points, scan, spacing_mm=one.grid.spacing_mm, rng=rng)


def on_mr(one: Seen, weighting: MrWeighting, scene: Scene | None = None) -> Array:
    """Signal of marrow that is 55 % fat, almost without noise."""
    rng = np.random.default_rng(0)
    exam = mr.MrParams.sample(rng, random_contrast=False)
    marrow = mr.Marrow(fat=0.55, alar=0.0, body=0.0, other=0.0, subchondral=0.0, patchy=0.0)
    coil = replace(exam.coil, noise=0.002, bias=0.0, fall_mm=float("inf"), amplified=0.0)
    exam = replace(exam, marrow=marrow, coil=coil, field_t=1.5, grain=0.0, streaks=0.0)
    sequence = exam.sequence(np.random.default_rng(3), weighting)
    still = replace(mr.Acquisition.sample(rng, 1), pixel_mm=SPACING_MM, shift_mm=0.0, ghost=0.0)
    still = replace(still, band=float("inf"), apodized=0.7)
    fine = mr.Microstructure.sample(rng)
    subject = mr.Subject.of(scene or one.scene, one.points, fine)
    return mr.render(subject, exam, sequence, still, spacing_mm=one.grid.spacing_mm, rng=rng)


@pytest.mark.parametrize("mimic", list(Mimic), ids=lambda m: m.name)
def test_each_mimic_gives_its_own_bits_and_no_other(mimic: Mimic) -> None:
    """Masses and cement are labelled as such; no mimic is ever labelled as a fracture line."""
    one = seen(mimic, 3)
    assert mimic is Mimic.HIP_PROSTHESIS or (one.scene.mimics.owner > 0).sum() >= 2
    assert {n.kind for n in one.case.confounders.lesions} <= {KIND[mimic], SACROILIAC_EDEMA}
    bits = int(np.bitwise_or.reduce(one.scene.lesion_bits(), axis=None))
    assert not bits & LesionBit.FRACTURE_LINE
    assert bool(bits & LesionBit.MASS_LIKE) == (mimic in MASSES)
    assert bool(bits & LesionBit.CEMENT) == (mimic is Mimic.CEMENT)
    if mimic in list(Mimic)[8:19]:
        assert bits == 0


def test_the_truth_has_kind_side_place_and_volume_of_each_mimic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A case with cement on both sides, a cyst and a hip prosthesis, as drawn."""
    monkeypatch.setattr("sifdetect.synth.truth.TRUTH_SPACING_MM", SPACING_MM)
    drawn = [*bearing(Mimic.CEMENT, 2).confounders.lesions]
    drawn += bearing(Mimic.TARLOV_CYST, 2).confounders.lesions
    drawn += bearing(Mimic.HIP_PROSTHESIS, 2).confounders.lesions
    case = replace(plain().case, confounders=ConfounderParams(tuple(drawn)))
    truth = truth_of(case)
    right, left, cyst, metal = truth.other_findings
    assert [f.kind for f in truth.other_findings] == ["cement", "cement", "Tarlov cyst", "metal"]
    assert (right.side, left.side) == (Side.RIGHT, Side.LEFT)
    for lesion, finding in zip(drawn, (right, left), strict=False):
        assert isinstance(lesion, CementDeposit)
        assert 0.4 < finding.volume_mm3 / lesion.volume_ml / 1000 < 1.5
    places = case.frame.to_frame_mm(np.array([f.centroid_lps_mm for f in (left, cyst, metal)]))
    assert 25 < places[0, 0] < 50
    assert np.abs(places[1]).max() < 45
    assert abs(places[2, 0]) > 60
    assert (places[2, 0] > 0) == (metal.side is Side.LEFT)
    assert truth.fractures == ()


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_sacroiliitis_lies_close_to_the_joint_in_both_bones(seed: int) -> None:
    """Edema within 15 mm of the joint, in sacrum and ilium of each side that is inflamed."""
    one = seen(Mimic.SACROILIITIS, seed)
    from_joint = ndimage.distance_transform_edt(~one.scene.bones.joint) * SPACING_MM
    swollen = one.scene.edema > VISIBLE
    sacral = np.isin(one.scene.bones.labels, [int(label) for label in SACRUM_LABELS])
    for lesion in one.case.confounders.lesions:
        assert isinstance(lesion, SacroiliacDisease)
        side = np.sign(one.points.x) == lesion.side
        assert (swollen & sacral & side).sum() * SPACING_MM**3 > 500
        assert (swollen & np.isin(one.scene.bones.labels, HIPS) & side).sum() * SPACING_MM**3 > 500
    assert np.quantile(from_joint[swollen], 0.99) < 15


def test_a_tarlov_cyst_is_fluid_in_a_cavity_that_it_widens() -> None:
    """Water on CT, as bright as the thecal sac on STIR; bone gives way to foramen or canal."""
    one = seen(Mimic.TARLOV_CYST)
    cyst = ndimage.binary_erosion(one.made_of(Material.CYST, 0.95))
    assert cyst.sum() > 8
    assert abs(float(np.median(on_ct(one)[cyst]))) < 25
    stir = on_mr(one, MrWeighting.STIR)
    muscle = np.median(stir[one.scene.tissue == 2])
    assert np.median(stir[cyst]) > 1.5 * muscle
    hollow = (6, 7, 8)
    widened = (
        np.isin(one.scene.anatomy(), hollow).sum() - np.isin(plain().scene.anatomy(), hollow).sum()
    )
    assert widened * SPACING_MM**3 > 200


def test_a_hemangioma_is_bright_on_t1() -> None:
    """Brighter than the marrow that lay there."""
    one = seen(Mimic.HEMANGIOMA)
    here = one.made_of(Material.HEMANGIOMA, 0.6)
    now, before = on_mr(one, MrWeighting.T1), on_mr(one, MrWeighting.T1, plain().scene)
    assert here.sum() > 10
    assert np.median(now[here]) > 1.05 * np.median(before[here])


@pytest.mark.parametrize(
    ("mimic", "material"),
    [
        (Mimic.INFILTRATION, Material.INFILTRATION),
        (Mimic.LYTIC_METASTASIS, Material.LYTIC),
        (Mimic.MYELOMA, Material.LYTIC),
    ],
)
def test_tumour_is_dark_on_t1_and_bright_on_stir(mimic: Mimic, material: Material) -> None:
    """Against the marrow that lay there."""
    one = seen(mimic)
    here = one.made_of(material) & (one.scene.bones.labels > 0) & (one.scene.bones.depth_mm > 2)
    assert here.sum() > 20
    t1, stir = MrWeighting.T1, MrWeighting.STIR
    assert np.median(on_mr(one, t1)[here]) < 0.7 * np.median(on_mr(one, t1, plain().scene)[here])
    assert np.median(on_mr(one, stir)[here]) > 1.3 * np.median(
        on_mr(one, stir, plain().scene)[here]
    )


def test_red_marrow_is_between_fat_and_muscle_on_t1() -> None:
    """Darker than fat, brighter than muscle (Vogler and Murphy 1988)."""
    one = seen(Mimic.RED_MARROW)
    here = one.made_of(Material.RED_MARROW, 0.6)
    t1 = on_mr(one, MrWeighting.T1)
    fat, muscle = (np.median(t1[one.scene.tissue == tissue]) for tissue in (1, 2))
    assert here.sum() > 20
    assert 1.3 * muscle < np.median(t1[here]) < 0.9 * fat


@pytest.mark.parametrize(
    ("mimic", "material", "low", "high"),
    [
        (Mimic.CEMENT, Material.CEMENT, 800, 3000),
        (Mimic.BLASTIC_METASTASIS, Material.BLASTIC, 350, 885),
        (Mimic.ILIOSACRAL_SCREW, Material.METAL, 1800, 3071),
        (Mimic.VACUUM, Material.GAS, -1000, -200),
        (Mimic.RADIATION, Material.FATTY_MARROW, -100, 40),
    ],
)
def test_materials_have_their_ct_numbers(
    mimic: Mimic, material: Material, low: float, high: float
) -> None:
    """Median HU of the voxels that are mostly of it."""
    one = seen(mimic)
    share = one.scene.material_share
    here = (one.scene.material == material) & (share >= np.quantile(share[share > 0.2], 0.7))
    assert low < np.median(on_ct(one)[here]) <= high


def test_lytic_metastases_destroy_cortex_and_infiltration_leaves_it() -> None:
    """On CT the cortex within a lysis falls to soft tissue; within an infiltration it stays."""
    loss = {}
    for mimic in (Mimic.LYTIC_METASTASIS, Mimic.INFILTRATION):
        one = seen(mimic)
        depth = one.scene.bones.depth_mm
        near = ndimage.binary_dilation(one.scene.mimics.mass, iterations=2)
        shell = near & (depth > -0.5) & (depth < 0.8) & (one.scene.bones.labels > 0)
        loss[mimic] = float(np.mean(one.scene.material_share[shell]))
    assert loss[Mimic.LYTIC_METASTASIS] > 0.3
    assert loss[Mimic.INFILTRATION] < 0.5 * loss[Mimic.LYTIC_METASTASIS]


def test_lines_that_are_none_are_seen_in_ala_and_ilium() -> None:
    """Channels and physes are thin: the erosion of one voxel leaves nothing of them."""
    for mimic in (Mimic.NUTRIENT_CHANNEL, Mimic.PHYSEAL_REMNANT):
        voxels = 0
        for seed in range(1, 4):
            one = seen(mimic, seed)
            line = np.isin(one.scene.material, (Material.VESSEL, Material.PHYSIS))
            line &= one.scene.material_share > 0.1
            voxels += int(line.sum())
            assert (one.scene.bones.depth_mm[line] > -SPACING_MM).all()
            assert not ndimage.binary_erosion(line).any()
        assert voxels > 15


def test_gas_lies_in_joint_disc_or_facet_and_never_in_marrow() -> None:
    """Whatever place was drawn."""
    for seed in range(4):
        one = seen(Mimic.VACUUM, seed)
        gas = one.scene.material == Material.GAS
        allowed = one.scene.bones.joint | one.scene.bones.disc | (one.scene.bones.v_mm < -18)
        assert (allowed[gas]).all()


def test_mimics_occur_as_often_as_they_should() -> None:
    """Over 300 seeds, each kind within the binomial 0.999 interval of its rate; 45 % have none."""
    cases = [ConfounderParams.sample(np.random.default_rng([s, 13]), 0.25) for s in range(300)]
    for mimic, rate in RATE.items():
        count = sum(mimic in case.mimics for case in cases)
        low, high = stats.binom.interval(0.999, 300, rate)
        assert low <= count <= high, mimic
    without = sum(not case.lesions for case in cases) / 300
    assert 0.38 < without < 0.54
    assert all(not ConfounderParams.sample(np.random.default_rng(s), 0).lesions for s in range(20))


def test_what_one_mimic_draws_never_changes_another() -> None:
    """A case with a larger budget keeps the mimics that it had with a smaller one."""
    for seed in range(30):
        few, many = (ConfounderParams.sample(np.random.default_rng(seed), b) for b in (0.25, 1.0))
        kept = [one for one in many.lesions if one.mimic in few.mimics]
        assert [(a.mimic, a.kind) for a in kept] == [(a.mimic, a.kind) for a in few.lesions]


def test_every_mimic_and_material_is_described() -> None:
    """Each class has a rate, a name in the truth and a way to be drawn; each material its HU."""
    assert set(DRAW) == set(RATE) == set(KIND) == set(Mimic)
    assert len(HU) == len(Material)
