"""What the frames of a segmentation hold is what the library would have written."""

from __future__ import annotations

from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from sifdetect.anatomy import Modality
from sifdetect.dicom import seg
from tests.result_cases import ODD, Case, bilateral


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize(
    "case",
    [
        bilateral(),
        bilateral(Modality.CT, enhanced=True),
        bilateral(Modality.CT, shape=ODD),
        bilateral(Modality.CT),
    ],
    ids=["mr", "enhanced ct", "odd", "ct"],
)
def test_the_bytes_are_those_of_frames_encoded_one_by_one(
    case: Case, syntax: UID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each transfer syntax, whether the frames were encoded ahead or not."""
    ahead = _bytes(_encoded(case), syntax)
    monkeypatch.setattr(seg, "keep_as_written", lambda result: result)
    assert _bytes(_encoded(case), syntax) == ahead


def test_a_value_that_is_set_in_a_frame_is_written() -> None:
    """What a frame holds can be read, and changed, as in any data set."""
    result = _encoded(bilateral())
    frame = result.PerFrameFunctionalGroupsSequence[0]
    assert frame.FrameContentSequence[0].DimensionIndexValues == [1, 1]
    frame.PlanePositionSequence[0].ImagePositionPatient = [1, 2, 3]
    stream = BytesIO(_bytes(result, ExplicitVRLittleEndian))
    frames = dcmread(stream).PerFrameFunctionalGroupsSequence
    assert frames[0].PlanePositionSequence[0].ImagePositionPatient == [1, 2, 3]
    assert frames[1].PlanePositionSequence[0].ImagePositionPatient != [1, 2, 3]


def _encoded(case: Case) -> Dataset:
    return seg.encode_seg(case.findings, case.labels[0], case.study.series[0])


def _bytes(dataset: Dataset, syntax: UID) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
