"""Work for many seeds in several processes: nothing lost, nothing twice, in order."""

from __future__ import annotations

import os

import pytest

from sifdetect.errors import UsageError
from sifdetect.learn.jobs import for_each


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
