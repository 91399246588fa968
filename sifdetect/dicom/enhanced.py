"""A volume as one Enhanced CT or Enhanced MR multi-frame image (PS3.3 A.38, A.36)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import Dataset, FileMetaDataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage, ExplicitVRLittleEndian

from sifdetect.anatomy import Modality
from sifdetect.dicom.enhanced_ct import ct_groups
from sifdetect.dicom.enhanced_mr import mr_groups, pulse_sequence
from sifdetect.dicom.items import frame_type, item
from sifdetect.dicom.uids import result_uid
from sifdetect.dicom.write import SeriesHeader, save, series_datasets
from sifdetect.volume import Volume

_KEPT = (
    *("SpecificCharacterSet", "StudyDate", "SeriesDate", "ContentDate", "StudyTime", "SeriesTime"),
    *("ContentTime", "AccessionNumber", "Modality", "Manufacturer", "InstitutionName"),
    *("ReferringPhysicianName", "StationName", "StudyDescription", "SeriesDescription"),
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "BodyPartExamined"),
    *("ProtocolName", "PatientPosition", "StudyInstanceUID", "SeriesInstanceUID", "StudyID"),
    *("SeriesNumber", "AcquisitionNumber", "FrameOfReferenceUID", "PositionReferenceIndicator"),
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated"),
    *("BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue"),
    *("MagneticFieldStrength", "SOPInstanceUID"),
)
"""What a multi-frame says as each classic image says it."""


def write_enhanced(volume: Volume, folder: Path, *, header: SeriesHeader) -> Path:
    """Write the volume as one multi-frame file; values, order and words as ``write_series``.

    The private blocks of the header's style are those of its classic images and are left out.
    """
    dataset = enhanced_dataset(volume, header)
    return save(dataset, folder / f"{header.series_number:03d}.dcm")


def enhanced_dataset(volume: Volume, header: SeriesHeader) -> Dataset:
    """The data set that ``write_enhanced`` writes; its frames lie in order of axis 0."""
    slices = series_datasets(volume, header)
    first, mr = slices[0], volume.modality is Modality.MR
    result = Dataset()
    for keyword in _KEPT:
        if keyword in first:
            result[keyword] = first[keyword]
    result.SOPClassUID = EnhancedMRImageStorage if mr else EnhancedCTImageStorage
    _describe(result, first)
    if mr:
        pulse_sequence(result, first, volume)
    result.SharedFunctionalGroupsSequence = [_shared(first, volume)]
    result.NumberOfFrames = len(slices)
    result.PerFrameFunctionalGroupsSequence = [_own(one, n) for n, one in enumerate(slices, 1)]
    _dimensions(result, header)
    result.PixelData = b"".join(one.PixelData for one in slices)
    result["PixelData"].VR = "OW"
    result.file_meta = FileMetaDataset()
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return result


def _describe(result: Dataset, first: Dataset) -> None:
    """Modules that classic images lack: equipment in full, frame type, context."""
    result.ManufacturerModelName = first.get("ManufacturerModelName", "SYNTHETIC")
    result.SoftwareVersions = first.get("SoftwareVersions", "sifdetect")
    result.DeviceSerialNumber = "SYNTHETIC"
    result.ImageType = frame_type(first)
    result.InstanceNumber = 1
    result.AcquisitionDateTime = f"{first.AcquisitionDate}{first.AcquisitionTime}"
    result.AcquisitionDuration = 1000.0
    result.PixelPresentation = "MONOCHROME"
    result.VolumetricProperties = "VOLUME"
    result.VolumeBasedCalculationTechnique = "NONE"
    result.ContentQualification = "RESEARCH"
    result.BurnedInAnnotation = "NO"
    result.LossyImageCompression = "00"
    result.PresentationLUTShape = "IDENTITY"
    result.AcquisitionContextSequence = []


def _shared(first: Dataset, volume: Volume) -> Dataset:
    groups = item(
        PixelMeasuresSequence=[
            item(
                PixelSpacing=first.PixelSpacing,
                SliceThickness=first.SliceThickness,
                SpacingBetweenSlices=first.get("SpacingBetweenSlices"),
            )
        ],
        PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
        FrameAnatomySequence=[
            item(
                FrameLaterality="U",
                AnatomicRegionSequence=[
                    item(CodeValue="12921003", CodingSchemeDesignator="SCT", CodeMeaning="Pelvis")
                ],
            )
        ],
        FrameVOILUTSequence=[_window(first)],
    )
    mr = volume.modality is Modality.MR
    groups.update(mr_groups(first, volume) if mr else ct_groups(first))
    return groups


def _window(first: Dataset) -> Dataset:
    return item(
        WindowCenter=first.get("WindowCenter", "2048"),
        WindowWidth=first.get("WindowWidth", "4096"),
    )


def _own(one: Dataset, number: int) -> Dataset:
    moment = f"{one.AcquisitionDate}{one.AcquisitionTime}"
    return item(
        FrameContentSequence=[
            item(
                FrameAcquisitionNumber=1,
                FrameReferenceDateTime=moment,
                FrameAcquisitionDateTime=moment,
                FrameAcquisitionDuration=1000.0,
                StackID="1",
                InStackPositionNumber=number,
                DimensionIndexValues=[1, number],
            )
        ],
        PlanePositionSequence=[item(ImagePositionPatient=one.ImagePositionPatient)],
        PixelValueTransformationSequence=[
            item(
                RescaleIntercept=one.get("RescaleIntercept", "0"),
                RescaleSlope=one.get("RescaleSlope", "1"),
                RescaleType="HU" if one.Modality == "CT" else "US",
            )
        ],
    )


def _dimensions(result: Dataset, header: SeriesHeader) -> None:
    """Frames are ordered by stack, then by position in it (PS3.3 C.7.6.17)."""
    uid = result_uid("image dimensions", header.study_seed or header.seed, header.seed)
    content = tag_for_keyword("FrameContentSequence")
    pointers: Sequence[str] = ("StackID", "InStackPositionNumber")
    result.DimensionOrganizationSequence = [item(DimensionOrganizationUID=uid)]
    result.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=uid,
            DimensionIndexPointer=tag_for_keyword(pointer),
            FunctionalGroupPointer=content,
        )
        for pointer in pointers
    ]
