"""A volume as a classic CT or MR image series, one file a slice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.stored import Stored, stored
from sifdetect.dicom.uids import result_uid
from sifdetect.dicom.vendor import dress, dress_ct, dress_mr
from sifdetect.dicom.vendor_styles import Encoding, Style
from sifdetect.volume import Floats, Grid, Volume

MR_MAXIMUM = 4095
"""The brightest stored value of an MR series: 12 bits, as scanners store it."""

PLAIN = {
    Modality.CT: Encoding(bits=16, signed=True),
    Modality.MR: Encoding(bits=12, brightest=MR_MAXIMUM),
}
"""Stored values of a series without a style."""


@dataclass(frozen=True, kw_only=True)
class SeriesHeader:
    """What a series says of its patient, study and acquisition; defaults make a synthetic case.

    Attributes:
        seed: all UIDs depend on it and on nothing else but the attributes below: the same call
            writes the same series, in the study ``study_seed`` (or ``seed``).
        study_seed: shared by the series of one study; empty for a study of its own.
        date, time: of study, series and content (DA and TM).
        kernel: Convolution Kernel of CT; one of the style's own where there is a style.
        patient_position: Patient Position (0018,5100).
        style: how a kind of scanner fills its headers; None for no more than is needed.
        frame_of_reference_uid: that of the volume's grid goes before it; empty for that of the
            study, in which all series then lie.
    """

    seed: str
    study_seed: str = ""
    patient_name: str = "SYNTHETIC^CASE"
    patient_id: str = "SYNTHETIC"
    patient_birth_date: str = ""
    patient_sex: str = ""
    character_set: str = "ISO_IR 192"
    date: str = "20260101"
    time: str = "120000"
    accession_number: str = ""
    study_id: str = "1"
    study_description: str = "SYNTHETIC, not a patient"
    series_description: str = ""
    series_number: int = 1
    body_part: str = "PELVIS"
    manufacturer: str = "sifdetect"
    kernel: str = "SYNTHETIC"
    patient_position: str = "HFS"
    style: Style | None = None
    frame_of_reference_uid: str = ""

    @property
    def study_instance_uid(self) -> str:
        """The study's UID, the same for all series with the same study seed."""
        return result_uid("image study", self.study_seed or self.seed)

    @property
    def series_instance_uid(self) -> str:
        """The series' UID."""
        parts = (self.study_seed or self.seed, self.seed, str(self.series_number))
        return result_uid("image series", *parts)


@dataclass(frozen=True)
class Timing:
    """Sequence attributes that make a series read as its weighting; milliseconds."""

    scanning_sequence: tuple[str, ...]
    scan_options: str
    repetition_ms: float
    echo_ms: float
    inversion_ms: float | None = None


TIMINGS = {
    MrWeighting.STIR: Timing(("SE", "IR"), "", 4000, 50, 160),
    MrWeighting.T2_FATSAT: Timing(("SE",), "FS", 4000, 80),
    MrWeighting.DIXON_WATER: Timing(("SE",), "", 4000, 80),
    MrWeighting.T2: Timing(("SE",), "", 4000, 100),
    MrWeighting.T1: Timing(("SE",), "", 550, 12),
    MrWeighting.OTHER: Timing(("SE",), "", 2500, 30),
}
"""Ordinary turbo spin echo protocols at 1.5 T."""


def write_series(volume: Volume, folder: Path, *, header: SeriesHeader) -> list[Path]:
    """Write the volume as CT Image or MR Image Storage, one file a slice, in order of axis 0.

    HU are rounded to whole numbers. MR intensities, which have no unit, are scaled so that the
    brightest becomes ``MR_MAXIMUM`` (or what the style has); negative ones become 0. Each file
    appears whole or not at all.

    Args:
        volume: axis 0 slice, axis 1 row, axis 2 column; either handedness.
        folder: is made where it is absent; files of the same name are replaced.
    """
    datasets = series_datasets(volume, header)
    names = [f"{header.series_number:03d}-{n:04d}.dcm" for n in range(1, len(datasets) + 1)]
    return [save(one, folder / name) for one, name in zip(datasets, names, strict=True)]


def save(dataset: Dataset, path: Path) -> Path:
    """Write a data set as a file that appears whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    dataset.save_as(partial, enforce_file_format=True)
    os.replace(partial, path)
    return path


def series_datasets(volume: Volume, header: SeriesHeader) -> list[Dataset]:
    """The data sets that ``write_series`` writes, in order of axis 0."""
    values = stored(volume, encoding_of(volume.modality, header))
    orientation = _orientation(volume.grid)
    datasets = []
    for index in range(len(values.pixels)):
        dataset = _common(header, volume.grid)
        (_ct if volume.modality is Modality.CT else _mr)(dataset, volume, header)
        _place(dataset, volume.grid, orientation, index)
        _pixels(dataset, values, index)
        _identify(dataset, header, index)
        if header.style is not None:
            dress(dataset, header.style, volume, index)
        datasets.append(dataset)
    return datasets


def encoding_of(modality: Modality, header: SeriesHeader) -> Encoding:
    """How the series' intensities are stored."""
    if header.style is None:
        return PLAIN[modality]
    return header.style.ct_encoding if modality is Modality.CT else header.style.mr_encoding


