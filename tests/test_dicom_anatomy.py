"""The anatomy as a segmentation of its own: each bone in its place, named and coded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom.seg import Segmentation
from numpy.testing import assert_allclose
from pydicom import Dataset

from sifdetect.anatomy import AnatomyLabel, Modality
from sifdetect.dicom import codes
from sifdetect.dicom.anatomy_seg import encode_anatomy, parted
from sifdetect.dicom.results import encode_results
from sifdetect.dicom.seg import encode_seg
from sifdetect.findings import Presence
from sifdetect.study import Analysis, SeriesLabels
from sifdetect.volume import LabelMap
from tests.builders import mr_series, read_one
from tests.result_cases import ODD, Case, bilateral, without_finding
from tests.validators import object_complaints

CASES = {
    "classic CT": lambda: bilateral(Modality.CT),
    "Enhanced MR": lambda: bilateral(Modality.MR, enhanced=True),
    "odd MR": lambda: bilateral(Modality.MR, shape=ODD),
}


def encoded(case: Case) -> Dataset:
    """The anatomy of the only series."""
    return encode_anatomy(case.findings.algorithm, case.labels[0], case.study.series[0])


@pytest.mark.parametrize("kind", CASES)
def test_the_anatomy_satisfies_the_standard(kind: str, tmp_path: Path) -> None:
    """dciodvfy finds nothing wrong, whatever the source."""
    assert object_complaints(encoded(CASES[kind]()), tmp_path) == []


@pytest.mark.parametrize("kind", CASES)
def test_each_segment_has_the_voxels_of_its_label(kind: str) -> None:
    """As many as in the label map, with their centre within 0.1 mm."""
    case = CASES[kind]()
    dataset, (labels,), (series,) = encoded(case), case.labels, case.study.series
    read = Segmentation.from_dataset(dataset)
    for number, label in enumerate(parted(labels, series), start=1):
        volume = read.get_volume(segment_numbers=[number])
        index = np.argwhere(volume.array[..., 0] > 0)
        assert len(index) == np.count_nonzero(labels.anatomy.values == label)
        centre = (volume.affine @ [*index.mean(axis=0), 1.0])[:3]
        expected = labels.anatomy.centroid_lps_mm(label)
        assert expected is not None
        assert_allclose(centre, expected, atol=0.1)


def test_the_right_ala_is_named_so_and_lies_to_the_right() -> None:
    """In LPS the patient's right is the lower x; structure, part and side are coded."""
    case = bilateral()
    (ala,) = (one for one in encoded(case).SegmentSequence if "right ala" in one.SegmentLabel)
    assert ala.SegmentLabel == "Sacrum, right ala"
    assert ala.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical Structure"
    assert ala.SegmentedPropertyTypeCodeSequence[0].CodeValue == "SACRAL-ALA"
    region = ala.AnatomicRegionSequence[0]
    assert region.CodeValue == codes.SACRUM.value
    assert region.AnatomicRegionModifierSequence[0].CodeMeaning == "Right"
    assert "TrackingUID" not in ala
    right, left = (
        case.labels[0].anatomy.centroid_lps_mm(label)
        for label in (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT)
    )
    assert right is not None
    assert left is not None
    assert right[0] < left[0]


def test_every_label_has_a_name_and_a_colour_of_its_own(tmp_path: Path) -> None:
    """All twelve on one series; the standard is satisfied with each code."""
    case = bilateral()
    values = np.array(case.labels[0].anatomy.values)
    values[2:8, 2, 2 : 2 + len(AnatomyLabel) - 1] = np.arange(1, len(AnatomyLabel))
    grid = case.labels[0].anatomy.grid
    labels = replace(case.labels[0], anatomy=LabelMap(values, grid))
    made = encode_anatomy(case.findings.algorithm, labels, case.study.series[0])
    names = [str(one.SegmentLabel) for one in made.SegmentSequence]
    colours = [tuple(one.RecommendedDisplayCIELabValue) for one in made.SegmentSequence]
    assert len(set(names)) == len(set(colours)) == len(AnatomyLabel) - 1
    assert object_complaints(made, tmp_path) == []


