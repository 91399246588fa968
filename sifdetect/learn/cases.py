"""Synthetic examinations as files: DICOM studies or NIfTI images, each with its truth."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
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

FORMATS = ("dicom", "nifti")
POOLS = {"region": render_region, "localizer": render_localizer}
"""Samples for training, by the task of the network: all sequences on its grid, with the labels."""

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


def write_study(case: SyntheticCase, folder: Path) -> StudyFindings:
    """Write the case as one DICOM study, all its series in one frame of reference, into ``folder``.

    Returns:
        the truth, with the study's UID.
    """
    name = f"synthetic-{case.params.seed}"
    header = SeriesHeader(
        seed=name,
        patient_name=f"SYNTHETIC^{case.params.seed}",
        patient_id=name.upper(),
        patient_sex="F",
    )
    for number, volume in enumerate(case.volumes, start=1):
        described = volume.modality.value if volume.weighting is None else volume.weighting.value
        numbered = replace(header, series_number=number, series_description=described)
        write_series(as_scanned(volume), folder, header=numbered)
    return replace(case.truth, study_instance_uid=header.study_instance_uid)


def as_scanned(volume: Volume) -> Volume:
    """The volume stored as a scanner stores it: slice, row, column.

    Slices run along the coarsest axis of a grid right→left, posterior→anterior, caudal→cranial;
    rows go from anterior to posterior, or else from cranial to caudal; columns from right to left.
    """
    slices = max((2, 1, 0), key=lambda axis: volume.grid.spacing_mm[axis])
    rows, columns = {0: (2, 1), 1: (2, 0), 2: (1, 0)}[slices]
    order = [slices, rows, columns]
    affine = volume.grid.affine_lps_mm[:, [*order, 3]].copy()
    last = volume.grid.shape[rows] - 1
    affine[:3, 3] += affine[:3, 1] * last
    affine[:3, 1] *= -1
    values = np.ascontiguousarray(volume.values.transpose(order)[:, ::-1])
    i, j, k = values.shape
    grid = Grid((i, j, k), affine, volume.grid.frame_of_reference_uid)
    return replace(volume, values=values, grid=grid)


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
    names = {str(label.value): label.name for label in AnatomyLabel}
    (folder / "labels.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
    triples = zip(case.volumes, case.anatomy, case.lesions, strict=True)
    for volume, anatomy, lesions in triples:
        said = "ct" if volume.weighting is None else volume.weighting.value.lower()
        _save(folder / f"{said}.nii.gz", volume.values, volume.grid)
        _save(folder / f"{said}_anatomy.nii.gz", anatomy.values, anatomy.grid)
        _save(folder / f"{said}_lesions.nii.gz", lesions.values, lesions.grid)


def _save(path: Path, values: NDArray[np.generic], grid: Grid) -> None:
    affine = _LPS_TO_RAS @ grid.affine_lps_mm
    image = nib.Nifti1Image(values, affine)  # type: ignore[no-untyped-call]  # nibabel's
    nib.save(image, path)
