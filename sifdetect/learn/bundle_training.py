"""The configurations with which MONAI trains and scores a bundle; what they run is our trainer.

``configs/train.json``, ``configs/multi_gpu_train.json`` (laid over the first, for torchrun) and
``configs/evaluate.json``. ``dataset_dir`` is a pool of samples, as ``sifdetect synth --format`` or
``sifdetect data`` writes it.
"""

from __future__ import annotations

from typing import Any

from sifdetect.bundle import BundleSpec, Task

Config = dict[str, Any]

_ROOT = "$sys.path[1]"
"""monai.bundle puts the bundle's folder second on the path before it runs a config."""


def training(spec: BundleSpec) -> Config:
    """``configs/train.json``: train the bundle further on a pool, resumably."""
    keys: Config = {
        "steps": 300,
        "seed": 0,
        "batch": 1 if spec.task is Task.REGION else 4,
        "learning_rate": 3e-4,
        "average": 0.99,
        "held_out": 0,
        "validate_every": 0,
        "device": "auto",
        "precision": "auto",
    }
    return {
        "imports": ["$import sys", "$import sifdetect.learn.ranks as ranks"],
        "bundle_root": _ROOT,
        "dataset_dir": ".",
        "output_dir": "run",
        **keys,
        "settings": {
            "_target_": "sifdetect.learn.config.TrainConfig",
            "task": spec.task.value,
            "modality": spec.modality.value,
            "pool": "@dataset_dir",
            "out": "@output_dir",
            "start": "@bundle_root",
            "size": f"$tuple({list(spec.shape or (64, 64, 64))})",
            **{key: f"@{key}" for key in keys},
        },
        "trainer": {"_target_": "sifdetect.learn.train.Trainer", "config": "@settings"},
        "initialize": [],
        "run": ["$@trainer.resume()", "$@trainer.run()"],
        "finalize": [],
    }


def multi_gpu_training() -> Config:
    """``configs/multi_gpu_train.json``: each process joins the group that torchrun made."""
    return {"device": "auto", "initialize": ["$ranks.join()"], "finalize": ["$ranks.leave()"]}


def evaluation() -> Config:
    """``configs/evaluate.json``: Dice on a pool, with intervals, to ``evaluation.json``."""
    return {
        "imports": [
            "$import sys",
            "$from pathlib import Path",
            "$from sifdetect.learn.before_after import write_scores",
        ],
        "bundle_root": _ROOT,
        "dataset_dir": ".",
        "output_dir": "eval",
        "run": ["$write_scores(Path(@bundle_root), Path(@dataset_dir), Path(@output_dir))"],
    }
