"""nnU-Net v2 raw folders and Decathlon datalists, read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sifdetect.errors import UnreadableInput
from sifdetect.learn.external.source import (
    Source,
    SourceCase,
    SourceImage,
    SourceLabels,
    Told,
    kind_of,
)
from sifdetect.learn.external.voxels import ENDINGS, Voxels, read, read_channels, stem

EXTRA = "sifdetect"
"""Key of a ``dataset.json`` that ``export`` wrote, beside nnU-Net's own: what nnU-Net has no word
for (patient, what was annotated)."""


def is_nnunet(folder: Path) -> bool:
    """True where a folder is laid out as nnU-Net v2 wants its raw data."""
    return (folder / "dataset.json").is_file() and (folder / "imagesTr").is_dir()


def read_nnunet(folder: Path, told: Told) -> Source:
    """The training cases of an nnU-Net v2 raw folder.

    Source: nnU-Net v2, documentation/dataset_format.md and region_based_training.md: a label is a
    value, or a list of values where regions overlap; ``ignore`` marks voxels without annotation.

    Raises:
        UnreadableInput: ``dataset.json`` or a file it speaks of is missing or not understood.
        UsageError: nothing says the modality.
    """
    document = _json(folder / "dataset.json")
    channels = _dictionary(document, "channel_names", folder / "dataset.json")
    meaning = _meaning(_dictionary(document, "labels", folder / "dataset.json"))
    ending = str(document.get("file_ending", ".nii.gz"))
    if ending not in ENDINGS:
        raise UnreadableInput(
            f"{folder / 'dataset.json'} has images in files {ending}", hint="Convert them to NIfTI"
        )
    extra = document.get(EXTRA, {}).get("cases", {})
    cases = []
    for path in sorted((folder / "labelsTr").glob(f"*{ending}")):
        name = path.name.removesuffix(ending)
        more = extra.get(name, {})
        images = []
        for number, channel in sorted(channels.items(), key=lambda item: int(item[0])):
            image = folder / "imagesTr" / f"{name}_{int(number):04d}{ending}"
            if not image.is_file():
                raise UnreadableInput(f"{image} is missing: {path.name} has no such channel")
            modality, weighting = kind_of(str(channel), told, int(number))
            images.append(
                SourceImage(partial(read, image), modality, weighting, f"imagesTr/{image.name}")
            )
        labels = SourceLabels(partial(read, path), meaning, f"labelsTr/{path.name}")
        annotated = more.get("annotated")
        cases.append(
            SourceCase(
                name,
                str(more.get("patient") or told.patient_of(name)),
                tuple(images),
                (labels,),
                None if annotated is None else tuple(annotated),
            )
        )
    if not cases:
        raise UnreadableInput(f"{folder / 'labelsTr'} holds no labels (*{ending})")
    return Source("nnunet", cases)


def is_decathlon(path: Path) -> bool:
    """True for a JSON file with a list of images and labels."""
    return path.is_file() and path.suffix.lower() == ".json"


def read_decathlon(path: Path, told: Told) -> Source:
    """The labelled cases of a Decathlon datalist: ``training: [{image, label}]``.

    Paths are relative to the datalist. ``label`` is one file, ``image`` one or several. Channels
    are called by ``modality`` or ``channel_names`` (by number); labels by ``labels``, number to
    name as in the Decathlon or name to number as in nnU-Net.

    Raises:
        UnreadableInput: the list is not understood, or holds no labelled image.
        UsageError: nothing says the modality.
    """
    document = _json(path)
    channels = document.get("modality") or document.get("channel_names") or {"0": "image"}
    meaning = _meaning(_dictionary(document, "labels", path))
    items = [*document.get("training", []), *document.get("validation", [])]
    items = [one for one in items if isinstance(one, dict) and one.get("label")]
    if not items:
        raise UnreadableInput(
            f"{path} lists no image with a label", hint='It needs training: [{"image", "label"}]'
        )
    cases = []
    for item in items:
        files = item["image"] if isinstance(item["image"], list) else [item["image"]]
        images: list[SourceImage] = []
        for file in files:
            images += _images(path.parent, str(file), channels, told, first=len(images))
        label = path.parent / str(item["label"])
        name = stem(Path(str(files[0])))
        patient = str(item.get("patient") or item.get("subject") or told.patient_of(name))
        labels = SourceLabels(partial(read, label), meaning, str(item["label"]))
        cases.append(SourceCase(name, patient, tuple(images), (labels,)))
    return Source("decathlon", cases)


def _images(
    home: Path, file: str, channels: Mapping[str, Any], told: Told, *, first: int
) -> list[SourceImage]:
    """The channels of one file of a datalist."""
    count = len(read_channels(home / file))
    made = []
    for number in range(count):
        channel = first + number
        said = str(channels.get(str(channel), "image"))
        modality, weighting = kind_of(said, told, channel)
        source = file if count == 1 else f"{file}[{number}]"
        made.append(
            SourceImage(partial(_channel, home / file, number), modality, weighting, source)
        )
    return made


def _channel(path: Path, number: int) -> Voxels:
    return read_channels(path)[number]


def _meaning(labels: Mapping[str, Any]) -> dict[int, tuple[tuple[str, ...], ...]]:
    """By value, the names that hold there; from name → value(s) or value → name."""
    named: dict[int, list[tuple[str, ...]]] = {}
    for key, value in labels.items():
        if str(key).lstrip("-").isdigit():
            pairs = [(int(key), str(value))]
        else:
            values = value if isinstance(value, list) else [value]
            pairs = [(int(one), str(key)) for one in values]
        for number, name in pairs:
            if number != 0:
                named.setdefault(number, []).append((name,))
    return {number: tuple(names) for number, names in named.items()}


def _dictionary(document: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = document.get(key)
    if not isinstance(found, dict) or not found:
        raise UnreadableInput(f"{path} has no {key}", hint="Write it as nnU-Net v2 asks for it")
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableInput(f"{path} cannot be read ({error})") from error
    if not isinstance(document, dict):
        raise UnreadableInput(f"{path} is no list of images and labels")
    return document
