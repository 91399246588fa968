"""CT images of synthetic pelves: tissues, bone loss, kernels, noise, artefacts, slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from sifdetect.anatomy import AnatomyLabel
from sifdetect.synth import ct_series
from sifdetect.synth.body import BodyParams, Tissue
from sifdetect.synth.bone_texture import BoneTexture, averaging
from sifdetect.synth.ct_artefacts import LOWEST_HU, Artefacts
from sifdetect.synth.ct_scanner import Kernel, Lattice, Scanner
from sifdetect.synth.fracture import Stage
from sifdetect.synth.material import Material
from sifdetect.synth.noise import Points
from sifdetect.volume import Grid
from tests.ct_scenes import ALAE, deep, plain, scan, shown, upper_sacrum

SOFT, SHARP = Kernel(0.6, 0.0), Kernel(0.3, 0.8)
QUIET = Scanner(SOFT, slice_mm=1.0, noise_hu=1e-3, streak=0.0, smoothing=0.0)


def average_body() -> BodyParams:
    """A body whose noise is that of the average one."""
    body = BodyParams.sample(np.random.default_rng(0))
    return replace(body, half_width_mm=178.0, half_depth_mm=143.0**2 / 178.0)


def test_tissues_have_the_ct_numbers_of_the_literature() -> None:
    """Fat -125 to -75, muscle 0 to 70 HU (Lamba 2014), S1 25 to 350 HU (Pickhardt 2013)."""
    scene, points = upper_sacrum()
    fat, muscle = plain(scene, Tissue.FAT), plain(scene, Tissue.MUSCLE, voxels=0)
    body = deep(scene, (AnatomyLabel.SACRAL_BODY,))
    assert min(fat.sum(), muscle.sum(), body.sum()) > 30
    for seed in range(8):
        image = shown(scene, points, scan(seed, contrast_hu=0.0))
        assert -125 < image[fat].mean() < -75
        assert 0 < image[muscle].mean() < 70
        assert 25 < image[body].mean() < 350


def test_the_same_seed_gives_the_same_image_and_another_one_does_not() -> None:
    """Rendering is deterministic; the generator decides the noise."""
    scene, points = upper_sacrum()
    first, again, other = (shown(scene, points, scan(3), seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_most_osteoporotic_tenth_has_voids_of_fat_in_its_alae() -> None:
    """There the darkest tenth of each image's deep alar marrow is below -30 HU."""
    textures = [BoneTexture.sample(np.random.default_rng(seed)) for seed in range(80)]
    worst = sorted(textures, key=lambda texture: texture.loss)[-8:]
    scene, points = upper_sacrum()
    ala = deep(scene, ALAE)
    for texture in worst:
        image = shown(scene, points, scan(1, texture=texture, scanner=QUIET))
        assert np.quantile(image[ala], 0.1) < -30


def test_bone_loss_moves_bodies_alae_voids_and_cortex_together() -> None:
    """Across drawn bones each falls, or opens, with the latent loss."""
    textures = [BoneTexture.sample(np.random.default_rng(seed)) for seed in range(150)]
    loss = [texture.loss for texture in textures]

    def related(values: list[float]) -> float:
        return float(np.corrcoef(loss, values)[0, 1])

    assert related([texture.body_hu for texture in textures]) < -0.8
    assert related([texture.ala_hu for texture in textures]) < -0.8
    assert related([texture.cortex for texture in textures]) < -0.5
    assert related([max(texture.void) for texture in textures]) > 0.7


def test_trabeculae_average_out_in_larger_voxels() -> None:
    """Their amplitude falls with every edge of the voxel."""
    sizes = [(0.6, 0.6, 0.6), (0.8, 0.8, 1.0), (1.5, 1.5, 1.5), (0.8, 0.8, 5.0)]
    left = [averaging(np.array(size)) for size in sizes]
    assert left == sorted(left, reverse=True)
    assert left[0] > 1.5 * left[-1]


