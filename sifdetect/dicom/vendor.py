"""A plain data set dressed in the header of one style of scanner."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from pydicom import Dataset

from sifdetect import __version__
from sifdetect.anatomy import Modality, MrWeighting, Plane
from sifdetect.dicom.vendor_private import add_private
from sifdetect.dicom.vendor_styles import CtScan, Style
from sifdetect.volume import Grid, Volume

TILTED_DEG = 3.0
PROTON_MHZ_PER_T = 42.577
"""Gyromagnetic ratio of the proton over 2 pi (CODATA)."""
SERIES_S, SLICE_S = 240, 0.25
"""Seconds from series to series, and from slice to slice."""


def dress_ct(dataset: Dataset, scan: CtScan, kernel: str) -> None:
    """Tube, rotation, kernel and windows of a helical scan (PS3.3 C.8.2.1).

    Args:
        kernel: one of the style's own, or anything else for the first of them.
    """
    exposure = scan.milliamperes * scan.rotation_s / scan.pitch
    dataset.ImageType = scan.image_type
    dataset.KVP = str(scan.kilovolts)
    dataset.XRayTubeCurrent = scan.milliamperes
    dataset.ExposureTime = round(1000 * scan.rotation_s)
    dataset.Exposure = round(exposure)
    dataset.RevolutionTime = scan.rotation_s
    dataset.SpiralPitchFactor = scan.pitch
    dataset.FilterType = scan.filter_type
    dataset.ScanOptions = "HELICAL MODE"
    dataset.RotationDirection = "CW"
    dataset.GantryDetectorTilt = "0"
    dataset.ConvolutionKernel = kernel if kernel in scan.kernels else scan.kernels[0]
    windows = [window.split("\\") for window in scan.windows]
    dataset.WindowCenter = [center for center, _ in windows]
    dataset.WindowWidth = [width for _, width in windows]
    if scan.window_names:
        dataset.WindowCenterWidthExplanation = scan.window_names


def dress_mr(dataset: Dataset, style: Style, weighting: MrWeighting) -> None:
    """Pulse sequence, timing and coil (PS3.3 C.8.3.1)."""
    scan = style.mr[weighting]
    dataset.ImageType = scan.image_type or style.image_type
    dataset.ScanningSequence = scan.sequence
    dataset.SequenceVariant = style.variant
    dataset.ScanOptions = scan.options
    dataset.RepetitionTime = f"{scan.repetition_ms:g}"
    dataset.EchoTime = f"{scan.echo_ms:g}"
    if "InversionTime" in dataset:
        del dataset.InversionTime
    if scan.inversion_ms is not None:
        dataset.InversionTime = f"{scan.inversion_ms:g}"
    dataset.EchoTrainLength = scan.train
    dataset.MagneticFieldStrength = f"{style.field_t:g}"
    dataset.ImagingFrequency = f"{style.field_t * PROTON_MHZ_PER_T:.6g}"
    dataset.ImagedNucleus = "1H"
    dataset.FlipAngle = str(style.flip_deg)
    dataset.NumberOfAverages = "2"
    dataset.EchoNumbers = "1"
    dataset.ReceiveCoilName = style.coil
    if style.name == "A":
        dataset.SequenceName = f"*{'tir' if scan.inversion_ms else 'tse'}2d1_{scan.train}"


def dress(dataset: Dataset, style: Style, volume: Volume, index: int) -> None:
    """Equipment, words, clock, slice profile and private blocks of slice ``index``.

    Comes last: the private blocks repeat public attributes.
    """
    dataset.ManufacturerModelName = f"SYNTHETIC {volume.modality.value} {style.name}"
    dataset.SoftwareVersions = f"sifdetect {__version__}"
    dataset.InstitutionName = "SYNTHETIC"
    dataset.StationName = f"SYN{volume.modality.value}{style.name}"
    words = _described(dataset, style, volume)
    dataset.SeriesDescription = dataset.SeriesDescription or words
    dataset.ProtocolName = words
    _run_clock(dataset, index)
    dataset.SliceLocation = f"{_along_mm(volume.grid, index):.6g}"
    between = float(volume.grid.spacing_mm[0])
    if volume.modality is Modality.MR:
        dataset.SliceThickness = f"{between * (1 - style.gap):.6g}"
        _window(dataset, volume, style)
    add_private(dataset, style, volume.modality)


def plane_word(grid: Grid, style: Style) -> str:
    """The style's word for the orientation of the slices, which lie along axis 0."""
    cosines = np.abs(grid.affine_lps_mm[:3, 0]) / grid.spacing_mm[0]
    nearest = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[int(cosines.argmax())]
    tilted = cosines.max() < np.cos(np.radians(TILTED_DEG))
    return style.planes[nearest] + (style.tilted if tilted else "")


def _described(dataset: Dataset, style: Style, volume: Volume) -> str:
    if volume.modality is Modality.CT:
        kernel = dataset.ConvolutionKernel
        kernel = kernel if isinstance(kernel, str) else kernel[0]
        return style.ct.description.format(
            kernel=kernel, slice=f"{float(volume.grid.spacing_mm[0]):.1f}"
        )
    scan = style.mr[volume.weighting or MrWeighting.OTHER]
    return scan.description.format(plane=plane_word(volume.grid, style))


def _run_clock(dataset: Dataset, index: int) -> None:
    """Study, series, acquisition and content one after the other, on the day of the study."""
    start = datetime.strptime(f"{dataset.StudyDate} {dataset.StudyTime}", "%Y%m%d %H%M%S")
    series = start + timedelta(seconds=60 + SERIES_S * (int(dataset.SeriesNumber) - 1))
    acquired = series + timedelta(seconds=20 + SLICE_S * index)
    stored = acquired + timedelta(seconds=5)
    for name, moment in (("Series", series), ("Acquisition", acquired), ("Content", stored)):
        setattr(dataset, f"{name}Date", moment.strftime("%Y%m%d"))
        setattr(dataset, f"{name}Time", moment.strftime("%H%M%S.%f"))


def _window(dataset: Dataset, volume: Volume, style: Style) -> None:
    """A window over the whole range of an image's stored values; 12-bit rescaled ones alike."""
    brightest = style.mr_encoding.brightest
    dataset.WindowCenter, dataset.WindowWidth = str(brightest // 3), str(2 * brightest // 3)


def _along_mm(grid: Grid, index: int) -> float:
    normal = grid.affine_lps_mm[:3, 0] / grid.spacing_mm[0]
    return float(grid.index_to_mm((index, 0, 0)) @ normal)
