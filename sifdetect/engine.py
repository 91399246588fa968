"""Runs a bundle's network: OpenVINO on a CPU, torch anywhere; loads what is asked for, once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import Modality
from sifdetect.bundle import (
    OPENVINO_MODEL,
    OPENVINO_WEIGHTS,
    TORCH_WEIGHTS,
    BundleSpec,
    Task,
    verify,
)
from sifdetect.errors import ConfigurationError, ModelError
from sifdetect.volume import FloatImage


class Engine(Enum):
    """What does the arithmetic; AUTO is OpenVINO on a CPU and torch on any other device."""

    AUTO = "auto"
    OPENVINO = "openvino"
    TORCH = "torch"


class Network(Protocol):
    """A network that is ready to run."""

    def __call__(self, channels: FloatImage) -> NDArray[np.float32]:
        """(inputs, …shape) float32 to (outputs, …shape) float32."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that is ready to run.

    Attributes:
        network: as its answers count; see ``as_used``.
        single: asked once where the other is asked twice; None where both are the same.
    """

    spec: BundleSpec
    network: Network
    single: Network | None = None

    @property
    def quick(self) -> Bundle:
        """The bundle asked once: for what only leads to the place where it is asked in earnest."""
        return self if self.single is None else Bundle(self.spec, self.single)


class Models:
    """The bundles in one folder, each verified and compiled when it is first asked for.

    Args:
        folder: holds ``localizer_ct``, ``localizer_mr``, ``region_ct`` and ``region_mr``.
        engine: what runs them.
        device: ``cpu`` or ``cuda:N``.

    Raises:
        ConfigurationError: the engine does not run on the device.
    """

    def __init__(self, folder: Path, *, engine: Engine = Engine.AUTO, device: str = "cpu") -> None:
        if engine is Engine.AUTO:
            engine = Engine.OPENVINO if device == "cpu" else Engine.TORCH
        if engine is Engine.OPENVINO and device != "cpu":
            raise ConfigurationError(
                f"The engine openvino runs on cpu, not on {device}", hint="Use --engine torch"
            )
        self.folder = folder
        self.engine = engine
        self.device = device
        self._loaded: dict[str, Bundle] = {}

    def localizer(self, modality: Modality) -> Bundle:
        """The localizer of a modality; raises ModelError where it is missing or altered."""
        return self._bundle(Task.LOCALIZER, modality)

    def region(self, modality: Modality) -> Bundle:
        """The region network of a modality; raises ModelError where it is missing or altered."""
        return self._bundle(Task.REGION, modality)

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the weights of every bundle that was used so far, by name."""
        return {name: bundle.spec.sha256 for name, bundle in sorted(self._loaded.items())}

    def _bundle(self, task: Task, modality: Modality) -> Bundle:
        name = f"{task.value}_{modality.value.lower()}"
        if name not in self._loaded:
            folder = self.folder / name
            spec = verify(folder)
            network = load_network(folder, spec, engine=self.engine, device=self.device)
            self._loaded[name] = Bundle(spec, as_used(network, spec), network)
        return self._loaded[name]


def as_used(network: Network, spec: BundleSpec) -> Network:
    """The network as its bundle is used: where the spec says ``mirrored``, the mean of its answers
    to the box and to the box with left and right exchanged.

    No output of a region network has a side of its own, so that both answers speak of the same
    voxels; what is left of a preference for one side is averaged away.
    """
    if not spec.mirrored:
        return network
    across = spec.inputs.index("x_100mm")

    def run(channels: FloatImage) -> NDArray[np.float32]:
        exchanged = channels[:, ::-1].copy()
        exchanged[across] *= -1.0
        answer = network(channels)
        answer += network(exchanged)[:, ::-1]
        answer *= 0.5
        return answer

    return run


def load_network(folder: Path, spec: BundleSpec, *, engine: Engine, device: str = "cpu") -> Network:
    """The network in a bundle's folder, its checksums unread; see ``as_used``.

    Raises:
        ModelError: the engine cannot load the file.
    """
    if engine is Engine.TORCH:
        return _torch(folder, spec, device)
    return _openvino(folder, spec)


def build_unet(spec: BundleSpec) -> Any:
    """The untrained torch module of a spec: a U-Net whose first convolution halves the grid."""
    if spec.refined:
        from sifdetect.networks import RefinedUNet  # noqa: PLC0415  # slow to import

        return RefinedUNet(**unet_arguments(spec))
    from monai.networks.nets.unet import UNet  # noqa: PLC0415  # slow to import, and only torch needs it

    return UNet(**unet_arguments(spec))


def network_target(spec: BundleSpec) -> str:
    """The class of a spec's network, as a bundle's config names it."""
    return "sifdetect.networks.RefinedUNet" if spec.refined else "UNet"


def unet_arguments(spec: BundleSpec) -> dict[str, Any]:
    """Arguments of ``monai.networks.nets.UNet`` for a spec, as a bundle's config writes them."""
    return {
        "spatial_dims": 3,
        "in_channels": len(spec.inputs),
        "out_channels": len(spec.outputs),
        "channels": list(spec.channels),
        "strides": [2] * (len(spec.channels) - 1),
        "num_res_units": 0,
        "norm": ["INSTANCE", {"affine": True}],
    }


def _torch(folder: Path, spec: BundleSpec, device: str) -> Network:
    import torch  # noqa: PLC0415  # slow to import, and only this engine needs it

    try:
        module = build_unet(spec)
        state = torch.load(folder / TORCH_WEIGHTS, map_location="cpu", weights_only=True)
        module.load_state_dict({name: value.float() for name, value in state.items()})
        module = module.to(device).eval()
    except (RuntimeError, OSError, ValueError) as error:
        raise ModelError(
            f"The bundle {spec.name} cannot be loaded on {device} ({error})"
        ) from error

    def run(channels: FloatImage) -> NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(channels)).to(device)[None]
            output: NDArray[np.float32] = module(batch)[0].float().cpu().numpy()
            return output

    return run


def _openvino(folder: Path, spec: BundleSpec) -> Network:
    import openvino  # noqa: PLC0415  # slow to import, and only this engine needs it

    if OPENVINO_WEIGHTS.as_posix() in spec.checksums:
        raise ModelError(
            f"The bundle {spec.name} keeps its weights twice, as it once was usual",
            hint="Make it anew: sifdetect model export --models FOLDER",
        )
    try:
        model = _core().read_model(folder / OPENVINO_MODEL, folder / TORCH_WEIGHTS)
        compiled = _core().compile_model(model, "CPU", _precise(openvino))
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot load the bundle {spec.name} ({error})") from error
    request = compiled.create_infer_request()

    def run(channels: FloatImage) -> NDArray[np.float32]:
        batch = np.ascontiguousarray(channels, dtype=np.float32)[None]
        request.infer([batch], share_inputs=True)
        return np.array(request.get_output_tensor(0).data[0], dtype=np.float32)

    return run


@cache
def _core() -> Any:
    import openvino  # noqa: PLC0415  # slow to import, and only this engine needs it

    return openvino.Core()


def _precise(openvino: Any) -> dict[Any, Any]:
    """float32 arithmetic: bfloat16, the default on some CPUs, moves fracture lines."""
    hints = openvino.properties.hint
    settings = {
        hints.inference_precision: openvino.Type.f32,
        hints.performance_mode: hints.PerformanceMode.LATENCY,
    }
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and int(threads) > 0:
        settings[openvino.properties.inference_num_threads] = int(threads)
    return settings
