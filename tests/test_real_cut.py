"""A real CT cut at any height: what is out of view is never called free of a fracture."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import pytest

from sifdetect import cli

pytestmark = [pytest.mark.real, pytest.mark.slow]

NO_SACRUM = 4

Cut = tuple[slice, slice, slice]
ALL = slice(None)
HEIGHTS: dict[str, Cut] = {
    "its tip": (ALL, ALL, slice(0, 20)),
    "its lower quarter": (ALL, ALL, slice(0, 35)),
    "its lower three quarters": (ALL, ALL, slice(0, 42)),
    "its upper three quarters": (ALL, ALL, slice(35, None)),
    "its upper quarter": (ALL, ALL, slice(42, None)),
    "none of it, from L5 on": (ALL, ALL, slice(52, None)),
}
BOXES: dict[str, Cut] = {
    "its front half": (ALL, slice(25, 93), ALL),
    "its front half, a smaller field": (slice(21, 96), slice(27, 96), ALL),
    "none of it, front of the pelvis": (ALL, slice(44, 98), slice(9, 109)),
    "none of it, a hip": (slice(30, 76), slice(41, 87), slice(45, 111)),
}
"""Voxels of ``ct_example``, to the right, front and top; its sacrum: 40–79, 11–41 and 9–51."""


@pytest.mark.parametrize("where", [*HEIGHTS, *BOXES])
def test_a_cut_sacrum_is_never_negative(
    real_scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    """Refused or indeterminate: a rest of it, or what lies beside it, is not a whole sacrum.

    What remains in the boxes was outlined as a sacrum that is nearly wholly in view.
    """
    scan = nib.Nifti1Image.from_filename(real_scans / "ct_example" / "example_ct.nii.gz")
    cut = (HEIGHTS | BOXES)[where]
    path = tmp_path / "cut.nii.gz"
    nib.Nifti1Image.to_filename(scan.slicer[cut], path)
    code = cli.main(["analyze", str(path), "--modality", "ct", "--json", "-q"])
    assert code in (0, NO_SACRUM)
    if code == 0:
        found = json.loads(capsys.readouterr().out)
        assert found["presence"] == "indeterminate"
        assert found["fractures"] == []
        if where in BOXES:
            assert "outline-uncertain" in {warning["code"] for warning in found["warnings"]}
