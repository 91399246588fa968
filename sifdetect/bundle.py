"""Opens ``models/<name>``: what a network eats, what it says, its intensity rule, its checksum.

A bundle is a MONAI bundle whose ``configs/metadata.json`` holds a ``sifdetect`` object; that object
is a :class:`BundleSpec`. The intensity rules below are the only implementation of preprocessing:
training and inference both call them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import LesionBit, LocalizerClass, Modality, RegionClass
from sifdetect.errors import ModelError
from sifdetect.volume import FloatImage

METADATA = Path("configs/metadata.json")
TORCH_WEIGHTS = Path("models/model.pt")
OPENVINO_MODEL = Path("models/model.xml")
OPENVINO_WEIGHTS = Path("models/model.bin")
"""Only while a bundle is written: the graph then takes its constants from TORCH_WEIGHTS."""
OUT_OF_VIEW = -4.0
"""Normalised MR intensity of a voxel without data; the lower end of the rule's range."""


class Task(Enum):
    """What a bundle is for."""

    LOCALIZER = "localizer"
    REGION = "region"


class IntensityRule(Enum):
    """Name of the rule that makes a network's input from a scanner's intensities."""

    CT_HU = "ct_hu"
    MR_ROBUST = "mr_robust"


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of a study's score: probability = sigmoid(slope * logit(score) + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, score: float) -> float:
        """Calibrated probability, 0–1, of a score in 0–1."""
        score = float(np.clip(score, 1e-6, 1 - 1e-6))
        logit = self.slope * np.log(score / (1 - score)) + self.intercept
        return float(1 / (1 + np.exp(-logit)))


@dataclass(frozen=True, kw_only=True)
class BundleSpec:
    """All that is known of a network without loading it.

    Attributes:
        channels: feature maps by depth of the U-Net; every step after the first halves the grid.
        refined, mirrored: see ``networks.RefinedUNet`` and ``engine.as_used``.
        inputs, outputs: name of each channel.
        low_mm, high_mm: corners of the region's box in the sacral frame; None for a localizer.
        threshold, temperature: by lesion, in the order of LesionBit's bits.
        decision: calibrated probability from which a fracture is stated.
        checksums: SHA-256 by file, relative to the bundle's folder; empty before it is exported.
        provenance: how it was trained, in words and numbers, for the model card.
    """

    task: Task
    modality: Modality
    spacing_mm: float
    intensity: IntensityRule
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    channels: tuple[int, ...] = (24, 48, 96, 160)
    refined: bool = False
    mirrored: bool = False
    low_mm: tuple[float, float, float] | None = None
    high_mm: tuple[float, float, float] | None = None
    threshold: tuple[float, ...] = ()
    temperature: tuple[float, ...] = ()
    calibration: Calibration = Calibration()
    decision: float = 0.5
    version: str = "0.1.0"
    checksums: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, str | float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Folder name of the bundle, such as ``region_ct``."""
        return f"{self.task.value}_{self.modality.value.lower()}"

    @property
    def multiple(self) -> int:
        """The grid's shape must be a multiple of this along every axis."""
        return int(2 ** (len(self.channels) - 1))

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Voxels of the region's box; None for a localizer, which takes any multiple."""
        if self.low_mm is None or self.high_mm is None:
            return None
        size = (np.array(self.high_mm) - self.low_mm) / self.spacing_mm
        i, j, k = np.rint(size).astype(int).tolist()
        return (i, j, k)

    @property
    def sha256(self) -> str:
        """Checksum of the weights as trained, which is what a report names."""
        return self.checksums.get(TORCH_WEIGHTS.as_posix(), "")


def localizer_spec(modality: Modality) -> BundleSpec:
    """The localizer of a modality as designed: 4 mm, any field of view."""
    return BundleSpec(
        task=Task.LOCALIZER,
        modality=modality,
        spacing_mm=4.0,
        intensity=_RULE[modality],
        inputs=("image",),
        outputs=(*_names(LocalizerClass), "x_100mm", "y_100mm", "z_100mm"),
    )


def region_spec(modality: Modality) -> BundleSpec:
    """The region network of a modality as designed: 1.5 mm in a box of the sacral frame."""
    images = ("ct",) if modality is Modality.CT else ("fluid_sensitive", "anatomical")
    return BundleSpec(
        task=Task.REGION,
        modality=modality,
        spacing_mm=1.5,
        intensity=_RULE[modality],
        inputs=(*images, "x_100mm", "y_100mm", "z_100mm"),
        outputs=(*_names(RegionClass), *_names(LesionBit), "level"),
        mirrored=True,
        low_mm=(-84.0, -66.0, -102.0),
        high_mm=(84.0, 66.0, 66.0),
        threshold=(0.5,) * len(LesionBit),
        temperature=(1.0,) * len(LesionBit),
    )


def normalised(
    values: FloatImage, in_view: NDArray[np.bool_], rule: IntensityRule
) -> NDArray[np.float32]:
    """What a network sees of ``values``; both arrays have the same shape."""
    return _RULES[rule](values, in_view)


