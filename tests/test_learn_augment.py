"""Training patches: what they hold, and what a mirror does to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import LocalizerClass, Modality
from sifdetect.bundle import BundleSpec, localizer_spec, region_spec
from sifdetect.learn.augment import (
    Patch,
    Recipe,
    draw_patch,
    field_of_view,
    mirrored,
    turned,
)
from sifdetect.learn.dataset import Rendered, acquisition, jittered
from sifdetect.learn.remodel import CORTICAL, grade, thin_cortex
from sifdetect.learn.views import VIEWS, View, draw_cut, sacral_axes
from sifdetect.synth.scene import sample_case

SIZE = (16, 24, 32)


def region_sample() -> Rendered:
    """A made-up pool sample whose CT rises to the left."""
    shape = region_spec(Modality.CT).shape
    assert shape is not None
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(0, 300, shape[0])[:, None, None], shape)
    images = {
        name: rng.uniform(0.2, 1.0, shape).astype(np.float16)
        for name in ("fluid0", "fluid1", "fluid2", "anatomical0", "anatomical1", "anatomical2")
    }
    return images | {
        "ct": ramp.astype(np.float16),
        "region": np.full(shape, 3, dtype=np.uint8),
        "lesions": np.full(shape, 3, dtype=np.uint8),
        "level": np.ones(shape, dtype=np.float16),
    }


@pytest.mark.parametrize("spec", [region_spec(Modality.CT), region_spec(Modality.MR)])
def test_a_patch_has_the_channels_and_the_size_that_the_network_takes(spec: BundleSpec) -> None:
    """Inputs, classes, targets and weights share the recipe's size."""
    patch = draw_patch(region_sample(), Recipe(spec, SIZE), np.random.default_rng(1))
    assert patch.channels.shape == (len(spec.inputs), *SIZE)
    assert patch.targets.shape == (6, *SIZE)
    assert patch.classes.shape == patch.weight.shape == SIZE


def test_edema_is_no_target_on_ct() -> None:
    """CT does not show edema: its channel is trained to stay silent."""
    recipe = Recipe(region_spec(Modality.CT), SIZE, turned=0.0)
    patch = draw_patch(region_sample(), recipe, np.random.default_rng(2))
    assert patch.targets[0].max() == 0
    assert patch.targets[1].min() == 1


def test_at_least_one_sequence_is_always_left() -> None:
    """Leaving sequences out never leaves none."""
    recipe = Recipe(region_spec(Modality.MR), SIZE, cut=0.0, single=1.0, turned=0.0)
    for seed in range(6):
        patch = draw_patch(region_sample(), recipe, np.random.default_rng(seed))
        used = [bool(channel.any()) for channel in patch.channels[:2]]
        assert sum(used) == 1


def test_a_mirror_keeps_the_place_coordinate_true() -> None:
    """After mirroring, a voxel's x is still where it lies: it changes sign with its place."""
    spec = region_spec(Modality.CT)
    recipe = Recipe(spec, SIZE, cut=0.0, turned=0.0)
    patch = draw_patch(region_sample(), recipe, np.random.default_rng(3))
    again = mirrored(patch, spec)
    assert np.allclose(again.channels[1], -patch.channels[1][::-1])
    assert np.all(np.diff(again.channels[1], axis=0) > 0)


def test_a_mirror_swaps_the_hips_of_a_localizer() -> None:
    """Right becomes left, in the classes and in the sign of x."""
    classes = np.array([LocalizerClass.HIP_RIGHT, LocalizerClass.SACRUM, LocalizerClass.BACKGROUND])
    classes = classes.reshape(3, 1, 1).astype(np.int64)
    place = np.stack([np.array([-0.9, 0.1, 0.5], dtype=np.float32).reshape(3, 1, 1)] * 3)
    patch = Patch(place[:1], classes, place, np.ones((3, 1, 1), dtype=np.float32))
    again = mirrored(patch, localizer_spec(Modality.CT))
    assert again.classes.ravel().tolist() == [0, LocalizerClass.SACRUM, LocalizerClass.HIP_LEFT]
    assert again.targets[0, 2, 0, 0] == pytest.approx(0.9)
    assert again.targets[1, 2, 0, 0] == pytest.approx(-0.9)


def test_a_cut_field_of_view_leaves_something() -> None:
    """Cutting planes leave part of the region in view, and cut something away."""
    spec = region_spec(Modality.MR)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        seen = field_of_view((20, 24, 28), rng, probability=1.0, spec=spec)
        assert 0.02 < seen.mean() < 1


