"""Bone that changed without a fracture, as CT patches get it in training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import RegionClass
from sifdetect.learn import remodel

SHAPE = (48, 40, 44)
PLACE_MM = (np.indices(SHAPE, dtype=np.float32) - 24.0) * np.float32(3.0)


def sacrum() -> NDArray[np.int64]:
    """Body in the middle, an ala on each side, nothing around."""
    classes = np.zeros(SHAPE, dtype=np.int64)
    classes[6:42, 10:30, 8:36] = RegionClass.SACRAL_ALA
    classes[18:30, 10:30, 8:36] = RegionClass.SACRAL_BODY
    return classes


def test_struts_and_voids_lie_in_marrow_alone_and_are_broader_than_a_line() -> None:
    """Cortex and soft tissue stay; neighbours inside change alike, unlike on a fracture line."""
    bone = sacrum() > 0
    image = np.where(bone, 0.0, -0.3).astype(np.float32)
    image[bone & (PLACE_MM[1] < -35)] = remodel.CORTICAL + 0.5
    changed = image.copy()
    for seed in range(6):
        remodel.relief(changed, bone, np.random.default_rng(seed))
    marrow = bone & (image < remodel.CORTICAL)
    difference = changed - image
    assert not difference[~marrow].any()
    assert difference[marrow].std() > 0.1
    values = difference[8:40, 13:28, 10:34]
    inner = values[:-1].ravel(), values[1:].ravel()
    assert np.corrcoef(*inner)[0, 1] > 0.8


def test_a_hollow_ala_may_keep_a_belt_along_the_joint() -> None:
    """Of many draws some leave the lateral marrow as it was and take the medial."""
    classes, belts, whole = sacrum(), 0, 0
    for seed in range(40):
        image = np.zeros(SHAPE, dtype=np.float32)
        remodel.hollow(image, classes, PLACE_MM, np.random.default_rng(seed))
        medial, lateral = image[11:14, 20, 22].mean(), image[7:9, 20, 22].mean()
        if medial < -0.05:
            belts += bool(lateral > 0.3 * medial)
            whole += bool(lateral < 0.7 * medial)
    assert belts >= 5
    assert whole >= 5


def test_the_belt_follows_a_joint_that_is_no_plane() -> None:
    """Beside an oblique hip bone the dense part keeps its breadth at every level."""
    classes = sacrum()
    shift = np.arange(SHAPE[2]) // 4
    for k in range(8, 36):
        classes[: 4 + shift[k], :, k] = RegionClass.HIP
    hip, breadths = classes == RegionClass.HIP, []
    for seed in range(30):
        beyond = remodel._beyond_belt(hip, PLACE_MM, np.random.default_rng(seed))
        assert beyond[hip].mean() < 0.1
        belt = ~hip & (beyond < 0.5)
        breadths.append([3.0 * belt[:30, 14:26, k].sum(axis=0).mean() for k in (12, 22, 32)])
    assert np.ptp(np.array(breadths), axis=1).mean() < 4.0
    assert np.array(breadths).mean(axis=1).max() > 8.0
    assert np.array(breadths).mean(axis=1).min() < 8.0


def test_a_dense_core_ends_at_an_oblique_border_on_both_sides() -> None:
    """Bodies gain, the lateral alae do not; where it ends differs from level to level."""
    bone, slanted = sacrum() > 0, 0
    for seed in range(20):
        image = np.zeros(SHAPE, dtype=np.float32)
        remodel.core(image, bone, PLACE_MM, np.random.default_rng(seed))
        assert not image[~bone].any()
        assert image[24, 20, 24] >= image[7, 20, 24]
        assert image[24, 20, 24] >= image[41, 20, 24]
        half = image[24, 20, 24] / 2
        above, below = (int((image[24:42, 20, k] > half).sum()) for k in (30, 18))
        slanted += above != below
    assert slanted >= 10
