"""Several stacks under one Series Instance UID: told apart, or refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from sifdetect.anatomy import Modality, MrWeighting, Plane
from sifdetect.dicom.read import DicomStudy
from tests import builders
from tests.builders import CORONAL, SAGITTAL, Built


def stack(number: int, attributes: dict[str, Any] | None = None, **built: Any) -> list[Dataset]:
    """The slices of one stack; all stacks share the series but not the instances."""
    kind = {"modality": Modality.MR, "weighting": MrWeighting.T2, **built}
    datasets = builders.slices(Built(attributes=attributes or {}, **kind))
    for dataset in datasets:
        dataset.SOPInstanceUID += f".{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber += 100 * number
    return datasets


def read(folder: Path, stacks: Sequence[list[Dataset]]) -> DicomStudy:
    """The study that holds all stacks in one series."""
    builders.save([dataset for one in stacks for dataset in one], folder)
    return builders.read_one(folder)


def test_of_two_echoes_the_long_one_is_used(tmp_path: Path) -> None:
    """A dual-echo series holds proton density and T2; the T2 tells more."""
    values = np.full((8, 34, 42), 7.0)
    values[0, 0, 0] = 4095
    short = stack(1, {"EchoTime": "20"})
    study = read(tmp_path, [short, stack(2, {"EchoTime": "100"}, values=values)])
    (series,) = study.series
    assert series.source.weighting is MrWeighting.T2
    assert np.median(series.volume.values) == 7
    (refused,) = study.refused
    assert "another stack of the same series is used" in refused.reason


def test_of_a_dixon_series_the_water_image_is_used(tmp_path: Path) -> None:
    """Water, fat, in phase and out of phase under one UID: water shows edema."""
    kinds = ("IN_PHASE", "OPP_PHASE", "FAT", "WATER")
    stacks = [
        stack(number, {"ImageType": ["ORIGINAL", "PRIMARY", "DIXON", kind]})
        for number, kind in enumerate(kinds)
    ]
    study = read(tmp_path, stacks)
    (series,) = study.series
    assert series.source.weighting is MrWeighting.DIXON_WATER
    assert series.datasets[0].ImageType[3] == "WATER"
    assert len(study.refused) == 3


@pytest.mark.parametrize("attribute", ["TemporalPositionIdentifier", "AcquisitionNumber"])
def test_a_dynamic_series_is_refused(tmp_path: Path, attribute: str) -> None:
    """Many images at each position show a contrast medium come and go, not marrow."""
    study = read(tmp_path, [stack(number, {attribute: number}) for number in range(1, 9)])
    (refused,) = study.refused
    assert study.series == ()
    assert refused.reason == "dynamic series: 8 images at each position"


def test_of_two_orientations_the_larger_stack_is_used(tmp_path: Path) -> None:
    """A coronal and a sagittal stack in one series do not mix."""
    coronal = stack(1, orientation=CORONAL, shape=(12, 34, 42))
    study = read(tmp_path, [coronal, stack(2, orientation=SAGITTAL)])
    (series,) = study.series
    assert series.source.plane is Plane.CORONAL
    assert series.volume.grid.shape == (12, 34, 42)
    assert [one.plane for one in study.refused] == [Plane.SAGITTAL]


def test_three_planes_of_a_few_slices_are_refused(tmp_path: Path) -> None:
    """A localizer without the name is told by its three short stacks."""
    planes = (builders.AXIAL, CORONAL, SAGITTAL)
    stacks = [
        stack(number, orientation=plane, shape=(3, 34, 42)) for number, plane in enumerate(planes)
    ]
    study = read(tmp_path, stacks)
    assert study.series == ()
    assert all("too few slices: 3" in one.reason for one in study.refused)
    assert all("one of 3 stacks" in one.reason for one in study.refused)


def test_an_acquisition_number_that_changes_along_the_stack_splits_nothing(tmp_path: Path) -> None:
    """Two acquisitions that meet at one position are one stack with one double."""
    datasets = stack(1, shape=(16, 34, 42))
    for index, dataset in enumerate(datasets):
        dataset.AcquisitionNumber = 1 if index < 8 else 2
    seam = stack(2, shape=(16, 34, 42))[7]
    seam.AcquisitionNumber = 2
    study = read(tmp_path, [datasets, [seam]])
    (series,) = study.series
    assert series.volume.grid.shape[0] == 16
    assert [warning.code for warning in study.warnings] == ["duplicate-slices"]
