"""A synthetic examination: volumes as a scanner would give them, labels, and the truth.

The truth comes from the parameters of the case, never from the pipeline's rules. Volumes in tissue
samples of the fracture (its volume, its centroid) are taken from a fine rendering.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, Modality, MrWeighting, SacralLevel, Side
from sifdetect.findings import (
    Algorithm,
    BakkerFinding,
    Basis,
    Coverage,
    DenisFinding,
    FfpFinding,
    Fracture,
    Morphology,
    MorphologyFinding,
    Presence,
    StudyFindings,
)
from sifdetect.synth import ct, mr
from sifdetect.synth.fracture import FractureParams, Limb, Stage, TransverseLimb
from sifdetect.synth.scene import VISIBLE, CaseParams, points_of, sample_case, scene_at
from sifdetect.volume import Floats, Grid, LabelMap, SacralFrame, Volume

VERSION = "2"
"""Version of the generator; a change of what a seed makes changes it."""
SLAB_VOXELS = 1_500_000
"""Voxels rendered at once; bounds the memory of a whole-pelvis scan."""
TRUTH_SPACING_MM = 1.5
TRUTH_BOX_MM = ((-84.0, -66.0, -102.0), (84.0, 66.0, 66.0))


@dataclass(frozen=True)
class SyntheticCase:
    """One examination.

    Attributes:
        params: everything that made it.
        volumes: CT first, then MR series in one frame of reference.
        anatomy, lesions: AnatomyLabel values and LesionBit sums for each volume, on its grid.
        truth: what a perfect reader would say.
    """

    params: CaseParams
    volumes: tuple[Volume, ...]
    anatomy: tuple[LabelMap, ...]
    lesions: tuple[LabelMap, ...]
    truth: StudyFindings


@dataclass(frozen=True)
class Protocol:
    """Which series an examination has, and their voxels.

    Attributes:
        ct_spacing_mm: right→left, posterior→anterior, caudal→cranial.
        mr_spacing_mm: right→left, through the slice, along the sacrum (oblique coronal).
    """

    with_ct: bool = True
    weightings: tuple[MrWeighting, ...] = (MrWeighting.STIR, MrWeighting.T1)
    ct_spacing_mm: tuple[float, float, float] = (1.2, 1.2, 2.5)
    mr_spacing_mm: tuple[float, float, float] = (1.0, 4.0, 1.0)


def make_case(
    seed: int, *, morphology: Morphology | None = None, protocol: Protocol = Protocol()
) -> SyntheticCase:
    """Render the examination of a seed; the same seed gives the same voxels."""
    params = sample_case(seed, morphology=morphology)
    rng = np.random.default_rng([seed, 3])
    volumes: list[Volume] = []
    labels: list[tuple[LabelMap, LabelMap]] = []
    if protocol.with_ct:
        volume, *both = _ct_series(params, protocol, rng)
        volumes.append(volume)
        labels.append((both[0], both[1]))
    if protocol.weightings:
        series, anatomy, lesions = _mr_series(params, protocol, rng)
        volumes += series
        labels += [(anatomy, lesions)] * len(series)
    return SyntheticCase(
        params=params,
        volumes=tuple(volumes),
        anatomy=tuple(pair[0] for pair in labels),
        lesions=tuple(pair[1] for pair in labels),
        truth=truth_of(params),
    )


def truth_of(params: CaseParams) -> StudyFindings:
    """What a perfect reader would say of a case whose whole sacrum is in view."""
    fracture = params.fracture
    zones = {side: _zone(fracture, side) for side in (Side.LEFT, Side.RIGHT)}
    present = bool(fracture.limbs or fracture.transverse)
    return StudyFindings(
        study_instance_uid=f"synthetic-{params.seed}",
        presence=Presence.PRESENT if present else Presence.ABSENT,
        probability=1.0 if present else 0.0,
        denis=DenisFinding(
            zone=max(zones.values()) or None,
            left=zones[Side.LEFT],
            right=zones[Side.RIGHT],
            subtype=None if params.displacement is None else params.displacement.subtype,
            rule="synthetic",
        ),
        morphology=MorphologyFinding(value=fracture.morphology, rule="synthetic"),
        bakker=BakkerFinding(rule="synthetic", unseen=("not simulated",)),
        ffp=FfpFinding(rule="synthetic", unseen=("not simulated",)),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(SacralLevel, 1.0)),
        algorithm=Algorithm(name="sifdetect.synth", version=VERSION),
        fractures=_fractures(params),
    )


def _zone(fracture: FractureParams, side: Side) -> int:
    if fracture.transverse is not None:
        return 3
    limbs = [limb for limb in fracture.limbs if limb.side is side]
    return max((2 if limb.lateral < 2 else 1 for limb in limbs), default=0)


def _fractures(params: CaseParams) -> tuple[Fracture, ...]:
    """One fracture for each limb, measured on a fine rendering of that limb.

    Volume and centroid are those of the line with its edema, as a finding on MR is outlined; those
    of the line where it has no edema.
    """
    sheets: list[Limb | TransverseLimb] = list(params.fracture.limbs)
    if params.fracture.transverse is not None:
        sheets.append(params.fracture.transverse)
    if not sheets:
        return ()
    grid = params.frame.grid(*TRUTH_BOX_MM, TRUTH_SPACING_MM)
    scene = scene_at(params, points_of(params, grid), TRUTH_SPACING_MM)
    found = []
    for number, sheet in enumerate(sheets, start=1):
        mine = scene.lesions.limb == number
        line = mine & scene.lesions.line
        occult = isinstance(sheet, Limb) and sheet.occult
        basis = _basis(params.fracture.stage, occult=occult)
        around = mine & (line | (scene.lesions.edema > VISIBLE))
        index = np.argwhere(line if line.any() else around)
        if len(index) == 0:
            continue
        one = _fracture(number, sheet, basis, grid.index_to_mm(index))
        if basis is not Basis.LINE:
            one = _outlined(one, grid.index_to_mm(np.argwhere(around)))
        found.append(one if isinstance(sheet, Limb) else _with_displacement(one, params))
    return tuple(found)


def _outlined(fracture: Fracture, points: Floats) -> Fracture:
    center = points.mean(axis=0)
    return replace(
        fracture,
        volume_mm3=float(len(points) * TRUTH_SPACING_MM**3),
        centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
    )


def _with_displacement(fracture: Fracture, params: CaseParams) -> Fracture:
    """A transverse fracture with step and angle of the posterior wall, 0 where nothing moved."""
    moved = params.displacement
    step, angle = (0.0, 0.0) if moved is None else (abs(moved.step_mm), moved.kyphosis_deg)
    return replace(fracture, step_mm=step, angle_deg=angle)


def _basis(stage: Stage, *, occult: bool) -> Basis:
    if occult:
        return Basis.EDEMA
    return Basis.LINE if stage is Stage.CHRONIC else Basis.LINE_AND_EDEMA


def _fracture(number: int, sheet: Limb | TransverseLimb, basis: Basis, points: Floats) -> Fracture:
    if isinstance(sheet, Limb):
        side, upper, lower = sheet.side, sheet.upper, sheet.lower
    else:
        side, upper, lower = Side.MIDLINE, sheet.level, sheet.level
    levels = [level for level in SacralLevel if upper < level and lower > level - 1]
    center = points.mean(axis=0)
    spread = points - center
    axis = np.linalg.svd(spread, full_matrices=False)[2][0]
    along = spread @ axis
    return Fracture(
        id=f"SIF-{number}",
        side=side,
        levels=tuple(levels),
        basis=basis,
        volume_mm3=float(len(points) * TRUTH_SPACING_MM**3),
        length_mm=float(along.max() - along.min()),
        centroid_lps_mm=(float(center[0]), float(center[1]), float(center[2])),
        crosses_midline=side is Side.MIDLINE,
        confidence=1.0,
    )


def _ct_series(
    params: CaseParams, protocol: Protocol, rng: np.random.Generator
) -> tuple[Volume, LabelMap, LabelMap]:
    """An axial CT of the pelvis, with the table's axes."""
    axes = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
    center = SacralFrame(params.frame.origin_lps_mm, axes)
    grid = _box(center, np.array([300.0, 230.0, 190.0]), protocol.ct_spacing_mm, (0, 10.0, 5.0))
    scan = replace(
        ct.CtParams.sample(rng, tagged=params.body.tagged_stool),
        slice_mm=protocol.ct_spacing_mm[2],
    )
    values = np.empty(grid.shape, dtype=np.float32)
    anatomy, lesions = (np.empty(grid.shape, dtype=np.uint8) for _ in range(2))
    for start, stop, part in _slabs(grid, axis=2):
        points = points_of(params, part)
        scene = scene_at(params, points, float(grid.spacing_mm[:2].mean()))
        values[:, :, start:stop] = ct.render(
            scene, points, scan, spacing_mm=grid.spacing_mm, rng=rng
        )
        anatomy[:, :, start:stop] = scene.anatomy()
        lesions[:, :, start:stop] = scene.lesion_bits()
    return Volume(values, grid, Modality.CT), LabelMap(anatomy, grid), LabelMap(lesions, grid)


