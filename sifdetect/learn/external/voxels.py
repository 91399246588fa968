"""Voxels as they lie in a NIfTI file, unmended: a check must see what is wrong with them."""

from __future__ import annotations

import gzip
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sifdetect.dicom.nifti import opened
from sifdetect.errors import UnsuitableSeries
from sifdetect.volume import Floats, Grid

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ENDINGS = (".nii.gz", ".nii")
_MILLIMETRES = {"mm": 1.0, "unknown": 1.0, "meter": 1000.0, "micron": 0.001}


@dataclass(frozen=True)
class Voxels:
    """An array (i, j, k) and where it lies; the axes need not be orthogonal.

    Attributes:
        values: (i, j, k), of whatever type the source has.
        affine_ras_mm: (4, 4), array index to RAS millimetres, as NIfTI has it.
    """

    values: NDArray[Any]
    affine_ras_mm: Floats

    @property
    def grid(self) -> Grid:
        """The lattice in LPS.

        Raises:
            ValueError: the axes are degenerate or not orthogonal.
        """
        i, j, k = self.values.shape
        return Grid((i, j, k), RAS_TO_LPS @ self.affine_ras_mm)

    @property
    def sha256(self) -> str:
        """Checksum of values and place; how a file is compressed does not matter."""
        digest = hashlib.sha256(repr(self.values.shape).encode())
        digest.update(np.asarray(self.affine_ras_mm, "<f4").tobytes())
        digest.update(np.ascontiguousarray(self.values, "<f4").tobytes())
        return digest.hexdigest()


def stem(path: Path) -> str:
    """A file's name without ``.nii.gz`` or ``.nii``."""
    ending = next((one for one in ENDINGS if path.name.lower().endswith(one)), "")
    return path.name[: len(path.name) - len(ending)]


def is_nifti(path: Path) -> bool:
    """True where the name says so; what macOS leaves beside a file is none."""
    return path.name.lower().endswith(ENDINGS) and not path.name.startswith("._")


def on_grid(values: NDArray[Any], grid: Grid) -> Voxels:
    """An array of our own, slowest axis first, as other readers expect it: fastest axis first."""
    affine = (RAS_TO_LPS @ grid.affine_lps_mm)[:, [2, 1, 0, 3]]
    return Voxels(np.ascontiguousarray(values.transpose(2, 1, 0)), affine)


def read(path: Path) -> Voxels:
    """One three-dimensional image; scaled where its header says so, else of the type it has.

    Raises:
        UnreadableInput: the file is missing or damaged.
        UnsuitableSeries: it is not three-dimensional, or says nothing of where it lies.
    """
    (only,) = read_channels(path, most=1)
    return only


def read_channels(path: Path, *, most: int = 16) -> list[Voxels]:
    """The three-dimensional images that lie along the fourth axis of a file; often it is one.

    Raises:
        UnreadableInput, UnsuitableSeries: as ``read`` does; or there are more than ``most``.
    """
    image, values = _loaded(path)
    while values.ndim > 4 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 3:
        values = values[..., None]
    if values.ndim != 4 or values.shape[3] > most:
        size = " × ".join(map(str, values.shape))
        raise UnsuitableSeries(
            f"{path} has the shape {size}, not that of {'one volume' if most == 1 else 'volumes'}",
            hint="Give files with one three-dimensional image each",
        )
    header = image.header
    if int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0:
        raise UnsuitableSeries(
            f"{path} has neither sform nor qform: left and right cannot be told",
            hint="Convert it again from DICOM with its orientation",
        )
    affine = np.array(image.affine, dtype=np.float64)
    affine[:3] *= _MILLIMETRES.get(header.get_xyzt_units()[0], 1.0)
    return [Voxels(np.ascontiguousarray(values[..., n]), affine) for n in range(values.shape[3])]


def write(path: Path, voxels: Voxels) -> None:
    """A gzipped NIfTI-1 file in scanner coordinates; it appears whole, the same bytes each time."""
    make: Any = nib.nifti1.Nifti1Image  # nibabel has no types
    image = make(_storable(voxels.values), voxels.affine_ras_mm)
    for set_form in (image.set_qform, image.set_sform):
        set_form(voxels.affine_ras_mm, code="scanner")
    image.header.set_xyzt_units("mm")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_bytes(gzip.compress(image.to_bytes(), compresslevel=4, mtime=0))
    os.replace(partial, path)


def _storable(values: NDArray[Any]) -> NDArray[Any]:
    """Of a type that NIfTI has; whole numbers in as few bytes as hold them."""
    if (
        values.dtype == np.float32
        and np.isfinite(values).all()
        and (values == np.rint(values)).all()
    ):
        low, high = float(values.min()), float(values.max())
        if low >= -32768 and high <= 32767:
            return values.astype(np.int16)
    if values.dtype in (np.bool_, np.int8):
        return values.astype(np.uint8 if values.dtype == np.bool_ else np.int16)
    return values.astype(np.int32) if values.dtype == np.int64 else values


def _loaded(path: Path) -> tuple[Any, NDArray[Any]]:
    image, values = opened(path, lambda one: np.asanyarray(one.dataobj))
    scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
    return image, values.astype(np.float32) if scaled else np.asarray(values)
