"""A training file: what to train, on what, for how long, on which device."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml

from sifdetect.anatomy import Modality
from sifdetect.bundle import BundleSpec, Task, localizer_spec, read_spec, region_spec
from sifdetect.errors import ConfigurationError, ModelError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class TrainConfig:
    """The keys of a training file.

    Attributes:
        task, modality: which of the four networks.
        pool, out: folders of the samples and of the run.
        start: folder of a bundle whose network and weights the training begins with; empty for a
            network as designed with random weights.
        refined: convolve twice on the grids between; a plain network to start from is deepened,
            and answers at first as it did.
        mix, share: a second pool, and how often a sample is drawn from it, 0–1.
        exclude: files of ``pool`` that are neither trained nor validated on.
        held_out: so many of the first samples of ``pool`` (after ``exclude``) are not trained on;
            the loss on them is measured every ``validate_every`` steps (0: never), and training
            ends after ``patience`` such measurements without a new lowest (0: never).
        size: voxels of a region's patch.
        average: of the averaged copy of the weights, per step.
        minutes: the run stops, resumable, after so many.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda:N``.
        precision: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
        thin: weight of what lies beside a fracture line, see ``losses.lesion_loss``.
        cache_mb: memory for samples that were read, for each process.
    """

    task: str
    modality: str
    pool: str
    out: str
    steps: int
    seed: int = 0
    batch: int = 4
    size: tuple[int, int, int] = (64, 64, 64)
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    average: float = 0.998
    checkpoint_every: int = 100
    minutes: float = 1e9
    threads: int = 1
    precision: str = "auto"
    held_out: int = 40
    start: str = ""
    refined: bool = False
    device: str = "auto"
    validate_every: int = 500
    patience: int = 10
    mix: str = ""
    share: float = 0.5
    exclude: tuple[str, ...] = ()
    thin: float = 0.0
    cache_mb: float = 4000.0

    @cached_property
    def spec(self) -> BundleSpec:
        """The bundle that is being trained: the one to start from, or as designed.

        Raises:
            ConfigurationError: the bundle to start from cannot be read or is of another kind.
        """
        task, modality = Task(self.task), Modality(self.modality)
        if not self.start:
            plain = region_spec(modality) if task is Task.REGION else localizer_spec(modality)
            return replace(plain, refined=self.refined)
        try:
            spec = read_spec(Path(self.start))
        except ModelError as error:
            raise _no_start(self.start, error.reason) from error
        if (spec.task, spec.modality) != (task, modality):
            raise _no_start(
                self.start, f"it is a {spec.name}, not a {self.task} for {modality.value}"
            )
        return replace(spec, refined=spec.refined or self.refined)

    def torch_device(self, local_rank: int = 0) -> torch.device:
        """Where to compute; process ``local_rank`` of several takes the GPU of that number.

        Raises:
            ConfigurationError: there is no such device.
        """
        there = torch.cuda.is_available()
        name = self.device
        if name == "auto":
            name = f"cuda:{local_rank}" if there else "cpu"
        number = name.removeprefix("cuda:")
        if name != "cpu" and not (
            number.isdecimal() and there and int(number) < torch.cuda.device_count()
        ):
            raise ConfigurationError(
                f"There is no device {self.device} to train on", hint="Say auto, cpu or cuda:N"
            )
        return torch.device(name)

    def arithmetic(self, device: torch.device) -> torch.dtype:
        """Type of the convolutions. ``auto``: bfloat16 where the device has it, float16 on other
        GPUs, float32 on other processors.

        Emulated, bfloat16 costs 24 times as much as float32 on an AVX2 core (45 s against 1.85 s a
        step), and 1.7 times on one with AVX-512 but without its bfloat16 (5.8 s against 3.4).
        """
        if self.precision != "auto":
            return PRECISIONS[self.precision]
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.bfloat16 if _has_bfloat16() else torch.float32


def _has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16: the library says yes to any AVX-512, and
    emulates."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return not on_x86 or torch.cpu._is_avx512_bf16_supported()


def read_config(path: Path, overrides: dict[str, str]) -> TrainConfig:
    """A training file (YAML), with some of its keys replaced.

    Raises:
        ConfigurationError: the file cannot be read, or a key is unknown or missing.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        document |= {key: yaml.safe_load(value) for key, value in overrides.items()}
    except (OSError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as a training file ({error})") from error
    known = {item.name: item.type for item in fields(TrainConfig)}
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{path} has unknown keys: {', '.join(map(str, unknown))}",
            hint=f"Known: {', '.join(known)}",
        )
    try:
        config = TrainConfig(
            **{key: _typed(value, str(known[key])) for key, value in document.items()}
        )
        _ = config.spec  # a task or modality that does not exist shows here
        _check(config)
        return config
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} is not a training file ({error})") from error


def write_config(config: TrainConfig, path: Path) -> None:
    """The training file of a configuration."""
    document = asdict(config) | {"size": list(config.size), "exclude": list(config.exclude)}
    part = path.with_name(f"{path.name}.part")
    part.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    part.replace(path)


def _typed(value: Any, kind: str) -> Any:
    """To YAML 1.1 a number such as 1e-3 is a word, and a tuple is a list."""
    if kind == "float":
        return float(value)
    return tuple(value) if kind.startswith("tuple") else value


def _check(config: TrainConfig) -> None:
    if config.precision not in ("auto", *PRECISIONS):
        raise ValueError(f"precision is auto, {', '.join(PRECISIONS)}, not {config.precision}")
    if not 0 <= config.share <= 1:
        raise ValueError(f"share lies between 0 and 1, not at {config.share}")
    if len(config.size) != 3 or config.steps < 1 or config.batch < 1:
        raise ValueError("size has three numbers; steps and batch are at least 1")


def _no_start(bundle: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"Training cannot start from {bundle} ({reason})",
        hint="Name the folder of a bundle of the same task and modality",
    )
