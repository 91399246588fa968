"""Synthetic examinations as files: DICOM studies or NIfTI images, each with its truth."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel, Modality
from sifdetect.dicom.enhanced import write_enhanced
from sifdetect.dicom.vendor_styles import STYLES
from sifdetect.dicom.write import SeriesHeader, write_series
from sifdetect.errors import UsageError
from sifdetect.findings import StudyFindings, to_json
from sifdetect.learn import anatomy_source
from sifdetect.learn.dataset import Pool, render_localizer, render_region
from sifdetect.synth.case import Protocol, SyntheticCase, make_case
from sifdetect.volume import Grid, Volume

PROFILES = {
    "ct-mr": Protocol(),
    "ct": Protocol(weightings=()),
    "mr": Protocol(with_ct=False),
}
"""Which series the examinations have, by name; the first one is made unless told otherwise."""


class Storage(Enum):
    """How a series lies in files: one file a slice, or one multi-frame file."""

    CLASSIC = "classic"
    ENHANCED = "enhanced"


FORMATS = ("dicom", "nifti")
POOLS = {"region": render_region, "localizer": render_localizer}
"""Samples for training, by the task of the network: all sequences on its grid, with the labels."""

POSITIONS = {
    Modality.CT: ("HFS", "HFS", "FFS"),
    Modality.MR: ("HFS", "FFS", "FFS", "HFS", "HFP"),
}
"""Patient Position (0018,5100), as often as named; prone on MR alone: CT shows the table."""

T = TypeVar("T")
_FIRST_DAY = datetime(2021, 1, 4, 7, 30)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_cases(
    out: Path,
    *,
    count: int,
    seed: int,
    profile: str | None = None,
    formats: Collection[str] = ("dicom",),
) -> list[Path]:
    """Write the examinations of the seeds ``seed`` … ``seed + count - 1`` to ``out/case-<seed>``.

    Each folder holds ``truth.json`` (a findings document), ``dicom/`` with one study, or ``nifti/``
    with images and labels. A folder appears whole or not at all; one that is there is replaced.

    Raises:
        UsageError: a profile or format has no meaning, or the count is not positive.
    """
    chosen = profile or next(iter(PROFILES))
    if chosen not in PROFILES:
        raise UsageError(f"There is no profile {chosen!r}", hint=f"Use {', '.join(PROFILES)}")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UsageError(f"There is no format {', '.join(unknown)!r}", hint="Use dicom or nifti")
    if count < 1:
        raise UsageError(f"{count} cases cannot be written", hint="Ask for one or more")
    folders = []
    for number in range(seed, seed + count):
        folder = out / f"case-{number:06d}"
        _write_case(make_case(number, protocol=PROFILES[chosen]), folder, formats)
        folders.append(folder)
    return folders


def write_pools(
    out: Path, *, count: int, seed: int, tasks: Collection[str], anatomy: Path | None = None
) -> list[Path]:
    """Write training samples of the seeds ``seed`` … ``seed + count - 1`` to ``out/<task>``.

    A sample that is there already stays; several processes may fill one pool. With ``anatomy``, a
    folder that ``anatomy_source.load`` reads, the bones are variations of those found there.

    Raises:
        UsageError: the count is not positive. UnreadableInput: the folder holds no known bones.
    """
    if count < 1:
        raise UsageError(f"{count} samples cannot be written", hint="Ask for one or more")
    sources = [] if anatomy is None else anatomy_source.load(anatomy)
    for task in tasks:
        Pool(out / task).write(range(seed, seed + count), partial(POOLS[task], sources=sources))
    return [out / task for task in tasks]


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
        patient_sex="F",
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


def _write_case(case: SyntheticCase, folder: Path, formats: Collection[str]) -> None:
    draft = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    truth = case.truth
    if "nifti" in formats:
        _write_nifti(case, draft / "nifti")
    if "dicom" in formats:
        truth = write_study(case, draft / "dicom")
    document = json.dumps(to_json(truth), indent=2, ensure_ascii=False) + "\n"
    (draft / "truth.json").write_text(document, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(draft, folder)


def _write_nifti(case: SyntheticCase, folder: Path) -> None:
    folder.mkdir()
    labels = {str(label.value): label.name for label in AnatomyLabel}
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")
    names = _names(case.volumes)
    labelled = zip(names, case.volumes, case.anatomy, case.lesions, strict=True)
    for said, volume, anatomy, lesions in labelled:
        _save(folder / f"{said}.nii.gz", volume.values, volume.grid)
        _save(folder / f"{said}_anatomy.nii.gz", anatomy.values, anatomy.grid)
        _save(folder / f"{said}_lesions.nii.gz", lesions.values, lesions.grid)


def _names(volumes: Sequence[Volume]) -> list[str]:
    """A name for each volume: what it shows, and a number from the second of a kind on."""
    names: list[str] = []
    for volume in volumes:
        said = "ct" if volume.weighting is None else volume.weighting.value.lower()
        before = sum(name.split("-")[0] == said for name in names)
        names.append(f"{said}-{before + 1}" if before else said)
    return names


def _save(path: Path, values: NDArray[np.generic], grid: Grid) -> None:
    affine = _LPS_TO_RAS @ grid.affine_lps_mm
    image = nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]  # nibabel's
    nib.save(image, path)
