"""Segmentations: in place, in their own colours, the same bytes every time."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import Segmentation
from numpy.testing import assert_allclose
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from sifdetect.anatomy import Modality
from sifdetect.dicom.outline import shown
from sifdetect.dicom.seg import encode_seg, seg_reference, segmented
from sifdetect.findings import Algorithm
from sifdetect.study import SeriesLabels
from sifdetect.volume import Floats, LabelMap
from tests.builders import mr_series, read_one
from tests.result_cases import ODD, PATIENT, Case, bilateral
from tests.validators import object_complaints

CASES = {
    "classic MR": lambda: bilateral(Modality.MR),
    "classic CT": lambda: bilateral(Modality.CT),
    "Enhanced MR": lambda: bilateral(Modality.MR, enhanced=True),
    "Enhanced CT": lambda: bilateral(Modality.CT, enhanced=True),
    "odd MR": lambda: bilateral(Modality.MR, shape=ODD),
    "odd Enhanced CT": lambda: bilateral(Modality.CT, shape=ODD, enhanced=True),
}
NAMES = {
    "Müller^Änne": "ISO_IR 100",
    "Παπαδοπούλου^Ελένη": "ISO_IR 126",
    "Łukasz^Świątek": "ISO_IR 192",
    "Yamada^Tarou=山田^太郎=やまだ^たろう": "\\ISO 2022 IR 87",
}


def _encoded(case: Case) -> Dataset:
    return encode_seg(case.findings, case.labels[0], case.study.series[0])


def _bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _centre_lps_mm(dataset: Dataset, segment: int) -> Floats:
    volume = Segmentation.from_dataset(dataset).get_volume(segment_numbers=[segment])
    index = np.argwhere(volume.array[..., 0] > 0).mean(axis=0)
    return np.asarray((volume.affine @ [*index, 1.0])[:3])


@pytest.mark.parametrize("kind", CASES)
def test_a_segmentation_satisfies_the_standard(kind: str, tmp_path: Path) -> None:
    """dciodvfy finds nothing wrong, whatever the source."""
    assert object_complaints(_encoded(CASES[kind]()), tmp_path) == []


def test_the_judge_of_objects_fires(tmp_path: Path) -> None:
    """A segment without its label, which is required, is told."""
    broken = _encoded(bilateral())
    del broken.SegmentSequence[0].SegmentLabel
    assert any("SegmentLabel" in line for line in object_complaints(broken, tmp_path))


@pytest.mark.parametrize("kind", CASES)
def test_each_segment_lies_where_its_finding_lies(kind: str) -> None:
    """Oblique, with pixels that are not square: the centre of mass agrees within 0.1 mm."""
    case = CASES[kind]()
    dataset = _encoded(case)
    for number in (1, 2):
        expected = case.labels[0].findings.centroid_lps_mm(number)
        assert expected is not None
        assert_allclose(_centre_lps_mm(dataset, number), expected, atol=0.1)


def test_frames_that_are_no_whole_number_of_bytes_are_stored_in_bytes() -> None:
    """Viewers cut files at bytes; a marked voxel is marked wholly, and the voxels are the same."""
    case = bilateral(shape=ODD)
    binary, odd = _encoded(bilateral()), _encoded(case)
    assert (binary.SegmentationType, binary.BitsAllocated) == ("BINARY", 1)
    assert (odd.SegmentationType, odd.BitsAllocated) == ("FRACTIONAL", 8)
    assert odd.SegmentationFractionalType == "OCCUPANCY"
    assert set(np.unique(odd.pixel_array)) == {0, odd.MaximumFractionalValue}
    for number in (1, 2):
        marked = int((case.labels[0].findings.values == number).sum())
        frames = [
            plane
            for plane, item in zip(
                odd.pixel_array, odd.PerFrameFunctionalGroupsSequence, strict=True
            )
            if item.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        ]
        assert np.count_nonzero(frames) == marked > 0


def test_the_right_finding_lies_to_the_right_and_is_labelled_so() -> None:
    """In LPS the patient's right is the lower x."""
    dataset = _encoded(bilateral())
    labels = [str(segment.SegmentLabel) for segment in dataset.SegmentSequence]
    assert labels == ["SIF-like right ala, Denis 1 (93 %)", "SIF-like left ala, Denis 1 (88 %)"]
    assert _centre_lps_mm(dataset, 1)[0] < _centre_lps_mm(dataset, 2)[0]
    modifier = dataset.SegmentSequence[0].AnatomicRegionSequence[0].AnatomicRegionModifierSequence
    assert modifier[0].CodeMeaning == "Right"


