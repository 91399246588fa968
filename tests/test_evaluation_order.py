"""Results are gone on with only where the bundles would answer as they did; reports on a part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import sifdetect
from sifdetect import app
from sifdetect.bundle import METADATA
from sifdetect.cli import main
from sifdetect.engine import Engine, Models
from sifdetect.errors import UsageError
from sifdetect.learn.evaluation.run import evaluate
from sifdetect.learn.evaluation.sources import Case
from tests.bundles import PaintedModels, random_models
from tests.evaluation_cases import write_case


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


def test_other_code_of_the_pipeline_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rule changed in ``sifdetect``: what was answered before it is not mixed with it."""
    models = Models(random_models(tmp_path / "models"), engine=Engine.TORCH)
    evaluate(NoCases(), models, tmp_path / "out")
    package = Path(shutil.copytree(Path(sifdetect.__file__).parent, tmp_path / "sifdetect"))
    monkeypatch.setattr(sifdetect, "__file__", str(package / "__init__.py"))
    assert evaluate(NoCases(), models, tmp_path / "out") == []
    (package / "limbs.py").write_text("TRANSVERSE_MM = 99.0\n")
    with pytest.raises(UsageError, match="by other code"):
        evaluate(NoCases(), models, tmp_path / "out")


def test_what_is_told_of_a_bundle_changes_no_answer(tmp_path: Path) -> None:
    """Where it was trained may be said anew."""
    models = random_models(tmp_path / "models")
    evaluate(NoCases(), Models(models, engine=Engine.TORCH), tmp_path / "out")
    _changed(models, _provenance)
    assert evaluate(NoCases(), Models(models, engine=Engine.TORCH), tmp_path / "out") == []


def test_a_report_on_what_there_is_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two cases was done when the run was stopped: it is reported, the other not begun."""
    monkeypatch.setattr(app, "load_models", lambda options: PaintedModels())
    data, out = tmp_path / "cases", tmp_path / "out"
    write_case(data / "first", fractured=True, looks_fractured=True)
    assert main(["evaluate", str(data), "-o", str(out), "-q"]) == 0
    write_case(data / "second", fractured=False, looks_fractured=False)
    before = (out / "cases.jsonl").read_text()
    assert main(["evaluate", str(data), "-o", str(out), "--so-far", "-q"]) == 0
    assert (out / "cases.jsonl").read_text() == before
    document = json.loads((out / "evaluation.json").read_text())
    assert document["study"][0]["n"] == 1
    assert "--so-far" in document["head"]["made"]["command"]


def test_nothing_so_far_is_exit_code_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to report on; one sentence says how to begin."""
    monkeypatch.setattr(app, "load_models", lambda options: PaintedModels())
    write_case(tmp_path / "cases/first", fractured=True, looks_fractured=True)
    out = tmp_path / "out"
    assert main(["evaluate", str(tmp_path / "cases"), "-o", str(out), "--so-far"]) == 4
    assert "holds no case that was evaluated" in capsys.readouterr().err
    assert not (out / "evaluation.json").exists()
