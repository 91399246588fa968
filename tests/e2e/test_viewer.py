"""What a radiologist sees of our results in OHIF, the most used open viewer, in a real browser.

The studies are the phantoms of ``result_cases``, whose findings are true by construction: whether
the networks find a fracture is asked elsewhere, here the question is whether it can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from pydicom import Dataset

from sifdetect.anatomy import Modality
from sifdetect.dicom.seg import color_of
from sifdetect.dicom.write import SeriesHeader
from sifdetect.findings import Presence
from tests.e2e.browser import Viewing, mask_of
from tests.e2e.desk import Desk
from tests.result_cases import (
    LEFT_LPS_MM,
    ODD,
    PATIENT,
    RIGHT_LPS_MM,
    Case,
    bilateral,
    without_finding,
)
from tests.result_objects import images_of, results_of

pytestmark = pytest.mark.e2e

MODALITIES = (Modality.CT, Modality.MR)
IMAGES = "Sacrum, thin"
GREEN = (0, 255, 0)
"""Of the first contour, as OHIF chooses."""
SQUARE_MM = (5.0, 2.2, 2.2)
"""OHIF 3.13 misplaces contours on pixels that are not square: docs/viewers.md."""


@dataclass(frozen=True)
class Reading:
    """A study on the screen, and what was sent of it."""

    viewing: Viewing
    case: Case
    results: dict[str, Dataset]


def read(desk: Desk, case: Case, about: SeriesHeader) -> Reading:
    """Send a study with its results, and open it."""
    results = results_of(case)
    files = map(part10, (*images_of(case, about), *results.values()))
    return Reading(desk.read(case.findings.study_instance_uid, files), case, results)


@pytest.fixture(scope="module", params=MODALITIES, ids=[one.value for one in MODALITIES])
def broken(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Reading]:
    """A study with a fracture in each ala."""
    about = replace(PATIENT, seed=f"viewer {request.param}", series_description=IMAGES)
    reading = read(desk, bilateral(request.param, about=about, spacing_mm=SQUARE_MM), about)
    yield reading
    reading.viewing.close()


@pytest.fixture(scope="module")
def intact(desk: Desk) -> Iterator[Reading]:
    """A study without a finding, of another patient's day."""
    about = replace(PATIENT, seed="viewer, intact", series_description=IMAGES)
    reading = read(desk, without_finding(Presence.ABSENT, about=about), about)
    yield reading
    reading.viewing.close()


@pytest.fixture(scope="module")
def odd(desk: Desk) -> Iterator[Reading]:
    """A study whose rows times columns are not divisible by 8."""
    about = replace(PATIENT, seed="viewer, odd", series_description=IMAGES)
    case = bilateral(Modality.CT, about=about, spacing_mm=SQUARE_MM, shape=ODD)
    reading = read(desk, case, about)
    yield reading
    reading.viewing.close()


def assert_over(
    viewing: Viewing, colored: NDArray[np.bool_], centre_lps_mm: NDArray[np.float64]
) -> None:
    """The middle of what is coloured is the finding's, along the line from right to left.

    The image is the first of the finding: across the tilted slices its middle moves a little.
    """
    row, column = (float(places.mean()) for places in np.nonzero(colored))
    (place,) = viewing.places_lps_mm([(column, row)])
    assert abs(place[0] - centre_lps_mm[0]) < 5.0


def test_images_alone_show_no_color(broken: Reading) -> None:
    """Without an object on top, nothing in the viewport has the colour of a finding."""
    broken.viewing.show(IMAGES, whole=True)
    broken.viewing.keep(f"images-{broken.case.study.series[0].volume.modality.value}")
    picture = broken.viewing.pixels()
    assert max(mask_of(picture, color_of(number)).sum() for number in (1, 2)) == 0
    assert mask_of(broken.viewing.picture(), GREEN).sum() == 0


