"""What is known of a sample: lesions that were looked for, classes that are possible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import (
    LOCALIZER_CLASS_OF_LABEL,
    REGION_CLASS_OF_LABEL,
    SACRUM_LABELS,
    AnatomyLabel,
    LesionBit,
    LocalizerClass,
    RegionClass,
)
from sifdetect.learn.external.known import (
    Annotation,
    Known,
    hollows,
    known_bits,
    possible_classes,
)

PARTS = tuple(label.name.lower() for label in AnatomyLabel if label)


def drawn(values: NDArray[np.uint8], *annotated: str) -> Annotation:
    """Anatomy on a grid of 2 mm that is in view but for the first plane."""
    in_view = np.ones(values.shape, np.bool_)
    in_view[0] = False
    return Annotation(values, np.zeros_like(values), in_view, annotated, 2.0)


def bits(*classes: int) -> int:
    """The byte of ``possible`` with these classes."""
    return sum(1 << one for one in classes)


def block() -> NDArray[np.uint8]:
    """A block of sacral bone with a canal of 8 mm through it, L5 on top."""
    values = np.zeros((30, 30, 30), np.uint8)
    values[8:22, 8:22, 8:20] = AnatomyLabel.SACRAL_BODY
    values[13:17, 13:17, 8:20] = 0
    values[8:22, 8:22, 21:26] = AnatomyLabel.L5
    return values


def test_everything_annotated_is_all_known() -> None:
    """One class a voxel, and the truth of every lesion."""
    case = drawn(block(), *PARTS, *(str(bit.name).lower() for bit in LesionBit))
    possible = possible_classes(case, REGION_CLASS_OF_LABEL)
    known = known_bits(case, possible, place=True)
    assert set(np.unique(possible[1:])) == {1 << RegionClass.BACKGROUND, 1 << 1, 1 << 6}
    assert (known[1:] == 255).all()
    assert (known[0] == 0).all()


def test_a_whole_sacrum_is_some_part_and_its_hollows_are_unsure() -> None:
    """Outside it is none of the parts; hips that nobody outlined may be anywhere else."""
    case = drawn(block(), "sacrum", "l5", "lumbar")
    region = possible_classes(case, REGION_CLASS_OF_LABEL)
    assert region[10, 10, 10] == bits(1, 2, 3, 4, 5)
    assert region[15, 15, 14] == bits(0, 4, 5, RegionClass.HIP)
    assert region[3, 15, 14] == bits(0, RegionClass.HIP)
    assert region[10, 10, 23] == bits(RegionClass.L5)
    known = known_bits(case, region, place=False)
    assert known[10, 10, 23] == Known.CLASS | Known.IN_VIEW
    assert known[3, 15, 14] == Known.IN_VIEW
    assert region[0, 0, 0] == 255


def test_to_the_localizer_a_whole_sacrum_is_certain() -> None:
    """Canal and foramina are of the same class; only they stay unsure."""
    case = drawn(block(), "sacrum", "l5", "lumbar", "hip_left", "hip_right")
    classes = possible_classes(case, LOCALIZER_CLASS_OF_LABEL)
    assert classes[10, 10, 10] == bits(LocalizerClass.SACRUM)
    assert classes[15, 15, 14] == bits(LocalizerClass.BACKGROUND, LocalizerClass.SACRUM)
    assert classes[3, 15, 14] == bits(LocalizerClass.BACKGROUND)


def test_a_spine_that_was_not_outlined_lies_above_l5() -> None:
    """Below its lower end no lumbar vertebra is possible."""
    case = drawn(block(), "sacrum", "l5", "hip_left", "hip_right")
    classes = possible_classes(case, LOCALIZER_CLASS_OF_LABEL)
    assert classes[3, 3, 25] == bits(LocalizerClass.BACKGROUND, LocalizerClass.LUMBAR)
    assert classes[3, 3, 15] == bits(LocalizerClass.BACKGROUND)


def test_voxels_that_nobody_looked_at_say_nothing() -> None:
    """255 of the anatomy, 128 of the lesions."""
    values = block()
    values[25, 25, 5] = 255
    case = drawn(values, *PARTS, "edema")
    lesions = np.zeros_like(values)
    lesions[25, 25, 5] = 128
    case = replace(case, lesions=lesions)
    possible = possible_classes(case, REGION_CLASS_OF_LABEL)
    known = known_bits(case, possible, place=False)
    assert possible[25, 25, 5] == 255
    assert known[25, 25, 5] == Known.IN_VIEW
    assert known[24, 25, 5] == Known.IN_VIEW | Known.CLASS | Known.EDEMA


def test_hollows_are_the_canal_and_not_the_outside() -> None:
    """A canal of 8 mm is hollow; a voxel beside the block is not."""
    bone = np.isin(block(), SACRUM_LABELS)
    inside = hollows(bone, 2.0)
    assert inside[bone].all()
    assert inside[15, 15, 14]
    assert not inside[6, 15, 14]
    assert not hollows(np.zeros((4, 4, 4), np.bool_), 2.0).any()
