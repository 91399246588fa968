"""The desk at which the tests of this folder read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.desk import Desk, furnished


@pytest.fixture(scope="module")
def desk(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One for the tests of a module."""
    with furnished(tool, tmp_path_factory.mktemp("desk")) as one:
        yield one
