"""Real scans, read from beside the checkout: what is found, and what must not be claimed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sifdetect import cli
from tests.pasted_bones import pasted

pytestmark = [pytest.mark.real, pytest.mark.slow]


def findings_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """What ``sifdetect analyze --json`` prints of one study."""
    assert cli.main(["analyze", *arguments, "--json", "-q"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_sacrum_of_a_real_ct_is_found_and_no_fracture_claimed(
    real_scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dice against the mask that comes with the scan; the goal is 0.90, reached was 0.88."""
    scan = real_scans / "ct_example"
    options = ("--modality", "ct", "--outputs", "nifti", "-o", str(tmp_path))
    found = findings_of(capsys, str(scan / "example_ct.nii.gz"), *options)
    labels = next(tmp_path.rglob("anatomy.nii.gz"))
    sacrum = np.isin(np.asarray(nib.Nifti1Image.from_filename(labels).dataobj), (1, 2, 3, 4, 5))
    mask = np.asarray(nib.Nifti1Image.from_filename(scan / "sacrum.nii.gz").dataobj) > 0
    dice = 2 * (sacrum & mask).sum() / (sacrum.sum() + mask.sum())
    assert dice >= 0.86
    assert found["presence"] != "present"
    assert found["fractures"] == []


def test_a_thin_real_ct_is_read_and_no_fracture_claimed(
    real_scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JPEG 2000 slices, the whole sacrum in view."""
    study = str(real_scans / "ct_thin_dicom" / "study.zip")
    found = findings_of(capsys, study, "-o", str(tmp_path), "--outputs", "sr")
    assert found["presence"] != "present"
    assert found["fractures"] == []
    assert found["coverage"]["sacrum"] > 0.95  # type: ignore[index]  # plain JSON


def test_real_bones_in_plain_soft_tissue_are_outlined(
    real_scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dice against a human's mask at 1 mm; the goal is 0.93, reached was 0.915 (real-scans.md)."""
    mask = pasted(real_scans / "ct_bones_thin", tmp_path / "pasted.nii.gz")
    options = ("--modality", "ct", "--outputs", "nifti", "-o", str(tmp_path / "out"))
    found = findings_of(capsys, str(tmp_path / "pasted.nii.gz"), *options)
    labels = next(tmp_path.rglob("anatomy.nii.gz"))
    sacrum = np.isin(np.asarray(nib.Nifti1Image.from_filename(labels).dataobj), (1, 2, 3, 4, 5))
    dice = 2 * (sacrum & mask).sum() / (sacrum.sum() + mask.sum())
    assert dice >= 0.89
    assert found["presence"] != "present"
    assert found["fractures"] == []


@pytest.mark.parametrize("name", ["1003_STIR", "1003_T1W", "1007_STIR", "1007_T1W"])
def test_the_sacrum_of_every_real_mr_series_is_located(
    real_scans: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Oblique coronal slices of 3.3 mm; spondyloarthritis, so that no fracture may be claimed."""
    weighting = "stir" if name.endswith("STIR") else "t1"
    scan = str(real_scans / "mr_stir" / f"{name}.nii.gz")
    found = findings_of(capsys, scan, "--modality", "mr", "--weighting", weighting)
    assert found["presence"] != "present"
    assert found["fractures"] == []
    assert found["coverage"]["sacrum"] > 0.8  # type: ignore[index]  # plain JSON


def test_a_lumbar_mr_without_sacrum_is_refused_with_exit_code_4(
    real_scans: Path, tmp_path: Path
) -> None:
    """The message says that there is no sacrum in the field of view."""
    scan = str(real_scans / "mr_lumbar" / "t2_lumbar.nii.gz")
    command = Path(sys.executable).with_name("sifdetect")  # the one of this virtual environment
    run = subprocess.run(
        [command, "analyze", scan, "--modality", "mr", "--weighting", "t2", "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 4
    assert "No sacrum in the field of view" in run.stderr
    assert not list(tmp_path.rglob("findings.json"))
