"""Writing series: valid DICOM, the same for the same seed, and honest about being synthetic."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.write import MR_MAXIMUM, write_series
from tests import builders


@pytest.mark.parametrize("weighting", [None, *MrWeighting])
def test_every_kind_of_series_is_valid(
    tmp_path: Path, weighting: MrWeighting | None, tool: Callable[[str], Path]
) -> None:
    """dciodvfy finds neither an error nor a warning, and the weighting is read back."""
    modality = Modality.CT if weighting is None else Modality.MR
    folder = builders.series(tmp_path, builders.Built(modality=modality, weighting=weighting))
    path = next(folder.iterdir())
    command = [str(tool("dciodvfy")), "-new", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert [line for line in said.splitlines() if "Error" in line or "Warning" in line] == []
    assert builders.read_one(folder).series[0].source.weighting is weighting


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    """Nothing in a file depends on the day or on chance."""
    volume = builders.volume()
    first = write_series(volume, tmp_path / "a", header=builders.header())
    second = write_series(volume, tmp_path / "b", header=builders.header())
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len({dcmread(path).SOPInstanceUID for path in first}) == 8


def test_series_of_one_study_share_study_and_frame_of_reference(tmp_path: Path) -> None:
    """CT and MR of one case lie in the same space, under different series."""
    for number, modality in enumerate((Modality.CT, Modality.MR), start=1):
        about = builders.header(study_seed="case", series_number=number)
        write_series(builders.volume(modality=modality), tmp_path / modality.value, header=about)
    ct, mr = (dcmread(next((tmp_path / name).iterdir())) for name in ("CT", "MR"))
    assert ct.StudyInstanceUID == mr.StudyInstanceUID
    assert ct.FrameOfReferenceUID == mr.FrameOfReferenceUID
    assert ct.SeriesInstanceUID != mr.SeriesInstanceUID


def test_a_synthetic_patient_says_so(tmp_path: Path) -> None:
    """No one takes a synthetic case for a patient."""
    path = write_series(builders.volume(), tmp_path, header=builders.header())[0]
    assert "SYNTHETIC" in str(dcmread(path).PatientName)


def test_names_keep_their_letters(tmp_path: Path) -> None:
    """A name beyond ASCII survives in the character set that is declared."""
    name = "Müller^Jürgen"
    about = builders.header(patient_name=name, character_set="ISO_IR 100")
    path = write_series(builders.volume(), tmp_path, header=about)[0]
    assert str(dcmread(path).PatientName) == name
    assert name.encode("latin-1") in path.read_bytes()


def test_values_are_stored_whole(tmp_path: Path) -> None:
    """HU are rounded, far ones kept within 16 bits; the brightest MR value fills 12 bits."""
    values = np.zeros((8, 34, 42))
    values[0, 0, :3] = (-1000.4, 2999.6, 1e6)
    (ct,) = builders.read_one(builders.ct_series(tmp_path / "ct", values=values)).series
    assert np.sort(ct.volume.values.ravel())[[0, -2, -1]].tolist() == [-1000, 3000, 32767]
    values[0, 0, :3] = (-1, 2, 4)
    (mr,) = builders.read_one(builders.mr_series(tmp_path / "mr", values=values)).series
    assert np.unique(mr.volume.values).tolist() == [0, np.rint(MR_MAXIMUM / 2), MR_MAXIMUM]
