"""The same seed makes the same patient on any machine; a change of that is made on purpose.

After such a change: ``python -m tests.golden``.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

from sifdetect.learn.record import digest, parameters
from sifdetect.synth.case import SyntheticCase
from tests.golden import PATH, SEEDS, golden, hash_of, rendered

KEPT: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
AGAIN = "if this was meant, run python -m tests.golden"


@cache
def case(seed: int) -> SyntheticCase:
    """A fixed case, rendered once for all tests."""
    return rendered(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_draws_what_it_always_drew(seed: int) -> None:
    """Every parameter of the case, to nine digits."""
    told = digest(parameters(case(seed).params))
    assert told == KEPT[str(seed)]["parameters_sha256"], AGAIN


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_looks_as_it_always_looked(seed: int) -> None:
    """The rounded block statistics of every volume."""
    kept = KEPT[str(seed)]["volumes"]
    told = [
        hash_of(volume.values, one["step"], one["offset"])
        for volume, one in zip(case(seed).volumes, kept, strict=True)
    ]
    assert told == [one["sha256"] for one in kept], AGAIN


@pytest.mark.parametrize("seed", SEEDS)
def test_another_machine_cannot_change_the_hash(seed: int) -> None:
    """Noise a thousand times that of float32, and one voxel in 2,000 off by 30 HU, change none."""
    rng = np.random.default_rng(0)
    for volume, one in zip(case(seed).volumes, KEPT[str(seed)]["volumes"], strict=True):
        far = rng.random(volume.values.shape) < 1 / 2000
        relative = 1 + 1e-4 * rng.standard_normal(volume.values.shape)
        shaken = volume.values * relative + far * one["step"] * 0.75
        assert hash_of(shaken.astype(np.float32), one["step"], one["offset"]) == one["sha256"]


@pytest.mark.parametrize("change", ["other seed", "brighter", "moved", "steeper", "noisier"])
def test_a_change_that_matters_changes_the_hash(change: str) -> None:
    """Another patient, a quarter of a step, a voxel's shift, more contrast, more noise."""
    volume, one = case(21).volumes[0], KEPT["21"]["volumes"][0]
    noise = np.random.default_rng(1).normal(0, 12, volume.values.shape).astype(np.float32)
    changed = {
        "other seed": case(4).volumes[0].values,
        "brighter": volume.values + np.float32(one["step"] / 4),
        "moved": np.roll(volume.values, 1, axis=2),
        "steeper": volume.values * np.float32(1.03),
        "noisier": volume.values + noise,
    }[change]
    assert hash_of(changed, one["step"], one["offset"]) != one["sha256"]


def test_edges_lie_far_from_every_number() -> None:
    """The offset leaves the margin that it promises on both sides of all statistics."""
    volume = case(4).volumes[0]
    told = golden(volume.values, 40.0)
    assert told.margin > 0.3
    for shift in (-0.9, 0.9):
        moved = hash_of(volume.values, 40.0, told.offset + shift * told.margin)
        assert moved == told.sha256
