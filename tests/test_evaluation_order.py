"""Results are gone on with only where the bundles would answer as they did."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from sifdetect.bundle import METADATA
from sifdetect.engine import Engine, Models
from sifdetect.errors import UsageError
from sifdetect.learn.evaluation.run import evaluate
from sifdetect.learn.evaluation.sources import Case
from tests.bundles import random_models


class NoCases:
    """A source that has been worked off."""

    def names(self) -> list[str]:
        """None is left."""
        return []

    def opened(self, name: str) -> AbstractContextManager[Case]:
        """Is never asked for."""
        raise AssertionError(name)

    def digest(self, name: str) -> str | None:
        """Is never asked for."""
        raise AssertionError(name)

    def order(self) -> dict[str, Any]:
        """Always the same."""
        return {"cases": "none"}


def _decision(described: dict[str, Any]) -> None:
    described["decision"] = 0.77


def _threshold(described: dict[str, Any]) -> None:
    described["threshold"][0] = 0.77


def _calibration(described: dict[str, Any]) -> None:
    described["calibration"]["intercept"] = -0.77


def _weights(described: dict[str, Any]) -> None:
    described["checksums"]["models/model.pt"] = "0" * 64


def _provenance(described: dict[str, Any]) -> None:
    described["provenance"]["machine"] = "another"


def _changed(models: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = models / "region_ct" / METADATA
    document = json.loads(path.read_text())
    change(document["sifdetect"])
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("change", [_decision, _threshold, _calibration, _weights])
def test_a_bundle_that_answers_otherwise_is_another(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    """New weights are, and so is a new calibration of the same weights."""
    models = random_models(tmp_path / "models")
    evaluate(NoCases(), Models(models, engine=Engine.TORCH), tmp_path / "out")
    _changed(models, change)
    with pytest.raises(UsageError, match="other bundles or cases"):
        evaluate(NoCases(), Models(models, engine=Engine.TORCH), tmp_path / "out")


def test_what_is_told_of_a_bundle_changes_no_answer(tmp_path: Path) -> None:
    """Where it was trained may be said anew."""
    models = random_models(tmp_path / "models")
    evaluate(NoCases(), Models(models, engine=Engine.TORCH), tmp_path / "out")
    _changed(models, _provenance)
    assert evaluate(NoCases(), Models(models, engine=Engine.TORCH), tmp_path / "out") == []
