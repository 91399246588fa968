"""Reading DICOM: every kind of stack lands in the right place, and nothing is lost in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.read import DicomSeries, DicomStudy, read_studies
from sifdetect.volume import Volume
from tests import builders
from tests.builders import AXIAL, CORONAL, NEGATIVE, OBLIQUE_CORONAL, SAGITTAL, Built
from tests.conftest import find_tool

ORIENTATIONS = {
    "axial": AXIAL,
    "coronal": CORONAL,
    "sagittal": SAGITTAL,
    "negative cosines": NEGATIVE,
    "oblique": OBLIQUE_CORONAL,
}


def only(study: DicomStudy) -> DicomSeries:
    """The one usable series of a study."""
    (series,) = study.series
    return series


def assert_same_place(read: Volume, written: Volume) -> None:
    """Each voxel that was read has the value that was written at its place in the patient."""
    index = np.indices(read.grid.shape).reshape(3, -1).T
    there = written.grid.mm_to_index(read.grid.index_to_mm(index))
    assert np.abs(there - np.rint(there)).max() < 1e-4
    i, j, k = np.rint(there).astype(int).T
    assert np.array_equal(written.values[i, j, k], read.values.ravel())


def codes(study: DicomStudy) -> list[str]:
    """Codes of a study's warnings."""
    return [warning.code for warning in study.warnings]


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_every_voxel_lands_where_it_was(
    tmp_path: Path, orientation: tuple[float, ...], enhanced: bool
) -> None:
    """Non-square pixels and shuffled slices of any orientation keep their place in the patient."""
    built = Built(orientation=orientation, enhanced=enhanced)
    study = builders.read_one(builders.series(tmp_path, built))
    assert_same_place(only(study).volume, built.volume)
    assert study.warnings == ()


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.keyword,
)
def test_compressed_pixels_come_back_exactly(tmp_path: Path, syntax: UID) -> None:
    """Every lossless transfer syntax gives the values that were written."""
    if syntax == JPEGLosslessSV1:
        find_tool("dcmcjpeg")
    built = Built(syntax=syntax, orientation=OBLIQUE_CORONAL)
    assert_same_place(
        only(builders.read_one(builders.series(tmp_path, built))).volume, built.volume
    )


def test_a_compressed_enhanced_image_is_read(tmp_path: Path) -> None:
    """The frames of one RLE multi-frame file are decoded one by one."""
    built = Built(syntax=RLELossless, enhanced=True)
    assert_same_place(
        only(builders.read_one(builders.series(tmp_path, built))).volume, built.volume
    )


def test_a_big_endian_file_is_read(tmp_path: Path) -> None:
    """The retired big endian syntax still lies in old archives."""
    built = Built()
    for index, dataset in enumerate(builders.slices(built)):
        words = np.frombuffer(dataset.PixelData, dtype="<i2")
        dataset.PixelData = words.astype(">i2").tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        dataset.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    assert_same_place(only(builders.read_one(tmp_path)).volume, built.volume)


def test_data_sets_follow_axis_0(tmp_path: Path) -> None:
    """Data set k belongs to slice k, and holds no pixels."""
    series = only(builders.read_one(builders.ct_series(tmp_path, orientation=OBLIQUE_CORONAL)))
    for index, dataset in enumerate(series.datasets):
        place = series.volume.grid.index_to_mm((index, 0, 0))
        assert np.allclose(place, dataset.ImagePositionPatient, atol=1e-4)
        assert "PixelData" not in dataset


def test_an_enhanced_series_names_the_frame_of_each_slice(tmp_path: Path) -> None:
    """One data set, and for each slice along axis 0 the number of its frame."""
    series = only(builders.read_one(builders.mr_series(tmp_path, enhanced=True)))
    (dataset,) = series.datasets
    for index, number in enumerate(series.frame_numbers):
        groups = dataset.PerFrameFunctionalGroupsSequence[number - 1]
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(series.volume.grid.index_to_mm((index, 0, 0)), position, atol=1e-4)


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    """Slope and intercept that differ from slice to slice give the same HU."""
    built = Built()
    datasets = builders.slices(built)
    for index, dataset in enumerate(datasets):
        stored = np.frombuffer(dataset.PixelData, dtype="<i2") + 100 * index
        builders.change(
            dataset,
            {"PixelData": (2 * stored).astype("<i2").tobytes(), "RescaleSlope": "0.5"},
        )
        dataset.RescaleIntercept = str(-100 * index)
    builders.save(datasets, tmp_path)
    assert_same_place(only(builders.read_one(tmp_path)).volume, built.volume)


