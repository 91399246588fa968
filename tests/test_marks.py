"""What has no outline is pointed at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from sifdetect.anatomy import Side
from sifdetect.dicom.lettering import Color
from sifdetect.dicom.marks import places
from sifdetect.dicom.page import AMBER, GOOD
from sifdetect.dicom.reformat import pictures
from sifdetect.dicom.summary_page import render
from sifdetect.findings import OtherFinding, Presence
from sifdetect.measurements import UNCERTAIN
from tests.result_cases import LEFT_LPS_MM, RIGHT_LPS_MM, Case, without_finding


def test_what_else_was_seen_is_ringed_in_planes_that_go_through_it() -> None:
    """Without a fracture the planes show the uncertain line; each ring lies on its place."""
    case = without_finding(Presence.ABSENT)
    ala, mass = np.add(RIGHT_LPS_MM, (0, -4, 6)), np.add(LEFT_LPS_MM, (0, 2, -16))
    kinds = ((UNCERTAIN, ala, 250.0), ("mass-like", mass, 900.0))
    other = tuple(
        OtherFinding(kind=kind, side=Side.RIGHT, centroid_lps_mm=(x, y, z), volume_mm3=volume)
        for kind, (x, y, z), volume in kinds
    )
    findings = replace(case.findings, probability=0.34, other_findings=other)
    marks = places(findings)
    assert_allclose(marks, [ala, mass])
    volume = case.study.series[0].volume
    axial, coronal, sagittal = pictures(case.labels[0], volume, size=(320, 280), marks=marks)
    assert [len(one.marks) for one in (axial, coronal, sagittal)] == [1, 1, 1]
    assert abs(axial.marks[0][0] - coronal.marks[0][0]) < 1e-6
    with_rings = _amber(replace(case, findings=findings))
    assert with_rings > _amber(case) + 300


def test_an_uncertain_finding_is_not_headed_in_the_colour_of_all_is_well() -> None:
    """Green stands over a page on which nothing was seen, amber where the reader must look."""
    case = without_finding(Presence.ABSENT)
    x, y, z = RIGHT_LPS_MM
    unsure = OtherFinding(
        kind=UNCERTAIN, side=Side.RIGHT, centroid_lps_mm=(x, y, z), volume_mm3=250.0
    )
    looked = replace(case, findings=replace(case.findings, other_findings=(unsure,)))
    assert (_headed(case, GOOD), _headed(case, AMBER)) == (True, False)
    assert (_headed(looked, GOOD), _headed(looked, AMBER)) == (False, True)


def _amber(case: Case) -> int:
    """Pixels of the page in the colour of rings and advice."""
    return int(_in(AMBER, _page(case)).sum())


def _headed(case: Case, color: Color) -> bool:
    """True where the label over the answer is of that colour."""
    return bool(_in(color, _page(case)[46:71, 24:140]).mean() > 0.3)


def _page(case: Case) -> NDArray[np.uint8]:
    return render(case.findings, case.labels[0], case.study.series[0])


def _in(color: Color, page: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(page.astype(int) - np.array(color)).max(axis=-1) < 40)
