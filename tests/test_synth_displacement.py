"""Displaced fractures: the part that moves does so by the step and the angle that were drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from sifdetect.anatomy import AnatomyLabel, Side
from sifdetect.findings import Morphology
from sifdetect.synth.displacement import Displacement, Part
from sifdetect.synth.fracture import THROUGH
from sifdetect.synth.noise import Points
from sifdetect.synth.scene import CaseParams, sample_case, scene_at
from sifdetect.synth.shape import ShapeParams
from sifdetect.synth.truth import truth_of

STEP_MM = 0.5
MOVES = [
    (Morphology.H, Displacement(Part.UPPER, 20.0, 6.0)),
    (Morphology.U, Displacement(Part.UPPER, 12.0, 0.0)),
    (Morphology.TRANSVERSE, Displacement(Part.TAIL, 25.0, 4.0)),
]


def unbent(morphology: Morphology) -> CaseParams:
    """A case whose bones follow the curve of its spine exactly, broken at S2/S3."""
    case = sample_case(3, morphology=morphology)
    shape, broken = case.shape, case.fracture
    assert isinstance(shape, ShapeParams)
    assert broken.transverse is not None
    straight = {
        name: replace(getattr(shape, name), sd_mm=0.0) for name in ("deformation", "detail")
    }
    limb = replace(broken.transverse, level=1.6)
    return replace(
        case,
        shape=replace(shape, **straight),
        fracture=replace(broken, transverse=limb),
        displacement=None,
    )


def wall(case: CaseParams) -> dict[str, NDArray[np.float64]]:
    """Wall between bodies and canal in the midsagittal plane, above and below the fracture.

    Each part as a straight line over its level: (2, 2) direction (y, z) per level, and the point
    where it meets the fracture.
    """
    y, z = np.arange(-120, 40, STEP_MM), np.arange(-140, 40, STEP_MM)
    grid = np.meshgrid([0.0], y, z, indexing="ij")
    scene = scene_at(case, Points(*(axis.astype(np.float32) for axis in grid)), STEP_MM)
    labels, level = scene.anatomy()[0], scene.bones.level[0]
    body, canal = (labels == one for one in (AnatomyLabel.SACRAL_BODY, AnatomyLabel.SACRAL_CANAL))
    edge = body[1:] & ~body[:-1] & ndimage.binary_dilation(canal, iterations=2)[:-1]
    index = np.argwhere(edge) + np.array([1, 0])
    assert case.fracture.transverse is not None
    from_fracture = level[index[:, 0], index[:, 1]] - case.fracture.transverse.level
    lines = {}
    for name, low, high in (("upper", -0.5, -0.12), ("lower", 0.12, 0.5)):
        chosen = (from_fracture > low) & (from_fracture < high)
        at = np.stack([y[index[chosen, 0]], z[index[chosen, 1]]], axis=1)
        lines[name] = np.polyfit(from_fracture[chosen], at, 1)
    return lines


@pytest.mark.parametrize(("morphology", "move"), MOVES)
def test_the_posterior_wall_steps_and_bends_as_drawn(
    morphology: Morphology, move: Displacement
) -> None:
    """Against the same sacrum before: the angle within 3 degrees, the step within 1 mm."""
    before = unbent(morphology)
    curve, broken = before.shape.curve, before.fracture.transverse
    assert broken is not None
    s = float(np.interp(broken.level, np.arange(6), curve.level_bounds_mm))
    ventral = (curve.position_mm(s, 1.0) - curve.position_mm(s))[1:]
    angles, steps = [], []
    for case in (before, replace(before, displacement=move)):
        (up, upper), (down, lower) = wall(case)["upper"], wall(case)["lower"]
        turn = np.arctan2(up[0] * down[1] - up[1] * down[0], up @ down)
        angles.append(float(np.degrees(turn)))
        steps.append(float((upper - lower) @ ventral))
    assert abs(angles[1] - angles[0]) == pytest.approx(move.kyphosis_deg, abs=3)
    assert steps[1] - steps[0] == pytest.approx(move.step_mm, abs=1)


def test_the_hips_stay_where_they_are() -> None:
    """Only what the fractures set free moves."""
    case = sample_case(3, morphology=Morphology.H)
    y, z = np.arange(-60, 20, 4.0), np.arange(-100, 20, 4.0)
    grid = np.meshgrid(np.arange(-80, 81, 4.0), y, z, indexing="ij")
    points = Points(*(axis.astype(np.float32) for axis in grid))
    moves = (None, Displacement(Part.UPPER, 30.0, 10.0))
    found = [scene_at(replace(case, displacement=m), points, 4.0).anatomy() for m in moves]
    for hip in (AnatomyLabel.HIP_LEFT, AnatomyLabel.HIP_RIGHT):
        assert np.array_equal(found[0] == hip, found[1] == hip)
    assert not np.array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("move", "subtype"),
    [
        (None, None),
        (Displacement(Part.UPPER, 20.0, 0.0), 1),
        (Displacement(Part.UPPER, 20.0, -5.0), 2),
        (Displacement(Part.UPPER, 10.0, 40.0), 3),
    ],
)
def test_the_truth_names_subtype_step_and_angle(
    move: Displacement | None, subtype: int | None
) -> None:
    """They come from the parameters; the step has no sign, its direction is in the images."""
    case = replace(sample_case(3, morphology=Morphology.H), displacement=move)
    truth = truth_of(case)
    middle = next(one for one in truth.fractures if one.side is Side.MIDLINE)
    expected = (0.0, 0.0) if move is None else (abs(move.step_mm), move.kyphosis_deg)
    assert (middle.step_mm, middle.angle_deg) == expected
    assert truth.denis.subtype == subtype


def test_only_what_is_broken_all_round_is_displaced() -> None:
    """A part moves where a transverse limb is alone or has a vertical limb on both sides."""
    moved = 0
    for morphology in Morphology:
        if morphology is Morphology.INDETERMINATE:
            continue
        for seed in range(12):
            case = sample_case(seed, morphology=morphology)
            free = morphology.value in ("transverse", "H", "U", "lambda")
            whole = [(limb.upper, limb.lower) == THROUGH for limb in case.fracture.limbs]
            assert case.displacement is None or free or whole == [True]
            if case.displacement is not None and case.displacement.part is Part.TAIL:
                assert case.fracture.transverse is not None
                assert min(case.fracture.transverse.left, case.fracture.transverse.right) > 3
            moved += case.displacement is not None
    assert 10 < moved < 45
