"""Outlines and marks against the truth, on arrays small enough to count."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice
from scipy import ndimage

from sifdetect.anatomy import AnatomyLabel, LesionBit
from sifdetect.learn.evaluation.marks import count, grown
from sifdetect.learn.evaluation.overlap import TOLERANCE_MM, Outlined, dice, overlaps, surface_fit
from sifdetect.volume import Grid, LabelMap

GRID = Grid((24, 20, 16), np.diag([2.0, 3.0, 4.0, 1.0]))


def outlined(shift: int = 0, line: slice = slice(0)) -> Outlined:
    """A block of sacral body, moved along the first axis, with a line in some of its planes."""
    anatomy, lesions = np.zeros((2, *GRID.shape), dtype=np.uint8)
    anatomy[6 + shift : 16 + shift, 6:14, 4:12] = AnatomyLabel.SACRAL_BODY
    lesions[line, 6:14, 4:12] = LesionBit.FRACTURE_LINE
    return Outlined(LabelMap(anatomy, GRID), LabelMap(lesions, GRID))


def test_dice_is_twice_the_overlap() -> None:
    """Two of three voxels meet three others: 2·2 / 6."""
    one = np.array([[[1, 1, 1, 0]]], dtype=bool)
    other = np.array([[[0, 1, 1, 1]]], dtype=bool)
    assert dice(one, other) == pytest.approx(2 / 3)
    assert dice(one & False, other & False) == 1.0


def test_a_shifted_outline_is_off_by_its_shift_in_millimetres() -> None:
    """Three voxels of 2 mm: Dice 0.7, HD95 6 mm; one voxel lies within the tolerance."""
    sacrum = overlaps(outlined(), outlined(3), LesionBit(0))[0]
    assert sacrum.dice == pytest.approx(0.7)
    assert (sacrum.name, sacrum.hd95_mm) == ("sacrum", 6.0)
    assert sacrum.surface_dice is not None
    assert sacrum.surface_dice < 1
    assert overlaps(outlined(), outlined(1), LesionBit(0))[0].surface_dice == 1.0


def test_the_surface_figures_are_monais() -> None:
    """Of ragged masks on a grid of unequal steps, to the last digit that floats hold."""
    rng = np.random.default_rng(7)
    masks = [ndimage.gaussian_filter(rng.random((18, 15, 12)), 1.5) > 0.5 for _ in range(2)]
    spacing = np.array([1.2, 0.8, 3.0])
    true, said = (torch.from_numpy(one)[None, None].float() for one in masks)
    steps = spacing.tolist()
    surface = compute_surface_dice(
        said, true, [TOLERANCE_MM], include_background=True, spacing=steps
    )
    distance = compute_hausdorff_distance(
        said, true, include_background=True, percentile=95, spacing=steps
    )
    expected = (float(surface[0, 0]), float(distance[0, 0]))
    assert 0.3 < expected[0] < 0.99
    assert surface_fit(masks[0], masks[1], spacing) == pytest.approx(expected, rel=1e-6)


def test_lesions_count_where_the_truth_has_them() -> None:
    """A true line is compared; one that is found where there is none, or not asked for, is not."""
    with_line, without = outlined(line=slice(8, 10)), outlined()
    found = {one.name: one for one in overlaps(with_line, without, LesionBit.FRACTURE_LINE)}
    assert (found["fracture_line"].dice, found["fracture_line"].hd95_mm) == (0.0, None)
    for truth, shown in ((without, LesionBit.FRACTURE_LINE), (with_line, LesionBit.EDEMA)):
        assert "fracture_line" not in {one.name for one in overlaps(truth, with_line, shown)}


def test_marks_near_a_lesion_find_it_and_others_are_false() -> None:
    """One mark two voxels beside the first of two lesions, one far from both, one too small."""
    true = np.zeros((30, 5, 5), dtype=bool)
    first, second = true.copy(), true.copy()
    first[4], second[24] = True, True
    marked = true.copy()
    marked[6], marked[14], marked[18, 0, 0] = True, True, True
    assert count(marked, [grown(first), grown(second)], grown(first | second), least=5) == (1, 1)
    assert count(marked & False, [first], first, least=5) == (0, 0)


def test_a_mark_on_a_lesion_of_another_cause_is_not_false() -> None:
    """Edema of a joint is edema: no fracture is found, and nothing is marked wrongly."""
    other = np.zeros((10, 5, 5), dtype=bool)
    other[3] = True
    assert count(other, [], grown(other), least=5) == (0, 0)
