"""Training and validation, parted between patients and never within one."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path

from sifdetect.errors import UsageError
from sifdetect.learn.external.names import MEANINGS
from sifdetect.learn.external.store import (
    TRAINING,
    VALIDATION,
    CaseRecord,
    Dataset,
    read_dataset,
    write_dataset,
)


def split_dataset(folder: Path, *, validation: float, seed: int) -> Dataset:
    """Part a dataset and write it into its ``dataset.json``.

    Raises:
        UsageError: the share is not between 0 and 1, or there are fewer than two patients.
        UnreadableInput: the dataset cannot be read.
    """
    dataset = read_dataset(folder)
    parts = split_of(dataset.cases, validation=validation, seed=seed)
    parted = dataset.with_splits(parts, {"validation": validation, "seed": seed})
    write_dataset(folder, parted)
    return parted


def split_of(cases: tuple[CaseRecord, ...], *, validation: float, seed: int) -> dict[str, str]:
    """``training`` or ``validation`` by patient.

    Patients with a lesion and patients without are parted alike. Among each, those whose checksum
    of seed and name is lowest validate: the same patients and seed give the same split on any
    machine, in whatever order they come.

    Raises:
        UsageError: the share is not between 0 and 1, or there are fewer than two patients.
    """
    if not 0 < validation < 1:
        raise UsageError(f"{validation} is no share of patients", hint="Give one between 0 and 1")
    groups: dict[bool, list[str]] = defaultdict(list)
    for patient in sorted({case.patient for case in cases}):
        theirs = [case for case in cases if case.patient == patient]
        groups[any(map(has_lesion, theirs))].append(patient)
    count = sum(map(len, groups.values()))
    if count < 2:
        raise UsageError(
            f"{count} patient cannot be parted",
            hint="Import two or more; --patients says whose a case is",
        )
    wanted = min(max(round(validation * count), 1), count - 1)
    chosen: list[str] = []
    for place, patients in enumerate(sorted(groups.values(), key=len)):
        last = place == len(groups) - 1
        share = max(0, wanted - len(chosen)) if last else round(validation * len(patients))
        chosen += sorted(patients, key=lambda one: _rank(one, seed))[:share]
    everybody = [patient for patients in groups.values() for patient in patients]
    return {one: VALIDATION if one in chosen else TRAINING for one in everybody}


def has_lesion(case: CaseRecord) -> bool:
    """True where a lesion is outlined."""
    return any(
        count > 0 and MEANINGS[name].lesion is not None
        for name, count in case.voxels.items()
        if name in MEANINGS
    )


def _rank(patient: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()
