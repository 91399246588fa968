"""From stored values to those of the modality, as a presentation state repeats it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from highdicom import ModalityLUTTransformation
from pydicom import Dataset

from sifdetect.dicom.outline import SliceImage

Rescale = tuple[float, float, str]


def modality_lut(images: Sequence[SliceImage]) -> ModalityLUTTransformation | None:
    """The Modality LUT Module (PS3.3 C.11.1) that holds for all images.

    Rescale Type is filled in where the source lacks it: HU for CT, else US, unspecified. Images
    that are rescaled differently, as those of some MR scanners, have none in common; for them the
    presentation state leaves values as they are stored.

    Returns:
        None for classic images that are not rescaled.
    """
    found = {_of(image) for image in images}
    if len(found) == 1 and (one := found.pop()) is not None:
        slope, intercept, kind = one
        return ModalityLUTTransformation(intercept, slope, kind)
    plain = not found and all(image.frame_number is None for image in images)
    return None if plain else ModalityLUTTransformation(0.0, 1.0, "US")


def _of(image: SliceImage) -> Rescale | None:
    for place in _places(image):
        if "RescaleSlope" in place and "RescaleIntercept" in place:
            usual = "HU" if image.dataset.get("Modality") == "CT" else "US"
            kind = str(place.get("RescaleType") or usual)
            return float(place.RescaleSlope), float(place.RescaleIntercept), kind
    return None


def _places(image: SliceImage) -> Iterator[Dataset]:
    """Where an image may say how it is rescaled; that of its own frame goes first."""
    if image.frame_number is None:
        yield image.dataset
        return
    frames = image.dataset.get("PerFrameFunctionalGroupsSequence", [])
    shared = image.dataset.get("SharedFunctionalGroupsSequence", [])
    for groups in (*frames[image.frame_number - 1 : image.frame_number], *shared):
        yield from groups.get("PixelValueTransformationSequence", [])
