"""Histograms of synthetic CT beside those of real scans."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sifdetect.anatomy import AnatomyLabel, Modality
from sifdetect.dicom.nifti import read_nifti
from sifdetect.dicom.read import read_studies
from sifdetect.synth.body import Tissue
from sifdetect.synth.noise import Array
from sifdetect.volume import Grid, Volume
from tests.ct_scenes import ALAE, VOXEL_MM, deep, plain, scan, shown, upper_sacrum

QUANTILES = (0.1, 0.5, 0.9)
PLACES_LPS_MM = {
    "ct_thin_dicom": {
        "body": [(21, -106, -443)],
        "ala": [(-17, -91, -450), (65, -103, -445)],
        "muscle": [(75, -93, -394), (-28, -75, -402)],
        "fat": [(96, -57, -416)],
    },
    "ct_example": {
        "body": [(2, -110, 218)],
        "ala": [(-37, -106, 216), (41, -103, 210)],
        "muscle": [(46, -95, 271), (-47, -83, 265)],
        "fat": [(-4, -42, 238)],
    },
}
"""Centres of balls of 7 mm within one tissue, as they lie in the two real scans."""


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES_LPS_MM)
def test_histograms_of_twenty_cases_embrace_the_real_patients(name: str, real_scans: Path) -> None:
    """Quantiles (10, 50, 90 %) of marrow, muscle and fat, all on a lattice of 2 mm."""
    volume = _real(name, real_scans)
    drawn = drawn_quantiles()
    outside = {}
    for tissue, centers in PLACES_LPS_MM[name].items():
        measured = np.quantile(np.concatenate([_ball(volume, c) for c in centers]), QUANTILES)
        low, high = drawn[tissue].min(axis=0), drawn[tissue].max(axis=0)
        if not ((low <= measured) & (measured <= high)).all():
            outside[tissue] = (low.round(), measured.round(), high.round())
    assert outside == {}


@cache
def drawn_quantiles() -> dict[str, Array]:
    """(20, 3) quantiles of each tissue in twenty drawn cases without a fracture."""
    rows: dict[str, list[Array]] = {name: [] for name in ("body", "ala", "muscle", "fat")}
    for seed in range(400, 420):
        scene, points = upper_sacrum(seed)
        image = shown(scene, points, scan(seed), seed)
        masks = {
            "body": deep(scene, (AnatomyLabel.SACRAL_BODY,)),
            "ala": deep(scene, ALAE),
            "muscle": plain(scene, Tissue.MUSCLE, voxels=0) & (scene.bones.v_mm < -20),
            "fat": plain(scene, Tissue.FAT),
        }
        for name, mask in masks.items():
            if mask.sum() > 60:
                rows[name].append(np.quantile(image[mask], QUANTILES))
    assert min(len(found) for found in rows.values()) >= 15
    return {name: np.array(found) for name, found in rows.items()}


def _real(name: str, real_scans: Path) -> Volume:
    if name == "ct_example":
        paths = [real_scans / name / "example_ct.nii.gz"]
        return read_nifti(paths, modality=Modality.CT).series[0].volume
    return read_studies([real_scans / name / "study.zip"])[0].series[0].volume


def _ball(volume: Volume, center_lps_mm: tuple[float, float, float]) -> Array:
    """Values within 7 mm of a place, on a lattice of VOXEL_MM."""
    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = np.array(center_lps_mm) - 8
    grid = Grid((9, 9, 9), affine)
    far = np.linalg.norm(np.moveaxis(np.indices(grid.shape), 0, -1) - 4, axis=-1) * VOXEL_MM
    return np.asarray(volume.resampled(grid).values[far < 7])
