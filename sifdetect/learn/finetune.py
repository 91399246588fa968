"""Fine-tuning a bundle on a few cases of one's own, and whether it helped.

Some patients are held out before anything is trained; both networks are then asked about them, and
the report says what changed, with intervals, also where it got worse.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sifdetect.bundle import Task, read_spec
from sifdetect.errors import UsageError
from sifdetect.learn.before_after import write_before_after
from sifdetect.learn.config import TrainConfig
from sifdetect.learn.dataset import Pool
from sifdetect.learn.train import Trainer

HELD_OUT_SHARE, HELD_OUT_LEAST = 0.2, 2
"""Of the patients; an interval needs two."""
LEAST_PATIENTS = 4
LEARNING_RATE, AVERAGE = 3e-4, 0.99
"""Lower than from scratch, and averaged over fewer steps: some hundred are all there are."""


@dataclass(frozen=True)
class FineTuning:
    """What to fine-tune, on what.

    Attributes:
        bundle: folder of the bundle to start from.
        data: pool of the own cases; ``samples.json`` in it, if there is one, says which sample is
            of which patient; otherwise each sample is a patient.
        out: folder of the run.
        pool, share: synthetic samples to mix in, and how often one of them is drawn, 0–1.
        steps, seed, device: as in a training file.
    """

    bundle: Path
    data: Path
    out: Path
    pool: Path | None = None
    share: float = 0.5
    steps: int = 300
    seed: int = 0
    device: str = "auto"

    def config(self, held_out: Iterable[Path]) -> TrainConfig:
        """The training file: whole boxes, one a step; nothing of ``held_out`` is seen."""
        spec = read_spec(self.bundle)
        return TrainConfig(
            task=spec.task.value,
            modality=spec.modality.value,
            pool=str(self.data),
            out=str(self.out),
            steps=self.steps,
            seed=self.seed,
            batch=1 if spec.task is Task.REGION else 4,
            size=spec.shape or (64, 64, 64),
            learning_rate=LEARNING_RATE,
            average=AVERAGE,
            checkpoint_every=min(50, self.steps),
            held_out=0,
            validate_every=0,
            start=str(self.bundle),
            device=self.device,
            mix="" if self.pool is None else str(self.pool),
            share=self.share,
            exclude=tuple(sorted(path.name for path in held_out)),
        )


def fine_tune(job: FineTuning, *, resume: bool = False) -> str:
    """Train, compare, and give the report; OUT is then a run that can be released.

    Raises:
        UsageError: there are too few patients.
        ConfigurationError, ModelError: pool or bundle cannot be used.
    """
    held_out = split(job.data, job.seed)
    config = job.config(held_out)
    trainer = Trainer(config)
    if resume:
        trainer.resume()
    trainer.run()
    return write_before_after(config, held_out, job.out)


def split(data: Path, seed: int) -> list[Path]:
    """Samples of the patients that are held out: a fifth of them, at least two.

    They are drawn by ``seed``, whatever else a pool says of its samples: it is only they who must
    not be seen.

    Raises:
        UsageError: there are fewer than LEAST_PATIENTS.
    """
    patients = patients_of(data)
    if len(patients) < LEAST_PATIENTS:
        raise UsageError(
            f"The pool {data} has samples of {len(patients)} patients;"
            f" fine-tuning needs {LEAST_PATIENTS} and works from about 10",
            hint="Fill it with sifdetect data import, or name the right folder with --data",
        )
    count = max(HELD_OUT_LEAST, math.ceil(HELD_OUT_SHARE * len(patients)))
    drawn = np.random.default_rng(seed).permutation(len(patients))[:count]
    names = list(patients)
    return sorted(path for number in drawn for path in patients[names[number]])


def patients_of(data: Path) -> dict[str, list[Path]]:
    """The samples of a pool by patient.

    Raises:
        UsageError: ``samples.json`` cannot be understood.
    """
    listed = data / "samples.json"
    patient: dict[str, str] = {}
    if listed.exists():
        try:
            rows = json.loads(listed.read_text(encoding="utf-8"))["samples"]
            patient = {row["file"]: str(row["patient"]) for row in rows}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{listed} is no list of samples ({error!r})", hint="Make the pool anew"
            ) from error
    found: dict[str, list[Path]] = {}
    for path in Pool(data).names():
        found.setdefault(patient.get(path.name, path.stem), []).append(path)
    return found
