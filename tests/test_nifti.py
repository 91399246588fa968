"""NIfTI in and out: left stays left, nothing is guessed, labels lie on their series."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, Modality, MrWeighting, Plane
from sifdetect.dicom.nifti import label_names, read_nifti, write_labels
from sifdetect.errors import SifdetectError, UnreadableInput, UnsuitableSeries, UsageError
from sifdetect.findings import SourceSeries
from sifdetect.study import SeriesLabels
from sifdetect.volume import Grid, LabelMap
from tests import builders

sitk: Any = SimpleITK  # has no types

OBLIQUE_RAS = np.array(
    [
        [-0.7, 0.0, 0.0, 40.0],
        [0.0, 0.9 * np.cos(0.3), -3.0 * np.sin(0.3), -60.0],
        [0.0, 0.9 * np.sin(0.3), 3.0 * np.cos(0.3), -200.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def saved(path: Path, values: NDArray[Any], affine: NDArray[Any] = OBLIQUE_RAS) -> Path:
    """A NIfTI file with the given array and RAS affine."""
    save: Any = nib.nifti1.save  # nibabel has no types
    make: Any = nib.nifti1.Nifti1Image  # nibabel has no types
    save(make(values, affine), path)
    return path


def loaded(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Array and RAS affine of a file."""
    load: Any = nib.nifti1.load  # nibabel has no types
    image = load(path)
    return np.asanyarray(image.dataobj), image.affine


def counted(shape: tuple[int, ...] = (10, 12, 6)) -> NDArray[np.int16]:
    """Every voxel its own number."""
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


def labels_on(grid: Grid, name: str, index: tuple[int, int, int]) -> SeriesLabels:
    """Labels with one voxel of the right ala."""
    values = np.zeros(grid.shape, np.uint8)
    values[index] = AnatomyLabel.SACRAL_ALA_RIGHT
    source = SourceSeries(
        series_instance_uid=name,
        modality=Modality.CT,
        weighting=None,
        plane=None,
        used=True,
        reason="",
    )
    label_map = LabelMap(values, grid)
    return SeriesLabels(source, label_map, label_map, label_map)


def test_a_voxel_lands_on_the_other_sign_of_x_and_y(tmp_path: Path) -> None:
    """NIfTI counts to the right and anterior, the patient's coordinates to the left and back."""
    study = read_nifti([saved(tmp_path / "pelvis.nii.gz", counted())], modality=Modality.CT)
    (series,) = study.series
    ras = OBLIQUE_RAS @ [3, 5, 2, 1]
    assert np.allclose(series.volume.grid.index_to_mm((3, 5, 2)), ras[:3] * [-1, -1, 1], atol=1e-4)
    assert series.volume.values[3, 5, 2] == counted()[3, 5, 2]
    assert (study.study_instance_uid, series.source.plane) == ("pelvis", Plane.AXIAL)


def test_several_files_make_one_study(tmp_path: Path) -> None:
    """The files keep their order and their names; the weighting is that which was given."""
    paths = [saved(tmp_path / name, counted()) for name in ("b.nii", "a.nii.gz")]
    study = read_nifti(paths, modality=Modality.MR, weighting=MrWeighting.STIR)
    assert [series.source.series_instance_uid for series in study.series] == ["b.nii", "a.nii.gz"]
    assert {series.volume.weighting for series in study.series} == {MrWeighting.STIR}


