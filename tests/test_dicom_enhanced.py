"""Enhanced multi-frame images: valid, and the same voxels as one file a slice."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.enhanced import enhanced_dataset, write_enhanced
from sifdetect.dicom.vendor_styles import STYLES
from sifdetect.dicom.write import write_series
from sifdetect.volume import Volume
from tests import builders
from tests.validators import object_complaints

WATER = re.compile(r"(Image|Frame)Type.*\[4\].*Unrecognized defined term = <WATER>")
"""In PS3.3 C.8.13.3.1, what a Dixon water image is told apart by; the judge does not know it."""

STYLED = [None, *STYLES]


def scanned(weighting: MrWeighting | None) -> Volume:
    """Axial CT, or oblique coronal MR, anisotropic."""
    return builders.volume(
        where=builders.grid(orientation=builders.OBLIQUE_CORONAL if weighting else builders.AXIAL),
        modality=Modality.CT if weighting is None else Modality.MR,
        weighting=weighting,
    )


@pytest.mark.parametrize("style", STYLED)
@pytest.mark.parametrize("weighting", [None, *MrWeighting])
def test_every_enhanced_image_is_valid(
    tmp_path: Path, style: str | None, weighting: MrWeighting | None
) -> None:
    """dciodvfy finds neither an error nor, but for the word WATER, a warning."""
    about = builders.header(style=STYLES[style] if style else None)
    told = object_complaints(enhanced_dataset(scanned(weighting), about), tmp_path)
    assert [line for line in told if not WATER.search(line)] == []


@pytest.mark.parametrize("style", STYLED)
@pytest.mark.parametrize("weighting", [None, *MrWeighting])
def test_an_enhanced_image_is_read_as_its_classic_series_is(
    tmp_path: Path, style: str | None, weighting: MrWeighting | None
) -> None:
    """The same voxels, lattice, weighting and description, whichever way it was stored."""
    about = builders.header(style=STYLES[style] if style else None, series_description="as sent")
    volume = scanned(weighting)
    write_series(volume, tmp_path / "classic", header=about)
    path = write_enhanced(volume, tmp_path / "enhanced", header=about)
    assert [path] == list((tmp_path / "enhanced").iterdir())
    (classic,) = builders.read_one(tmp_path / "classic").series
    (enhanced,) = builders.read_one(tmp_path / "enhanced").series
    assert np.array_equal(enhanced.volume.values, classic.volume.values)
    assert enhanced.volume.grid.same_place(classic.volume.grid, tolerance_mm=1e-6)
    assert enhanced.volume.weighting is weighting
    assert enhanced.source.description == classic.source.description


def test_an_enhanced_image_says_that_it_is_synthetic(tmp_path: Path) -> None:
    """Name, maker and serial number; its content is for research."""
    about = builders.header(style=STYLES["B"])
    dataset = dcmread(write_enhanced(scanned(MrWeighting.STIR), tmp_path, header=about))
    said = (dataset.PatientName, dataset.Manufacturer, dataset.DeviceSerialNumber)
    assert all("SYNTHETIC" in str(value) for value in said)
    assert dataset.ContentQualification == "RESEARCH"
    assert dataset.NumberOfFrames == 8
