"""From a checkpoint to a bundle: averaged weights, calibration, export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sifdetect.bundle import BundleSpec, Task
from sifdetect.engine import build_unet
from sifdetect.learn.calibrate import calibrated
from sifdetect.learn.dataset import Pool
from sifdetect.learn.export import export
from sifdetect.learn.record import pool_anatomy
from sifdetect.learn.train import TrainConfig
from sifdetect.volume import FloatImage


def release(config: TrainConfig, models: Path, *, calibration: Pool, notes: str) -> BundleSpec:
    """Write ``models/<name>`` from the checkpoint of a training run.

    The card names the bones that the samples of ``config.pool`` were made from, as far as the pool
    itself says so (``record.py``).

    Args:
        calibration: cases that were not trained on; used for a region network.
        notes: what the network was trained on, for the model card.

    Raises:
        FileNotFoundError: the run has no checkpoint.
        ModelError: the weights do not fit, or the exported files disagree.
    """
    state = torch.load(Path(config.out) / "checkpoint.pt", weights_only=False)
    network = build_unet(config.spec)
    network.load_state_dict(state["averaged"])
    network.eval()

    def run(channels: FloatImage) -> NDArray[np.float32]:
        with torch.no_grad():
            output: NDArray[np.float32] = network(torch.from_numpy(channels)[None])[0].numpy()
        return output

    provenance: dict[str, str | float] = {
        "trained_on": notes,
        "steps": state["step"],
        "step_hours_on_one_core": round(state["seconds"] / 3600, 2),
        "seed": config.seed,
    }
    if bones := pool_anatomy(Path(config.pool)):
        provenance["anatomy"] = bones
    spec = replace(config.spec, provenance=provenance)
    if spec.task is Task.REGION:
        spec = calibrated(spec, run, calibration)
    return export(state["averaged"], spec, models)
