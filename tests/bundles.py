"""Bundles for tests: real files with random weights, and networks that read painted images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from sifdetect.anatomy import LocalizerClass, Modality, MrWeighting, RegionClass
from sifdetect.bundle import TORCH_WEIGHTS, BundleSpec, IntensityRule, localizer_spec, region_spec
from sifdetect.engine import Bundle, Models, build_unet
from sifdetect.learn.export import export
from sifdetect.volume import Grid, Volume

SMALL = (4, 8, 8, 8)
HU_OF_CLASS = 100.0
"""A painted CT shows class n at n * 100 HU."""
_LEVEL_EDGES = np.array([-0.45, -0.14, 0.14, 0.38, 0.58, 0.76])

EDEMA, LINE = 6, 10
"""Painted classes of marrow edema and of a fracture line; both lie in bone."""


def small(spec: BundleSpec) -> BundleSpec:
    """The spec with few feature maps, so that a test takes no time."""
    return replace(spec, channels=SMALL)


def random_state(spec: BundleSpec, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights of an untrained network, the same ones for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state: dict[str, torch.Tensor] = build_unet(spec).state_dict()
    return state


def random_models(folder: Path) -> Path:
    """All four bundles with random weights in ``folder``."""
    for modality in Modality:
        for spec in (small(localizer_spec(modality)), small(region_spec(modality))):
            export(random_state(spec), spec, folder)
    return folder


def painted_classes(channel: NDArray[np.float32]) -> NDArray[np.int64]:
    """Class painted at each voxel of a normalised CT."""
    hu = channel * 300.0 + 100.0
    return np.asarray(np.rint(hu / HU_OF_CLASS).clip(0, 99), dtype=np.int64)


def reading_localizer(spec: BundleSpec) -> Bundle:
    """Reads the painted class; the frame lies along the grid, in the middle of the sacrum."""

    def network(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        painted = painted_classes(channels[0])
        output = np.zeros((len(spec.outputs), *painted.shape), dtype=np.float32)
        for value in LocalizerClass:
            output[value] = 10.0 * (painted == value)
        sacrum = np.argwhere(painted == LocalizerClass.SACRUM)
        middle = sacrum.mean(axis=0) if len(sacrum) else np.zeros(3)
        index = np.indices(painted.shape).astype(np.float32)
        output[len(LocalizerClass) :] = (
            (index - middle.reshape(3, 1, 1, 1)) * spec.spacing_mm / 100.0
        )
        return output

    return Bundle(spec, network)


def reading_region(spec: BundleSpec) -> Bundle:
    """Sacrum is what is painted as localizer class 1: body, corridor and ala by distance."""

    def network(channels: NDArray[np.float32]) -> NDArray[np.float32]:
        images = len(spec.inputs) - 3
        painted = painted_classes(channels[:images].max(axis=0))
        x, z = np.abs(channels[-3]), channels[-1]
        line, edema = painted >= LINE - 2, (painted >= EDEMA - 1) & (painted < LINE - 2)
        sacrum = (painted == LocalizerClass.SACRUM) | line | edema
        output = np.zeros((len(spec.outputs), *painted.shape), dtype=np.float32)
        output[RegionClass.BACKGROUND] = 1.0
        output[RegionClass.SACRAL_BODY] = 9.0 * (sacrum & (x < 0.15))
        output[RegionClass.SACRAL_CORRIDOR] = 9.0 * (sacrum & (x >= 0.15) & (x < 0.25))
        output[RegionClass.SACRAL_ALA] = 10.0 * (sacrum & (x >= 0.25))
        output[len(RegionClass) : -1] = -8.0
        output[len(RegionClass) + 1] = np.where(line, 8.0, -8.0)
        if spec.modality is Modality.MR:
            output[len(RegionClass)] = np.where(edema | line, 8.0, -8.0)
        output[-1] = np.interp(-z, _LEVEL_EDGES, np.arange(len(_LEVEL_EDGES)))
        return output

    return Bundle(spec, network)


class PaintedModels(Models):
    """Models whose networks read a painted image instead of having learned anything."""

    def __init__(self) -> None:
        super().__init__(Path("painted"))
        for modality in Modality:
            localizer, region = (
                _painted(s) for s in (localizer_spec(modality), region_spec(modality))
            )
            self._loaded[localizer.name] = reading_localizer(localizer)
            self._loaded[region.name] = reading_region(region)


class Painting:
    """A box of sacrum 100 × 30 × 90 mm in nothing, along LPS axes about ``center_lps_mm``."""

    def __init__(self, grid: Grid, center_lps_mm: ArrayLike) -> None:
        points = grid.index_to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
        self.grid = grid
        self.offset = points - np.asarray(center_lps_mm)
        self.values = np.zeros(grid.shape, dtype=np.float32)
        self.paint((-50, -15, -45), (50, 15, 45), LocalizerClass.SACRUM)

    def paint(self, low: tuple[float, ...], high: tuple[float, ...], value: int) -> Painting:
        """Paint a box, in millimetres to the left, back and top of the centre."""
        inside = ((self.offset >= low) & (self.offset <= high)).all(axis=-1)
        self.values[inside] = value * HU_OF_CLASS
        return self

    def volume(self, weighting: MrWeighting | None = None) -> Volume:
        """The scan: a CT, or an MR where a weighting is given."""
        modality = Modality.CT if weighting is None else Modality.MR
        return Volume(self.values, self.grid, modality, weighting)


def _painted(spec: BundleSpec) -> BundleSpec:
    """The spec with an intensity rule that leaves the paint legible, also for MR."""
    checksums = {TORCH_WEIGHTS.as_posix(): "0" * 64}
    return replace(spec, intensity=IntensityRule.CT_HU, checksums=checksums)