def test_each_segmentation_is_listed_under_the_name_of_its_series() -> None:
    """A study has one for each analysed series, and a viewer's list shows the first words alone."""
    case = bilateral(about=replace(PATIENT, series_description="t2_tirm_cor_obl"))
    assert _encoded(case).SeriesDescription == "SIF on t2_tirm_cor_obl, segmentation (research)"
    named = bilateral(about=replace(PATIENT, series_description="x" * 64))
    assert len(_encoded(named).SeriesDescription) == 64
    assert _encoded(named).SeriesDescription.endswith("x, segmentation (research)")
    assert _encoded(bilateral()).SeriesDescription == "SIF-like findings, segmentation (research)"


def test_segments_have_their_own_colours_and_say_who_made_them() -> None:
    """Viewers show the recommended colour; the algorithm carries its version and checksums."""
    first, second = _encoded(bilateral()).SegmentSequence
    assert list(first.RecommendedDisplayCIELabValue) != list(second.RecommendedDisplayCIELabValue)
    (by,) = first.SegmentationAlgorithmIdentificationSequence
    assert (by.AlgorithmName, by.AlgorithmVersion) == ("sifdetect", "0.1.0")
    assert "ab" * 32 in str(by.AlgorithmParameters)
    assert first.SegmentAlgorithmType == "AUTOMATIC"


def test_only_slices_with_a_finding_are_stored() -> None:
    """Empty frames are left out, and the file stays small."""
    case = bilateral()
    dataset = _encoded(case)
    marked = case.labels[0].findings.values
    expected = sum(int((marked == number).any(axis=(1, 2)).sum()) for number in (1, 2))
    assert dataset.NumberOfFrames == expected < 2 * marked.shape[0]
    assert len(_bytes(dataset)) < 20_000


def test_the_segmentation_cites_its_source_and_keeps_its_frame_of_reference() -> None:
    """A viewer finds the images by the references, and the place by the frame of reference."""
    case = bilateral()
    dataset = _encoded(case)
    source = case.study.series[0].datasets
    (series,) = dataset.ReferencedSeriesSequence
    cited = {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence}
    assert series.SeriesInstanceUID == source[0].SeriesInstanceUID
    assert cited <= {item.SOPInstanceUID for item in source}
    assert dataset.FrameOfReferenceUID == source[0].FrameOfReferenceUID
    assert dataset.StudyInstanceUID == source[0].StudyInstanceUID


def test_encoding_twice_gives_the_same_bytes() -> None:
    """An archive recognises the duplicate; dates are the source's."""
    first, second = _encoded(bilateral()), _encoded(bilateral())
    assert _bytes(first) == _bytes(second)
    assert (first.ContentDate, first.ContentTime) == ("20240506", "082233")


def test_other_weights_give_other_uids() -> None:
    """What another model says is another object, seen by another device."""
    case = bilateral()
    other = Algorithm(name="sifdetect", version="0.1.0", bundles={"sacrum_region": "ef" * 32})
    changed = replace(case, findings=replace(case.findings, algorithm=other))
    first, second = _encoded(case), _encoded(changed)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert first.DeviceSerialNumber != second.DeviceSerialNumber


def test_the_segmentation_can_be_cited_before_it_is_made() -> None:
    """The report names the segmentation by the identifiers that it will have."""
    case = bilateral()
    dataset, cited = _encoded(case), seg_reference(case.findings, case.study.series[0])
    for keyword in ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert dataset[keyword].value == cited[keyword].value
    assert UID(cited.SOPInstanceUID).is_valid


def test_each_bundle_is_named_as_contributing_equipment() -> None:
    """One item a bundle (109102 Processing Equipment) with its checksum and a device of its own."""
    items = [
        item
        for item in _encoded(bilateral()).ContributingEquipmentSequence
        if item.Manufacturer == "sifdetect project"
    ]
    assert [item.ManufacturerModelName for item in items] == ["sacrum_localizer", "sacrum_region"]
    assert [item.DeviceSerialNumber for item in items] == ["ab" * 32, "cd" * 32]
    assert {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in items} == {"109102"}
    assert items[0].DeviceUID != items[1].DeviceUID


@pytest.mark.parametrize(("name", "character_set"), NAMES.items())
def test_names_keep_their_characters(name: str, character_set: str, tmp_path: Path) -> None:
    """Latin, Greek, UTF-8 and Japanese names come back as they were sent."""
    about = replace(PATIENT, patient_name=name, character_set=character_set, study_description="")
    case = bilateral(about=about)
    dataset = _encoded(case)
    dataset.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    read = dcmread(tmp_path / "seg.dcm")
    assert str(read.PatientName) == name
    assert read.SpecificCharacterSet == case.study.series[0].datasets[0].SpecificCharacterSet