def test_padding_becomes_air(tmp_path: Path) -> None:
    """Padding outside the scanner's field of view is no tissue, however it is stored."""
    values = np.full((8, 34, 42), 40)
    values[:, 0] = -2000
    values[:, 1] = 3000
    folder = builders.ct_series(tmp_path, values=values, attributes={"PixelPaddingValue": 3000})
    lowest = only(builders.read_one(folder)).volume.values[:, :2]
    assert (lowest == -1024).all()


def test_studies_are_told_apart_at_any_depth(tmp_path: Path) -> None:
    """Folders with two studies, deep and beside other files, give two studies."""
    builders.ct_series(tmp_path / "a/b/c", about=builders.header(seed="one"))
    builders.mr_series(tmp_path / "a/d", about=builders.header(seed="two"))
    (tmp_path / "a/README.txt").write_text("not DICOM")
    (tmp_path / "a/._hidden.dcm").write_bytes(b"resource fork")
    studies = read_studies([tmp_path])
    assert sorted(only(study).source.modality.value for study in studies) == ["CT", "MR"]  # type: ignore[union-attr]  # a used series has one
    assert [study.warnings for study in studies] == [(), ()]


def test_files_without_preamble_are_read(tmp_path: Path) -> None:
    """A bare data set, as old archives keep it, without preamble and file meta information."""
    built = Built()
    for index, dataset in enumerate(builders.slices(built)):
        del dataset.file_meta
        dataset.save_as(tmp_path / f"IM{index}", implicit_vr=True, little_endian=True)
    assert_same_place(only(builders.read_one(tmp_path)).volume, built.volume)


def test_a_missing_modality_follows_from_the_sop_class(tmp_path: Path) -> None:
    """An MR image without Modality is still an MR image."""
    folder = builders.mr_series(tmp_path)
    for path in folder.iterdir():
        dataset = dcmread(path)
        del dataset.Modality
        dataset.save_as(path)
    source = only(builders.read_one(folder)).source
    assert (source.modality, source.weighting) == (Modality.MR, MrWeighting.STIR)


def test_a_copy_of_a_file_is_read_once(tmp_path: Path) -> None:
    """The same instance under two names counts once and is named."""
    builders.ct_series(tmp_path)
    first = sorted(tmp_path.iterdir())[0]
    (tmp_path / "copy.dcm").write_bytes(first.read_bytes())
    study = builders.read_one(tmp_path)
    assert only(study).volume.grid.shape[0] == 8
    assert codes(study) == ["duplicate-instances"]


def test_of_two_slices_at_one_position_the_first_is_kept(tmp_path: Path) -> None:
    """Another instance at a position that is taken is left out, with a warning."""
    built = Built()
    datasets = builders.slices(built)
    extra = Dataset.from_json(datasets[3].to_json())
    extra.file_meta = datasets[3].file_meta
    extra.SOPInstanceUID = extra.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    extra.InstanceNumber = 99
    extra.PixelData = bytes(len(datasets[3].PixelData))
    builders.save([*datasets, extra], tmp_path)
    study = builders.read_one(tmp_path)
    assert_same_place(only(study).volume, built.volume)
    assert codes(study) == ["duplicate-slices"]


def test_one_missing_slice_is_filled_and_named(tmp_path: Path) -> None:
    """A small gap is interpolated; the slice is marked and the reader is warned."""
    datasets = builders.slices(Built())
    builders.save(datasets[:4] + datasets[5:], tmp_path)
    study = builders.read_one(tmp_path)
    series = only(study)
    (gap,) = series.filled
    values = series.volume.values
    assert series.volume.grid.shape[0] == 8 == len(series.datasets)
    assert np.allclose(values[gap], (values[gap - 1] + values[gap + 1]) / 2)
    assert codes(study) == ["missing-slices"]


