"""Labelled scans for tests of ``sifdetect data``: small, oblique, no two spacings alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import AnatomyLabel
from sifdetect.learn.external.importing import import_source
from sifdetect.learn.external.store import CaseRecord, Dataset, read_dataset, write_dataset
from sifdetect.learn.external.voxels import Voxels, read, write

SHAPE = (40, 14, 22)
"""Voxels right to left, to the front, upwards, in the RAS array of ``AFFINE``."""
AFFINE = np.array(
    [
        [-3.0, 0.0, 0.0, 57.0],
        [0.0, 4.0 * np.cos(0.2), -5.0 * np.sin(0.2), -30.0],
        [0.0, 4.0 * np.sin(0.2), 5.0 * np.cos(0.2), -240.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""RAS millimetres; the first axis runs to the patient's left."""
OURS = {
    "sacrum": 1,
    "hip_left": 2,
    "hip_right": 3,
    "vertebrae_L5": 4,
}
"""Values of ``structures`` and their names."""


def structures(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """A sacrum between two hips below L5, as boxes."""
    values = np.zeros(shape, np.uint8)
    values[12:28, 4:9, 3:15] = OURS["sacrum"]
    values[3:11, 3:11, 2:16] = OURS["hip_right"]
    values[29:37, 3:11, 2:16] = OURS["hip_left"]
    values[14:26, 4:10, 16:21] = OURS["vertebrae_L5"]
    return values


def hounsfield(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.int16]:
    """Air around soft tissue around bone, with noise that no two seeds share."""
    values = np.full(shape, -1000.0)
    values[1:-1, 1:-1, :] = 40.0
    values[structures(shape) > 0] = 250.0
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    return np.asarray(np.rint(values + noise), dtype=np.int16)


def saved(path: Path, values: NDArray[Any], affine: NDArray[Any] = AFFINE) -> Path:
    """A NIfTI file below folders that are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Voxels(values, affine))
    return path


def nnunet_folder(
    folder: Path, names: Mapping[str, int], *, channels: tuple[str, ...] = ("CT",), **more: Any
) -> Path:
    """An nnU-Net v2 raw folder; ``names`` gives each case the seed of its noise."""
    for name, seed in names.items():
        for channel in range(len(channels)):
            values = hounsfield(seed + 100 * channel)
            saved(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", values)
        saved(folder / "labelsTr" / f"{name}.nii.gz", structures())
    document = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, **OURS},
        "numTraining": len(names),
        "file_ending": ".nii.gz",
        **more,
    }
    (folder / "dataset.json").write_text(json.dumps(document))
    return folder


def dataset(folder: Path, *names: str) -> Path:
    """An imported dataset with one CT a name, each of its own patient."""
    seeds = {name: number for number, name in enumerate(names or ("a",))}
    import_source(nnunet_folder(folder / "raw", seeds), folder / "set")
    return folder / "set"


def changed(folder: Path, name: str, **changes: Any) -> CaseRecord:
    """A case of ``dataset.json`` with other fields."""
    found = read_dataset(folder)
    cases = tuple(replace(one, **changes) if one.name == name else one for one in found.cases)
    write_dataset(folder, Dataset(found.source, found.label_map, cases, found.split))
    return next(one for one in cases if one.name == name)


def with_image(folder: Path, name: str, voxels: Voxels, **changes: Any) -> None:
    """Put another first image in place of a case's, its checksum with it."""
    (record,) = (one for one in read_dataset(folder).cases if one.name == name)
    first = record.images[0]
    write(folder / first.file, voxels)
    again = replace(first, sha256=read(folder / first.file).sha256, **changes)
    changed(folder, name, images=(again, *record.images[1:]))


def with_labels(folder: Path, file: str, voxels: Voxels) -> None:
    """Put other labels in place of a file's."""
    write(folder / file, voxels)


def anatomy_of(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``structures`` in our own numbers."""
    table = np.zeros(256, np.uint8)
    table[OURS["sacrum"]] = AnatomyLabel.SACRAL_BODY
    table[OURS["hip_left"]] = AnatomyLabel.HIP_LEFT
    table[OURS["hip_right"]] = AnatomyLabel.HIP_RIGHT
    table[OURS["vertebrae_L5"]] = AnatomyLabel.L5
    return table[values]