def test_the_anatomy_is_made_on_request_alone_and_without_a_finding_too() -> None:
    """It is an object and a series of its own; the findings' segmentation is what it was."""
    case = bilateral()
    analysis = Analysis(case.findings, case.labels)
    asked = encode_results(analysis, case.study, ("seg", "anatomy"))
    plain = encode_results(analysis, case.study, ("seg",))
    assert set(asked) == {"seg.dcm", "anatomy.dcm"}
    assert asked["seg.dcm"] == plain["seg.dcm"]
    assert asked["anatomy.dcm"].SeriesInstanceUID != plain["seg.dcm"].SeriesInstanceUID
    none = without_finding(Presence.ABSENT)
    made = encode_results(Analysis(none.findings, none.labels), none.study, ("seg", "anatomy"))
    assert set(made) == {"anatomy.dcm"}


def test_the_same_anatomy_has_the_same_identifiers() -> None:
    """Sent twice it is a duplicate."""
    assert encoded(bilateral()) == encoded(bilateral())


def test_a_series_without_a_bone_is_refused() -> None:
    """Nothing to mark."""
    case = bilateral()
    labels = case.labels[0]
    empty = LabelMap(np.zeros_like(labels.anatomy.values), labels.anatomy.grid)
    bare = replace(labels, anatomy=empty)
    with pytest.raises(ValueError, match="needs a bone"):
        encode_anatomy(case.findings.algorithm, bare, case.study.series[0])


def test_a_slice_that_was_never_sent_has_no_anatomy(tmp_path: Path) -> None:
    """It has no image that a frame could refer to."""
    folder = mr_series(tmp_path, shape=(12, 20, 24))
    sorted(folder.iterdir())[5].unlink()
    series = read_one(folder).series[0]
    assert series.filled
    values = np.full(series.volume.grid.shape, AnatomyLabel.SACRAL_BODY, np.uint8)
    whole = LabelMap(values, series.volume.grid)
    labels = SeriesLabels(series.source, whole, whole, whole)
    made = encode_anatomy(bilateral().findings.algorithm, labels, series)
    assert made.NumberOfFrames == values.shape[0] - len(series.filled)


@pytest.mark.parametrize("modality", Modality)
def test_an_oblique_segmentation_has_the_geometry_of_its_frames_in_full(modality: Modality) -> None:
    """Nothing is left to a viewer: matrix, orientation and distances of the source, said once; each
    frame with its image and that image's position; segment by segment, along the stack one way.
    """
    case = bilateral(modality)
    (series,) = case.study.series
    made = encode_seg(case.findings, case.labels[0], series)
    source = {str(one.SOPInstanceUID): (n, one) for n, one in enumerate(series.datasets)}
    first = series.datasets[0]
    (shared,) = made.SharedFunctionalGroupsSequence
    assert (made.Rows, made.Columns) == (first.Rows, first.Columns)
    assert_allclose(
        shared.PlaneOrientationSequence[0].ImageOrientationPatient, first.ImageOrientationPatient
    )
    assert_allclose(shared.PixelMeasuresSequence[0].PixelSpacing, first.PixelSpacing)
    places = []
    for frame in made.PerFrameFunctionalGroupsSequence:
        assert "PlaneOrientationSequence" not in frame
        named = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place, image = source[str(named)]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert_allclose(position, image.ImagePositionPatient, atol=1e-6)
        segment = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        places.append((segment, place))
    assert [segment for segment, _ in places] == sorted(segment for segment, _ in places)
    for number in (1, 2):
        steps = np.diff([place for segment, place in places if segment == number])
        assert set(steps) in ({1}, {-1})
