"""NIfTI images with their labels: pairs of files, folders of masks, our own synthetic cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from sifdetect.anatomy import AnatomyLabel, LesionBit
from sifdetect.errors import UnreadableInput
from sifdetect.learn.external.names import ANY_OTHER, meaning_of
from sifdetect.learn.external.source import (
    Source,
    SourceCase,
    SourceImage,
    SourceLabels,
    Told,
    kind_of,
)
from sifdetect.learn.external.voxels import Voxels, is_nifti, read, stem

Meaning = dict[int, tuple[tuple[str, ...], ...]]
_HINT = (
    "Give NAME_image.nii.gz with NAME_label.nii.gz, or folders images/ and labels/, or a folder"
    " with one image and a mask for each structure (sacrum.nii.gz, hip_left.nii.gz …)"
)


def read_pairs(folder: Path, told: Told, chosen: dict[str, str]) -> Source:
    """The labelled images below a folder; ``chosen`` is the label map, for names of masks.

    Raises:
        UnreadableInput: there are none, or an image has no label.
        UsageError: nothing says the modality.
    """
    found = _suffixed(folder) or _folders(folder)
    if found:
        cases = [_pair(folder, *pair, told=told) for pair in found]
        return Source("nifti", cases)
    homes = [folder, *sorted(one for one in folder.iterdir() if one.is_dir())]
    masked = [case for home in homes if (case := _masked(folder, home, told, chosen))]
    if not masked:
        raise UnreadableInput(f"{folder} holds no labelled NIfTI images", hint=_HINT)
    return Source("nifti", masked)


def is_cases(folder: Path) -> bool:
    """True for the folder, or one case of it, that ``sifdetect synth --format nifti`` wrote."""
    return next(_case_folders(folder), None) is not None


def read_cases(folder: Path) -> Source:
    """Synthetic cases: each image with labels of its own is a case, the examination the patient.

    Raises:
        UnreadableInput: an image or its labels are missing.
    """
    cases = []
    for home in _case_folders(folder):
        for path in sorted((home / "nifti").glob("*_anatomy.nii.gz")):
            said = path.name.removesuffix("_anatomy.nii.gz")
            modality, weighting = kind_of(said.split("-")[0], Told())
            where = f"{home.name}/nifti"
            image = SourceImage(
                partial(read, home / "nifti" / f"{said}.nii.gz"),
                modality,
                weighting,
                f"{where}/{said}.nii.gz",
            )
            lesions = home / "nifti" / f"{said}_lesions.nii.gz"
            labels = (
                SourceLabels(partial(read, path), _our_anatomy(), f"{where}/{path.name}"),
                SourceLabels(partial(read, lesions), our_lesions(), f"{where}/{lesions.name}"),
            )
            cases.append(SourceCase(f"{home.name}_{said}", home.name, (image,), labels))
    if not cases:
        raise UnreadableInput(
            f"{folder} holds no synthetic cases", hint="Make some: sifdetect synth --format nifti"
        )
    return Source("cases", cases)


def our_lesions() -> Meaning:
    """Sums of LesionBit and the names in them."""
    names = {bit.value: (str(bit.name).lower(),) for bit in LesionBit}
    return {
        total: tuple(name for bit, name in names.items() if total & bit)
        for total in range(1, 2 * max(names))
    }


def _our_anatomy() -> Meaning:
    return {label.value: ((label.name.lower(),),) for label in AnatomyLabel if label.value}


def _case_folders(folder: Path) -> Iterator[Path]:
    for home in (folder, *sorted(folder.glob("case-*"))):
        if (home / "nifti" / "labels.json").is_file():
            yield home


def _suffixed(folder: Path) -> list[tuple[str, Path, Path]]:
    """Name, image and label of every ``NAME_image`` with ``NAME_label``, at any depth."""
    pairs = []
    for image in sorted(path for path in folder.rglob("*_image.nii*") if is_nifti(path)):
        name = stem(image).removesuffix("_image")
        label = image.with_name(image.name.replace("_image.nii", "_label.nii"))
        pairs.append((name, image, _there(label, image)))
    return pairs


def _folders(folder: Path) -> list[tuple[str, Path, Path]]:
    """Name, image and label of every file of ``images/`` with its namesake in ``labels/``."""
    if not (folder / "images").is_dir() or not (folder / "labels").is_dir():
        return []
    labels = {stem(path): path for path in (folder / "labels").iterdir() if is_nifti(path)}
    images = sorted(path for path in (folder / "images").iterdir() if is_nifti(path))
    absent = folder / "labels"
    return [
        (stem(path), path, _there(labels.get(stem(path), absent / path.name), path))
        for path in images
    ]


def _there(label: Path, image: Path) -> Path:
    if not label.is_file():
        raise UnreadableInput(f"{image} has no label: {label} is missing", hint=_HINT)
    return label


def _pair(folder: Path, name: str, image: Path, label: Path, *, told: Told) -> SourceCase:
    modality, weighting = kind_of(name.rpartition("_")[2], told)
    images = (SourceImage(partial(read, image), modality, weighting, _short(folder, image)),)
    labels = SourceLabels(partial(read, label), _named(folder, label), _short(folder, label))
    return SourceCase(name, told.patient_of(name), images, (labels,))


def _named(folder: Path, label: Path) -> Meaning:
    """What the values of a label mean: ``labels.json`` beside it or above, else their numbers.

    ``labels.json`` is value to name, name to value, or as ``analyze`` writes it.
    """
    for home in (label.parent, label.parent.parent, folder):
        path = home / "labels.json"
        if path.is_file():
            return _from_json(path)
    present = np.unique(read(label).values)
    return {int(value): ((str(int(value)),),) for value in present if value != 0}


def _from_json(path: Path) -> Meaning:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document.get("anatomy"), dict):
            named = {int(key): str(one["name"]) for key, one in document["anatomy"].items()}
        elif all(str(key).isdigit() for key in document):
            named = {int(key): str(name) for key, name in document.items()}
        else:
            named = {int(value): str(name) for name, value in document.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnreadableInput(
            f"{path} does not say what the labels mean ({error})",
            hint='Write {"1": "sacrum", "2": "hip_left"}',
        ) from error
    return {value: ((name,),) for value, name in named.items() if value != 0}


def _masked(folder: Path, home: Path, told: Told, chosen: dict[str, str]) -> SourceCase | None:
    """A folder with one image and a mask for each structure, beside it or in ``segmentations/``."""
    files = sorted(path for path in home.iterdir() if path.is_file() and is_nifti(path))
    inner = home / "segmentations"
    more = sorted(path for path in inner.iterdir() if is_nifti(path)) if inner.is_dir() else []
    named = {theirs: ours for theirs, ours in chosen.items() if theirs != ANY_OTHER}
    masks = [path for path in files if meaning_of(stem(path), named)] + more
    images = [path for path in files if path not in masks]
    if len(images) != 1 or not masks:
        return None
    (image,) = images
    name = stem(image) if home == folder else home.name
    modality, weighting = kind_of(stem(image).rpartition("_")[2], told)
    labels = tuple(
        SourceLabels(partial(_mask, path), {1: ((stem(path),),)}, _short(folder, path))
        for path in masks
    )
    one = SourceImage(partial(read, image), modality, weighting, _short(folder, image))
    return SourceCase(name, told.patient_of(name), (one,), labels)


def _mask(path: Path) -> Voxels:
    """1 wherever the file is not 0: masks come as 0 and 1, as 0 and 255, as fractions."""
    voxels = read(path)
    return Voxels((voxels.values > 0).astype(np.uint8), voxels.affine_ras_mm)


def _short(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
