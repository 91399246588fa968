"""The same work for many seeds, in one process or in several of one thread each."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from sifdetect.errors import UsageError

R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Told after each piece of work how many are done, of how many."""

_MALLOPT = {"M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_MMAP_THRESHOLD": (-3, 32 << 20)}
"""Numbers of mallopt(3), and what they are set to, bytes: the greatest it takes."""
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
    keep_freed_memory()
    told = progress or (lambda done, of: None)
    if jobs == 1:
        results = []
        for done, seed in enumerate(seeds, start=1):
            results.append(work(seed))
            told(done, len(seeds))
        return results
    with (
        one_thread_each(),
        ProcessPoolExecutor(
            min(jobs, len(seeds)), get_context("spawn"), initializer=keep_freed_memory
        ) as pool,
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


def keep_freed_memory() -> None:
    """Let this process keep the memory of freed arrays for the next ones, where it runs on glibc.

    Otherwise the C library gives it back after every large array, and the system clears it again,
    page by page, for the next one: a tenth of the time of a synthetic case.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            for number, value in _MALLOPT.values():
                mallopt(number, value)


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
