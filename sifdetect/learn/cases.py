"""Synthetic examinations as files: DICOM studies or NIfTI images, each with its truth."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.errors import UsageError
from sifdetect.findings import to_json
from sifdetect.learn import anatomy_source, record
from sifdetect.learn.anatomy_source import AnatomySource, Kind
from sifdetect.learn.dataset import Pool, render_localizer, render_region
from sifdetect.learn.jobs import Progress, for_each
from sifdetect.learn.scanned import Storage, write_study
from sifdetect.synth.bones import BoneField
from sifdetect.synth.case import Protocol, SyntheticCase, make_case
from sifdetect.synth.protocol import PROTOCOLS
from sifdetect.synth.shifted import is_shifted
from sifdetect.volume import Grid, Volume

PROFILES = {
    "ct-mr": Protocol(),
    "ct": Protocol(weightings=()),
    "mr": Protocol(with_ct=False),
} | PROTOCOLS
"""Which series the examinations have, by name; the first one is made unless told otherwise."""

FORMATS = ("dicom", "nifti")
PROCEDURAL = AnatomySource()
"""Bones by equations, of nobody."""
POOLS = {"region": render_region, "localizer": render_localizer}
"""Samples for training, by the task of the network: all sequences on its grid, with the labels."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True)
class Making:
    """How cases and samples are made, whatever they show.

    Attributes:
        anatomy: where the bones come from.
        storage: of DICOM series.
        jobs: processes side by side.
        progress: is told how many are done, of how many.
        shifted: share of the cases that are unlike those of training (``synth/shifted.py``).

    Raises:
        UsageError: the share is none.
    """

    anatomy: AnatomySource = PROCEDURAL
    storage: Storage = Storage.CLASSIC
    jobs: int = 1
    progress: Progress | None = None
    shifted: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.shifted <= 1:
            raise UsageError(f"{self.shifted:g} is no share of the cases", hint="Give 0 to 1")


def write_cases(
    out: Path,
    seeds: Sequence[int],
    *,
    profile: str | None = None,
    formats: Collection[str] = ("dicom",),
    making: Making = Making(),
) -> list[Path]:
    """Write the examinations of some seeds to ``out/case-<seed>``.

    Each folder holds ``truth.json`` (a findings document), ``case.json`` (what the case was made
    from, see ``record.py``), ``dicom/`` with one study, or ``nifti/`` with images and labels. A
    folder appears whole or not at all. One that is there stays where its ``case.json`` says that it
    was made to the same order by the same code; any other is replaced.

    Raises:
        UsageError: a profile or format has no meaning, or there is no seed.
        UnreadableInput: a file of the anatomy source is damaged.
    """
    chosen = profile or next(iter(PROFILES))
    if chosen not in PROFILES:
        raise UsageError(f"There is no profile {chosen!r}", hint=f"Use {', '.join(PROFILES)}")
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise UsageError(f"There is no format {', '.join(unknown)!r}", hint="Use dicom or nifti")
    if not seeds:
        raise UsageError("There is no seed to make a case of", hint="Ask for one or more")
    _ready(making)
    order = {
        "profile": chosen,
        "formats": sorted(formats),
        "storage": making.storage.value,
        "anatomy": making.anatomy.record(),
        "generator": record.generator(),
    }
    write = partial(_write_case, out, PROFILES[chosen], replace(making, progress=None), order)
    return for_each(write, seeds, jobs=making.jobs, progress=making.progress)


def write_pools(
    out: Path, seeds: Sequence[int], *, tasks: Collection[str], making: Making = Making()
) -> list[Path]:
    """Write training samples of some seeds to ``out/<task>``.

    A sample that is there already stays; several processes may fill one pool. Beside the samples a
    ``made-….json`` names the bones they were made from, for the model card.

    Raises:
        UsageError: there is no seed, or shifted samples are asked for.
        UnreadableInput: a file of the anatomy source is damaged.
    """
    if not seeds:
        raise UsageError("There is no seed to make a sample of", hint="Ask for one or more")
    if making.shifted:
        raise UsageError(
            "Samples to train on are never shifted: that half is for evaluation alone",
            hint="Leave out --shifted, or region and localizer from --format",
        )
    _ready(making)
    for task in tasks:
        pool = Pool(out / task)
        missing = [one for one in seeds if not pool.path(one).exists()]
        if not missing:
            continue
        write = partial(_write_sample, pool, task, making.anatomy)
        record.write_pool_record(pool.folder, missing, making.anatomy)
        for_each(write, missing, jobs=making.jobs, progress=making.progress)
    return [out / task for task in tasks]


def _ready(making: Making) -> None:
    """Build the bones once, before several processes would each do so."""
    _fields(making.anatomy)


@lru_cache(maxsize=1)
def _fields(anatomy: AnatomySource) -> Sequence[BoneField]:
    if anatomy.kind is Kind.PROCEDURAL:
        return ()
    return anatomy_source.fields(anatomy, cache=anatomy_source.default_cache())


def _write_sample(pool: Pool, task: str, anatomy: AnatomySource, seed: int) -> None:
    render = partial(POOLS[task], sources=_fields(anatomy))
    pool.write(range(seed, seed + 1), render)


def _write_case(
    out: Path, protocol: Protocol, making: Making, order: dict[str, Any], seed: int
) -> Path:
    folder = out / f"case-{seed:06d}"
    order = {**order, "shifted": is_shifted(seed, making.shifted)}
    if _was_made(folder, {"seed": seed, **order}):
        return folder
    draft = out / f"{folder.name}.part"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    case = make_case(
        seed, protocol=protocol, sources=_fields(making.anatomy), shifted=order["shifted"]
    )
    truth = case.truth
    if "nifti" in order["formats"]:
        _write_nifti(case, draft / "nifti")
    if "dicom" in order["formats"]:
        truth = write_study(case, draft / "dicom", storage=making.storage)
    _write_json(draft / "truth.json", to_json(truth))
    _write_json(draft / "case.json", {"seed": seed, **order, **_record(case)})
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(draft, folder)
    return folder


def _record(case: SyntheticCase) -> dict[str, Any]:
    """What ``case.json`` says of a case beside what was ordered."""
    drawn, thickness = (
        record.parameters(case.params),
        zip(_names(case.volumes), case.thickness_mm, strict=True),
    )
    return {
        "shift": record.plain(case.shift),
        "shown": record.shown(case.params),
        "thickness_mm": {name: round(value, 3) for name, value in thickness},
        "parameters_sha256": record.digest(drawn),
        "parameters": drawn,
    }


def _was_made(folder: Path, order: dict[str, Any]) -> bool:
    """True where the folder's ``case.json`` tells of this very order."""
    try:
        told = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {key: told.get(key) for key in order} == order


def _write_json(path: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


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
