"""Pools of tiny samples, and tiny bundles, for tests of training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sifdetect.anatomy import LesionBit, Modality
from sifdetect.bundle import BundleSpec, region_spec
from sifdetect.learn.config import TrainConfig
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.export import export
from tests.bundles import random_state, small

SIDE = 16
"""Voxels of a tiny region's box along each axis."""


def blob(seed: int) -> Rendered:
    """A tiny scan with one bright ball that is the sacrum."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, 24)] * 3, indexing="ij")
    ball = np.asarray(axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2 < 0.3)
    image = np.where(ball, 400, 0) + rng.normal(0, 20, ball.shape)
    return {
        "ct": image.astype(np.float16),
        "classes": ball.astype(np.uint8),
        "place": np.stack(axes).astype(np.float16),
    }


def slab(seed: int) -> Rendered:
    """A tiny region: a bright block of ala, in every second case with a dark line in it."""
    rng = np.random.default_rng(seed)
    bone = np.zeros((SIDE,) * 3, dtype=bool)
    bone[3:13, 3:13, 2 + seed % 3 : 12 + seed % 3] = True
    line = np.zeros_like(bone)
    if seed % 2:
        line[3:13, 6 : 8 + seed % 3, 4:12] = True
    image = np.where(line, -100, np.where(bone, 500, 0)) + rng.normal(0, 30, bone.shape)
    return {
        "ct": image.astype(np.float16),
        "region": 3 * bone.astype(np.uint8),
        "lesions": line.astype(np.uint8) * LesionBit.FRACTURE_LINE.value,
        "limb": line.astype(np.uint8),
        "level": np.where(bone, 1, 0).astype(np.float16),
    }


def tiny_region(modality: Modality = Modality.CT) -> BundleSpec:
    """A region network of few feature maps in a box of 24 mm."""
    box = {"low_mm": (-12.0,) * 3, "high_mm": (12.0,) * 3}
    return replace(small(region_spec(modality)), **box)  # type: ignore[arg-type]  # three numbers each


def tiny_bundle(folder: Path, spec: BundleSpec) -> Path:
    """A bundle with random weights."""
    export(random_state(spec), spec, folder)
    return folder / spec.name


def tiny_training(folder: Path, samples: int = 2) -> TrainConfig:
    """A few steps of a tiny region network on tiny samples."""
    Pool(folder / "pool").write(range(samples), slab)
    return TrainConfig(
        task="region",
        modality="CT",
        pool=str(folder / "pool"),
        out=str(folder / "out"),
        start=str(tiny_bundle(folder / "start", tiny_region())),
        steps=6,
        batch=1,
        size=(SIDE,) * 3,
        checkpoint_every=2,
        precision="float32",
        device="cpu",
        held_out=0,
    )