def test_thick_slices_keep_the_mean_and_lose_the_detail() -> None:
    """Averaging through a slice keeps the signal and blurs along one axis."""
    rng = np.random.default_rng(4)
    image = rng.uniform(0, 1, (30, 32, 34)).astype(np.float32)
    drawn = [acquisition(image.shape, np.ones(3), np.random.default_rng(s)) for s in range(8)]
    stacks = [one.stack for one in drawn if one.stack is not None]
    assert stacks
    for stack in stacks:
        result = stack.spread(stack.cut(image), image.shape[stack.axis])
        assert result.shape == image.shape
        assert result.mean() == pytest.approx(0.5, abs=0.03)
        assert result.std() < 0.9 * image.std()


def test_a_jittered_frame_stays_a_frame_near_the_true_one() -> None:
    """The localizer's error is some millimetres and degrees."""
    frame = sample_case(1).frame
    other = jittered(frame, np.random.default_rng(5))
    assert np.linalg.norm(other.origin_lps_mm - frame.origin_lps_mm) < 40
    assert np.allclose(other.axes @ other.axes.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(other.axes) == pytest.approx(-1)


def test_remodelling_grades_the_marrow_and_leaves_soft_tissue_alone() -> None:
    """Bone is denser below its surface than deep inside; what is no bone stays as it was."""
    bone = np.zeros((40, 40, 40), dtype=np.bool_)
    bone[8:32, 8:32, 8:32] = True
    shallow = bone & ~ndimage.binary_erosion(bone, iterations=2)
    deep = ndimage.binary_erosion(bone, iterations=8)
    steps = []
    for seed in range(8):
        image = np.zeros(bone.shape, dtype=np.float32)
        grade(image, bone, np.random.default_rng(seed))
        assert not image[~bone].any()
        steps.append(float(image[shallow].mean() - image[deep].mean()))
    assert min(steps) > 0
    assert max(steps) > 0.3


def test_a_thinned_cortex_stays_above_the_marrow() -> None:
    """What is bright is dimmed and never becomes darker than what was not bright."""
    image = np.linspace(-1, 4, 60, dtype=np.float32).reshape(3, 4, 5)
    thinned = image.copy()
    thin_cortex(thinned, np.random.default_rng(3))
    assert np.array_equal(thinned[image <= CORTICAL], image[image <= CORTICAL])
    assert np.all(thinned[image > CORTICAL] < image[image > CORTICAL])
    assert np.all(np.diff(thinned.ravel()) > 0)


def test_turning_takes_the_image_and_its_labels_along() -> None:
    """A bright block is still where its label is; the box's coordinates stay."""
    spec = region_spec(Modality.CT)
    classes = np.zeros((32, 32, 32), dtype=np.int64)
    classes[10:22, 4:12, 8:24] = 1
    image = np.where(classes == 1, 2.0, -1.0)[None].astype(np.float32)
    place = np.stack(np.meshgrid(*[np.linspace(-1, 1, 32)] * 3, indexing="ij")).astype(np.float32)
    targets = np.stack([(classes == 1).astype(np.float32)] * 6)
    channels = np.concatenate([image, place])
    patch = Patch(channels, classes, targets, np.ones(classes.shape, dtype=np.float32))
    again = turned(patch, spec, np.random.default_rng(8))
    assert not np.array_equal(again.classes, classes)
    assert ((again.channels[0] > 0.5) == (again.classes == 1)).mean() > 0.97
    assert np.array_equal(again.targets[1] > 0.5, again.classes == 1)
    assert np.array_equal(again.channels[1:], place)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_keeps_every_voxels_place_in_the_sacral_frame(view: View) -> None:
    """Places in the frame are as far apart after the cut as their voxels are."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (40, 44, 48)], indexing="ij"))
    classes = np.zeros(index.shape[1:], dtype=np.uint8)
    classes[15:25, 18:26, 20:30] = LocalizerClass.SACRUM
    turn = Rotation.from_euler("x", 35, degrees=True).as_matrix()
    place = np.einsum("ab,bijk->aijk", turn, index - 22.0) * 0.04
    sample = {"place": place.astype(np.float32), "classes": classes}
    cut = draw_cut(sample, view, np.random.default_rng(3))
    moved = np.stack([cut.sampled(axis, order=1, outside=np.nan) for axis in sample["place"]])
    steps = np.linalg.norm(np.diff(moved, axis=2), axis=0)
    assert np.nanmedian(steps) == pytest.approx(0.04, rel=1e-3)
    assert np.allclose(sacral_axes(place), turn.T, atol=1e-6)
