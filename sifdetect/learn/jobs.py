"""The same work for many seeds, in one process or in several of one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from sifdetect.errors import UsageError

R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Told after each piece of work how many are done, of how many."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def for_each(
    work: Callable[[int], R], seeds: Sequence[int], *, jobs: int, progress: Progress | None = None
) -> list[R]:
    """``work`` of every seed, in the order of the seeds.

    Args:
        work: with more than one job it is sent to other processes and must be picklable.
        jobs: processes; each starts anew and computes in one thread.

    Raises:
        UsageError: there is less than one job. Whatever ``work`` raises; what waits is then left.
    """
    if jobs < 1:
        raise UsageError(f"{jobs} jobs can do nothing", hint="Give one or more")
    told = progress or (lambda done, of: None)
    if jobs == 1:
        results = []
        for done, seed in enumerate(seeds, start=1):
            results.append(work(seed))
            told(done, len(seeds))
        return results
    with (
        one_thread_each(),
        ProcessPoolExecutor(min(jobs, len(seeds)), mp_context=get_context("spawn")) as pool,
    ):
        waiting = [pool.submit(work, seed) for seed in seeds]
        try:
            for done, one in enumerate(as_completed(waiting), start=1):
                one.result()
                told(done, len(seeds))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [one.result() for one in waiting]


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes that are started meanwhile compute in one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
