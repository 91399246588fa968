"""Real scans of four scanners: read as another reader reads them, refused with the reason."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from sifdetect.anatomy import Modality, MrWeighting, Plane
from sifdetect.dicom.nifti import read_nifti
from sifdetect.dicom.read import read_studies

pytestmark = pytest.mark.real

sitk: Any = SimpleITK  # has no types


def test_a_partial_ct_is_read_as_simpleitk_reads_it(real_scans: Path, tmp_path: Path) -> None:
    """Geometry and HU agree voxel by voxel with an independent reader."""
    archive = real_scans / "ct_partial_dicom/study.zip"
    ((series,),) = [study.series for study in read_studies([archive])]
    with zipfile.ZipFile(archive) as source:
        source.extractall(tmp_path)
    (folder,) = {path.parent for path in tmp_path.rglob("*.dcm")}
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    grid, (columns, rows, slices) = series.volume.grid, image.GetSize()
    assert grid.shape == (slices, rows, columns)
    for corner in ((0, 0, 0), (columns - 1, 0, 0), (0, rows - 1, slices - 1)):
        index = grid.mm_to_index(image.TransformIndexToPhysicalPoint(corner))
        i, j, k = np.rint(index).astype(int).tolist()
        assert np.abs(index - (i, j, k)).max() < 1e-2
        assert series.volume.values[i, j, k] == image.GetPixel(corner)
    # The other reader stacks slices upwards, axis 0 here runs downwards.
    assert np.array_equal(series.volume.values[::-1], sitk.GetArrayFromImage(image))


@pytest.mark.slow
def test_a_thin_ct_in_jpeg_2000_is_read(real_scans: Path) -> None:
    """All 244 slices at 0.8 mm, in HU: air, fat and bone are where they belong."""
    (study,) = read_studies([real_scans / "ct_thin_dicom/study.zip"])
    (series,) = study.series
    assert series.volume.grid.shape == (244, 512, 512)
    assert series.volume.grid.spacing_mm == pytest.approx([0.8, 0.625, 0.625], abs=1e-3)
    assert series.volume.values.min() == -1024
    assert -120 < np.median(series.volume.values[:, 200:300, 200:300]) < 100
    assert (study.warnings, study.refused) == ((), ())


def test_localizers_of_a_prostate_study_are_refused(real_scans: Path) -> None:
    """Three T2 stacks without fat suppression are used, two localizers are not."""
    (study,) = read_studies([real_scans / "mr_prostate_dicom/study.zip"])
    assert {series.source.weighting for series in study.series} == {MrWeighting.T2}
    planes = sorted(series.source.plane.value for series in study.series if series.source.plane)
    assert planes == ["oblique", "oblique", "sagittal"]
    assert [source.reason for source in study.refused] == ["localizer (scout)"] * 2


def test_a_real_stir_pair_has_one_grid(real_scans: Path) -> None:
    """STIR and T1 of the same patient lie over each other, oblique coronal."""
    paths = [real_scans / f"mr_stir/1003_{name}.nii.gz" for name in ("STIR", "T1W")]
    stir, t1 = read_nifti(paths, modality=Modality.MR).series
    assert stir.volume.grid.same_place(t1.volume.grid, tolerance_mm=1.0)
    assert stir.source.plane in (Plane.CORONAL, Plane.OBLIQUE)
    assert stir.volume.grid.spacing_mm.argmax() == 2
