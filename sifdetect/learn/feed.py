"""Samples for training, from one pool or two, through a cache that is bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np

from sifdetect.anatomy import Modality
from sifdetect.bundle import Task
from sifdetect.errors import ConfigurationError
from sifdetect.learn.augment import Patch, Recipe, draw_patch
from sifdetect.learn.config import TrainConfig
from sifdetect.learn.dataset import Pool, Rendered
from sifdetect.learn.views import draw_view

MAX_VALIDATION = 24
"""Samples of the held-out part that a validation looks at."""


class SampleCache:
    """Samples that were read, as many as fit; the one that was used longest ago goes first.

    Args:
        limit_bytes: of the arrays; the sample in use stays even if it alone takes more.
        modality: images of the other one are not kept.
    """

    def __init__(self, limit_bytes: int, modality: Modality) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._modality = modality
        self._samples: OrderedDict[Path, Rendered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._samples)

    def __call__(self, path: Path) -> Rendered:
        """The sample in a file.

        Raises:
            ConfigurationError: it cannot be read.
        """
        if path not in self._samples:
            self._samples[path] = self._read(path)
            self.bytes += _size(self._samples[path])
            while self.bytes > self.limit_bytes and len(self._samples) > 1:
                self.bytes -= _size(self._samples.popitem(last=False)[1])
        self._samples.move_to_end(path)
        return self._samples[path]

    def _read(self, path: Path) -> Rendered:
        try:
            with np.load(path) as stored:
                return {key: stored[key] for key in stored.files if self._needed(key)}
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The sample {path} cannot be read ({error})", hint="Make the pool anew"
            ) from error

    def _needed(self, key: str) -> bool:
        image = key == "ct" or key.startswith(("fluid", "anatomical"))
        return not image or (key == "ct") == (self._modality is Modality.CT)


class Feed:
    """Draws patches as a configuration says."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.cache = SampleCache(int(config.cache_mb * 1e6), config.spec.modality)

    def train_names(self) -> list[Path]:
        """Files to train on; a pool may grow meanwhile.

        Raises:
            ConfigurationError: there are none.
        """
        names = self._names()[self.config.held_out :]
        if not names:
            raise ConfigurationError(
                f"The pool {self.config.pool} holds no sample to train on",
                hint=f"Fill it with sifdetect synth --format {self.config.task}, or hold fewer out",
            )
        return names

    def patches(self, step: int, rng: np.random.Generator) -> list[Patch]:
        """A batch; it becomes harder over the first 30 % of the steps."""
        names = self.train_names()
        other = Pool(Path(self.config.mix)).names() if self.config.mix else []
        if self.config.mix and not other:
            raise ConfigurationError(f"The pool {self.config.mix} holds no sample")
        spec = self.config.spec
        view = draw_view(spec.modality, rng) if spec.task is Task.LOCALIZER else None
        ease = min(1.0, step / (0.3 * self.config.steps))
        recipe = Recipe(spec, self.config.size, cut=0.1 + 0.3 * ease, view=view)
        count = self.config.batch * (view.patches if view else 4) // 4
        chosen = []
        for _ in range(max(1, count)):
            source = other if other and rng.random() < self.config.share else names
            chosen.append(source[int(rng.integers(len(source)))])
        return [draw_patch(self.cache(name), recipe, rng) for name in chosen]

    def validation(self, part: int, parts: int) -> list[list[Patch]]:
        """Batches of one patch, the same ones every time, of the held-out samples.

        Args:
            part, parts: of several processes, each takes every ``parts``-th sample.
        """
        names = self._names()[: self.config.held_out][:MAX_VALIDATION]
        spec, batches = self.config.spec, []
        for number, name in list(enumerate(names))[part::parts]:
            rng = np.random.default_rng([self.config.seed, 1_000_003, number])
            view = draw_view(spec.modality, rng) if spec.task is Task.LOCALIZER else None
            recipe = Recipe(spec, self.config.size, view=view)
            batches.append([draw_patch(self.cache(name), recipe, rng)])
        return batches

    def _names(self) -> list[Path]:
        left_out = set(self.config.exclude)
        return [n for n in Pool(Path(self.config.pool)).names() if n.name not in left_out]


def _size(sample: Rendered) -> int:
    return sum(values.nbytes for values in sample.values())