def test_what_the_source_leaves_out_stays_empty(tmp_path: Path) -> None:
    """No patient attribute is invented, and a sex that the standard does not know is not copied."""
    case = bilateral()
    for dataset in case.study.series[0].datasets:
        dataset.PatientSex = "X"
        del dataset.PatientBirthDate, dataset.AccessionNumber
    result = _encoded(case)
    assert not result.PatientSex
    assert not result.PatientBirthDate
    assert not result.AccessionNumber
    assert object_complaints(result, tmp_path) == []


def test_an_empty_clinical_trial_of_the_source_is_not_copied(tmp_path: Path) -> None:
    """Public studies carry such attributes, empty though they may not be; a whole trial is kept."""
    case = bilateral()
    datasets = case.study.series[0].datasets
    for dataset in datasets:
        dataset.ClinicalTrialSponsorName = dataset.ClinicalTrialProtocolID = ""
        dataset.ClinicalTrialSubjectID = "7"
    result = _encoded(case)
    assert "ClinicalTrialSubjectID" not in result
    assert object_complaints(result, tmp_path) == []
    for dataset in datasets:
        dataset.ClinicalTrialSponsorName, dataset.ClinicalTrialProtocolID = "ACRIN", "6664"
    result = _encoded(case)
    assert (result.ClinicalTrialProtocolID, result.ClinicalTrialSubjectID) == ("6664", "7")


def test_a_slice_that_was_never_sent_carries_no_segment() -> None:
    """A filled slice has no image to lie on; its neighbours keep their segments."""
    case = bilateral()
    middle = int(np.flatnonzero(case.labels[0].findings.values.any(axis=(1, 2)))[3])
    series = replace(case.study.series[0], filled=(middle,))
    dataset = encode_seg(case.findings, case.labels[0], series)
    assert dataset.NumberOfFrames < _encoded(case).NumberOfFrames
    (cited,) = dataset.ReferencedSeriesSequence
    uids = {item.ReferencedSOPInstanceUID for item in cited.ReferencedInstanceSequence}
    assert series.datasets[middle].SOPInstanceUID not in uids


def test_a_finding_on_filled_slices_alone_moves_to_the_image_that_stands_in() -> None:
    """It is shown on the nearest image rather than nowhere."""
    case = bilateral()
    values = np.zeros_like(case.labels[0].findings.values)
    values[5, 30:34, 10:14] = 1
    labels = _with_findings(case.labels[0], values)
    datasets = list(case.study.series[0].datasets)
    datasets[5] = datasets[4]
    series = replace(case.study.series[0], datasets=tuple(datasets), filled=(5,))
    assert np.flatnonzero(shown(labels, series).values.any(axis=(1, 2))).tolist() == [4]
    assert segmented(labels, series) == [1]


def test_labels_without_a_finding_or_on_another_grid_are_refused() -> None:
    """Neither could be encoded truthfully."""
    case = bilateral()
    empty = _with_findings(case.labels[0], np.zeros_like(case.labels[0].findings.values))
    with pytest.raises(ValueError, match="at least one finding"):
        encode_seg(case.findings, empty, case.study.series[0])
    cut = case.labels[0].findings.cropped((0, 0, 0), (14, 50, 52))
    with pytest.raises(ValueError, match="grid"):
        encode_seg(case.findings, replace(case.labels[0], findings=cut), case.study.series[0])


def test_a_series_from_disk_becomes_a_segmentation(tmp_path: Path) -> None:
    """What the reader hands over is what the encoder takes."""
    study = read_one(mr_series(tmp_path / "in", orientation=(1, 0, 0, 0, 0.8, -0.6)))
    series = study.series[0]
    values = np.zeros(series.volume.grid.shape, np.uint8)
    values[2:5, 10:20, 12:18] = 2
    marked = LabelMap(values, series.volume.grid)
    labels = SeriesLabels(series.source, marked, marked, marked)
    dataset = encode_seg(bilateral().findings, labels, series)
    expected = marked.centroid_lps_mm(2)
    assert expected is not None
    assert_allclose(_centre_lps_mm(dataset, 1), expected, atol=0.1)
    assert object_complaints(dataset, tmp_path) == []


def _with_findings(labels: SeriesLabels, values: np.ndarray) -> SeriesLabels:
    return replace(labels, findings=LabelMap(values, labels.findings.grid))
