"""A dataset as nnU-Net v2 wants its raw data.

nnU-Net has one label map a case, in which values are told apart. Anatomy and lesions overlap here,
so every combination that occurs becomes a value, and each structure a *region*: the list of values
it occurs in (nnU-Net v2, documentation/region_based_training.md). Nothing is lost, and reading it
back gives the same voxels.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.errors import InputError, UsageError
from sifdetect.learn.external import importing, pairs, store
from sifdetect.learn.external.names import MEANINGS, SACRUM, UNKNOWN, UNKNOWN_LESION
from sifdetect.learn.external.nnunet import EXTRA
from sifdetect.learn.external.source import Told
from sifdetect.learn.external.store import CaseRecord, Dataset
from sifdetect.learn.external.voxels import Voxels, read, write

Combination = tuple[int, int]
"""An AnatomyLabel value and a LesionBit sum."""
_IGNORED: Combination = (UNKNOWN, UNKNOWN_LESION)
_MOST_VALUES = 255


@dataclass(frozen=True)
class Naming:
    """What the folder is called: ``Dataset501_Sacrum``.

    Raises:
        UsageError: the number is not 1 to 999, or the name has other than letters and digits.
    """

    number: int = 501
    name: str = "Sacrum"

    def __post_init__(self) -> None:
        if not 1 <= self.number <= 999 or not re.fullmatch(r"\w+", self.name):
            raise UsageError(
                f"{self.number} and {self.name!r} make no name of an nnU-Net dataset",
                hint="Give a number from 1 to 999 and a name of letters and digits",
            )

    @property
    def folder(self) -> str:
        """Name of the dataset's folder."""
        return f"Dataset{self.number:03d}_{self.name}"


def export_nnunet(
    source: Path, out: Path, *, naming: Naming = Naming(), kind: str | None = None
) -> Path:
    """Write ``out/Dataset###_NAME`` from a dataset, or from synthetic cases; the folder made.

    Images of a case on other grids than its first are left out: nnU-Net's channels share a grid.

    Args:
        kind: export only images of this kind: ``CT``, ``MR`` or an MR weighting.

    Raises:
        UsageError: the cases have different channels, or the sacrum is whole in some and in parts
            in others; no case is left.
        InputError: something cannot be read.
    """
    target = out / naming.folder
    with store.staged(target, "dataset.json") as draft:
        folder, dataset = _dataset(source, draft)
        cases = [_on_one_grid(folder, case, kind) for case in dataset.cases]
        records = [case for case in cases if case.images]
        channels = _channels(source, records)
        _refuse_mixed_sacra(records)
        found = Counter(pair for case in records for pair in _combinations(folder, case))
        value_of = {pair: value for value, pair in enumerate(_ordered(found))}
        for name in ("imagesTr", "labelsTr"):
            (draft / name).mkdir()
        for case in records:
            _write_case(folder, draft, case, value_of)
        document = _document(records, channels, value_of)
        store.write_json(draft / "dataset.json", document)
        shutil.rmtree(draft / _IMPORTED, ignore_errors=True)
    return target


_IMPORTED = ".imported"


def _dataset(source: Path, draft: Path) -> tuple[Path, Dataset]:
    """The dataset, and the folder it lies in; synthetic cases are imported on the way."""
    if (source / store.DOCUMENT).is_file() or not pairs.is_cases(source):
        return source, store.read_dataset(source)
    folder = draft / _IMPORTED
    layout = importing.Layout.CASES
    return folder, importing.import_source(source, folder, layout=layout, told=Told())


def _on_one_grid(folder: Path, case: CaseRecord, kind: str | None) -> CaseRecord:
    """The case with those of its images that are of the kind and on the grid of its labels."""
    labels = next((read(folder / file) for file in (case.anatomy, case.lesions) if file), None)
    wanted = []
    for image in case.images:
        if kind in (None, image.kind, image.modality.value):
            voxels = read(folder / image.file)
            if labels is None or _same_grid(labels, voxels):
                wanted.append(image)
    return replace(case, images=tuple(wanted))


def _same_grid(one: Voxels, other: Voxels) -> bool:
    same = one.values.shape == other.values.shape
    return same and bool(np.abs(one.affine_ras_mm - other.affine_ras_mm).max() < 1e-3)


