"""A synthetic examination as a scanner stores it: order of the slices, style of the headers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TypeVar

import numpy as np

from sifdetect.anatomy import Modality
from sifdetect.dicom.enhanced import write_enhanced
from sifdetect.dicom.vendor_styles import STYLES
from sifdetect.dicom.write import SeriesHeader, write_series
from sifdetect.findings import StudyFindings
from sifdetect.synth.case import SyntheticCase
from sifdetect.synth.mesh_shape import MeshShape
from sifdetect.synth.shape import ShapeParams
from sifdetect.volume import Grid, Volume

POSITIONS = {
    Modality.CT: ("HFS", "HFS", "FFS"),
    Modality.MR: ("HFS", "FFS", "FFS", "HFS", "HFP"),
}
"""Patient Position (0018,5100), as often as named; prone on MR alone: CT shows the table."""

T = TypeVar("T")
_FIRST_DAY = datetime(2021, 1, 4, 7, 30)


class Storage(Enum):
    """How a series lies in files: one file a slice, or one multi-frame file."""

    CLASSIC = "classic"
    ENHANCED = "enhanced"


def write_study(
    case: SyntheticCase, folder: Path, *, storage: Storage = Storage.CLASSIC
) -> StudyFindings:
    """Write the case as one DICOM study, all its series in one frame of reference, into ``folder``.

    The seed decides which style of scanner fills the headers (``dicom/vendor_styles.py``), how the
    patient lay, and a day on which nothing happened.

    Returns:
        the truth, with the study's UID.
    """
    headers = headers_of(case)
    for volume, header in zip(case.volumes, headers, strict=True):
        write = write_enhanced if storage is Storage.ENHANCED else write_series
        write(as_scanned(volume, header.patient_position), folder, header=header)
    return replace(case.truth, study_instance_uid=headers[0].study_instance_uid)


def headers_of(case: SyntheticCase) -> list[SeriesHeader]:
    """What each series of the case says of itself, drawn from a stream that no image uses."""
    name = f"synthetic-{case.params.seed}"
    rng = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    day = _FIRST_DAY + timedelta(days=int(rng.integers(1500)), minutes=int(rng.integers(600)))
    styles = {modality: _picked(rng, tuple(STYLES.values())) for modality in Modality}
    positions = {modality: _picked(rng, POSITIONS[modality]) for modality in Modality}
    common = SeriesHeader(
        seed=name,
        patient_name=f"SYNTHETIC^{case.params.seed}",
        patient_id=name.upper(),
        patient_sex=_sex(case.params.shape),
        date=day.strftime("%Y%m%d"),
        time=day.strftime("%H%M%S"),
    )
    return [
        replace(
            common,
            series_number=number,
            style=styles[volume.modality],
            patient_position=positions[volume.modality],
            kernel=_picked(rng, styles[volume.modality].ct.kernels),
        )
        for number, volume in enumerate(case.volumes, start=1)
    ]


def _sex(shape: ShapeParams | MeshShape) -> str:
    """Patient's Sex (0010,0040) of procedural bones; empty for real ones, whose is not kept."""
    if isinstance(shape, MeshShape):
        return ""
    return "F" if shape.female else "M"


def as_scanned(volume: Volume, patient_position: str = "HFS") -> Volume:
    """The volume stored as a scanner stores it: slice, row, column.

    Slices run along the coarsest axis of a grid right→left, posterior→anterior, caudal→cranial;
    rows go from anterior to posterior, or else from cranial to caudal; columns from right to left.
    Feet first, axial slices run from cranial to caudal; prone, they are turned by half a circle.
    """
    slices = max((2, 1, 0), key=lambda axis: volume.grid.spacing_mm[axis])
    rows, columns = {0: (2, 1), 1: (2, 0), 2: (1, 0)}[slices]
    turned = [False, True, False]
    if slices == 2:
        prone = patient_position.endswith("P")
        turned = [patient_position.startswith("FF"), not prone, prone]
    order = [slices, rows, columns]
    affine = volume.grid.affine_lps_mm[:, [*order, 3]].copy()
    values = volume.values.transpose(order)
    for axis in np.flatnonzero(turned):
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:3, axis] *= -1
        values = np.flip(values, int(axis))
    i, j, k = values.shape
    grid = Grid((i, j, k), affine, volume.grid.frame_of_reference_uid)
    return replace(volume, values=np.ascontiguousarray(values), grid=grid)


def _picked(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]
