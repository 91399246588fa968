"""A dataset made into a pool of samples to train on, those for validation first.

A pool is a folder of ``<number>.npz`` (``learn.dataset.Pool``) with ``samples.json``: which case
and patient each sample is of, in which split, where its frame came from. ``held_out`` there is the
number of samples for validation; they have the lowest numbers, which is where a training file's
``held_out`` looks for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sifdetect.anatomy import Modality
from sifdetect.bundle import Task
from sifdetect.engine import Models
from sifdetect.errors import InputError, NoSacrumInView, UnsuitableSeries
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.external.frame import frame_of_sacrum
from sifdetect.learn.external.sample import Examination, localizer_sample, region_sample
from sifdetect.learn.external.store import (
    VALIDATION,
    CaseRecord,
    read_dataset,
    staged,
    write_json,
)
from sifdetect.learn.external.voxels import Voxels, read
from sifdetect.localize import localize
from sifdetect.volume import LabelMap, SacralFrame, Volume

LIST = "samples.json"


@dataclass(frozen=True)
class Made:
    """A pool that was written.

    Attributes:
        samples: how many.
        held_out: how many of them, the first ones, are for validation.
        left_out: by case, why it gave none.
    """

    samples: int
    held_out: int
    left_out: dict[str, str]


def write_pool(
    dataset: Path, out: Path, *, task: Task, models: Models, repeats: int = 1, seed: int = 0
) -> Made:
    """Write the samples of a dataset; the pool appears whole or not at all.

    Args:
        models: whose localizer finds the frame where the outlined sacrum does not suffice.
        repeats: region samples of a case, each with another error of the frame.

    Raises:
        InputError: the dataset cannot be read, or none of its cases gives a sample.
        UsageError: ``out`` holds what is no pool.
    """
    found = read_dataset(dataset)
    order = sorted(found.cases, key=lambda case: (case.split != VALIDATION, case.name))
    rows: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    with staged(out, LIST) as draft:
        pool = Pool(draft)
        for record in order:
            try:
                made = _made(dataset, record, task, models)
            except InputError as error:
                left_out[record.name] = error.reason
                continue
            for again in range(repeats if task is Task.REGION else 1):
                number = len(rows)
                drawn = np.random.default_rng([seed, again, _number(record.name)])
                pool.write(range(number, number + 1), partial(made.sample, task, drawn))
                rows.append(_row(record, pool.path(number).name, made))
        if not rows:
            why = next(iter(left_out.values()), "it has no cases")
            raise UnsuitableSeries(f"No case of {dataset} gives a sample: {why}")
        held_out = sum(row["split"] == VALIDATION for row in rows)
        about = {"task": task.value, "source": found.source, "held_out": held_out}
        write_json(draft / LIST, {**about, "samples": rows, "left_out": left_out})
    return Made(len(rows), held_out, left_out)


def examination(folder: Path, record: CaseRecord) -> Examination:
    """A case of a dataset, read.

    Raises:
        InputError: a file cannot be read, or does not lie on a lattice at right angles.
    """
    volumes = []
    for image in record.images:
        voxels = read(folder / image.file)
        with _named(image.file):
            outside = -1024.0 if image.modality is Modality.CT else 0.0
            values = np.nan_to_num(np.asarray(voxels.values, np.float32), nan=outside)
            volumes.append(Volume(values, voxels.grid, image.modality, image.weighting))
    anatomy, lesions = (
        None if file is None else _labels(folder, file) for file in (record.anatomy, record.lesions)
    )
    known = anatomy or lesions
    grid = volumes[0].grid if known is None else known.grid
    empty = LabelMap(np.zeros(grid.shape, np.uint8), grid)
    return Examination(tuple(volumes), anatomy or empty, lesions or empty, record.annotated)


@dataclass(frozen=True)
class _Case:
    examination: Examination
    frame: SacralFrame
    frame_from: str

    def sample(self, task: Task, rng: np.random.Generator, _: int) -> Rendered:
        """One sample of the case."""
        if task is Task.REGION:
            return region_sample(self.examination, self.frame, rng)
        return localizer_sample(self.examination, self.frame)


def _made(folder: Path, record: CaseRecord, task: Task, models: Models) -> _Case:
    case = examination(folder, record)
    fitted = frame_of_sacrum(case.anatomy)
    if fitted is not None:
        return _Case(case, fitted.frame, f"annotated sacrum, {fitted.residual_mm:.1f} mm")
    try:
        found = localize(case.volumes[0], models.localizer(case.modality))
    except NoSacrumInView as error:
        raise NoSacrumInView(
            f"{record.name} has no frame: too little of the sacrum is outlined for one, and the"
            f" localizer says: {error.reason}"
        ) from error
    return _Case(case, found.frame, f"localizer, {found.residual_mm:.1f} mm")


def _row(record: CaseRecord, file: str, made: _Case) -> dict[str, Any]:
    return {
        "file": file,
        "case": record.name,
        "patient": record.patient,
        "split": record.split,
        "annotated": list(record.annotated),
        "frame": made.frame_from,
    }


def _labels(folder: Path, file: str) -> LabelMap:
    voxels: Voxels = read(folder / file)
    with _named(file):
        return LabelMap(np.asarray(voxels.values, np.uint8), voxels.grid)


@contextmanager
def _named(file: str) -> Iterator[None]:
    """A lattice that cannot be used is told with the file that has it."""
    try:
        yield
    except ValueError as error:
        raise UnsuitableSeries(
            f"{file} cannot be used: {error}", hint="See sifdetect data check"
        ) from error


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
