"""A run that was broken off goes on as if it had not been; several processes train as one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sifdetect.bundle import Task
from sifdetect.errors import ConfigurationError
from sifdetect.learn.config import TrainConfig, read_config, write_config
from sifdetect.learn.feed import Feed, SampleCache
from sifdetect.learn.train import Trainer, train
from tests.conftest import ROOT
from tests.pools import tiny_training

CLOCK = ("seconds",)
"""What may differ between two runs that are otherwise the same."""


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    """Six steps with a validation at every second one, on one of three scans."""
    return replace(tiny_training(tmp_path, samples=3), held_out=1, validate_every=2)


def same(one: Any, other: Any) -> bool:
    """True where two states hold the same numbers, bit for bit."""
    if isinstance(one, dict):
        keys = set(one) - set(CLOCK)
        return keys == set(other) - set(CLOCK) and all(same(one[k], other[k]) for k in keys)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return bool(np.array_equal(one, other))


def checkpoint(folder: str) -> dict[str, Any]:
    """What a run left."""
    state: dict[str, Any] = torch.load(Path(folder) / "checkpoint.pt", weights_only=False)
    return state


def test_everything_in_the_checkpoint_is_as_after_an_unbroken_run(
    config: TrainConfig, tmp_path: Path
) -> None:
    """Optimizer, schedule, random state, history, best weights: broken off after every step."""
    whole = replace(config, out=str(tmp_path / "whole"))
    train(whole, resume=False)
    for _ in range(3):
        assert train(replace(config, minutes=0.0), resume=True).step < 4
    train(config, resume=True)
    one, other = checkpoint(whole.out), checkpoint(config.out)
    assert same(one, other)
    assert not same(one, {**other, "step": 5})
    rows = [json.loads(line) for line in (Path(config.out) / "log.jsonl").read_text().splitlines()]
    assert same(rows, one["history"])
    assert [row["step"] for row in rows if "loss" in row] == [2, 4, 6]


def test_rows_written_after_the_checkpoint_are_taken_back(config: TrainConfig) -> None:
    """A log does not tell a stretch twice when it is trained twice."""
    train(replace(config, steps=2), resume=False)
    log = Path(config.out) / "log.jsonl"
    before = log.read_text()
    log.write_text(before + '{"step": 3, "loss": 1.0}\n')
    trainer = Trainer(config)
    trainer.resume()
    assert log.read_text() == before


def test_scalars_reach_tensorboard(config: TrainConfig) -> None:
    """Loss, rate and the loss on the held-out part, at their steps."""
    train(config, resume=False)
    board = EventAccumulator(str(Path(config.out) / "tensorboard"))
    board.Reload()
    assert {"loss", "learning_rate", "validation_loss"} <= set(board.Tags()["scalars"])
    assert [event.step for event in board.Scalars("validation_loss")] == [2, 4, 6]


def test_training_ends_when_the_held_out_loss_no_longer_falls(config: TrainConfig) -> None:
    """With a learning rate of nothing no measurement is better than the first one."""
    still = replace(config, steps=50, learning_rate=0.0, weight_decay=0.0, patience=2)
    trainer = train(still, resume=False)
    assert trainer.step == 6
    assert trainer.best is not None
    assert trainer.best["step"] == 2


def test_the_held_out_part_is_not_trained_on(config: TrainConfig) -> None:
    """Nor is what is excluded; with nothing left the error says so."""
    feed = Feed(replace(config, exclude=("0000001.npz",)))
    assert [path.name for path in feed.train_names()] == ["0000002.npz"]
    with pytest.raises(ConfigurationError, match="holds no sample"):
        Feed(replace(config, held_out=3)).train_names()


def test_the_cache_keeps_to_its_bytes(config: TrainConfig) -> None:
    """Two samples fit: the third puts out the one that was used longest ago."""
    names = sorted(Path(config.pool).glob("*.npz"))
    sample = SampleCache(10**9, config.spec.modality)
    sample(names[0])
    cache = SampleCache(int(2.5 * sample.bytes), config.spec.modality)
    first, second = cache(names[0]), cache(names[1])
    assert cache(names[0]) is first
    cache(names[2])
    assert len(cache) == 2
    assert cache(names[0]) is first
    assert cache(names[1]) is not second


def test_half_precision_scales_its_gradients(config: TrainConfig) -> None:
    """float16 trains with a scaler, whose state is in the checkpoint; the loss stays finite."""
    trainer = train(replace(config, precision="float16", steps=2), resume=False)
    assert checkpoint(config.out)["scaler"]["scale"] > 1
    assert np.isfinite(trainer.journal.rows[-1]["loss"])


def test_a_device_that_is_not_there_is_named(config: TrainConfig) -> None:
    """Exit code 3, before anything is written."""
    with pytest.raises(ConfigurationError, match="no device cuda:99"):
        Trainer(replace(config, device="cuda:99"))


def test_a_written_training_file_reads_back(config: TrainConfig, tmp_path: Path) -> None:
    """What the run leaves beside its checkpoint is the configuration it ran with."""
    write_config(config, tmp_path / "train.yaml")
    assert read_config(tmp_path / "train.yaml", {}) == config
    assert config.spec.task is Task.REGION


@pytest.mark.slow
def test_two_processes_train_one_network(config: TrainConfig, tmp_path: Path) -> None:
    """torchrun: the weights are the same in both, the random streams are not, the loss falls."""
    path = tmp_path / "two.yaml"
    short = replace(config, steps=24, checkpoint_every=8, validate_every=24, learning_rate=1e-2)
    write_config(short, path)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    module = ["-m", "sifdetect.learn.train", str(path)]
    done = subprocess.run(
        [sys.executable, *command, *module], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    state = checkpoint(config.out)
    first, second = state["ranks"]
    assert state["processes"] == 2
    assert first["weights_sha256"] == second["weights_sha256"]
    assert first["rng"] != second["rng"]
    losses = [row["loss"] for row in state["history"] if "loss" in row]
    assert losses[-1] < 0.9 * losses[0]
