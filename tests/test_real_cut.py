"""A real CT cut at any height: what is out of view is never called free of a fracture."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from sifdetect import cli

pytestmark = [pytest.mark.real, pytest.mark.slow]

NO_SACRUM = 4


def cut(real_scans: Path, path: Path, share: float, *, kept: str) -> Path:
    """The part of the scan caudal or cranial of the height below which a share of the sacrum lies.

    Below 0 and above 1 the sacrum's whole extent is cut off, and as much again of it beyond.
    """
    scan = nib.Nifti1Image.from_filename(real_scans / "ct_example" / "example_ct.nii.gz")
    mask = nib.Nifti1Image.from_filename(real_scans / "ct_example" / "sacrum.nii.gz")
    assert nib.aff2axcodes(scan.affine)[2] == "S"
    heights = np.nonzero(np.asarray(mask.dataobj) > 0)[2]
    low, high = int(heights.min()), int(heights.max())
    inside = np.quantile(heights, np.clip(share, 0, 1))
    at = round(float(inside + (share - np.clip(share, 0, 1)) * (high - low)))
    part = slice(0, at) if kept == "caudal" else slice(at, None)
    nib.Nifti1Image.to_filename(scan.slicer[:, :, part], path)
    return path


@pytest.mark.parametrize(
    ("kept", "share"),
    [
        ("caudal", 0.0),
        ("caudal", 0.25),
        ("caudal", 0.5),
        ("caudal", 0.75),
        ("cranial", 0.25),
        ("cranial", 0.5),
        ("cranial", 0.75),
        ("cranial", 1.0),
    ],
)
def test_a_cut_sacrum_is_never_negative(
    real_scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: str, share: float
) -> None:
    """Refused or indeterminate; the coccyx alone, or L5 alone, is not taken for a whole sacrum."""
    scan = cut(real_scans, tmp_path / "cut.nii.gz", share, kept=kept)
    code = cli.main(["analyze", str(scan), "--modality", "ct", "--json", "-q"])
    assert code in (0, NO_SACRUM)
    if code == 0:
        found = json.loads(capsys.readouterr().out)
        assert found["presence"] == "indeterminate"
        assert found["fractures"] == []
