"""``docs/sr-template.md`` is what the codes say today, and the tree is that of a real report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset

from sifdetect.dicom import codes
from sifdetect.dicom.sr import encode_sr
from sifdetect.dicom.template_page import main, page
from tests.result_cases import bilateral

PAGE = Path(__file__).parents[1] / "docs" / "sr-template.md"


def test_the_page_is_up_to_date() -> None:
    """Else: python -m sifdetect.dicom.template_page docs/sr-template.md."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """It is how the page is made."""
    assert main([str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page()


def test_every_measurement_and_evaluation_of_a_report_has_its_row() -> None:
    """Whatever the report states in numbers, codes of ours or text, the page names by its code."""
    case = bilateral()
    report = encode_sr(case.findings, case.labels, case.study)
    evaluations = report.ContentSequence[-1]
    stated = [node for node in _nodes(report) if node.ValueType == "NUM" and _ours(node)]
    for node in [*stated, *evaluations.ContentSequence]:
        code = node.ConceptNameCodeSequence[0]
        row = f"| {node.ValueType} | {code.CodeValue}"  # a viewer is told more than the meaning
        named = row in page() or code.CodeValue == "FFP-AT-LEAST"
        assert named, row
    assert len(stated) >= 2 * 7
    assert all(f"| {value} |" in page() for value in codes.PRIVATE)


def _ours(node: Dataset) -> bool:
    """True for the numbers of a finding, not the positions of library images."""
    unit = node.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue
    name = node.ConceptNameCodeSequence[0]
    known = {codes.VOLUME.value, codes.LENGTH.value, codes.ANGLE.value, codes.CERTAINTY.value}
    return bool(unit) and (name.CodingSchemeDesignator == codes.SCHEME or name.CodeValue in known)


def _nodes(node: Dataset) -> Iterator[Dataset]:
    for child in node.get("ContentSequence") or []:
        yield child
        yield from _nodes(child)
