"""What nnU-Net v2's default 3D full-resolution predictor would cost on the scan of analyze.py.

    pip install --no-deps nnunetv2 dynamic-network-architectures batchgenerators \
        batchgeneratorsv2 acvl-utils
    python benchmarks/nnunet.py [--spacing 1.5]

Random weights, tiles of 128×128×128 at half a tile's step, mirrored along three axes: its defaults.
The predictor itself is timed on one tile, and the tiles of the scan are counted by its own code: a
whole scan takes hours on two cores. Our seconds are those from the read series to its findings,
in the same run.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from analyze import FIELD_MM, SIDE, write_scan  # beside this script
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_steps_for_sliding_window
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from sifdetect.app import default_models
from sifdetect.dicom.read import read_studies
from sifdetect.engine import Models
from sifdetect.pipeline import analyze_study

PATCH = (128, 128, 128)
LABELS = {"background": 0, **{f"structure {n}": n for n in range(1, 9)}}
"""As many structures as our region network tells apart."""
SLICES, SLICE_MM = 300, 0.8


def main() -> int:
    """Time a tile and an analysis, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spacing", type=float, nargs="*", default=[FIELD_MM / SIDE, 1.5])
    options = parser.parse_args()
    ours = _ours()
    tile = _tile_seconds()
    print(f"{os.cpu_count()} cores ({platform.machine()}), torch {torch.__version__}\n")
    print(f"Ours, read series to findings: {ours:.1f} s. A tile, mirrored: {tile:.0f} s.\n")
    print("| nnU-Net's spacing, mm | tiles | s, counted | times ours |\n|---|---|---|---|")
    for spacing in options.spacing:
        tiles = _tiles(spacing)
        cost = tiles * tile
        print(f"| {spacing:.2f} | {tiles} | {cost:.0f} | {cost / ours:.0f} |")
    return 0


def _ours() -> float:
    with tempfile.TemporaryDirectory() as folder:
        scan = Path(folder, "scan")
        write_scan(scan, SLICES, SLICE_MM)
        study = read_studies([scan])[0].to_study()
    start = time.perf_counter()
    analyze_study(study, Models(default_models()))
    return time.perf_counter() - start


def _predictor() -> Any:
    features = [32, 64, 128, 256, 320, 320]
    network = PlainConvUNet(
        1, 6, features, torch.nn.Conv3d, 3, [1, 2, 2, 2, 2, 2], 2, len(LABELS), 2, conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=False,
    )  # fmt: skip
    configuration = {
        "data_identifier": "random", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": PATCH, "spacing": [1.0, 1.0, 1.0],
        "architecture": {},  # asked for by name; the network is built above
    }  # fmt: skip
    plans = PlansManager(
        {"plans_name": "nnUNetPlans", "dataset_name": "random",
         "configurations": {"3d_fullres": configuration},
         "label_manager": "LabelManager"}
    )  # fmt: skip
    predictor = nnUNetPredictor(
        use_mirroring=True, perform_everything_on_device=False, device=torch.device("cpu"),
        allow_tqdm=False,
    )  # fmt: skip
    predictor.manual_initialization(
        network, plans, plans.get_configuration("3d_fullres"), None,
        {"labels": LABELS, "channel_names": {"0": "CT"}}, "nnUNetTrainer", (0, 1, 2),
    )  # fmt: skip
    return predictor


def _tile_seconds() -> float:
    predictor = _predictor()
    image = torch.from_numpy(np.random.default_rng(0).standard_normal((1, *PATCH), np.float32))
    with torch.inference_mode():
        start = time.perf_counter()
        predictor.predict_sliding_window_return_logits(image)
    return time.perf_counter() - start


def _tiles(spacing_mm: float) -> int:
    shape = tuple(round(mm / spacing_mm) for mm in (SLICES * SLICE_MM, FIELD_MM, FIELD_MM))
    padded = tuple(max(n, p) for n, p in zip(shape, PATCH, strict=True))
    return int(np.prod([len(s) for s in compute_steps_for_sliding_window(padded, PATCH, 0.5)]))


if __name__ == "__main__":
    sys.exit(main())
