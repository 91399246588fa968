"""What must not change a finding: how voxels are stored, and which side is which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, Side, mirrored
from sifdetect.classify import Classification, Context, classify
from sifdetect.components import describe, lesion
from sifdetect.measure import Measurements, measure
from sifdetect.measurements import SIDES
from sifdetect.patient_order import in_patient_order
from sifdetect.shift import limb_shift_mm
from sifdetect.volume import Grid, LabelMap, SacralFrame, Segmentation
from tests.phantoms import FULL, SPACING_MM, Phantom, lambda_shape, straight_frame

ORIENTATIONS = list(product(permutations(range(3)), product((1, -1), repeat=3)))
"""The order of the three array axes, and which of them run backwards."""

APART = ("centroid_lps_mm", "side")
NEAR = 0.05
"""Of two voxels at one distance the order in the array decides which is nearest: 0.01 mm."""

FACE = np.diag([-1.0, 1.0, 1.0, 1.0])
"""The mirror between the patient's right and left."""


@cache
def lopsided() -> Segmentation:
    """A λ with edema on the right, a round lesion on the left, in an oblique frame."""
    phantom = lambda_shape(Phantom(), Side.RIGHT).edema(Side.RIGHT, 0.2, 2.6)
    return phantom.ball(LesionBit.MASS_LIKE, (40.0, -9.0, -20.0), 7).segmentation()


@cache
def plain() -> tuple[Measurements, Classification]:
    """What is found in it as it was drawn."""
    return read(lopsided())


def read(segmentation: Segmentation) -> tuple[Measurements, Classification]:
    """Measured and classified as an MR with fat suppression."""
    measured = measure(segmentation, fluid_sensitive=True, modality=Modality.MR)
    return measured, classify(measured, Context(coverage=FULL))


def stored(kept: Segmentation, order: tuple[int, ...], signs: tuple[int, ...]) -> Segmentation:
    """The same voxels at the same places, the array's axes in another order and direction."""
    turned = tuple(slice(None, None, sign) for sign in signs)
    last = [n - 1 if sign < 0 else 0 for n, sign in zip(kept.grid.shape, signs, strict=True)]
    affine = kept.grid.affine_lps_mm.copy()
    affine[:3, 3] = kept.grid.index_to_mm(np.array(last, dtype=float))
    affine[:3, :3] = (affine[:3, :3] * signs)[:, order]

    def of(values: Any) -> Any:
        return np.ascontiguousarray(values[turned].transpose(order))

    grid = Grid(of(kept.level).shape, affine, kept.grid.frame_of_reference_uid)
    return replace(
        kept,
        anatomy=LabelMap(of(kept.anatomy.values), grid),
        lesions=LabelMap(of(kept.lesions.values), grid),
        probability=np.stack([of(channel) for channel in kept.probability]),
        level=of(kept.level),
        in_view=of(kept.in_view),
    )


def in_a_mirror(kept: Segmentation) -> Segmentation:
    """The patient with right and left exchanged."""
    other = np.array([mirrored(label) for label in AnatomyLabel], dtype=np.uint8)
    grid = replace(kept.grid, affine_lps_mm=FACE @ kept.grid.affine_lps_mm)
    axes = kept.frame.axes * [-1, 1, 1] * np.array([[-1], [1], [1]])
    return replace(
        kept,
        anatomy=LabelMap(other[kept.anatomy.values], grid),
        lesions=LabelMap(kept.lesions.values, grid),
        frame=SacralFrame(kept.frame.origin_lps_mm * [-1, 1, 1], axes),
    )


def told(measured: Measurements, stated: Classification, *, swapped: bool = False) -> Any:
    """All that is said, by path; places apart."""
    seen = {side: side.opposite if swapped else side for side in Side}
    everything = {
        "sides": {seen[side].value: measured.sides[side] for side in SIDES},
        "fractures": {seen[one.side].value: replace(one, id="") for one in measured.fractures},
        "limbs": [replace(one, junction={}) for one in measured.transverse],
        "wall": measured.wall,
        "others": sorted((one.kind, seen[one.side].value) for one in measured.other_findings),
        "denis": {
            seen[Side.LEFT].value: stated.denis.left,
            seen[Side.RIGHT].value: stated.denis.right,
            "subtype": stated.denis.subtype,
        },
        "bakker": {
            seen[Side.LEFT].value: stated.bakker.left,
            seen[Side.RIGHT].value: stated.bakker.right,
            "corpus": stated.bakker.corpus,
        },
        "pattern": (stated.morphology.value, stated.ffp.value),
    }
    return dict(flat(everything, ""))


