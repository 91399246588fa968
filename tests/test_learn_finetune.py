"""Fine-tuning on a few cases: patients kept apart, honest words, a run that can be released."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sifdetect.bundle import read_spec, verify
from sifdetect.cli import main
from sifdetect.engine import Engine, as_used, load_network
from sifdetect.errors import UsageError
from sifdetect.learn.before_after import (
    Verdict,
    compared,
    interval,
    load,
    report,
    scores_of,
    write_scores,
)
from sifdetect.learn.dataset import Pool
from sifdetect.learn.finetune import patients_of, split
from tests.pools import slab, tiny_bundle, tiny_region


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Ten tiny samples."""
    Pool(tmp_path / "own").write(range(10), slab)
    return tmp_path / "own"


def listed(pool: Path, of_patient: int) -> None:
    """Say that so many samples in a row are of one patient."""
    rows = [
        {"file": path.name, "patient": f"P{number // of_patient}"}
        for number, path in enumerate(Pool(pool).names())
    ]
    (pool / "samples.json").write_text(json.dumps({"samples": rows}))


def test_ten_cases_are_enough_and_the_run_can_be_released(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command trains, reports and leaves a run from which another makes a bundle."""
    bundle, out = tiny_bundle(tmp_path / "models", tiny_region()), tmp_path / "run"
    Pool(tmp_path / "mixed").write(range(20, 24), slab)
    command = ["train", "--from", str(bundle), "--data", str(pool), "--steps", "20", "-o", str(out)]
    assert main([*command, "--pool", str(tmp_path / "mixed"), "--device", "cpu"]) == 0
    assert (out / "report.md").read_text().strip() == capsys.readouterr().out.strip()
    said = json.loads((out / "report.json").read_text())
    assert len(said["held_out"]) == 2
    assert said["trained_on"] == 8
    ala, line = (said["structures"][name] for name in ("sacral_ala", "fracture_line"))
    assert ala["after"]["value"] > ala["before"]["value"]
    assert ala["after"]["low"] <= ala["after"]["value"] <= ala["after"]["high"]
    assert line["after"]["n"] == 2
    release = ["model", "release", str(out / "train.yaml"), "-o", str(tmp_path / "new")]
    assert main([*release, "--calibration", str(pool)]) == 0
    spec = verify(tmp_path / "new" / "region_ct")
    network = as_used(
        load_network(tmp_path / "new" / "region_ct", spec, engine=Engine.OPENVINO), spec
    )
    again = [scores_of(load(pool / name), spec, network)["sacral_ala"] for name in said["held_out"]]
    assert np.mean(again) == pytest.approx(ala["after"]["value"], abs=0.005)
    card = (tmp_path / "new/region_ct/docs/README.md").read_text()
    assert f"region_ct 0.1.0, SHA-256 {read_spec(bundle).sha256[:12]}" in card
    assert "calibration_cases | 10" in card
    assert "synthetic cases alone" not in card


def test_no_patient_is_on_both_sides(pool: Path) -> None:
    """All samples of a patient are held out, or none; two patients at least."""
    listed(pool, of_patient=2)
    held_out = set(split(pool, seed=3))
    assert len(held_out) == 4
    for paths in patients_of(pool).values():
        assert len(held_out & set(paths)) in (0, len(paths))
    assert split(pool, seed=3) == sorted(held_out)


def test_too_few_patients_are_refused(pool: Path) -> None:
    """Ten samples of three patients are no ground to hold two of them out."""
    listed(pool, of_patient=4)
    with pytest.raises(UsageError, match="3 patients"):
        split(pool, seed=0)


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ([0.9, 0.8, 0.85], Verdict.BETTER),
        ([0.3, 0.9, 0.5], Verdict.UNSURE),
        ([0.5, 0.5, 0.4], Verdict.NOT_BETTER),
        ([0.5, 0.5, 0.5], Verdict.NOT_BETTER),
    ],
)
def test_the_verdict_is_what_the_interval_says(after: list[float], verdict: Verdict) -> None:
    """Worse and no better are the same advice: keep the old one."""
    document = compared([{"sacrum": 0.5}] * 3, [{"sacrum": value} for value in after])
    assert document["verdict"] == verdict.name.lower()
    about = {"bundle": {"name": "x", "version": "1"}, "held_out": [], "trained_on": 8, "steps": 1}
    about |= {"mixed_with": {"pool": "", "share": 0.5}}
    text = report(document | about, mixed=False)
    assert ("keep the old one" in text) == (verdict is Verdict.NOT_BETTER)


def test_what_one_of_the_two_invents_counts_against_it() -> None:
    """A lesion that is not there: who is silent is right, who finds one has a Dice of 0."""
    document = compared([{"hip": 0.9}], [{"hip": 0.9, "cement": 0.0}])
    row = document["structures"]["cement"]
    assert (row["before"]["value"], row["after"]["value"]) == (1.0, 0.0)
    assert document["overall"]["difference"]["value"] < 0


def test_an_interval_needs_two_cases() -> None:
    """One case has a value and no interval; many have a narrow one around the mean."""
    assert interval([0.5]) == {"value": 0.5, "low": None, "high": None, "n": 1}
    many = interval(np.linspace(0.4, 0.6, 200).tolist())
    assert many["low"] < 0.5 < many["high"]
    assert many["high"] - many["low"] < 0.03


def test_what_nobody_annotated_is_not_scored(tmp_path: Path) -> None:
    """Without annotated anatomy only lesions that were looked for have a Dice."""
    bundle = tiny_bundle(tmp_path, tiny_region())
    spec = read_spec(bundle)
    network = load_network(bundle, spec, engine=Engine.TORCH)
    known = {"known": np.array([0, 2], dtype=np.uint8)}
    assert set(scores_of(slab(1) | known, spec, network)) == {"fracture_line"}
    assert "sacral_ala" in scores_of(slab(1), spec, network)


def test_a_bundle_is_scored_on_a_pool(pool: Path, tmp_path: Path) -> None:
    """As its evaluate configuration does it: figures with intervals in a file."""
    found = write_scores(tiny_bundle(tmp_path, tiny_region()), pool, tmp_path / "scores")
    assert json.loads((tmp_path / "scores/evaluation.json").read_text()) == found
    assert found["dice"]["sacral_ala"]["n"] == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["train"],
        ["train", "x.yaml", "--from", "models/region_ct"],
        ["train", "--from", "models/region_ct"],
        ["train", "--from", "m", "--data", "d", "-o", "o", "--share", "2"],
    ],
)
def test_half_an_order_is_exit_code_2(arguments: list[str]) -> None:
    """Neither a training file nor all that fine-tuning needs."""
    assert main(arguments) == 2
