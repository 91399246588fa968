"""NIfTI in and out: volumes that say nothing of themselves, and label maps in a series' own grid.

NIfTI is RAS+ (x to the patient's right is negative), DICOM is LPS+: x and y change sign, in one
place, here.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, MrWeighting, group_of
from sifdetect.dicom.series import plane_of
from sifdetect.errors import UnreadableInput, UnsuitableSeries, UsageError
from sifdetect.findings import SourceSeries
from sifdetect.study import Series, SeriesLabels, Study
from sifdetect.volume import Floats, Grid, LabelMap, Volume

MIN_SLICES = 5
LOWEST_HU = -1024.0
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

_MILLIMETRES = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}
_ENDINGS = (".nii.gz", ".nii")


def read_nifti(
    paths: Sequence[Path], *, modality: Modality | None, weighting: MrWeighting | None = None
) -> Study:
    """One study whose series are NIfTI files, in the order given; nothing is guessed.

    The array axes stay as they lie in the file, so that labels can be laid over it voxel by voxel.
    ``study_instance_uid`` is the first file's name without its ending, ``series_instance_uid`` each
    file's name.

    Args:
        paths: files ``.nii`` or ``.nii.gz``.
        modality: of all files; CT in HU.
        weighting: of all files, for MR; without it MrWeighting.OTHER.

    Raises:
        UsageError: the modality is not given, CT has a weighting, or there are no files.
        UnreadableInput: a file is missing or damaged.
        UnsuitableSeries: not three-dimensional, no orientation, sheared, too few slices.
    """
    if modality is None:
        raise UsageError("a NIfTI file does not say its modality", hint="Add --modality ct or mr")
    if modality is Modality.CT and weighting is not None:
        raise UsageError("CT has no MR weighting", hint="Leave --weighting out")
    if not paths:
        raise UsageError("no NIfTI file was given")
    if modality is Modality.MR and weighting is None:
        weighting = MrWeighting.OTHER
    series = tuple(_read_one(path, modality, weighting) for path in paths)
    return Study(_stem(paths[0]), series)


def read_label_map(path: Path) -> LabelMap:
    """A label map that ``write_labels`` wrote, in LPS mm.

    Raises:
        UnreadableInput: the file is missing or damaged.
        UnsuitableSeries: it holds no labels, or no orientation.
    """
    image, values = opened(path, lambda one: np.asarray(one.dataobj))
    if values.ndim != 3 or values.min() < 0 or values.max() > 255:
        raise UnsuitableSeries(f"{path} holds no labels", hint="Analyse that study again")
    return LabelMap(values.astype(np.uint8), _grid(path, image, values.shape))


def write_labels(folder: Path, labels: Sequence[SeriesLabels]) -> list[Path]:
    """Write ``labels.json`` and ``series-<n>/{anatomy,lesions}.nii.gz``, n from 1.

    Each map has the grid of its series: for a NIfTI source the same array, for DICOM the order
    column, row, slice with slices along the cross product of row and column direction.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = folder / "labels.json"
    _replace(names, (json.dumps(label_names(), indent=2) + "\n").encode())
    paths = [names]
    for number, one in enumerate(labels, start=1):
        home = folder / f"series-{number}"
        home.mkdir(exist_ok=True)
        for name, label_map in (("anatomy", one.anatomy), ("lesions", one.lesions)):
            path = home / f"{name}.nii.gz"
            _replace(path, _encoded(label_map, one.source))
            paths.append(path)
    return paths


def label_names() -> dict[str, dict[str, Any]]:
    """What the values of the maps mean: the content of ``labels.json``."""
    anatomy = {
        str(label.value): {"name": label.name.lower(), "group": group_of(label)}
        for label in AnatomyLabel
        if label is not AnatomyLabel.BACKGROUND
    }
    return {
        "anatomy": anatomy,
        "lesions": {str(bit.value): str(bit.name).lower() for bit in LesionBit},
    }


def _stem(path: Path) -> str:
    ending = next((one for one in _ENDINGS if path.name.lower().endswith(one)), "")
    return path.name[: len(path.name) - len(ending)] or path.name


