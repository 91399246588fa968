"""Several processes that train one network: who they are, and what they tell each other.

``torchrun`` starts them and says in the environment who they are (RANK, WORLD_SIZE, LOCAL_RANK).
Without it there is one process, and everything here is a plain answer.
"""

from __future__ import annotations

import os
from typing import TypeVar

import torch
from torch import distributed

T = TypeVar("T")


def join() -> None:
    """Take part in the group that torchrun made; nccl on GPUs, gloo on processors."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def leave() -> None:
    """End what ``join`` began."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def rank() -> int:
    """Number of this process; 0 writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def local_rank() -> int:
    """Number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0")) if distributed.is_initialized() else 0


def count() -> int:
    """Number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def mean(value: float, device: torch.device) -> float:
    """The mean over all processes, the same in each of them."""
    if not distributed.is_initialized():
        return value
    shared = torch.tensor([value], dtype=torch.float64 if device.type == "cpu" else torch.float32)
    shared = shared.to(device)
    distributed.all_reduce(shared)
    return float(shared) / count()


def gathered(value: T) -> list[T]:
    """What every process has to say, in order, in each of them."""
    if not distributed.is_initialized():
        return [value]
    said: list[T | None] = [None] * count()
    distributed.all_gather_object(said, value)
    return [one for one in said if one is not None]