def ct_hu(values: FloatImage, in_view: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Hounsfield units to about -1 … 4.

    The window [-250, 1250] HU keeps fat apart from air and the cortex from the marrow; cement and
    metal saturate. 100 HU, about aged cancellous bone, becomes 0.
    """
    clipped = np.clip(values, -250.0, 1250.0)
    clipped = np.where(in_view, clipped, -250.0)
    return ((clipped - 100.0) / 300.0).astype(np.float32)


def mr_robust(values: FloatImage, in_view: NDArray[np.bool_]) -> NDArray[np.float32]:
    """MR signal to about -4 … 4, free of scale and offset.

    Tissue is what lies in view above 5 % of the 99th percentile; its median becomes 0 and half of
    its 5 %–95 % range becomes 1. An empty image becomes constant.
    """
    seen = values[in_view]
    if seen.size == 0:
        return np.full(values.shape, OUT_OF_VIEW, dtype=np.float32)
    tissue = seen[seen > 0.05 * np.percentile(seen, 99)]
    if tissue.size == 0:
        return np.where(in_view, 0.0, OUT_OF_VIEW).astype(np.float32)
    low, middle, high = np.percentile(tissue, (5, 50, 95))
    scaled = (values - middle) / max((high - low) / 2, 1e-6)
    return np.where(in_view, np.clip(scaled, -4.0, 4.0), OUT_OF_VIEW).astype(np.float32)


def read_spec(folder: Path) -> BundleSpec:
    """The spec of the bundle in ``folder``.

    Raises:
        ModelError: there is no such bundle, or its metadata are not ours.
    """
    path = folder / METADATA
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The bundle {folder.name} cannot be read: {path} ({error})",
            hint="Give the folder that holds the bundles in SIFDETECT_MODELS",
        ) from error
    try:
        return spec_from_json(document["sifdetect"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The metadata of the bundle {folder.name} are not sifdetect's ({error!r} in {path})",
            hint="Install the bundle that belongs to this version",
        ) from error


def verify(folder: Path) -> BundleSpec:
    """The spec of the bundle in ``folder`` after each of its files matched its checksum.

    Raises:
        ModelError: a file is missing or is not the one that was exported.
    """
    spec = read_spec(folder)
    if not spec.checksums:
        raise ModelError(f"The bundle {folder.name} names no checksums", hint="Export it again")
    for name, expected in spec.checksums.items():
        try:
            found = sha256_of(folder / name)
        except OSError as error:
            raise ModelError(
                f"The bundle {folder.name} lacks {name}", hint="Install the bundle again"
            ) from error
        if found != expected:
            raise ModelError(
                f"{name} of the bundle {folder.name} does not match its checksum"
                f" (SHA-256 {found[:12]}… instead of {expected[:12]}…)",
                hint="Install the bundle again",
            )
    return spec


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def spec_to_json(spec: BundleSpec) -> dict[str, Any]:
    """The ``sifdetect`` object of a bundle's metadata."""
    return {
        "task": spec.task.value,
        "modality": spec.modality.value,
        "spacing_mm": spec.spacing_mm,
        "intensity": spec.intensity.value,
        "inputs": list(spec.inputs),
        "outputs": list(spec.outputs),
        "channels": list(spec.channels),
        "refined": spec.refined,
        "mirrored": spec.mirrored,
        "box_mm": None if spec.low_mm is None else [list(spec.low_mm), list(spec.high_mm or ())],
        "threshold": list(spec.threshold),
        "temperature": list(spec.temperature),
        "calibration": asdict(spec.calibration),
        "decision": spec.decision,
        "version": spec.version,
        "checksums": dict(spec.checksums),
        "provenance": dict(spec.provenance),
    }


def spec_from_json(document: dict[str, Any]) -> BundleSpec:
    """A spec from its JSON form.

    Raises:
        KeyError, TypeError, ValueError: something is missing or of the wrong kind.
    """
    low, high = document["box_mm"] or (None, None)
    return BundleSpec(
        task=Task(document["task"]),
        modality=Modality(document["modality"]),
        spacing_mm=float(document["spacing_mm"]),
        intensity=IntensityRule(document["intensity"]),
        inputs=tuple(document["inputs"]),
        outputs=tuple(document["outputs"]),
        channels=tuple(int(n) for n in document["channels"]),
        refined=bool(document.get("refined", False)),
        mirrored=bool(document.get("mirrored", False)),
        low_mm=None if low is None else (float(low[0]), float(low[1]), float(low[2])),
        high_mm=None if high is None else (float(high[0]), float(high[1]), float(high[2])),
        threshold=tuple(float(x) for x in document["threshold"]),
        temperature=tuple(float(x) for x in document["temperature"]),
        calibration=Calibration(**document["calibration"]),
        decision=float(document.get("decision", 0.5)),
        version=str(document["version"]),
        checksums=dict(document["checksums"]),
        provenance=dict(document["provenance"]),
    )


def _names(values: type[Enum]) -> tuple[str, ...]:
    return tuple(value.name.lower() for value in values)


_RULE = {Modality.CT: IntensityRule.CT_HU, Modality.MR: IntensityRule.MR_ROBUST}
_RULES: dict[IntensityRule, Callable[[FloatImage, NDArray[np.bool_]], NDArray[np.float32]]] = {
    IntensityRule.CT_HU: ct_hu,
    IntensityRule.MR_ROBUST: mr_robust,
}