def _read_one(path: Path, modality: Modality, weighting: MrWeighting | None) -> Series:
    image, values = _loaded(path)
    grid = _grid(path, image, values.shape)
    outside = LOWEST_HU if modality is Modality.CT else 0.0
    np.nan_to_num(values, copy=False, nan=outside, posinf=outside, neginf=outside)
    if modality is Modality.CT:
        np.maximum(values, LOWEST_HU, out=values)
    axis = _slice_axis(grid)
    source = SourceSeries(
        series_instance_uid=path.name,
        modality=modality,
        weighting=weighting,
        plane=plane_of(grid.affine_lps_mm[:3, axis] / grid.spacing_mm[axis]),
        used=True,
        reason="modality and weighting as given",
        description=path.name,
    )
    return Series(Volume(values, grid, modality, weighting), source)


def opened(path: Path, read: Callable[[Any], NDArray[Any]]) -> tuple[Any, NDArray[Any]]:
    """The image of a NIfTI file (nibabel's), and the values that ``read`` takes of it.

    Raises:
        UnreadableInput: there is no such file, or it is damaged.
        UnsuitableSeries: it holds colours.
    """
    if not path.is_file():
        raise UnreadableInput(f"{path} does not exist", hint="Check the path")
    try:
        load: Any = nib.nifti1.load  # nibabel has no types
        image = load(path)
        if image.get_data_dtype().fields is not None:
            raise UnsuitableSeries(f"{path} holds colours, not intensities")
        return image, read(image)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise UnreadableInput(
            f"{path} is not a readable NIfTI file ({reason})", hint="Export it again"
        ) from error


def _loaded(path: Path) -> tuple[Any, NDArray[np.float32]]:
    """The image and its scaled values, float32, three-dimensional."""
    image, values = opened(path, lambda one: one.get_fdata(dtype=np.float32, caching="unchanged"))
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise UnsuitableSeries(
            f"{path} has the shape {' × '.join(map(str, values.shape))}, not one volume",
            hint="Give a file with one three-dimensional image",
        )
    if min(values.shape) < MIN_SLICES:
        raise UnsuitableSeries(f"{path} has {min(values.shape)} slices, fewer than {MIN_SLICES}")
    return image, np.array(values, dtype=np.float32)


def _grid(path: Path, image: Any, shape: tuple[int, ...]) -> Grid:
    header = image.header
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise UnsuitableSeries(
            f"{path} has neither sform nor qform: left and right cannot be told",
            hint="Convert it again from DICOM with its orientation",
        )
    scale = _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    affine: Floats = RAS_TO_LPS @ np.asarray(image.affine, dtype=np.float64)
    affine[:3] *= scale
    try:
        return Grid((shape[0], shape[1], shape[2]), affine)
    except ValueError as error:
        raise UnsuitableSeries(f"{path} cannot be used: {error}") from error


def _slice_axis(grid: Grid) -> int:
    """The axis with the widest steps; the last one, as NIfTI has it, where all are alike."""
    spacing = grid.spacing_mm
    return int(spacing.argmax()) if spacing.max() > 1.1 * np.median(spacing) else 2


def _encoded(label_map: LabelMap, source: SourceSeries) -> bytes:
    """A gzipped NIfTI-1 file with scanner coordinates (sform and qform code 1)."""
    values, affine = label_map.values, label_map.grid.affine_lps_mm
    if not source.series_instance_uid.lower().endswith(_ENDINGS):
        values, affine = _columns_first(values, affine)
    make: Any = nib.nifti1.Nifti1Image  # nibabel has no types
    image = make(values, RAS_TO_LPS @ affine)
    for set_form in (image.set_sform, image.set_qform):
        set_form(RAS_TO_LPS @ affine, code="scanner")
    image.header.set_xyzt_units("mm")
    # No time stamp: the same labels give the same bytes.
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def _columns_first(values: NDArray[np.uint8], affine: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Slice, row, column to column, row, slice; right-handed in LPS, as other readers have it."""
    values, affine = values.transpose(2, 1, 0), affine[:, [2, 1, 0, 3]]
    if np.linalg.det(affine[:3, :3]) < 0:
        flip = np.diag([1.0, 1.0, -1.0, 1.0])
        flip[2, 3] = values.shape[2] - 1
        values, affine = values[:, :, ::-1], affine @ flip
    return np.ascontiguousarray(values), affine


def _replace(path: Path, content: bytes) -> None:
    """The file appears whole or not at all."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(content)
    os.replace(partial, path)
