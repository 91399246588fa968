"""A dataset folder of ours: ``dataset.json`` and one folder a case.

A case's folder holds its images, ``anatomy.nii.gz`` (AnatomyLabel numbers, 255 where nobody
looked) and ``lesions.nii.gz`` (LesionBit sums, 128 where nobody looked), each absent where nothing
of it was annotated. Labels lie on the grid of the case's first image; further images of the same
patient and frame of reference may have grids of their own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.errors import UnreadableInput, UsageError

DOCUMENT = "dataset.json"
FORMAT = "sifdetect dataset"
VERSION = 1
TRAINING, VALIDATION = "training", "validation"
ANATOMY, LESIONS = "anatomy.nii.gz", "lesions.nii.gz"


@dataclass(frozen=True)
class ImageRecord:
    """One image of a case.

    Attributes:
        file: relative to the dataset.
        weighting: for MR; OTHER where nobody said.
        sha256: of voxels and place (``Voxels.sha256``) when it was imported.
        source: what it was imported from, relative to the source.
    """

    file: str
    modality: Modality
    weighting: MrWeighting | None
    sha256: str
    source: str

    @property
    def kind(self) -> str:
        """``CT`` or the MR weighting."""
        return self.modality.value if self.weighting is None else self.weighting.value


@dataclass(frozen=True)
class CaseRecord:
    """One case.

    Attributes:
        patient: whose it is; cases of one patient never part in a split.
        images: the first is the one that the labels lie on.
        anatomy, lesions: files relative to the dataset; None where nothing of it was annotated.
        annotated: structures (``names.MEANINGS``) that somebody looked for; what is not listed is
            unknown, not background.
        voxels: by structure, how many its labels hold.
        split: ``training`` or ``validation``; None before ``sifdetect data split``.
    """

    name: str
    patient: str
    images: tuple[ImageRecord, ...]
    anatomy: str | None
    lesions: str | None
    annotated: tuple[str, ...]
    voxels: dict[str, int] = field(default_factory=dict)
    split: str | None = None


@dataclass(frozen=True)
class Dataset:
    """What ``dataset.json`` says.

    Attributes:
        source: name and layout of what was imported.
        label_map: by label of the source, what it is here.
        cases: in the order of their names.
        split: share and seed of the split, where there is one.
    """

    source: dict[str, str]
    label_map: dict[str, str]
    cases: tuple[CaseRecord, ...]
    split: dict[str, float] = field(default_factory=dict)

    def with_splits(self, split_of: dict[str, str], how: dict[str, float]) -> Dataset:
        """The dataset with each patient's cases in the part that ``split_of`` names."""
        cases = tuple(replace(case, split=split_of[case.patient]) for case in self.cases)
        return replace(self, cases=cases, split=how)


def read_dataset(folder: Path) -> Dataset:
    """What the ``dataset.json`` in a folder says.

    Raises:
        UnreadableInput: there is none, or it is not ours.
    """
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("format") != FORMAT or document["version"] != VERSION:
            raise ValueError(f"it is not a {FORMAT} of version {VERSION}")
        cases = tuple(_case(one) for one in document["cases"])
        split = dict(document.get("split", {}))
        return Dataset(dict(document["source"]), dict(document["label_map"]), cases, split)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableInput(
            f"{path} is not the list of a dataset ({error})",
            hint="Make one with sifdetect data import",
        ) from error


def write_dataset(folder: Path, dataset: Dataset) -> None:
    """Write ``dataset.json``; a reader sees the old one or the new one."""
    document = {"format": FORMAT, "version": VERSION, **asdict(dataset)}
    write_json(folder / DOCUMENT, document)


def write_json(path: Path, document: Any) -> None:
    """A JSON file that appears whole or not at all; enumerations as their values."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=lambda one: one.value)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)


@contextmanager
def staged(folder: Path, mark: str) -> Iterator[Path]:
    """A folder to write to that takes the place of ``folder`` when all went well, else vanishes.

    Raises:
        UsageError: ``folder`` is there, is not empty and holds no ``mark``: it is not ours.
    """
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (folder / mark).is_file():
        raise UsageError(
            f"{folder} holds files that sifdetect did not write", hint="Give another folder"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    old = Path(f"{draft}.old")
    try:
        yield draft
        draft.chmod(0o755)
        if folder.exists():
            os.rename(folder, old)
        os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _case(document: dict[str, Any]) -> CaseRecord:
    return CaseRecord(
        name=str(document["name"]),
        patient=str(document["patient"]),
        images=tuple(_image(one) for one in document["images"]),
        anatomy=document["anatomy"],
        lesions=document["lesions"],
        annotated=tuple(document["annotated"]),
        voxels={str(name): int(count) for name, count in document["voxels"].items()},
        split=document.get("split"),
    )


def _image(document: dict[str, Any]) -> ImageRecord:
    weighting = document["weighting"]
    return ImageRecord(
        file=str(document["file"]),
        modality=Modality(document["modality"]),
        weighting=None if weighting is None else MrWeighting(weighting),
        sha256=str(document["sha256"]),
        source=str(document["source"]),
    )
