"""What a presentation state says of how its images are rescaled."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.sequence import Sequence

from sifdetect.dicom.outline import SliceImage
from sifdetect.dicom.rescale import modality_lut


def rescaled(slope: float, kind: str | None = None, modality: str = "MR") -> Dataset:
    """Attributes of an image, or of a frame's group."""
    made = Dataset()
    made.Modality = modality
    made.RescaleSlope, made.RescaleIntercept = slope, -1024 if modality == "CT" else 0
    if kind is not None:
        made.RescaleType = kind
    return made


def enhanced(*frames: Dataset, shared: Dataset | None = None) -> list[SliceImage]:
    """The frames of one multi-frame image."""
    image, groups = Dataset(), []
    image.Modality = "CT"
    for frame in frames:
        groups.append(Dataset())
        groups[-1].PixelValueTransformationSequence = Sequence([frame])
    image.PerFrameFunctionalGroupsSequence = Sequence(groups)
    if shared is not None:
        group = Dataset()
        group.PixelValueTransformationSequence = Sequence([shared])
        image.SharedFunctionalGroupsSequence = Sequence([group])
        return [SliceImage(image, 1)]
    return [SliceImage(image, number) for number in range(1, len(frames) + 1)]


def said(images: list[SliceImage]) -> tuple[float, float, str] | None:
    """Slope, intercept and type; None where nothing is said."""
    found = modality_lut(images)
    if found is None:
        return None
    return float(found.RescaleSlope), float(found.RescaleIntercept), str(found.RescaleType)


def test_what_all_images_share_is_said_with_the_usual_type_where_theirs_is_missing() -> None:
    """CT without Rescale Type is in HU; MR keeps the type it names."""
    ct = [SliceImage(rescaled(1, modality="CT"), None) for _ in range(2)]
    assert said(ct) == (1, -1024, "HU")
    assert said([SliceImage(rescaled(2.5, "normalized"), None)]) == (2.5, 0, "normalized")


def test_images_that_are_rescaled_differently_keep_their_stored_values() -> None:
    """A scanner that gives each MR image a slope of its own; also where some have none."""
    assert said([SliceImage(rescaled(s), None) for s in (1.5, 2.5)]) == (1, 0, "US")
    assert said([SliceImage(Dataset(), None), SliceImage(rescaled(2), None)]) == (1, 0, "US")
    assert said([SliceImage(Dataset(), None)]) is None


def test_frames_say_it_in_their_own_group_or_in_the_shared_one() -> None:
    """Per-frame groups come first; frames that differ keep their stored values."""
    assert said(enhanced(rescaled(2), rescaled(2))) == (2, 0, "HU")
    assert said(enhanced(rescaled(2), rescaled(3))) == (1, 0, "US")
    assert said(enhanced(shared=rescaled(4, "US"))) == (4, 0, "US")
    assert said(enhanced(Dataset())) == (1, 0, "US")
