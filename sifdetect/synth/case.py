"""A synthetic examination: volumes as a scanner would give them, labels, and the truth.

The truth (truth.py) comes from the parameters of the case, never from the pipeline's rules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, Modality, MrWeighting
from sifdetect.findings import Morphology, StudyFindings
from sifdetect.synth import ct, ct_series, mr
from sifdetect.synth.scene import CaseParams, points_of, sample_case, scene_at
from sifdetect.synth.truth import truth_of
from sifdetect.volume import Grid, LabelMap, SacralFrame, Volume


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


def _ct_series(
    params: CaseParams, protocol: Protocol, rng: np.random.Generator
) -> tuple[Volume, LabelMap, LabelMap]:
    """An axial CT of the pelvis, with the table's axes."""
    axes = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
    center = SacralFrame(params.frame.origin_lps_mm, axes)
    grid = _box(center, np.array([300.0, 230.0, 190.0]), protocol.ct_spacing_mm, (0, 10.0, 5.0))
    scan = ct.CtParams.sample(rng, tagged=params.body.tagged_stool)
    values, anatomy, lesions = ct_series.rendered(params, grid, scan, rng)
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
