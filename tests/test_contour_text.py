"""What a viewer prints beside a contour: five lines, and nothing for a 0 or for "Length"."""

from __future__ import annotations

from dataclasses import replace

from pydicom import Dataset

from sifdetect.dicom.evaluations import group_measurements
from sifdetect.findings import Fracture
from tests.result_cases import bilateral

LABEL = "SIF-1 right ala, Denis 1"


def _lines(fracture: Fracture) -> list[tuple[str, float]]:
    return [_line(measurement[0]) for measurement in group_measurements(fracture, LABEL)]


def _line(item: Dataset) -> tuple[str, float]:
    name = str(item.ConceptNameCodeSequence[0].CodeMeaning)
    return name, float(item.MeasuredValueSequence[0].NumericValue)


def test_the_five_lines_that_a_viewer_prints_are_the_telling_ones() -> None:
    """Which finding and where, its size, the nearest foramen and the canal; the rest after them."""
    names = [name for name, _ in _lines(bilateral().findings.fractures[0])]
    assert names[:5] == [
        LABEL,
        "Volume",
        "Length of finding",
        "Distance to S2 foramen",
        "Distance to sacral canal",
    ]


def test_a_zero_is_a_number_that_a_viewer_prints() -> None:
    """A canal that the fracture reaches lies at zero to the tenth, and not at an empty text."""
    fracture = replace(bilateral().findings.fractures[0], canal_distance_mm=0.0)
    value = dict(_lines(fracture))["Distance to sacral canal"]
    assert value > 0
    assert round(value, 1) == 0
