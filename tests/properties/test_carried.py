"""What a result object carries is what it was written from, for any findings at all."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

from hypothesis import given
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from sifdetect.dicom.carried import carried, carry
from sifdetect.findings import StudyFindings
from tests.properties.test_findings import FINDINGS, THOROUGH


@given(FINDINGS)
@THOROUGH
def test_any_findings_survive_a_result_object(findings: StudyFindings) -> None:
    """Any text, any number: written as a file and read back nothing is lost but the timings."""
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        stream = BytesIO()
        dataset = carry(Dataset(), findings)
        implicit = syntax == ImplicitVRLittleEndian
        dataset.save_as(stream, implicit_vr=implicit, little_endian=True)
        stream.seek(0)
        assert carried(dcmread(stream, force=True)) == replace(findings, timings_s={})