def _mr_series(
    params: CaseParams, protocol: Protocol, rng: np.random.Generator
) -> tuple[list[Volume], LabelMap, LabelMap]:
    """Oblique coronal series along the sacrum, all on one grid; two samples through each slice."""
    size = np.array([250.0, 104.0, 210.0])
    grid = _box(params.frame, size, protocol.mr_spacing_mm, (0.0, 0.0, -10.0))
    fine = grid.resized(grid.spacing_mm / np.array([1, 2, 1]))
    points = points_of(params, fine)
    scene = scene_at(params, points, protocol.mr_spacing_mm[0])
    exam = mr.MrParams.sample(rng, random_contrast=False)
    volumes = []
    for weighting in protocol.weightings:
        sequence = mr.Sequence.sample(rng, weighting)
        image = mr.render(scene, points, exam, sequence, spacing_mm=fine.spacing_mm, rng=rng)
        image = 1000 * (image[:, 0::2] + image[:, 1::2]) / 2
        volumes.append(Volume(image.astype(np.float32), grid, Modality.MR, weighting))
    anatomy = scene.anatomy()[:, 0::2]
    bits = scene.lesion_bits()
    both = bits[:, 0::2] | (bits[:, 1::2] & np.uint8(LesionBit.FRACTURE_LINE))
    return volumes, LabelMap(anatomy, grid), LabelMap(both, grid)


def _box(
    frame: SacralFrame,
    size_mm: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    center_mm: tuple[float, float, float],
) -> Grid:
    """A grid along a frame's axes with its own spacing along each."""
    spacing = np.array(spacing_mm)
    shape = np.rint(size_mm / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = frame.axes.T * spacing
    corner = np.array(center_mm) - (shape - 1) / 2 * spacing
    affine[:3, 3] = frame.to_lps_mm(corner)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def _slabs(grid: Grid, *, axis: int) -> list[tuple[int, int, Grid]]:
    """The grid cut along an axis into parts of at most SLAB_VOXELS."""
    each = max(
        1, SLAB_VOXELS // (grid.shape[0] * grid.shape[1] * grid.shape[2] // grid.shape[axis])
    )
    parts = []
    for start in range(0, grid.shape[axis], each):
        stop = min(start + each, grid.shape[axis])
        low = tuple(start if k == axis else 0 for k in range(3))
        high = tuple(stop if k == axis else grid.shape[k] for k in range(3))
        parts.append(
            (start, stop, grid.cropped((low[0], low[1], low[2]), (high[0], high[1], high[2])))
        )
    return parts
