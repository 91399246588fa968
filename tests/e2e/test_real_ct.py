"""A real CT and what is said of it, as a radiologist finds them in OHIF.

Nobody knows of a fracture in this patient. What is to be read is an answer without contours: the
text report and the summary, which must say what was and what could not be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from sifdetect import cli
from sifdetect.anatomy import Modality
from sifdetect.dicom.write import SeriesHeader, write_series
from sifdetect.volume import Grid, Volume
from tests.e2e.browser import Viewing
from tests.e2e.desk import Desk

pytestmark = [pytest.mark.e2e, pytest.mark.real, pytest.mark.slow]

IMAGES = SeriesHeader(seed="real ct", study_description="CT pelvis", series_description="CT 3 mm")


@dataclass(frozen=True)
class Opened:
    """The study on the screen, and the objects that were made of it, by file name."""

    viewing: Viewing
    results: dict[str, Dataset]


@pytest.fixture(scope="module")
def opened(real_scans: Path, desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The scan as DICOM, analysed with every output, and all of it in the PACS."""
    folder = tmp_path_factory.mktemp("real")
    volume = axial(real_scans / "ct_example" / "example_ct.nii.gz")
    images = write_series(volume, folder / "study", header=IMAGES)
    outputs = "sr,seg,summary,text,pdf,gsps"
    asked = [str(folder / "study"), "-o", str(folder / "out"), "--outputs", outputs, "-q"]
    assert cli.main(["analyze", *asked]) == 0
    made = sorted((folder / "out").rglob("*.dcm"))
    files = (path.read_bytes() for path in (*images, *made))
    viewing = desk.read(IMAGES.study_instance_uid, files)
    return Opened(viewing, {path.name: dcmread(path) for path in made})


def axial(path: Path) -> Volume:
    """A NIfTI volume in HU as a CT is stored: slices cranially, rows back, columns to the left."""
    image: Any = nib.Nifti1Image.from_filename(path)
    way: Any = nib.orientations  # nibabel has no types
    image = image.as_reoriented(
        way.ornt_transform(way.io_orientation(image.affine), way.axcodes2ornt("LPS"))
    )
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    affine[:3, :3] = affine[:3, 2::-1]
    values = np.asarray(image.dataobj, dtype=np.float32).transpose(2, 1, 0)
    first, second, third = values.shape
    return Volume(values, Grid((first, second, third), affine), Modality.CT)


def test_no_object_with_contours_is_made_of_it(opened: Opened) -> None:
    """Nothing is stated as a fracture; so nothing may be drawn over the images."""
    assert set(opened.results) == {"report.pdf.dcm", "sr.dcm", "summary.dcm"}


def test_the_images_show_with_the_patient_s_right_at_the_left(opened: Opened) -> None:
    """As the scan itself is hung."""
    opened.viewing.show("CT 3 mm", whole=True)
    opened.viewing.keep("real-images")
    assert opened.viewing.orientation() == "R"


def test_the_report_reads_as_text_in_full(opened: Opened) -> None:
    """Each sentence of the object is on the screen: answer, coverage, limits and advice."""
    opened.viewing.show("report, text", until="Impressions")
    opened.viewing.keep("real-text")
    screen = " ".join(opened.viewing.text().split())
    report = opened.results["sr.dcm"]
    said = [str(one.value) for one in report.iterall() if one.keyword == "TextValue"]
    assert [one for one in said if " ".join(one.split()) not in screen] == []
    assert any("MRI is advised if suspicion stays" in one for one in said)
    assert "SIF report, PDF" in screen
    assert any("The whole sacrum is in the field of view" in one for one in said)


def test_the_summary_shows_as_it_was_drawn(opened: Opened) -> None:
    """The page fills the viewport's height, in its own colours."""
    opened.viewing.show("SIF summary")
    opened.viewing.keep("real-summary")
    shown = opened.viewing.pixels()
    page = opened.results["summary.dcm"].pixel_array
    colored = [np.ptp(picture.astype(int), axis=-1) > 60 for picture in (shown, page)]
    shares = [float(one.sum()) / one.shape[0] ** 2 for one in colored]
    assert shares[0] == pytest.approx(shares[1], rel=0.3)
    assert opened.viewing.errors == []