def test_the_segmentation_shows_in_its_own_colors_on_the_right_sides(broken: Reading) -> None:
    """The patient's right lies at the left edge of the screen, and so does the right finding."""
    viewing = broken.viewing
    viewing.show("segmentation", until="SEG")
    viewing.keep(f"seg-{broken.case.study.series[0].volume.modality.value}")
    picture = viewing.pixels()
    right, left = (mask_of(picture, color_of(number)) for number in (1, 2))
    assert min(right.sum(), left.sum()) > 300
    assert np.nonzero(right)[1].max() < np.nonzero(left)[1].min()
    assert viewing.orientation()[:1] == "R"
    assert_over(viewing, right, RIGHT_LPS_MM)
    assert_over(viewing, left, LEFT_LPS_MM)


def test_a_segmentation_of_odd_frames_lies_where_its_findings_lie(odd: Reading) -> None:
    """A frame of single bits that is no whole number of bytes is drawn centimetres off."""
    viewing = odd.viewing
    viewing.show("segmentation", until="SEG")
    viewing.keep("seg-odd")
    picture = viewing.pixels()
    for number, centre_lps_mm in ((1, RIGHT_LPS_MM), (2, LEFT_LPS_MM)):
        colored = mask_of(picture, color_of(number))
        assert colored.sum() > 300
        assert_over(viewing, colored, centre_lps_mm)


def test_the_report_s_contours_show_on_the_image_of_their_finding(broken: Reading) -> None:
    """The viewer jumps to the key image and draws each line around its finding, where it lies."""
    viewing = broken.viewing
    viewing.show("findings, report", until="SIF-1")
    viewing.keep(f"sr-{broken.case.study.series[0].volume.modality.value}")
    state = viewing.state()
    cited = [
        str(item.value)
        for item in broken.results["sr"].iterall()
        if item.keyword == "ReferencedSOPInstanceUID"
    ]
    right, left = sorted(state["contours"], key=lambda one: min(one["points_px"]))
    assert any(uid in state["image"] for uid in cited)
    for contour, centre in ((right, RIGHT_LPS_MM), (left, LEFT_LPS_MM)):
        assert any(uid in contour["image"] for uid in cited)
        assert_allclose(np.mean(contour["points_lps_mm"], axis=0), centre, atol=4.0)
    assert mask_of(viewing.picture(), GREEN).sum() > 100


def test_each_contour_is_labelled_with_its_side_and_zone(broken: Reading) -> None:
    """The first line beside a contour names finding, side and zone; a measured zero is printed."""
    broken.viewing.show("findings, report", until="SIF-1")
    text = broken.viewing.text()
    assert "SIF-1 right ala, Denis 1: 93.00 %" in text
    assert "Volume: 5630.40 mm3" in text
    assert "Length of finding: 31.40 mm" in text
    assert "Distance to S2 foramen: 4.10 mm" in text


def test_the_summary_shows_as_a_picture(broken: Reading) -> None:
    """The page is there with the colours of both findings."""
    broken.viewing.show("summary")
    broken.viewing.keep(f"summary-{broken.case.study.series[0].volume.modality.value}")
    picture = broken.viewing.pixels()
    assert min(mask_of(picture, color_of(number)).sum() for number in (1, 2)) > 300


def test_a_negative_report_reads_as_text(intact: Reading) -> None:
    """Answer, statement of use and coverage are on the screen, and not a blank viewport."""
    intact.viewing.show("text", until="Impressions")
    intact.viewing.keep("text")
    text = intact.viewing.text()
    assert "No finding like a sacral insufficiency fracture was seen." in text
    assert "Not a diagnosis: every statement needs a radiologist." in text
    assert "The whole sacrum is in the field of view" in text
    assert intact.viewing.errors == []


def test_no_page_throws(broken: Reading) -> None:
    """After all of that, no script of the viewer has failed."""
    assert broken.viewing.errors == []


def part10(dataset: Dataset) -> bytes:
    """The file of a data set."""
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
