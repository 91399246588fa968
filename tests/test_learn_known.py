"""What was not annotated costs nothing, whatever the network says of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from sifdetect.anatomy import LesionBit, LocalizerClass, Modality
from sifdetect.bundle import localizer_spec
from sifdetect.learn.augment import Patch, Recipe, draw_patch, known_of, mirrored
from sifdetect.learn.dataset import CLASS_KNOWN, DATA_KNOWN, PLACE_KNOWN
from sifdetect.learn.losses import anatomy_loss, lesion_loss, localizer_loss, region_loss
from tests.pools import blob, slab, tiny_region

EVERY_LESION = 31


def batch(known: list[int] | None) -> dict[str, Tensor]:
    """A region sample as tensors, with what is known of it."""
    sample = slab(1) | ({} if known is None else {"known": np.array(known, dtype=np.uint8)})
    recipe = Recipe(tiny_region(), (16, 16, 16), cut=0.0, turned=0.0, remodelled=0.0)
    patch = draw_patch(sample, recipe, np.random.default_rng(0))
    arrays = {name: getattr(patch, name) for name in ("classes", "targets", "weight")}
    if patch.known is not None:
        arrays |= {"known": patch.known, "possible": patch.possible}
    return {name: torch.from_numpy(value)[None] for name, value in arrays.items()}


def loss(known: list[int] | None, output: Tensor) -> float:
    """The region loss of one answer."""
    one = batch(known)
    named = {name: one[name] for name in ("known", "possible") if name in one}
    return float(region_loss(output, one["classes"], one["targets"], one["weight"], **named))


def answers(channel: slice) -> tuple[Tensor, Tensor]:
    """Two answers that differ in some channels alone."""
    one = torch.randn((1, 14, 16, 16, 16), generator=torch.Generator().manual_seed(0))
    other = one.clone()
    other[:, channel] = 3 * torch.randn(other[:, channel].shape)
    return one, other


def test_all_known_costs_what_nothing_said_costs() -> None:
    """The key's absence means that everything is known."""
    output, _ = answers(slice(0, 0))
    assert loss([1, EVERY_LESION], output) == pytest.approx(loss(None, output), rel=1e-5)


@pytest.mark.parametrize(
    ("known", "channel"),
    [
        ([0, EVERY_LESION], slice(0, 8)),
        ([0, EVERY_LESION], slice(13, 14)),
        ([1, LesionBit.FRACTURE_LINE], slice(10, 13)),
        ([1, EVERY_LESION - LesionBit.FRACTURE_LINE], slice(9, 10)),
    ],
    ids=["classes", "level", "other lesions", "the line"],
)
def test_channels_without_truth_cost_nothing(known: list[int], channel: slice) -> None:
    """The same loss whatever stands in them; with everything known it differs."""
    one, other = answers(channel)
    assert loss(known, one) == pytest.approx(loss(known, other), rel=1e-5)
    assert loss(None, one) != pytest.approx(loss(None, other), rel=1e-3)


def test_edema_stays_silent_on_ct_whoever_looked_for_it() -> None:
    """CT does not show it: its absence is always known there."""
    one, other = answers(slice(8, 9))
    assert loss([1, 0], one) != pytest.approx(loss([1, 0], other), rel=1e-3)


def test_one_of_two_possible_classes_is_as_good_as_the_other() -> None:
    """What may be class 1 or 2 costs the same for either, and more for a third."""
    classes = torch.ones((1, 4, 4, 4), dtype=torch.int64)
    possible = torch.full(classes.shape, 0b110, dtype=torch.uint8)
    weight = torch.ones(classes.shape)
    said = [9.0 * torch.eye(4)[c].view(1, 4, 1, 1, 1).expand(1, 4, 4, 4, 4) for c in range(4)]
    first, second, third = (
        float(anatomy_loss(said[c], classes, weight, possible=possible)) for c in (1, 2, 3)
    )
    assert first == pytest.approx(second)
    assert first < 0.01 < third


def test_voxels_that_say_nothing_cost_nothing_and_break_nothing() -> None:
    """A turned patch has voxels without any possible class: finite losses and gradients."""
    output = torch.randn((1, 9, 6, 6, 6), requires_grad=True)
    nothing = torch.zeros((1, 6, 6, 6), dtype=torch.uint8)
    value = localizer_loss(
        output,
        nothing.long(),
        torch.zeros((1, 3, 6, 6, 6)),
        torch.ones((1, 6, 6, 6)),
        known=nothing,
        possible=nothing,
    )
    value.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
    assert float(value) == pytest.approx(0, abs=1e-5)
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


def test_a_lesion_known_in_half_of_the_voxels_is_judged_there_alone() -> None:
    """The form by voxel: a lesion marked unknown somewhere costs nothing there."""
    truth = torch.zeros((1, 5, 4, 4, 4))
    known = torch.full((1, 4, 4, 4), EVERY_LESION, dtype=torch.uint8)
    known[:, 2:] = 0
    calm, loud = torch.full(truth.shape, -9.0), torch.full(truth.shape, -9.0)
    loud[:, :, 2:] = 9.0
    weight = torch.ones(known.shape)
    assert float(lesion_loss(loud, truth, weight, known=known)) == pytest.approx(
        float(lesion_loss(calm, truth, weight, known=known))
    )


def test_a_mirror_swaps_the_hips_that_are_possible() -> None:
    """Right or nothing becomes left or nothing; either hip stays either hip."""
    right, left = (1 << hip for hip in (LocalizerClass.HIP_RIGHT, LocalizerClass.HIP_LEFT))
    shape = (3, 1, 1)
    possible = np.array([right | 1, left | right, 1], dtype=np.uint8).reshape(shape)
    place = np.zeros((3, *shape), dtype=np.float32)
    patch = Patch(
        place[:1],
        np.zeros(shape, dtype=np.int64),
        place,
        np.ones(shape, dtype=np.float32),
        np.full(shape, DATA_KNOWN, dtype=np.uint8),
        possible,
    )
    again = mirrored(patch, localizer_spec(Modality.CT)).possible
    assert again is not None
    assert again.ravel().tolist() == [1, left | right, left | 1]


def test_a_localizer_patch_carries_what_is_known() -> None:
    """It is cut and turned with the labels; outside of the scan nothing is known."""
    sample = blob(0)
    known = np.full(sample["classes"].shape, CLASS_KNOWN | PLACE_KNOWN | DATA_KNOWN, np.uint8)
    known[:12] = 0
    recipe = Recipe(localizer_spec(Modality.CT), (16, 16, 16), cut=0.0)
    patch = draw_patch(sample | {"known": known}, recipe, np.random.default_rng(3))
    assert patch.known is not None
    assert (patch.weight[patch.known == 0] == 0).all()
    assert 0 < (patch.known > 0).mean() < 1
    assert known_of(sample, sample["classes"]) is None
