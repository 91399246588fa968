"""Training of one network: resumable, with atomic checkpoints, an averaged copy of the weights and
a log in JSON lines."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from sifdetect.anatomy import Modality
from sifdetect.bundle import TORCH_WEIGHTS, BundleSpec, Task, localizer_spec, region_spec
from sifdetect.engine import build_unet
from sifdetect.errors import ConfigurationError
from sifdetect.learn.augment import Patch, Recipe, draw_patch
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.losses import localizer_loss, region_loss
from sifdetect.learn.views import draw_view


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, for how long; the keys of a training file.

    ``start`` is the folder of a bundle whose weights the training begins with; empty for none.
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

    @property
    def spec(self) -> BundleSpec:
        """The bundle that is being trained."""
        modality = Modality(self.modality)
        chosen = region_spec if Task(self.task) is Task.REGION else localizer_spec
        return chosen(modality)

    @property
    def half_precision(self) -> bool:
        """True for bfloat16 arithmetic; ``auto`` takes it where the processor has it.

        Emulated, it costs 24 times as much as float32 (45 s against 1.85 s a step on an AVX2 core).
        """
        if self.precision == "auto":
            return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        return self.precision == "bfloat16"


def read_config(path: Path, overrides: dict[str, str]) -> TrainConfig:
    """A training file (YAML), with some of its keys replaced.

    Raises:
        ConfigurationError: the file cannot be read, or a key is unknown or missing.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{path} cannot be read as a training file ({error})") from error
    document |= {key: yaml.safe_load(value) for key, value in overrides.items()}
    known = {item.name: item.type for item in fields(TrainConfig)}
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ConfigurationError(
            f"{path} has unknown keys: {', '.join(unknown)}", hint=f"Known: {', '.join(known)}"
        )
    try:
        # To YAML 1.1 a number such as 1e-3 is a word.
        numbers = {key: float(value) for key, value in document.items() if known[key] == "float"}
        config = TrainConfig(**document | numbers)
        _ = config.spec  # a task or modality that does not exist shows here
        return config
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{path} is not a training file ({error})") from error


class Trainer:
    """One network in training; everything that a resumed run needs is in its checkpoint."""

    def __init__(self, config: TrainConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.folder = Path(config.out)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.network = build_unet(config.spec)
        if config.start:
            _begin_with(self.network, Path(config.start))
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.rng = np.random.default_rng(config.seed)
        self.step = 0
        self.seconds = 0.0
        self.cache: OrderedDict[Path, Rendered] = OrderedDict()

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=False)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Write the checkpoint; a reader sees the old one or the new one, never a part."""
        partial = self.checkpoint.with_suffix(".part")
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    def run(self) -> None:
        """Train until the step or the time limit; a checkpoint is left in either case."""
        started = time.monotonic()
        losses: list[float] = []
        while self.step < self.config.steps:
            begun = time.monotonic()
            losses.append(self._step())
            self.seconds += time.monotonic() - begun
            if self.step % self.config.checkpoint_every == 0:
                finite = [loss for loss in losses if math.isfinite(loss)]
                skipped = len(losses) - len(finite)
                self._log({"loss": float(np.mean(finite or [math.inf])), "skipped": skipped})
                losses.clear()
                self.save()
            if time.monotonic() - started > self.config.minutes * 60:
                break
        self.save()

    def _step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        patches = self._patches()
        channels = torch.from_numpy(np.stack([p.channels for p in patches]))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.config.half_precision):
            output = self.network(channels)
        loss = self._loss(output.float(), patches)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        length = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12.0)
        self.step += 1
        if torch.isfinite(loss) and torch.isfinite(length):
            self.optimizer.step()
            self._average()
        return float(loss.detach())

    def _loss(self, output: Tensor, patches: list[Patch]) -> Tensor:
        classes = torch.from_numpy(np.stack([p.classes for p in patches]))
        targets = torch.from_numpy(np.stack([p.targets for p in patches]))
        weight = torch.from_numpy(np.stack([p.weight for p in patches]))
        chosen = region_loss if self.config.spec.task is Task.REGION else localizer_loss
        return chosen(output, classes, targets, weight)

    def _learning_rate(self) -> float:
        """Linear warm-up over 50 steps, then a cosine down to 2 % at the last step."""
        progress = min(1.0, self.step / max(1, self.config.steps))
        falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
        return self.config.learning_rate * falling * min(1.0, (self.step + 1) / 50)

    def _average(self) -> None:
        share = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(now, 1 - share)

    def _patches(self) -> list[Patch]:
        names = Pool(Path(self.config.pool)).names()[self.config.held_out :]
        if not names:
            raise ConfigurationError(
                f"The pool {self.config.pool} holds no sample to train on",
                hint=f"Fill it with sifdetect synth --format {self.config.task}",
            )
        ease = min(1.0, self.step / (0.3 * self.config.steps))
        spec = self.config.spec
        view = draw_view(spec.modality, self.rng) if spec.task is Task.LOCALIZER else None
        recipe = Recipe(spec, self.config.size, cut=0.1 + 0.3 * ease, view=view)
        count = self.config.batch * (view.patches if view else 4) // 4
        chosen = [names[int(self.rng.integers(len(names)))] for _ in range(max(1, count))]
        return [draw_patch(self._sample(name), recipe, self.rng) for name in chosen]

    def _sample(self, name: Path) -> Rendered:
        if name not in self.cache:
            with np.load(name) as stored:
                wanted = [k for k in stored.files if self._needed(k)]
                self.cache[name] = {key: stored[key] for key in wanted}
            if len(self.cache) > 450:
                self.cache.popitem(last=False)
        return self.cache[name]

    def _needed(self, key: str) -> bool:
        image = key == "ct" or key.startswith(("fluid", "anatomical"))
        return not image or (key == "ct") == (self.config.spec.modality is Modality.CT)

    def _log(self, row: dict[str, Any]) -> None:
        row = {"step": self.step, "seconds": round(self.seconds, 1)} | row
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")


def _begin_with(network: torch.nn.Module, bundle: Path) -> None:
    """Give a network the weights of a bundle.

    Raises:
        ConfigurationError: there are none, or they are of another network.
    """
    try:
        weights = torch.load(bundle / TORCH_WEIGHTS, map_location="cpu", weights_only=True)
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"Training cannot start from {bundle} ({reason})",
            hint="Name the folder of a bundle of the same task and modality",
        ) from error


def train(config: TrainConfig, *, resume: bool) -> Trainer:
    """Train as the configuration says; ``resume`` goes on from the last checkpoint."""
    trainer = Trainer(config)
    if resume:
        trainer.resume()
    trainer.run()
    return trainer
