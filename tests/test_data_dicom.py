"""DICOM with segmentations of it: in place, with its other series, without an identity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from sifdetect.anatomy import MrWeighting
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.seg import encode_seg
from sifdetect.errors import InputError
from sifdetect.learn.external.importing import import_source
from sifdetect.learn.external.store import Dataset
from sifdetect.learn.external.voxels import read
from sifdetect.study import SeriesLabels
from sifdetect.volume import LabelMap
from tests.builders import header, mr_series, read_one
from tests.result_cases import bilateral

TILTED = (1, 0, 0, 0, 0.8, -0.6)


def imported(source: Path) -> tuple[Dataset, Path]:
    """The dataset made of a folder, and its folder."""
    out = source.parent / "set"
    return import_source(source, out), out


def segmented_study(home: Path) -> tuple[DicomSeries, NDArray[np.uint8]]:
    """A STIR and a T1 series, and two segments on the STIR; what was drawn on it."""
    mr_series(home, orientation=TILTED, about=header(seed="a", study_seed="one"))
    one = read_one(home).series[0]
    about = header(seed="b", study_seed="one", series_number=2)
    mr_series(home, weighting=MrWeighting.T1, shape=(7, 30, 40), orientation=TILTED, about=about)
    values = np.zeros(one.volume.grid.shape, np.uint8)
    values[2:5, 10:20, 12:18], values[4, 25:30, 3:9] = 1, 2
    marked = LabelMap(values, one.volume.grid)
    labels = SeriesLabels(one.source, marked, marked, marked)
    encode_seg(bilateral().findings, labels, one).save_as(home / "seg", enforce_file_format=True)
    return one, values


def test_dicom_with_a_segmentation_is_read(tmp_path: Path) -> None:
    """Oblique, pixels not square: the voxels of the SEG lie where they were drawn."""
    one, values = segmented_study(tmp_path / "in")
    dataset, out = imported(tmp_path / "in")
    (case,) = dataset.cases
    assert [image.kind for image in case.images] == ["STIR", "T1"]
    assert case.annotated == ("fracture_line",)
    image, lesions = read(out / case.images[0].file), read(out / str(case.lesions))
    assert_array_equal(image.values.transpose(2, 1, 0), one.volume.values)
    assert_array_equal(lesions.values.transpose(2, 1, 0) > 0, values > 0)
    assert lesions.grid.same_place(image.grid)
    index = np.argwhere(lesions.values).mean(axis=0)
    expected = one.volume.grid.index_to_mm(np.argwhere(values).mean(axis=0))
    np.testing.assert_allclose(lesions.grid.index_to_mm(index), expected, atol=1e-3)


def test_no_patient_id_is_written(tmp_path: Path) -> None:
    """A checksum stands for it."""
    one, _ = segmented_study(tmp_path / "in")
    dataset, out = imported(tmp_path / "in")
    assert str(one.datasets[0].PatientID) not in (out / "dataset.json").read_text()
    assert dataset.cases[0].patient.startswith("patient-")


def test_a_segmentation_without_its_series_is_refused(tmp_path: Path) -> None:
    """The message says which series is missing."""
    segmented_study(tmp_path / "in")
    for path in (tmp_path / "in").glob("*.dcm"):
        path.unlink()
    with pytest.raises(InputError, match=r"seg refers to series .*, which is not there"):
        imported(tmp_path / "in")


def test_dicom_without_a_segmentation_is_refused(tmp_path: Path) -> None:
    """The message says what to give."""
    with pytest.raises(InputError, match="no segmentation of them"):
        imported(mr_series(tmp_path / "in"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