def test_noise_falls_with_the_square_root_of_the_slice_thickness() -> None:
    """At 3 mm and in an average body its standard deviation is the scanner's own."""
    lattice = Lattice((96, 96, 96), np.array([0.5, 0.5, 0.5]), np.eye(3))
    deviation = {}
    for thickness in (0.75, 1.5, 3.0, 6.0):
        scanner = replace(QUIET, noise_hu=10.0, slice_mm=thickness)
        noise = scanner.noise(lattice, average_body(), np.random.default_rng(4))
        deviation[thickness] = float(noise.std())
    assert deviation[3.0] == pytest.approx(10.0, rel=0.1)
    for thin, thick in ((0.75, 1.5), (1.5, 3.0), (3.0, 6.0)):
        assert deviation[thin] / deviation[thick] == pytest.approx(np.sqrt(2), rel=0.12)


def test_noise_is_greater_with_a_bone_kernel_and_in_a_large_body() -> None:
    """Sharp kernels pass more of it, and a wide body more than doubles a thin one's."""
    lattice, rng = (
        Lattice((64, 64, 16), np.array([0.5, 0.5, 1.0]), np.eye(3)),
        np.random.default_rng,
    )
    soft, sharp = (
        replace(QUIET, noise_hu=10.0, kernel=kernel).noise(lattice, average_body(), rng(2)).std()
        for kernel in (SOFT, SHARP)
    )
    bodies = [replace(average_body(), half_width_mm=w, half_depth_mm=w * 0.65) for w in (145, 225)]
    thin, wide = (replace(QUIET, noise_hu=9).noise(lattice, body, rng(2)).std() for body in bodies)
    assert sharp > 2 * soft
    assert wide > 1.5 * thin


def test_noise_is_correlated_more_from_side_to_side_with_streaks() -> None:
    """Neighbours along the lateral axis are alike, as in both real scans of docs/synth-ct.md."""
    lattice = Lattice((128, 128, 8), np.array([0.7, 0.7, 1.0]), np.eye(3))
    scanner = replace(QUIET, noise_hu=10.0, streak=2.0)
    noise = scanner.noise(lattice, average_body(), np.random.default_rng(5))
    lateral = np.corrcoef(noise[2:].ravel(), noise[:-2].ravel())[0, 1]
    sagittal = np.corrcoef(noise[:, 2:].ravel(), noise[:, :-2].ravel())[0, 1]
    assert lateral > sagittal + 0.1


@pytest.mark.parametrize(("kernel", "overshoot"), [(SOFT, False), (SHARP, True)])
def test_a_bone_kernel_overshoots_at_an_edge_and_a_soft_one_does_not(
    kernel: Kernel, overshoot: bool
) -> None:
    """Along a profile across a step of 1000 HU; the step's height stays."""
    step = np.zeros((60, 12, 12), dtype=np.float32)
    step[30:] = 1000
    lattice = Lattice(step.shape, np.full(3, 0.4), np.eye(3))
    image = replace(QUIET, kernel=kernel).blurred(step, lattice)
    assert image[5:10].mean() == pytest.approx(0, abs=2)
    assert image[50:55].mean() == pytest.approx(1000, abs=2)
    assert (image.max() > 1050) == overshoot
    assert (image.min() < -50) == overshoot


def test_slices_lie_across_the_body_even_where_the_lattice_does_not() -> None:
    """A sheet across the body's axis fades in a thick slice, one along it does not."""
    angle = np.radians(60)
    axes = np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), 0.5]])
    index = np.moveaxis(np.indices((40, 40, 40)), 0, -1) - 19.5
    place = (index @ axes).astype(np.float32)
    points = Points(place[..., 0], place[..., 1], place[..., 2])
    lattice = Lattice.of(points, np.ones(3))
    scanner = replace(QUIET, slice_mm=5.0)
    across, along = (np.clip(1.5 - np.abs(axis), 0, 1) for axis in (points.z, points.y))
    middle = (slice(16, 24),) * 3
    assert scanner.blurred(across, lattice)[middle].max() < 0.6
    assert scanner.blurred(along, lattice)[middle].max() > 0.75


