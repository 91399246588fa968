"""Implants: where they lie in the bones, and that they are what they should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from sifdetect.synth.material import Material
from sifdetect.synth.mimic import Mimic
from tests.test_synth_mimics import seen


def test_screws_are_straight_however_the_pelvis_bends() -> None:
    """The axis of a screw explains its points to within its radius."""
    one = seen(Mimic.ILIOSACRAL_SCREW)
    metal = one.made_of(Material.METAL, 0.5)
    parts, count = ndimage.label(metal)
    assert count >= 1
    points = one.points.stacked()[parts == 1]
    points = points - points.mean(axis=0)
    across = np.linalg.svd(points, full_matrices=False)[1][1] / np.sqrt(len(points))
    assert np.ptp(points[:, 0]) > 40
    assert across < 2.6


@pytest.mark.parametrize("seed", range(1, 7))
def test_iliosacral_screws_lie_in_bone_from_the_ilium_on(seed: int) -> None:
    """Most of each where bone or joint is, hardly any in foramina; heads stand out by some mm."""
    one = seen(Mimic.ILIOSACRAL_SCREW, seed)
    metal = one.made_of(Material.METAL, 0.5)
    bones = one.scene.bones
    assert np.mean((bones.depth_mm > -2.5)[metal]) > 0.9
    assert np.mean(np.isin(bones.labels[metal], (6, 7, 8))) < 0.03
    assert bones.depth_mm[metal].min() > -9
