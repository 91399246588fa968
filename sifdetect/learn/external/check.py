"""A dataset looked through before anybody trains on it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator
from pathlib import Path

from sifdetect.errors import InputError
from sifdetect.learn.external import faults
from sifdetect.learn.external.faults import Fault, Labelled
from sifdetect.learn.external.overlay import draw_case
from sifdetect.learn.external.store import DOCUMENT, CaseRecord, Dataset, read_dataset
from sifdetect.learn.external.voxels import Voxels, read


def check_dataset(folder: Path, pictures: Path | None = None) -> Iterator[Fault]:
    """Everything that is wrong with a dataset, case by case, then with its cases together.

    Args:
        pictures: folder for one overlay ``<case>.png`` each; None for none.

    Raises:
        UnreadableInput: ``dataset.json`` is missing or not ours.
    """
    dataset = read_dataset(folder)
    sums: dict[str, list[tuple[CaseRecord, str]]] = defaultdict(list)
    for record in dataset.cases:
        found = yield from _files(folder, record, sums)
        if found is None:
            continue
        yield from case_faults(found)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            yield from draw_case(found, pictures / f"{record.name}.png")
    yield from _doubles(sums)
    yield from _parted(dataset)
    yield from _never_drawn(dataset)


def case_faults(case: Labelled) -> Iterator[Fault]:
    """What is wrong with the labels of a case, and with its first image seen through them."""
    record, image_file = case.record, case.record.images[0].file
    for file, labels in ((record.anatomy, case.anatomy), (record.lesions, case.lesions)):
        if file is not None and labels is not None:
            yield from faults.axis_faults(file, labels)
            yield from faults.geometry_faults(file, labels, image_file, case.image)
    yield from faults.value_faults(case)
    yield from faults.side_faults(case)
    yield from faults.bone_faults(case)


def _files(
    folder: Path, record: CaseRecord, sums: dict[str, list[tuple[CaseRecord, str]]]
) -> Generator[Fault, None, Labelled | None]:
    """The files of a case and what is wrong with its images; None where a file cannot be read."""
    voxels: dict[str, Voxels] = {}
    for image in record.images:
        one = yield from _read(folder, image.file)
        if one is None:
            continue
        voxels[image.file] = one
        sums[one.sha256].append((record, image.file))
        if one.sha256 != image.sha256:
            yield Fault(
                image.file,
                "checksum",
                f"it was changed since it was imported ({one.sha256[:12]}… instead of"
                f" {image.sha256[:12]}…)",
                "Import the case again",
            )
        yield from faults.image_faults(image.file, one, image.modality)
    for file in (record.anatomy, record.lesions):
        if file is not None:
            one = yield from _read(folder, file)
            if one is not None:
                voxels[file] = one
    wanted = [record.images[0].file, *(f for f in (record.anatomy, record.lesions) if f)]
    if any(file not in voxels for file in wanted):
        return None
    return Labelled(
        record,
        voxels[wanted[0]],
        voxels.get(record.anatomy or ""),
        voxels.get(record.lesions or ""),
    )


def _read(folder: Path, file: str) -> Generator[Fault, None, Voxels | None]:
    try:
        return read(folder / file)
    except InputError as error:
        yield Fault(file, "file", error.reason, error.hint or "Import the case again")
        return None


def _doubles(sums: dict[str, list[tuple[CaseRecord, str]]]) -> Iterator[Fault]:
    for same in sums.values():
        first, *more = same
        for record, file in more:
            parted = first[0].split != record.split
            yield Fault(
                file,
                "duplicate",
                f"the same voxels as {first[1]}" + (" in another split" if parted else ""),
                "Keep one of them",
            )


def _parted(dataset: Dataset) -> Iterator[Fault]:
    splits: dict[str, dict[str, str]] = defaultdict(dict)
    for record in dataset.cases:
        splits[record.patient].setdefault(record.split or "no split", record.name)
    for patient, parts in sorted(splits.items()):
        if len(parts) > 1:
            where = ", ".join(f"{part} ({case})" for part, case in sorted(parts.items()))
            yield Fault(
                DOCUMENT,
                f"split of patient {patient}",
                f"the patient is in {where}",
                "Split again with sifdetect data split",
            )


def _never_drawn(dataset: Dataset) -> Iterator[Fault]:
    """A structure that is said to be annotated and is empty in every case was not annotated."""
    totals: dict[str, int] = defaultdict(int)
    for record in dataset.cases:
        for name in record.annotated:
            totals[name] += record.voxels.get(name, 0)
    for name, total in sorted(totals.items()):
        if total == 0:
            yield Fault(
                DOCUMENT,
                f"label {name}",
                "it is annotated, but no case has a voxel of it",
                "Take it out of annotated, or look for the case that should have it",
            )
