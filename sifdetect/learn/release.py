"""From a checkpoint to a bundle: averaged weights, calibration, export, card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sifdetect.bundle import BundleSpec, Task, region_spec, verify
from sifdetect.engine import Engine, Network, as_used, build_unet, load_network
from sifdetect.errors import ConfigurationError
from sifdetect.learn.calibrate import calibrated
from sifdetect.learn.config import TrainConfig
from sifdetect.learn.dataset import Pool
from sifdetect.learn.export import export, weights_of
from sifdetect.learn.record import pool_anatomy
from sifdetect.volume import FloatImage


def release(
    config: TrainConfig, models: Path, *, calibration: Pool | None = None, notes: str = ""
) -> BundleSpec:
    """Write ``models/<name>`` from the checkpoint of a training run.

    The weights are the averaged ones: of the step with the lowest loss on the part that was held
    out where the run measured it, else of the last step. The card names the bones that the samples
    of ``config.pool`` were made from, as far as the pool itself says so (``record.py``).

    Args:
        calibration: cases that were not trained on; a region network without it keeps the
            calibration of the bundle it started from.
        notes: what the network was trained on, for the model card; by default pool and bundle.

    Raises:
        ConfigurationError: the run has no checkpoint, or the pool cannot calibrate.
        ModelError: the weights do not fit, or the exported files disagree.
    """
    state = read_checkpoint(Path(config.out))
    spec = replace(config.spec, provenance=_provenance(config, state, notes), checksums={})
    if spec.task is Task.REGION and calibration is not None:
        spec = replace(spec, mirrored=region_spec(spec.modality).mirrored)
        spec = _calibrated_on(calibration, spec, as_used(_network(config, state), spec))
    return export(_weights(state), spec, models)


def recalibrate(bundle: Path, models: Path, pool: Pool) -> BundleSpec:
    """Write ``models/<name>`` with the weights of a bundle, calibrated anew on a pool.

    The network is asked as a new one would be: see ``BundleSpec.mirrored``.

    Raises:
        ConfigurationError: the pool cannot calibrate it, or it is a localizer.
        ModelError: the bundle cannot be read, or is not what was exported.
    """
    spec = verify(bundle)
    if spec.task is not Task.REGION:
        raise ConfigurationError(
            f"{spec.name} states no probability that could be calibrated",
            hint="Name a region network",
        )
    spec = replace(spec, mirrored=region_spec(spec.modality).mirrored)
    network = as_used(load_network(bundle, spec, engine=Engine.OPENVINO), spec)
    return export(weights_of(bundle), _calibrated_on(pool, spec, network), models)


def _calibrated_on(pool: Pool, spec: BundleSpec, network: Network) -> BundleSpec:
    try:
        return calibrated(spec, network, pool)
    except (ValueError, KeyError) as error:
        raise ConfigurationError(
            f"The pool {pool.folder} cannot calibrate {spec.name} ({error})",
            hint="Give samples of sifdetect synth --format region that were not trained on",
        ) from error


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """What a training run left in its folder.

    Raises:
        ConfigurationError: it left nothing.
    """
    path = folder / "checkpoint.pt"
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"There is no checkpoint to release in {folder} ({reason})",
            hint="Train first: sifdetect train CONFIG",
        ) from error
    return state


def trained_network(config: TrainConfig, state: Mapping[str, Any]) -> Network:
    """What a run has learned, as its bundle would use it on a processor: the released weights."""
    return as_used(_network(config, state), config.spec)


def _network(config: TrainConfig, state: Mapping[str, Any]) -> Network:
    network = build_unet(config.spec)
    network.load_state_dict(_weights(state))
    network.eval()

    def run(channels: FloatImage) -> NDArray[np.float32]:
        with torch.no_grad():
            batch = torch.from_numpy(np.ascontiguousarray(channels))[None]
            output: NDArray[np.float32] = network(batch)[0].numpy()
        return output

    return run


def _weights(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    best = state.get("best")
    weights: dict[str, torch.Tensor] = best["weights"] if best else state["averaged"]
    return weights


def _provenance(
    config: TrainConfig, state: Mapping[str, Any], notes: str
) -> dict[str, str | float]:
    pool, best = Pool(Path(config.pool)), state.get("best")
    said: dict[str, str | float] = {
        "trained_on": notes or f"{len(pool.names())} samples of the pool {pool.folder.name}",
        "steps": int(state["step"]),
        "step_hours_on_one_core": round(float(state["seconds"]) / 3600, 2),
        "seed": config.seed,
        "torch": torch.__version__.partition("+")[0],
        "machine": f"{state.get('processes', 1)} process(es), {state.get('device', 'cpu')}",
    }
    if best:
        said["chosen"] = (
            f"averaged weights of step {best['step']}, loss on the held-out part {best['loss']:.4f}"
        )
    if config.start:
        start = config.spec
        said["started_from"] = f"{start.name} {start.version}, SHA-256 {start.sha256[:12]}"
        kept = {k: v for k, v in start.provenance.items() if k.startswith(("calibration", "anat"))}
        said |= kept
        if not notes:
            said["trained_on"] = (
                f"{said['trained_on']}; before: {start.provenance.get('trained_on', 'unknown')}"
            )
    if bones := pool_anatomy(pool.folder):
        said["anatomy"] = bones
    return said
