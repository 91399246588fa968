"""From any source to a dataset folder: what labels mean is settled, voxels are moved as is."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sifdetect.errors import InputError, UnreadableInput, UsageError
from sifdetect.learn.external import nnunet, pairs, segmented, store
from sifdetect.learn.external.names import (
    LUMBAR_PARTS,
    MEANINGS,
    SACRUM,
    UNKNOWN,
    UNKNOWN_LESION,
    Meaning,
    Other,
    meanings_of,
    read_map,
)
from sifdetect.learn.external.source import NOTHING_TOLD, SourceCase, SourceLabels, Told
from sifdetect.learn.external.store import CaseRecord, Dataset, ImageRecord
from sifdetect.learn.external.voxels import Voxels, write

Meanings = dict[str, Meaning]


class Layout(Enum):
    """How a source is laid out; ``cases`` are those of ``sifdetect synth --format nifti``."""

    AUTO = "auto"
    DICOM = "dicom"
    NIFTI = "nifti"
    NNUNET = "nnunet"
    DECATHLON = "decathlon"
    CASES = "cases"


def import_source(
    source: Path,
    out: Path,
    *,
    layout: Layout = Layout.AUTO,
    labels: Path | None = None,
    told: Told = NOTHING_TOLD,
) -> Dataset:
    """Write a dataset folder with everything that is labelled in ``source``.

    Images and labels keep their voxels and their place; what is wrong with them is for
    ``sifdetect data check`` to say. The folder appears whole or not at all.

    Args:
        labels: a label map, see ``names.read_map``.
        told: modality, weighting and patients, where the source does not say them.

    Raises:
        UsageError: labels that nothing is known of; the modality is not said; ``out`` is not ours.
        InputError: the source cannot be read or understood.
        ConfigurationError: the label map is wrong.
    """
    if not source.exists():
        raise UnreadableInput(f"{source} does not exist", hint="Check the path")
    chosen = read_map(labels)
    kind = detected(source) if layout is Layout.AUTO else layout
    used: Meanings = {}
    records: list[CaseRecord] = []
    with store.staged(out, store.DOCUMENT) as draft:
        for case in cases_of(source, kind, told, chosen):
            meanings = meanings_of(_names(case), chosen)
            used |= meanings
            taken = {record.name for record in records}
            records.append(_write_case(draft, _folder_name(case.name, taken), case, meanings))
        about = {"name": source.name, "layout": kind.value}
        label_map = {
            theirs: meaning.part or meaning.structure for theirs, meaning in sorted(used.items())
        }
        records.sort(key=lambda record: record.name)
        dataset = Dataset(about, label_map, tuple(records))
        store.write_dataset(draft, dataset)
    return dataset


def detected(source: Path) -> Layout:
    """The layout of a source, by what lies in it; DICOM where there is nothing else."""
    if nnunet.is_decathlon(source):
        return Layout.DECATHLON
    if not source.is_dir():
        return Layout.DICOM
    if nnunet.is_nnunet(source):
        return Layout.NNUNET
    if pairs.is_cases(source):
        return Layout.CASES
    return Layout.NIFTI if next(source.rglob("*.nii*"), None) else Layout.DICOM


def cases_of(
    source: Path, layout: Layout, told: Told, chosen: dict[str, str]
) -> Iterable[SourceCase]:
    """The cases of a source; those of nnU-Net, NIfTI and Decathlon are named all at once.

    Raises:
        InputError: the source cannot be read or understood, or two cases have unknown labels.
    """
    if layout is Layout.DICOM:
        return segmented.iter_dicom(source)
    if layout is Layout.NNUNET:
        found = nnunet.read_nnunet(source, told)
    elif layout is Layout.DECATHLON:
        found = nnunet.read_decathlon(source, told)
    elif layout is Layout.CASES:
        found = pairs.read_cases(source)
    else:
        found = pairs.read_pairs(source, told, chosen)
    # All that is unknown is told at once, before a voxel is written.
    meanings_of((names for case in found.cases for names in _names(case)), chosen)
    return found.cases


def read_patients(path: Path | None) -> dict[str, str]:
    """A table with the columns ``case`` and ``patient``; empty without a file.

    Raises:
        UnreadableInput: it cannot be read or lacks a column.
    """
    if path is None:
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {row["case"]: row["patient"] for row in csv.DictReader(stream)}
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise UnreadableInput(
            f"{path} is not a table of patients ({error!r})",
            hint="Write a CSV file with the columns case and patient",
        ) from error


def _names(case: SourceCase) -> list[tuple[str, ...]]:
    return [names for labels in case.labels for named in labels.meaning.values() for names in named]


def _folder_name(name: str, taken: set[str]) -> str:
    """A name that is a folder's on any system and nobody else's."""
    plain = re.sub(r"[^0-9A-Za-z._-]+", "-", name).strip(".-") or "case"
    number = 2
    chosen = plain
    while chosen in taken:
        chosen, number = f"{plain}-{number}", number + 1
    return chosen


def _write_case(draft: Path, name: str, case: SourceCase, meanings: Meanings) -> CaseRecord:
    home = draft / name
    home.mkdir()
    images: list[ImageRecord] = []
    for one in case.images:
        kind = one.modality.value if one.weighting is None else one.weighting.value
        same = sum(image.kind == kind for image in images)
        file = f"{name}/{kind.lower()}{f'-{same + 1}' if same else ''}.nii.gz"
        voxels = one.read()
        write(draft / file, voxels)
        images.append(ImageRecord(file, one.modality, one.weighting, voxels.sha256, one.source))
    told = tuple(one for one in case.annotated or () if one in MEANINGS)
    annotated = told or _annotated(case, meanings)
    anatomy, lesions = merged(case.labels, meanings)
    held: dict[str, str | None] = {store.ANATOMY: None, store.LESIONS: None}
    kinds = [MEANINGS[one] for one in annotated if one in MEANINGS]
    drawn = (anatomy.values > 0) & (anatomy.values < UNKNOWN)
    for file, labels, wanted in (
        (store.ANATOMY, anatomy, drawn.any() or any(one.anatomy is not None for one in kinds)),
        (store.LESIONS, lesions, any(one.lesion is not None for one in kinds)),
    ):
        if wanted:
            write(home / file, labels)
            held[file] = f"{name}/{file}"
    counts = _counts(annotated, anatomy.values, lesions.values)
    return CaseRecord(
        name,
        case.patient,
        tuple(images),
        held[store.ANATOMY],
        held[store.LESIONS],
        annotated,
        counts,
    )


def _annotated(case: SourceCase, meanings: Meanings) -> tuple[str, ...]:
    """Structures that the labels of a case cover wholly, in the order of ``MEANINGS``."""
    found = [meanings[names[0]] for names in _names(case)]
    whole = {one.structure for one in found if not one.part}
    if {one.part for one in found} >= set(LUMBAR_PARTS):
        whole.add("lumbar")
    others = {one.value for one in Other}
    return tuple(one for one in MEANINGS if one in whole and one not in others)


def merged(labels: Iterable[SourceLabels], meanings: Meanings) -> tuple[Voxels, Voxels]:
    """Anatomy and lesions of all labels of a case, on the one grid that they must share.

    Parts of the sacrum go over the whole one; of two bones at one voxel the first stays.

    Raises:
        InputError: two label files of the case lie on different grids, or hold other than whole
            numbers; a value has no name.
    """
    anatomy: NDArray[np.uint8] | None = None
    first: tuple[Voxels, str] | None = None
    for one in labels:
        voxels = one.read()
        if first is None:
            first = (voxels, one.source)
            anatomy = np.zeros(voxels.values.shape, np.uint8)
            lesions, whole = np.zeros_like(anatomy), np.zeros(anatomy.shape, np.bool_)
        _refuse_other_grid(first, (voxels, one.source))
        assert anatomy is not None
        _refuse_unnamed(one, voxels)
        for value, named in one.meaning.items():
            mask = voxels.values == value
            for meaning in (meanings[names[0]] for names in named):
                if meaning.structure == SACRUM:
                    whole |= mask
                _draw(meaning, mask, anatomy, lesions)
    if first is None or anatomy is None:
        raise UnreadableInput("a case has no labels")
    only_whole = whole & (anatomy == 0)
    anatomy[only_whole] = MEANINGS[SACRUM].anatomy or 0
    affine = first[0].affine_ras_mm
    return Voxels(anatomy, affine), Voxels(lesions, affine)


def _draw(
    meaning: Meaning,
    mask: NDArray[np.bool_],
    anatomy: NDArray[np.uint8],
    lesions: NDArray[np.uint8],
) -> None:
    if meaning.lesion is not None:
        lesions[mask] |= np.uint8(meaning.lesion)
    elif meaning.structure == Other.IGNORE.value:
        anatomy[mask], lesions[mask] = UNKNOWN, UNKNOWN_LESION
    elif meaning.anatomy is not None and meaning.structure != SACRUM:
        anatomy[mask & (anatomy == 0)] = meaning.anatomy


def _refuse_other_grid(first: tuple[Voxels, str], other: tuple[Voxels, str]) -> None:
    a, b = first[0], other[0]
    same = a.values.shape == b.values.shape
    if not same or np.abs(a.affine_ras_mm - b.affine_ras_mm).max() > 1e-2:
        what = "the same place" if same else f"the same shape: {b.values.shape}, {a.values.shape}"
        raise InputError(
            f"{other[1]} and {first[1]} do not have {what}", hint="Export both on one grid"
        )


def _refuse_unnamed(one: SourceLabels, voxels: Voxels) -> None:
    present = np.unique(voxels.values)
    if not np.isfinite(present).all() or (present != np.rint(present)).any():
        raise InputError(f"{one.source} holds other than whole numbers: it is no label map")
    strange = sorted({int(value) for value in present} - set(one.meaning) - {0})
    if strange:
        listed = ", ".join(map(str, strange))
        raise UsageError(
            f"{one.source} holds the values {listed}, which its list of labels does not name",
            hint="Name them there, or correct the label file",
        )


def _counts(
    annotated: Iterable[str], anatomy: NDArray[np.uint8], lesions: NDArray[np.uint8]
) -> dict[str, int]:
    counts = {}
    for name in annotated:
        meaning = MEANINGS[name]
        if meaning.lesion is not None:
            counts[name] = int(((lesions & meaning.lesion) > 0).sum())
        elif name == SACRUM:
            counts[name] = int(((anatomy >= 1) & (anatomy <= 5)).sum())
        else:
            counts[name] = int((anatomy == meaning.anatomy).sum())
    return counts
