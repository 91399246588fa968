"""Cases through the pipeline, in this process or in several; the rows come as they are done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Protocol

from sifdetect.engine import Models
from sifdetect.errors import UsageError
from sifdetect.learn.evaluation.assess import assess
from sifdetect.learn.evaluation.row import Row
from sifdetect.learn.evaluation.sources import Source
from sifdetect.learn.evaluation.worst import KINDS, picture
from sifdetect.learn.jobs import one_thread_each


@dataclass(frozen=True)
class Done:
    """A case that was evaluated.

    Attributes:
        pictures: PNG by name of the kind, where the case may be one of the worst.
    """

    row: Row
    pictures: dict[str, bytes]


class Bars(Protocol):
    """How bad a case must be, by name of the kind, to be one of the worst so far."""

    def __call__(self) -> Mapping[str, float]:
        """As of now; it never falls."""


def evaluated(
    source: Source, models: Models, names: Sequence[str], *, jobs: int, bars: Bars
) -> Iterator[Done]:
    """Each case once; with several jobs in the order in which they are done.

    Args:
        models: with several jobs each process opens the bundles of their folder anew.
        bars: pictures are drawn of cases that are worse.

    Raises:
        UsageError: there is less than one job. What ``assess`` raises; what waits is then left.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} jobs can do nothing", hint="Give one or more")
    if jobs == 1 or len(names) < 2:
        for name in names:
            yield _one(source, models, name, bars())
        return
    order = _Order(source, models)
    with (
        one_thread_each(),
        ProcessPoolExecutor(min(jobs, len(names)), mp_context=get_context("spawn")) as pool,
    ):
        left, running = list(names), set[Future[Done]]()
        try:
            while left or running:
                while left and len(running) < jobs:
                    running.add(pool.submit(order.done, left.pop(0), dict(bars())))
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for one in finished:
                    yield one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Order:
    """What another process needs; the bundles stay open there from case to case."""

    def __init__(self, source: Source, models: Models) -> None:
        self.source = source
        self.models = (models.folder, models.engine, models.device)

    def done(self, name: str, bars: Mapping[str, float]) -> Done:
        """One case, in the process that calls this."""
        folder, engine, device = self.models
        return _one(self.source, _opened(folder, engine=engine, device=device), name, bars)


_opened = cache(Models)


def _one(source: Source, models: Models, name: str, bars: Mapping[str, float]) -> Done:
    with source.opened(name) as case:
        assessed = assess(case, models)
        drawn = {}
        for kind in KINDS:
            badness = kind.badness(assessed.row)
            if badness is not None and badness >= bars[kind.name]:
                drawn[kind.name] = picture(assessed, kind)
    return Done(assessed.row, {kind: png for kind, png in drawn.items() if png is not None})
