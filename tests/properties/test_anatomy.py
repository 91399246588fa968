"""Labels and sides: mirroring swaps sides and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sifdetect.anatomy import (
    REGION_CLASS_OF_LABEL,
    AnatomyLabel,
    LesionBit,
    RegionClass,
    Side,
    group_of,
    label_of,
    mirrored,
    side_of,
)
from sifdetect.volume import Grid, LabelMap

UNTIMED = settings(deadline=None, derandomize=True)
LABELS = st.sampled_from(AnatomyLabel)
PAIRED = [label for label in AnatomyLabel if side_of(label) is not Side.MIDLINE]


@given(LABELS)
@UNTIMED
def test_mirroring_swaps_sides(label: AnatomyLabel) -> None:
    """The mirror image lies on the other side; the midline stays."""
    assert side_of(mirrored(label)) is side_of(label).opposite


@given(LABELS)
@UNTIMED
def test_mirroring_twice_changes_nothing(label: AnatomyLabel) -> None:
    """It is its own inverse, and keeps the structure."""
    assert mirrored(mirrored(label)) is label
    assert REGION_CLASS_OF_LABEL[mirrored(label)] is REGION_CLASS_OF_LABEL[label]


@given(st.sampled_from(PAIRED))
@UNTIMED
def test_a_paired_label_is_its_class_on_its_side(label: AnatomyLabel) -> None:
    """Class and side together make the label again."""
    assert label_of(REGION_CLASS_OF_LABEL[label], side_of(label)) is label


@pytest.mark.parametrize("region", [RegionClass.SACRAL_ALA, RegionClass.HIP])
def test_a_paired_structure_has_no_midline_label(region: RegionClass) -> None:
    """Asking for one is an error, not a guess."""
    with pytest.raises(ValueError, match=region.name):
        label_of(region, Side.MIDLINE)


@given(st.sets(st.sampled_from([int(bit) for bit in LesionBit])))
@UNTIMED
def test_lesion_bits_add_up_without_loss(lesions: set[int]) -> None:
    """Any set of overlapping lesions can be read from the sum of its bits."""
    total = sum(lesions)
    assert {int(bit) for bit in LesionBit if bit in LesionBit(total)} == lesions


def test_groups_hold_the_whole_bone_and_no_holes() -> None:
    """Foramina and canal are no bone; both hips are told apart."""
    groups = {label: group_of(label) for label in AnatomyLabel}
    assert {label for label, group in groups.items() if group == "sacrum"} == {
        AnatomyLabel(value) for value in range(1, 6)
    }
    assert groups[AnatomyLabel.SACRAL_CANAL] == "other"
    assert groups[AnatomyLabel.HIP_LEFT] == "hip_left"


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_a_mirrored_patient_has_the_mirrored_labels(seed: int) -> None:
    """Reflect a grid at x = 0 and mirror its labels: each label's centroid is reflected."""
    rng = np.random.default_rng(seed)
    affine = np.diag([1.7, 2.3, 3.1, 1.0])
    affine[:3, 3] = rng.normal(0, 20, 3)
    reflection = np.diag([-1.0, 1.0, 1.0, 1.0])
    labels = LabelMap(rng.integers(0, 13, (5, 6, 7)).astype(np.uint8), Grid((5, 6, 7), affine))
    table = np.array([mirrored(label) for label in AnatomyLabel], dtype=np.uint8)
    mirror = LabelMap(table[labels.values], Grid((5, 6, 7), reflection @ affine))
    for label in AnatomyLabel:
        center = labels.centroid_lps_mm(label)
        if center is not None:
            assert mirror.centroid_lps_mm(mirrored(label)) == pytest.approx(center * [-1, 1, 1])