def test_metal_throws_streaks_far_beyond_itself_and_nothing_changes_without_it() -> None:
    """A screw across the sacrum: dark and bright streaks 15 mm away, none in other slices."""
    scene, points = upper_sacrum()
    params = scan(2, artefacts=replace(scan(2).artefacts, metal=0.8), scanner=QUIET)
    without = shown(scene, points, params)
    off = shown(scene, points, replace(params, artefacts=replace(params.artefacts, metal=0.0)))
    assert np.array_equal(without, off)
    y, z = float(points.y.mean()), float(points.z.mean())
    radius = np.hypot(points.y - y, points.z - z)
    screw = (radius < 4) & (np.abs(points.x) < 45)
    material = np.where(screw, Material.METAL, scene.mimics.material).astype(np.uint8)
    mimics = replace(scene.mimics, material=material, share=screw.astype(np.float32))
    change = shown(replace(scene, mimics=mimics), points, params) - without
    beside = (radius > 15) & (np.abs(points.z - z) < 2)
    assert np.quantile(change[beside], 0.02) < -25
    assert np.quantile(change[beside], 0.98) > 25
    assert np.abs(change[np.abs(points.z - z) > 15]).max() < 1


def test_bone_on_both_sides_darkens_what_lies_between() -> None:
    """Beam hardening: a dark band between two hips, and none beside or above them."""
    bone = np.zeros((120, 20, 20), dtype=np.float32)
    bone[20:35, 6:14, 6:14] = bone[85:100, 6:14, 6:14] = 900
    change = Artefacts(1.0, 0.0, np.inf, (0.0, 0.0)).hardening(bone, np.ones(3))
    assert change.shape == bone.shape
    assert change[60, 10, 10] < -8
    assert np.abs(change[60, 0, 0]) < 0.1
    assert np.abs(change[5, 10, 10]) < 0.1


def test_what_lies_outside_a_reconstructed_circle_has_the_lowest_value() -> None:
    """The clipped body is brighter at the rim and unchanged in the middle."""
    x, y = np.meshgrid(np.arange(-200.0, 201, 4), np.arange(-200.0, 201, 4), indexing="ij")
    points = Points(x[..., None], y[..., None], np.zeros_like(x)[..., None])
    body = replace(average_body(), half_width_mm=210.0, center_y_mm=0.0)
    image = np.full(points.x.shape, 40.0, dtype=np.float32)
    seen = Artefacts(0.0, 0.0, 180.0, (0.0, 0.0)).truncated(image, points, body)
    radius = np.hypot(x, y)[..., None]
    assert (seen[radius > 180] == LOWEST_HU).all()
    assert seen[(radius > 172) & (radius < 180) & (np.abs(points.y) < 20)].mean() > 80
    assert seen[50, 50, 0] == pytest.approx(40, abs=0.1)


def test_the_stage_of_a_fracture_shows_as_line_callus_or_sclerosis() -> None:
    """Acute lines are the darkest against their surroundings, chronic ones have denser margins."""
    line, margin = {}, {}
    for stage in (Stage.ACUTE, Stage.SUBACUTE, Stage.CHRONIC):
        scene, points = upper_sacrum(31, stage)
        texture = replace(scan(4).texture, body_hu=150.0, ala_hu=90.0, void=(0.0, 0.0))
        image = shown(scene, points, scan(4, texture=texture, scanner=QUIET))
        inner = (scene.bones.depth_mm > 4) & (scene.bones.level < 1.5)
        near = ndimage.binary_dilation(scene.lesions.line, iterations=2) & ~scene.lesions.line
        line[stage] = float(image[inner & (scene.lesions.lucency > 0.8)].mean())
        margin[stage] = float(image[inner & near].mean())
    assert line[Stage.ACUTE] < margin[Stage.ACUTE] - 40
    assert line[Stage.ACUTE] < line[Stage.SUBACUTE] - 40
    assert margin[Stage.CHRONIC] > margin[Stage.SUBACUTE] > margin[Stage.ACUTE]


@pytest.mark.parametrize(("increment", "samples"), [(0.8, 1), (2.5, 2), (5.0, 2)])
def test_the_samples_of_a_slice_lie_around_its_middle(increment: float, samples: int) -> None:
    """Every slice of the series is in one slab, and its samples' mean place is its own."""
    affine = np.diag([1.1, 1.2, increment, 1.0])
    grid = Grid((300, 280, 40), affine)
    found: list[float] = []
    for slab in ct_series._slabs(grid, samples, margin=2):
        z = slab.grid.index_to_mm([[0, 0, k] for k in range(slab.grid.shape[2])])[:, 2]
        each = [slab.slices(z[None, None], k)[0, 0] for k in range(samples)]
        found += np.mean(each, axis=0).tolist()
    assert np.allclose(found, np.arange(40) * increment)