def _orientation(grid: Grid) -> Floats:
    """(6,) Image Orientation (Patient): along a row (axis 2), along a column (axis 1)."""
    row = grid.affine_lps_mm[:3, 2] / grid.spacing_mm[2]
    column = grid.affine_lps_mm[:3, 1] / grid.spacing_mm[1]
    column = column - (column @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])


def _common(header: SeriesHeader, grid: Grid) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = header.character_set
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, header.date)
    for keyword in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(dataset, keyword, header.time)
    dataset.AccessionNumber = header.accession_number
    dataset.Manufacturer = header.style.manufacturer if header.style else header.manufacturer
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = header.study_description
    dataset.SeriesDescription = header.series_description
    dataset.PatientName = header.patient_name
    dataset.PatientID = header.patient_id
    dataset.PatientBirthDate = header.patient_birth_date
    dataset.PatientSex = header.patient_sex
    dataset.BodyPartExamined = header.body_part
    dataset.PatientPosition = header.patient_position
    dataset.StudyInstanceUID = header.study_instance_uid
    dataset.SeriesInstanceUID = header.series_instance_uid
    dataset.StudyID = header.study_id
    dataset.SeriesNumber = header.series_number
    dataset.AcquisitionNumber = 1
    shared = result_uid("image frame of reference", header.study_seed or header.seed)
    dataset.FrameOfReferenceUID = (
        grid.frame_of_reference_uid or header.frame_of_reference_uid or shared
    )
    dataset.PositionReferenceIndicator = ""
    return dataset


def _ct(dataset: Dataset, volume: Volume, header: SeriesHeader) -> None:
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.KVP = "120"
    dataset.ConvolutionKernel = header.kernel
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = "300", "1500"
    if header.style is not None:
        dress_ct(dataset, header.style.ct, header.kernel)


def _mr(dataset: Dataset, volume: Volume, header: SeriesHeader) -> None:
    weighting = volume.weighting or MrWeighting.OTHER
    timing = TIMINGS[weighting]
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    water = ["WATER"] if weighting is MrWeighting.DIXON_WATER else []
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER", *water]
    dataset.ScanningSequence = list(timing.scanning_sequence)
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = timing.scan_options
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = f"{timing.repetition_ms:g}"
    dataset.EchoTime = f"{timing.echo_ms:g}"
    if timing.inversion_ms is not None:
        dataset.InversionTime = f"{timing.inversion_ms:g}"
    dataset.EchoTrainLength = 1 if weighting is MrWeighting.T1 else 12
    dataset.MagneticFieldStrength = "1.5"
    if header.style is not None:
        dress_mr(dataset, header.style, weighting)


def _place(dataset: Dataset, grid: Grid, orientation: Floats, index: int) -> None:
    between, rows, columns = grid.spacing_mm
    dataset.PixelSpacing = _decimals((rows, columns))
    dataset.SliceThickness = _decimals([between])[0]
    if dataset.Modality == "MR":
        dataset.SpacingBetweenSlices = _decimals([between])[0]
    dataset.ImageOrientationPatient = _decimals(orientation)
    dataset.ImagePositionPatient = _decimals(grid.index_to_mm((index, 0, 0)))


def _decimals(numbers: Sequence[float] | Floats) -> list[str]:
    """Decimal Strings: at most 16 characters (PS3.5 6.2), here to 1e-8 or better."""
    return [f"{round(float(number), 8) + 0.0:.10g}" for number in numbers]


def _pixels(dataset: Dataset, values: Stored, index: int) -> None:
    encoding, pixels = values.encoding, values.pixels[index]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = 16
    dataset.BitsStored = encoding.bits
    dataset.HighBit = encoding.bits - 1
    dataset.PixelRepresentation = int(encoding.signed)
    if values.slopes is not None:
        dataset.RescaleIntercept = str(encoding.intercept)
        dataset.RescaleSlope = values.slopes[index]
    if encoding.padding is not None:
        dataset.PixelPaddingValue = encoding.padding
    dataset.PixelData = np.ascontiguousarray(pixels).astype(f"<{pixels.dtype.str[1:]}").tobytes()
    dataset["PixelData"].VR = "OW"


def _identify(dataset: Dataset, header: SeriesHeader, index: int) -> None:
    parts = (header.study_seed or header.seed, header.seed, str(header.series_number), str(index))
    dataset.SOPInstanceUID = UID(result_uid("image instance", *parts))
    dataset.InstanceNumber = index + 1
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
