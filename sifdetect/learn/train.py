"""Training of one network: resumable to the bit, on one process or several, with atomic checkpoints
and an averaged copy of the weights.

``torchrun --standalone --nproc-per-node=2 -m sifdetect.learn.train CONFIG`` trains on two.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sifdetect.bundle import TORCH_WEIGHTS, Task
from sifdetect.engine import build_unet
from sifdetect.errors import ConfigurationError, SifdetectError
from sifdetect.learn import ranks
from sifdetect.learn.augment import Patch
from sifdetect.learn.config import TrainConfig, read_config, write_config
from sifdetect.learn.feed import Feed
from sifdetect.learn.jobs import keep_freed_memory
from sifdetect.learn.journal import Journal
from sifdetect.learn.losses import RegionLoss, localizer_loss

__all__ = ["TrainConfig", "Trainer", "main", "read_config", "train"]

WARM_UP = 50
"""Steps over which the learning rate rises."""


class Trainer:
    """One network in training; everything that a resumed run needs is in its checkpoint."""

    def __init__(self, config: TrainConfig) -> None:
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.config = config
        self.device = config.torch_device(ranks.local_rank())
        self.arithmetic = config.arithmetic(self.device)
        self.folder = Path(config.out)
        self.folder.mkdir(parents=True, exist_ok=True)
        network = build_unet(config.spec)
        if config.start:
            _begin_with(network, Path(config.start))
        self.network: nn.Module = network.to(self.device)
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self._parallel = DistributedDataParallel(self.network) if ranks.count() > 1 else network
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._learning_rate)
        half = self.arithmetic is torch.float16
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        rank = ranks.rank()
        self.rng = np.random.default_rng([config.seed, rank] if rank else config.seed)
        self.feed = Feed(config)
        self.journal = Journal(self.folder, writes=rank == 0)
        self.step, self.seconds = 0, 0.0
        self.losses: list[float] = []
        self.best: dict[str, Any] | None = None
        self.waited = 0

    @property
    def checkpoint(self) -> Path:
        """Where the state is kept."""
        return self.folder / "checkpoint.pt"

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=False)
        for name in ("network", "averaged", "optimizer", "scheduler", "scaler"):
            getattr(self, name).load_state_dict(state[name])
        for name in ("step", "seconds", "losses", "best", "waited"):
            setattr(self, name, state[name])
        self.journal.restore(state["history"])
        streams = state["ranks"]
        if ranks.rank() >= len(streams):  # there were fewer processes: a new one has a new stream
            self.rng = np.random.default_rng([self.config.seed, ranks.rank(), self.step])
            return
        mine = streams[ranks.rank()]
        self.rng.bit_generator.state = mine["rng"]
        torch.set_rng_state(mine["torch_rng"])

    def save(self) -> None:
        """Write the checkpoint; a reader sees the old one or the new one, never a part.

        Raises:
            SifdetectError: the processes that train together hold different weights.
        """
        mine = {
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            "weights_sha256": _digest(self.network),
        }
        every = ranks.gathered(mine)
        if len({one["weights_sha256"] for one in every}) > 1:
            raise SifdetectError("The processes that train together hold different weights")
        if ranks.rank():
            return
        names = ("network", "averaged", "optimizer", "scheduler", "scaler")
        state = {name: getattr(self, name).state_dict() for name in names}
        state |= {
            name: getattr(self, name) for name in ("step", "seconds", "losses", "best", "waited")
        }
        state |= {"history": self.journal.rows, "ranks": every, "processes": ranks.count()}
        state["device"] = self.device.type
        partial = self.checkpoint.with_suffix(".part")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)
        write_config(self.config, self.folder / "train.yaml")

    def run(self) -> None:
        """Train until the step or the time limit, or until the held-out loss no longer falls; a
        checkpoint is left in each case.
        """
        config, started = self.config, time.monotonic()
        self.feed.train_names()  # an empty pool is told before anything is opened
        self.journal.begin(self.step, config.steps)
        try:
            while self.step < config.steps and not self._exhausted():
                begun = time.monotonic()
                loss = ranks.mean(self._step(), self.device)
                self.seconds += time.monotonic() - begun
                self.losses.append(loss)
                self.journal.tick(loss)
                if config.validate_every and self.step % config.validate_every == 0:
                    self._validate()
                if self.step % config.checkpoint_every == 0:
                    self._record()
                    self.save()
                if ranks.mean(time.monotonic() - started, self.device) > config.minutes * 60:
                    break
            self.save()
        finally:
            self.journal.end()

    def _step(self) -> float:
        patches = self.feed.patches(self.step, self.rng)
        loss = self._loss_of(self._parallel, patches)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch has no annotation here
        self.scaler.unscale_(self.optimizer)
        length = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12.0)
        self.step += 1
        if torch.isfinite(length):  # of the mean gradient: the same in every process
            self.scaler.step(self.optimizer)
            self._average()
        self.scaler.update()
        self.scheduler.step()
        return float(loss.detach())

    def _loss_of(self, network: nn.Module, patches: list[Patch]) -> Tensor:
        device = self.device
        channels = torch.from_numpy(np.stack([p.channels for p in patches])).to(device)
        half = self.arithmetic is not torch.float32
        with torch.autocast(device.type, dtype=self.arithmetic if half else None, enabled=half):
            output = network(channels)
        classes, targets, weight = (
            torch.from_numpy(np.stack([getattr(p, name) for p in patches])).to(device)
            for name in ("classes", "targets", "weight")
        )
        region = self.config.spec.task is Task.REGION
        chosen = RegionLoss(self.config.thin) if region else localizer_loss
        known, possible = _knowledge(patches, device)
        return chosen(output.float(), classes, targets, weight, known=known, possible=possible)

    def _learning_rate(self, step: int) -> float:
        """Share of the rate: a linear warm-up, then a cosine down to 2 % at the last step."""
        progress = min(1.0, step / max(1, self.config.steps))
        falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
        return falling * min(1.0, (step + 1) / WARM_UP)

    def _average(self) -> None:
        share = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(
                self.averaged.parameters(), self.network.parameters(), strict=True
            ):
                mean.lerp_(now, 1 - share)

    def _validate(self) -> None:
        """The loss of the averaged weights on the held-out part; the best weights are kept."""
        batches = self.feed.validation(ranks.rank(), ranks.count())
        with torch.no_grad():
            total = sum(float(self._loss_of(self.averaged, batch)) for batch in batches)
        many = ranks.mean(len(batches), self.device)
        if not many:
            return
        loss = ranks.mean(total, self.device) / many
        self.waited += 1
        if math.isfinite(loss) and (self.best is None or loss < self.best["loss"]):
            weights = {k: v.detach().cpu().clone() for k, v in self.averaged.state_dict().items()}
            self.best = {"loss": loss, "step": self.step, "weights": weights}
            self.waited = 0
        self.journal.write({"step": self.step, "validation_loss": loss})

    def _exhausted(self) -> bool:
        return 0 < self.config.patience <= self.waited

    def _record(self) -> None:
        finite = [loss for loss in self.losses if math.isfinite(loss)]
        row = {"step": self.step, "seconds": round(self.seconds, 1)}
        row |= {"loss": float(np.mean(finite or [math.inf]))}
        row |= {"skipped": len(self.losses) - len(finite)}
        self.journal.write(row | {"learning_rate": self.scheduler.get_last_lr()[0]})
        self.losses = []


def _knowledge(patches: list[Patch], device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """``known`` and ``possible`` of a batch; None where everything is known of all of it."""
    if all(patch.known is None for patch in patches):
        return None, None
    known, possible = [], []
    for patch in patches:
        certain = np.left_shift(np.uint8(1), patch.classes.astype(np.uint8))
        known.append(np.full_like(certain, 255) if patch.known is None else patch.known)
        possible.append(certain if patch.possible is None else patch.possible)
    return tuple(torch.from_numpy(np.stack(one)).to(device) for one in (known, possible))  # type: ignore[return-value]  # two of two


def _digest(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _begin_with(network: nn.Module, bundle: Path) -> None:
    """Give a network the weights of a bundle.

    Raises:
        ConfigurationError: there are none, or they are of another network.
    """
    try:
        weights = torch.load(bundle / TORCH_WEIGHTS, map_location="cpu", weights_only=True)
        weights = {name: value.float() for name, value in weights.items()}
        fresh = {n: v for n, v in network.state_dict().items() if ".refinement." in n}
        network.load_state_dict(fresh | weights)  # a plain network has no refinement
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


def main(arguments: Sequence[str] | None = None) -> int:
    """One of the processes that torchrun starts; the exit code."""
    parser = argparse.ArgumentParser(prog="sifdetect.learn.train")
    parser.add_argument("config", type=Path, metavar="CONFIG")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    ranks.join()
    try:
        train(read_config(options.config, {}), resume=options.resume)
    except SifdetectError as error:
        sys.stderr.write(f"sifdetect: {error}\n")
        return error.exit_code
    finally:
        ranks.leave()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