def test_a_wide_gap_is_refused_with_its_size(tmp_path: Path) -> None:
    """What is not seen over many millimetres is not invented."""
    datasets = builders.slices(Built(shape=(40, 34, 42)))
    builders.save(datasets[:20] + datasets[23:], tmp_path)
    study = builders.read_one(tmp_path)
    (refused,) = study.refused
    assert study.series == ()
    assert "lacks 3 of 40 slices, up to 9.0 mm" in refused.reason


def test_irregular_positions_are_refused(tmp_path: Path) -> None:
    """Slices that lie 3 mm and then 4 mm apart are no grid."""
    datasets = builders.slices(Built())
    for dataset in datasets[4:]:
        dataset.ImagePositionPatient[2] = float(dataset.ImagePositionPatient[2]) - 1.0
    builders.save(datasets, tmp_path)
    (refused,) = builders.read_one(tmp_path).refused
    assert "irregular slice positions: steps from 3.00 to 4.00 mm" in refused.reason


def test_a_tilted_gantry_is_refused_with_its_angle(tmp_path: Path) -> None:
    """A sheared stack is not a grid; the reason says so and what to send instead."""
    datasets = builders.slices(Built())
    first_z = float(datasets[0].ImagePositionPatient[2])
    for dataset in datasets:
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImagePositionPatient = [x, y + (z - first_z) * float(np.tan(np.radians(12))), z]
    builders.save(datasets, tmp_path)
    (refused,) = builders.read_one(tmp_path).refused
    assert "sheared by 12.0 degrees (gantry tilt)" in refused.reason
    assert "without tilt" in refused.reason


def test_rounded_positions_are_no_shear(tmp_path: Path) -> None:
    """Positions and cosines as scanners round them still make a stack."""
    datasets = builders.slices(Built(orientation=OBLIQUE_CORONAL, shape=(20, 34, 42)))
    for dataset in datasets:
        dataset.ImagePositionPatient = [round(float(x), 2) for x in dataset.ImagePositionPatient]
        cosines = [round(float(x), 5) for x in dataset.ImageOrientationPatient]
        dataset.ImageOrientationPatient = cosines
    builders.save(datasets, tmp_path)
    assert only(builders.read_one(tmp_path)).volume.grid.shape == (20, 34, 42)


@pytest.mark.filterwarnings("ignore:End of file reached:UserWarning")
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=["native", "RLE"])
@pytest.mark.parametrize("damage", ["header", "pixels", "empty"])
def test_a_damaged_file_costs_only_itself(tmp_path: Path, damage: str, syntax: UID) -> None:
    """A truncated file becomes a warning that names it; the rest of the study is read."""
    folder = builders.ct_series(tmp_path, shape=(24, 34, 42), syntax=syntax)
    victim = folder / "CT1-012.dcm"
    content = victim.read_bytes()
    size = {"header": 200, "pixels": len(content) - 700, "empty": 0}[damage]
    victim.write_bytes(content[:size])
    study = builders.read_one(folder)
    assert only(study).volume.grid.shape[0] >= 23
    named = [warning.text for warning in study.warnings if warning.code == "unreadable-file"]
    assert len(named) == 1
    assert victim.name in named[0]


def test_two_patients_in_one_study_are_pointed_out(tmp_path: Path) -> None:
    """A mix-up of patients under one Study Instance UID must not pass in silence."""
    about = builders.header(study_seed="same")
    builders.ct_series(tmp_path / "a", about=about)
    other = builders.header(study_seed="same", seed="other", patient_id="SOMEONE ELSE")
    builders.mr_series(tmp_path / "b", about=other)
    assert "several-patients" in codes(builders.read_one(tmp_path))


def test_every_series_of_an_unusable_study_says_why(tmp_path: Path) -> None:
    """A study without a usable series is returned, for its report must name the reasons."""
    study = builders.read_one(builders.ct_series(tmp_path, shape=(3, 34, 42)))
    assert study.series == ()
    (refused,) = study.refused
    assert (refused.used, refused.reason) == (
        False,
        "too few slices: 3 with a position in space, fewer than 5",
    )