def flat(thing: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each number or word with its path; without places, and without the side that is a key."""
    if hasattr(thing, "__dataclass_fields__"):
        thing = {name: getattr(thing, name) for name in thing.__dataclass_fields__}
        thing = {name: one for name, one in thing.items() if name not in APART}
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield from flat(value, f"{path}/{key}")
    elif isinstance(thing, list | tuple):
        for number, value in enumerate(thing):
            yield from flat(value, f"{path}/{number}")
    else:
        yield path, thing


@pytest.mark.slow
@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_how_the_voxels_are_stored_changes_nothing(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    """All 48 orders and directions of the axes, negative cosines among them."""
    measured, stated = read(stored(lopsided(), order, signs))
    assert told(measured, stated) == pytest.approx(told(*plain()), abs=NEAR)
    for one, same in zip(measured.fractures, plain()[0].fractures, strict=True):
        assert one.centroid_lps_mm == pytest.approx(same.centroid_lps_mm, abs=1e-6)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS[5::11])
def test_of_equally_near_voxels_the_same_one_tells_the_shift(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    """Beside an oblique line, on a grid along the frame; it once changed by up to 0.5 mm."""
    phantom = Phantom(straight_frame())
    here = np.abs(phantom.x - 38 - 0.5 * phantom.y - 0.4 * phantom.z) < 1.6
    phantom.lesions[here & phantom.sacrum & (phantom.level < 2)] |= LesionBit.FRACTURE_LINE.value
    phantom.level += 0.04 * np.sin(phantom.x / 7) * np.cos(phantom.y / 5)
    kept = phantom.segmentation()
    shifts = []
    for one in map(in_patient_order, (kept, stored(kept, order, signs))):
        sacrum = describe(one)
        line = sacrum.points(lesion(one, LesionBit.FRACTURE_LINE))
        shifts.append(limb_shift_mm(sacrum, line, Side.LEFT))
    assert shifts[1] == pytest.approx(shifts[0], abs=1e-6)


def cut_obliquely(kept: Segmentation, degrees: float, signs: tuple[int, ...]) -> Segmentation:
    """The same patient by nearest voxels on a lattice turned about an oblique axis."""
    turn = Rotation.from_rotvec(np.array([0.5, -0.7, 0.51]) * np.radians(degrees)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * signs * np.array([1.3, 1.4, 1.6])
    count = (130, 120, 110)
    affine[:3, 3] = kept.grid.center_lps_mm - affine[:3, :3] @ (np.array(count) - 1) / 2
    grid = Grid(count, affine, kept.grid.frame_of_reference_uid)
    index = np.stack(np.meshgrid(*map(np.arange, count), indexing="ij"), -1)
    there = np.rint(kept.grid.mm_to_index(grid.index_to_mm(index))).astype(int)
    inside = ((there >= 0) & (there < kept.grid.shape)).all(axis=-1)
    where = tuple(np.moveaxis(np.clip(there, 0, np.array(kept.grid.shape) - 1), -1, 0))

    def of(values: Any) -> Any:
        return np.where(inside, values[where], 0).astype(values.dtype)

    return replace(
        kept,
        anatomy=LabelMap(of(kept.anatomy.values), grid),
        lesions=LabelMap(of(kept.lesions.values), grid),
        probability=np.stack([of(channel) for channel in kept.probability]),
        level=of(kept.level),
        in_view=of(kept.in_view),
    )


@pytest.mark.slow
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)])
@pytest.mark.parametrize("degrees", [12.0, 33.0])
def test_an_oblique_stack_has_the_same_findings(degrees: float, signs: tuple[int, ...]) -> None:
    """Lattices that follow neither patient nor sacrum, no two spacings alike: every class and side,
    places to a millimetre, volumes to a twentieth, distances to a voxel and a half."""
    measured, stated = read(cut_obliquely(lopsided(), degrees, signs))
    now, before = told(measured, stated), told(*plain())
    words = [path for path, one in before.items() if not isinstance(one, float)]
    assert {path: now[path] for path in words} == {path: before[path] for path in words}
    for one, same in zip(measured.fractures, plain()[0].fractures, strict=True):
        assert one.side is same.side
        assert one.levels == same.levels
        assert one.centroid_lps_mm == pytest.approx(same.centroid_lps_mm, abs=1.0)
        assert one.volume_mm3 == pytest.approx(same.volume_mm3, rel=0.05)
        gaps = {
            level: pytest.approx(gap, abs=2.2) for level, gap in same.foramen_distance_mm.items()
        }
        assert one.foramen_distance_mm == gaps


def test_mirroring_the_patient_swaps_every_measure_and_changes_none() -> None:
    """Findings, halves, wall, other findings and classes; places are mirrored too."""
    measured, stated = read(in_a_mirror(lopsided()))
    assert told(measured, stated, swapped=True) == pytest.approx(told(*plain()), abs=NEAR)
    places = {one.side.opposite: one.centroid_lps_mm for one in measured.fractures}
    for one in plain()[0].fractures:
        mirrored_place = np.array(places[one.side]) * [-1, 1, 1]
        assert one.centroid_lps_mm == pytest.approx(mirrored_place, abs=1e-6)


@pytest.mark.parametrize("x_mm", [30.5, 33.0, 36.3, 41.9])
@pytest.mark.parametrize("side", SIDES)
def test_distances_are_those_of_the_drawing_to_a_voxel(side: Side, x_mm: float) -> None:
    """Foramina end 27 mm from the midline, the canal at 10.5, the S1 joint face at 54."""
    phantom = Phantom().line(side, 0.2, 1.9, x_mm=x_mm)
    measured = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    half = measured.sides[side]
    near = x_mm - 1.5
    # The sheet and the walls are cut at voxel centres: a voxel between them.
    assert half.canal_distance_mm == pytest.approx(near - 10.5, abs=SPACING_MM)
    assert len(half.foramen_distance_mm) == 4
    assert min(half.foramen_distance_mm.values()) == pytest.approx(near - 27.0, abs=SPACING_MM)
    upper = Phantom().line(side, 0.1, 0.5, x_mm=x_mm).segmentation()
    short = measure(upper, fluid_sensitive=False, modality=Modality.CT).sides[side]
    # The joint face is the bone's outermost layer of voxels.
    face = 54.0 - SPACING_MM
    assert short.joint_distance_mm == pytest.approx(face - x_mm - 1.5, abs=SPACING_MM)
