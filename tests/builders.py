"""Small DICOM series and studies for tests: anisotropic voxels unless told otherwise."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.dicom.read import DicomStudy, read_studies
from sifdetect.dicom.write import SeriesHeader, series_datasets
from sifdetect.volume import FloatImage, Grid, Volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
NEGATIVE = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
OBLIQUE_CORONAL = (1.0, 0.0, 0.0, 0.0, float(np.sin(0.4)), -float(np.cos(0.4)))
"""A coronal stack tilted along the sacrum, as it is planned in practice."""


def grid(
    *,
    shape: tuple[int, int, int] = (8, 34, 42),
    spacing_mm: tuple[float, float, float] = (3.0, 0.9, 0.7),
    orientation: Sequence[float] = AXIAL,
    origin_lps_mm: Sequence[float] = (-11.0, 7.0, -205.0),
    frame_of_reference_uid: str | None = None,
) -> Grid:
    """A grid in the order slice, row, column; spacing in the same order."""
    row, column = np.array(orientation, dtype=np.float64).reshape(2, 3)
    axes = np.stack([np.cross(column, row), column, row], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing_mm)
    affine[:3, 3] = origin_lps_mm
    return Grid(shape, affine, frame_of_reference_uid)


def ramp(where: Grid, *, scale: float = 10.0) -> FloatImage:
    """Whole-number intensities that differ from voxel to voxel along every axis."""
    slices, rows, columns = np.indices(where.shape)
    values = scale * slices + 3 * rows + 2 * columns + (rows * columns) % 7
    return np.asarray(values, dtype=np.float32)


def volume(
    *,
    where: Grid | None = None,
    modality: Modality = Modality.CT,
    weighting: MrWeighting | None = None,
    values: NDArray[Any] | None = None,
) -> Volume:
    """A volume that holds a ramp unless values are given; CT starts at -500 HU."""
    lattice = where or grid()
    low = -500.0 if modality is Modality.CT else 0.0
    filled = ramp(lattice) + np.float32(low) if values is None else values.astype(np.float32)
    return Volume(filled, lattice, modality, weighting)


def header(**changes: Any) -> SeriesHeader:
    """A synthetic header; keyword arguments replace its fields."""
    return SeriesHeader(**{"seed": "test", **changes})


@dataclass(frozen=True, kw_only=True)
class Built:
    """How a series is to be.

    Attributes:
        shape, spacing_mm: in the order slice, row, column.
        values: (slices, rows, columns); a ramp by default.
        about: patient, study and series attributes.
        attributes: keyword → value, set on every data set; None deletes it.
        syntax: also compressed ones; JPEG Lossless needs dcmtk's dcmcjpeg.
        enhanced: one multi-frame file, its frames stored in reverse order.
    """

    modality: Modality = Modality.CT
    weighting: MrWeighting | None = None
    shape: tuple[int, int, int] = (8, 34, 42)
    spacing_mm: tuple[float, float, float] = (3.0, 0.9, 0.7)
    orientation: Sequence[float] = AXIAL
    origin_lps_mm: Sequence[float] = (-11.0, 7.0, -205.0)
    values: NDArray[Any] | None = None
    about: SeriesHeader = field(default_factory=header)
    attributes: dict[str, Any] = field(default_factory=dict)
    syntax: UID = ExplicitVRLittleEndian
    enhanced: bool = False

    @property
    def volume(self) -> Volume:
        """What is written, in the order in which it is written."""
        where = grid(
            shape=self.shape,
            spacing_mm=self.spacing_mm,
            orientation=self.orientation,
            origin_lps_mm=self.origin_lps_mm,
        )
        return volume(
            where=where, modality=self.modality, weighting=self.weighting, values=self.values
        )


def ct_series(folder: Path, **changes: Any) -> Path:
    """A CT series below ``folder``, which is returned; the keywords are the fields of ``Built``."""
    return series(folder, Built(modality=Modality.CT, **changes))


def mr_series(folder: Path, **changes: Any) -> Path:
    """An MR series, STIR unless told otherwise, below ``folder``, which is returned."""
    return series(folder, Built(modality=Modality.MR, **{"weighting": MrWeighting.STIR, **changes}))


def series(folder: Path, built: Built) -> Path:
    """Write a series below ``folder``, under names that say nothing of the order of its slices."""
    datasets = slices(built)
    save([multiframe(datasets)] if built.enhanced else datasets, folder, syntax=built.syntax)
    return folder


def slices(built: Built) -> list[Dataset]:
    """The classic data sets of a series, in order of axis 0, to be changed and then saved."""
    return [change(one, built.attributes) for one in series_datasets(built.volume, built.about)]


def change(dataset: Dataset, attributes: dict[str, Any]) -> Dataset:
    """Set attributes by keyword, delete those that are None; the data set is returned."""
    for keyword, value in attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def save(
    datasets: Sequence[Dataset], folder: Path, *, syntax: UID = ExplicitVRLittleEndian
) -> list[Path]:
    """Write data sets under shuffled names, compressed as asked."""
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(5).permutation(len(datasets))
    paths = []
    for name, dataset in zip(names, datasets, strict=True):
        path = folder / f"{dataset.Modality}{dataset.SeriesNumber}-{name:03d}.dcm"
        if syntax == ImplicitVRLittleEndian:
            dataset.file_meta.TransferSyntaxUID = syntax
        elif syntax not in (ExplicitVRLittleEndian, JPEGLosslessSV1):
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path, enforce_file_format=True)
        if syntax == JPEGLosslessSV1:
            subprocess.run(["dcmcjpeg", "+e1", str(path), str(path)], check=True)
        paths.append(path)
    return paths


def read_one(folder: Path) -> DicomStudy:
    """The only study below ``folder``."""
    (study,) = read_studies([folder])
    return study


def multiframe(datasets: Sequence[Dataset]) -> Dataset:
    """Classic slices as one Enhanced image: last slice first, as an encoder may store them."""
    slices = list(datasets)[::-1]
    first = slices[0]
    mr = first.Modality == "MR"
    result = Dataset()
    for element in first:
        if element.tag.group in (0x0008, 0x0010, 0x0020, 0x0028):
            result.add(element)
    result.SOPClassUID = EnhancedMRImageStorage if mr else EnhancedCTImageStorage
    for keyword in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        if keyword in result:
            delattr(result, keyword)
    for keyword in ("RescaleIntercept", "RescaleSlope", "RescaleType", "AcquisitionNumber"):
        if keyword in result:
            delattr(result, keyword)
    result.NumberOfFrames = len(slices)
    result.SharedFunctionalGroupsSequence = [_shared_groups(first)]
    result.PerFrameFunctionalGroupsSequence = [
        _frame_groups(one, place) for place, one in enumerate(slices, start=1)
    ]
    result.PixelData = b"".join(one.PixelData for one in slices)
    result["PixelData"].VR = "OW"
    result.file_meta = FileMetaDataset()
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return result


def item(**attributes: Any) -> Dataset:
    """A sequence item."""
    return change(Dataset(), attributes)


def _shared_groups(first: Dataset) -> Dataset:
    groups = item(
        PixelMeasuresSequence=[
            item(PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness)
        ],
        PlaneOrientationSequence=[item(ImageOrientationPatient=first.ImageOrientationPatient)],
    )
    frame_type = item(FrameType=[*first.ImageType[:2], "VOLUME", "NONE"])
    if first.Modality == "CT":
        groups.CTImageFrameTypeSequence = [frame_type]
        groups.CTReconstructionSequence = [item(ConvolutionKernel=first.get("ConvolutionKernel"))]
        groups.PixelValueTransformationSequence = [
            item(RescaleSlope=first.RescaleSlope, RescaleIntercept=first.RescaleIntercept)
        ]
        return groups
    fat = "FAT" if "FS" in str(first.get("ScanOptions", "")) else "NONE"
    inverted = "InversionTime" in first
    groups.MRImageFrameTypeSequence = [frame_type]
    groups.MRTimingAndRelatedParametersSequence = [item(RepetitionTime=first.RepetitionTime)]
    groups.MREchoSequence = [item(EffectiveEchoTime=float(first.EchoTime))]
    groups.MRModifierSequence = [
        item(
            InversionRecovery="YES" if inverted else "NO",
            InversionTimes=[float(first.InversionTime)] if inverted else None,
            SpectrallySelectedSuppression=fat,
        )
    ]
    return groups


def _frame_groups(one: Dataset, place: int) -> Dataset:
    return item(
        FrameContentSequence=[
            item(StackID="1", InStackPositionNumber=place, FrameAcquisitionNumber=1)
        ],
        PlanePositionSequence=[item(ImagePositionPatient=one.ImagePositionPatient)],
    )