def _channels(source: Path, cases: Sequence[CaseRecord]) -> tuple[str, ...]:
    found = Counter(tuple(image.kind for image in case.images) for case in cases)
    if not found:
        raise UsageError(
            f"{source} holds no image of that kind on the grid of its labels",
            hint="Leave --kind out, or run sifdetect data check",
        )
    if len(found) > 1:
        listed = "; ".join(f"{' + '.join(kinds)}: {count}" for kinds, count in found.items())
        raise UsageError(
            f"The cases have different images, which nnU-Net cannot take ({listed})",
            hint="Choose some with --kind, such as --kind ct or --kind stir",
        )
    return next(iter(found))


def _refuse_mixed_sacra(cases: Sequence[CaseRecord]) -> None:
    whole = [case.name for case in cases if SACRUM in case.annotated]
    parts = [case.name for case in cases if "sacral_body" in case.annotated]
    if whole and parts:
        raise UsageError(
            f"The sacrum is outlined as a whole in {whole[0]} and in parts in {parts[0]}",
            hint="Export them as two datasets",
        )


def _pair(folder: Path, case: CaseRecord) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Voxels]:
    """Anatomy and lesions of a case, zeros for what it lacks; both unknown where one of them is."""
    files = [None if file is None else read(folder / file) for file in (case.anatomy, case.lesions)]
    there = [one for one in files if one is not None]
    if not there:
        raise InputError(f"{case.name} has no labels", hint="Run sifdetect data check")
    if len({one.values.shape for one in there}) > 1:
        raise InputError(
            f"Anatomy and lesions of {case.name} differ in shape", hint="Run sifdetect data check"
        )
    anatomy, lesions = (
        np.zeros(there[0].values.shape, np.uint8) if one is None else one.values.astype(np.uint8)
        for one in files
    )
    unknown = (anatomy == UNKNOWN) | (lesions >= UNKNOWN_LESION)
    anatomy[unknown], lesions[unknown] = _IGNORED
    return anatomy, lesions, there[0]


def _combinations(folder: Path, case: CaseRecord) -> set[Combination]:
    anatomy, lesions, _ = _pair(folder, case)
    joined = np.unique(anatomy.astype(np.uint16) * 256 + lesions)
    return {(int(value) // 256, int(value) % 256) for value in joined}


def _ordered(found: Counter[Combination]) -> list[Combination]:
    """Background first, what nobody looked at last, as nnU-Net wants them."""
    pairs_found = sorted(set(found) | {(0, 0)})
    if len(pairs_found) > _MOST_VALUES:
        raise InputError(f"{len(pairs_found)} combinations of labels are more than nnU-Net takes")
    return pairs_found


def _write_case(
    folder: Path, draft: Path, case: CaseRecord, value_of: dict[Combination, int]
) -> None:
    for channel, image in enumerate(case.images):
        write(draft / "imagesTr" / f"{case.name}_{channel:04d}.nii.gz", read(folder / image.file))
    anatomy, lesions, place = _pair(folder, case)
    values = np.zeros(anatomy.shape, np.uint8)
    for (bone, lesion), value in value_of.items():
        values[(anatomy == bone) & (lesions == lesion)] = value
    write(draft / "labelsTr" / f"{case.name}.nii.gz", Voxels(values, place.affine_ras_mm))


def _document(
    cases: Sequence[CaseRecord], channels: Sequence[str], value_of: dict[Combination, int]
) -> dict[str, Any]:
    listed = {one for case in cases for one in case.annotated}
    labels: dict[str, int | list[int]] = {"background": 0}
    for name, meaning in MEANINGS.items():
        if name != SACRUM and SACRUM in listed and name == "sacral_body":
            continue
        values = [
            value
            for (bone, lesion), value in value_of.items()
            if (bone, lesion) != _IGNORED
            and (
                (meaning.anatomy is not None and not meaning.part and bone == meaning.anatomy)
                or (meaning.lesion is not None and lesion & meaning.lesion)
            )
        ]
        if values and (name != SACRUM or SACRUM in listed):
            labels[name] = values
    regions = any(len(values) > 1 for values in labels.values() if isinstance(values, list))
    if not regions:
        labels = {n: v[0] if isinstance(v, list) else v for n, v in labels.items()}
    if _IGNORED in value_of:
        labels["ignore"] = value_of[_IGNORED]
    document: dict[str, Any] = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": labels,
        "numTraining": len(cases),
        "file_ending": ".nii.gz",
    }
    if regions:
        firsts = [v[0] for v in labels.values() if isinstance(v, list)]
        document["regions_class_order"] = firsts
    kept = {case.name: {"patient": case.patient, "annotated": case.annotated} for case in cases}
    return document | {EXTRA: {"cases": kept}}