def test_scaling_and_holes_of_a_file_are_honoured(tmp_path: Path) -> None:
    """Slope and intercept are applied; what is not a number, or below air, is air."""
    make: Any = nib.nifti1.Nifti1Image  # nibabel has no types
    image = make(counted().astype(np.float32), OBLIQUE_RAS)
    values = np.asanyarray(image.dataobj)
    values[0, 0, 0], values[0, 0, 1] = np.nan, -3000
    path = saved(tmp_path / "ct.nii", values)
    read = read_nifti([path], modality=Modality.CT).series[0].volume.values
    assert (read[0, 0, 0], read[0, 0, 1], read[0, 0, 2]) == (-1024, -1024, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modality": None}, "does not say its modality. Add --modality ct or mr"),
        ({"modality": Modality.CT, "weighting": MrWeighting.T1}, "CT has no MR weighting"),
    ],
)
def test_nothing_is_guessed(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """A modality must be given, and must fit."""
    with pytest.raises(UsageError, match=message):
        read_nifti([saved(tmp_path / "x.nii", counted())], **options)


def damaged(path: Path) -> Path:
    """A gzip file that breaks off."""
    saved(path, np.random.default_rng(0).integers(0, 9999, (40, 40, 20)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:5000])
    return path


def without_orientation(path: Path) -> Path:
    """A file with neither sform nor qform."""
    make: Any = nib.nifti1.Nifti1Image  # nibabel has no types
    save: Any = nib.nifti1.save  # nibabel has no types
    save(make(counted(), None), path)
    return path


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: path, UnreadableInput, "does not exist"),
        (damaged, UnreadableInput, "is not a readable NIfTI file"),
        (without_orientation, UnsuitableSeries, "left and right cannot be told"),
        (lambda path: saved(path, counted((8, 8, 8, 3))), UnsuitableSeries, "8 × 8 × 8 × 3"),
        (lambda path: saved(path, counted((8, 8, 2))), UnsuitableSeries, "has 2 slices"),
        (
            lambda path: saved(path, counted(), np.eye(4) + np.eye(4, k=1) * 0.2),
            UnsuitableSeries,
            "not orthogonal",
        ),
    ],
)
def test_an_unusable_file_is_refused_with_its_reason(
    tmp_path: Path, make: Any, error: type[SifdetectError], message: str
) -> None:
    """The message names the file and what is wrong with it; exit code 4."""
    path = make(tmp_path / "scan.nii.gz")
    with pytest.raises(error, match=message) as caught:
        read_nifti([path], modality=Modality.CT)
    assert "scan.nii.gz" in str(caught.value)
    assert caught.value.exit_code == 4


def test_labels_of_a_nifti_series_lie_on_its_array(tmp_path: Path) -> None:
    """The map has the shape, the affine and the index order of the file it belongs to."""
    path = saved(tmp_path / "scan.nii.gz", counted())
    grid = read_nifti([path], modality=Modality.CT).series[0].volume.grid
    written = write_labels(tmp_path / "out", [labels_on(grid, "scan.nii.gz", (3, 5, 2))])
    values, affine = loaded(tmp_path / "out/series-1/anatomy.nii.gz")
    assert np.argwhere(values).tolist() == [[3, 5, 2]]
    assert np.allclose(affine, loaded(path)[1], atol=1e-4)
    names = [str(one.relative_to(tmp_path / "out")) for one in written]
    assert names == ["labels.json", "series-1/anatomy.nii.gz", "series-1/lesions.nii.gz"]


@pytest.mark.parametrize("orientation", [builders.AXIAL, builders.OBLIQUE_CORONAL])
def test_labels_of_a_dicom_series_lie_on_what_others_read(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    """SimpleITK reads the series and the map with the same size, order and place."""
    folder = builders.ct_series(tmp_path / "dicom", orientation=orientation)
    (series,) = builders.read_one(folder).series
    labels = labels_on(series.volume.grid, series.source.series_instance_uid, (2, 7, 11))
    write_labels(tmp_path / "out", [labels])
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    label = sitk.ReadImage(str(tmp_path / "out/series-1/anatomy.nii.gz"))
    assert label.GetSize() == image.GetSize()
    assert np.allclose(label.GetOrigin(), image.GetOrigin(), atol=1e-3)
    assert np.allclose(label.GetDirection(), image.GetDirection(), atol=1e-4)
    (z, y, x) = np.argwhere(sitk.GetArrayFromImage(label))[0].tolist()
    there = image.TransformIndexToPhysicalPoint((x, y, z))
    assert np.allclose(there, series.volume.grid.index_to_mm((2, 7, 11)), atol=1e-3)


def test_the_names_of_the_labels_say_value_name_and_group() -> None:
    """The group sacrum is the bone: no foramen, no canal; lesion bits are named."""
    names = json.loads(json.dumps(label_names()))
    groups = {label["name"]: label["group"] for label in names["anatomy"].values()}
    assert sum(group == "sacrum" for group in groups.values()) == 5
    assert (groups["sacral_canal"], groups["hip_left"], groups["l5"]) == ("other", "hip_left", "L5")
    assert names["lesions"] == {
        "1": "edema",
        "2": "fracture_line",
        "4": "sclerosis",
        "8": "mass_like",
        "16": "cement",
    }
