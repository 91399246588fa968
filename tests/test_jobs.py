"""Work for many seeds in several processes: nothing lost, nothing twice, in order."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from sifdetect.errors import UsageError
from sifdetect.learn.jobs import for_each, keep_freed_memory

ARRAY_BYTES = 8 << 20


@pytest.mark.parametrize("jobs", [1, 2])
def test_jobs_share_the_seeds_and_keep_their_order(jobs: int) -> None:
    """Each seed once, results in order, progress to the end; one thread in each process."""
    told: list[tuple[int, int]] = []
    said = for_each(described, range(4), jobs=jobs, progress=lambda *done: told.append(done))
    assert [int(one.split()[0]) for one in said] == [0, 1, 2, 3]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    apart = {one.split()[1] for one in said} - {str(os.getpid())}
    assert bool(apart) == (jobs > 1)
    assert jobs == 1 or all(one.endswith(" 1") for one in said)


def described(seed: int) -> str:
    """Seed, process and number of threads."""
    return f"{seed} {os.getpid()} {os.environ.get('OMP_NUM_THREADS')}"


def test_what_fails_in_a_process_is_raised_here() -> None:
    """The error of the work, not one of the machinery."""
    with pytest.raises(UsageError, match="seed 1"):
        for_each(failing, range(3), jobs=2)


def failing(seed: int) -> int:
    """No seed but 0 can be worked on."""
    if seed:
        raise UsageError("seed 1 is not worked on")
    return seed


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is of glibc")
def test_memory_of_freed_arrays_is_used_again() -> None:
    """What works on seeds asks the system for far fewer pages than one that gives all back."""
    code = "from tests.test_jobs import page_faults as f; print(f({}))"
    faults = [
        int(subprocess.check_output([sys.executable, "-c", code.format(kept)], text=True))
        for kept in (False, True)
    ]
    assert faults[1] < faults[0] / 4


def page_faults(kept: bool) -> int:
    """How often the system had to give a page while arrays came and went, of 4 kB each."""
    if kept:
        keep_freed_memory()
    before = 0
    for turn in range(11):
        arrays = [np.ones(ARRAY_BYTES, dtype=np.uint8) for _ in range(8)]
        del arrays
        if turn == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
