"""The model card: made from the metadata and, where there is one, from an evaluation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sifdetect.cli import main
from sifdetect.errors import ConfigurationError
from sifdetect.learn.card import figures_of, model_card
from sifdetect.learn.export import export_again
from tests.pools import tiny_bundle, tiny_region

FIGURES = {
    "study": {"auc": {"value": 0.912, "low": 0.85, "high": 0.951, "n": 40}},
    "overlap": [
        {"structure": "sacrum", "dice": {"value": 0.9, "low": None, "high": None, "n": 1}},
        {"structure": "hip", "dice": {"value": None, "low": None, "high": None, "n": 0}},
    ],
    "splits": [{"name": "thick slices", "study": {"auc": {"value": 0.8, "low": 0.7, "high": 0.9}}}],
}


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """A file of figures as an evaluation leaves it."""
    path = tmp_path / "figures.json"
    path.write_text(json.dumps(FIGURES))
    return path


def test_figures_are_named_by_their_place(evaluation: Path) -> None:
    """Keys, and the words beside a figure in a list, say what it is of."""
    found = dict(figures_of(evaluation))
    assert found["study · auc"] == "0.912 (0.850–0.951), n = 40"
    assert found["overlap · sacrum · dice"] == "0.900, n = 1"
    assert found["overlap · hip · dice"] == "not defined on these cases"
    assert found["splits · thick slices · study · auc"] == "0.800 (0.700–0.900)"


def test_the_command_prints_and_keeps_the_card(
    evaluation: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file in the bundle is what was printed, and another export keeps the figures."""
    bundle = tiny_bundle(tmp_path / "models", tiny_region())
    assert main(["model", "card", "region_ct", "--models", str(bundle.parent)]) == 0
    assert "No evaluation lies in this bundle" in capsys.readouterr().out
    command = ["model", "card", "region_ct", "--models", str(bundle.parent)]
    assert main([*command, "--evaluation", str(evaluation)]) == 0
    card = bundle / "docs/README.md"
    assert card.read_text().strip() == capsys.readouterr().out.strip()
    assert "0.912 (0.850–0.951)" in card.read_text()
    export_again(bundle, bundle.parent)
    assert "0.912 (0.850–0.951)" in card.read_text()


TARGETS = {
    "head": {"cases": 1000, "seeds": None, "truth_by": ["synth 1"], "bundles": []},
    "targets": [
        {
            "name": f"Dice of the sacrum, {modality}",
            "modality": modality,
            "target": "≥ 0.96",
            "reached": {"value": 0.951, "low": 0.94, "high": 0.958, "n": 500},
            "verdict": "missed",
        }
        for modality in ("CT", "MR")
    ],
    "roc": {f"other {n}": {"value": 0.1, "low": 0.0, "high": 0.2} for n in range(90)},
}


def test_the_targets_of_the_modality_come_first(tmp_path: Path) -> None:
    """Of an evaluation of ours, its targets alone; and whose weights they were measured on."""
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(TARGETS))
    card = model_card(tiny_region(), path)
    said = "| Dice of the sacrum, CT | ≥ 0.96 | 0.951 (0.940–0.958), n = 500 | missed |"
    assert said in card
    assert "sacrum, MR" not in card
    assert "other 1" not in card
    assert "with other weights than those in this bundle" in card
    mine = {"name": "region_ct", "sha256": tiny_region().sha256}
    head = {**TARGETS["head"], "bundles": [mine]}  # type: ignore[dict-item]  # of JSON
    path.write_text(json.dumps({**TARGETS, "head": head}))
    assert "with these weights on 1000 cases" in model_card(tiny_region(), path)
    path.write_text(json.dumps({**TARGETS, "head": {}}))
    with pytest.raises(ConfigurationError, match="no evaluation of this version"):
        model_card(tiny_region(), path)


def test_of_other_figures_a_dozen_is_shown(tmp_path: Path) -> None:
    """The rest is counted."""
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"roc": TARGETS["roc"]}))
    card = model_card(tiny_region(), path)
    assert card.count("0.100 (0.000–0.200)") == 12
    assert "78 more are in" in card


@pytest.mark.parametrize("text", ["{}", "[1, 2]", "{"])
def test_a_file_without_figures_is_refused(tmp_path: Path, text: str) -> None:
    """An evaluation that shows nothing would be an empty promise; exit code 3."""
    path = tmp_path / "empty.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"figures|read as an evaluation"):
        figures_of(path)


def test_anatomy_of_others_is_attributed_and_missing_calibration_is_said() -> None:
    """Who made the bones, under which licence; probabilities nobody calibrated are called so."""
    bones: dict[str, str | float] = {"anatomy": "meshes: VH_F_Pelvis.glb (SHA-256 abc)"}
    card = model_card(replace(tiny_region(), provenance=bones))
    assert "CC BY 4.0" in card
    assert "are not calibrated" in card
    calibrated = model_card(replace(tiny_region(), provenance={"calibration_cases": 70}))
    assert "CC BY 4.0" not in calibrated
    assert "are not calibrated" not in calibrated
