"""``sifdetect evaluate``: rows, figures and page of painted cases, and what happens to bad ones."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sifdetect import app
from sifdetect.anatomy import MrWeighting
from sifdetect.cli import main
from sifdetect.errors import NoSacrumInView
from sifdetect.findings import Presence
from sifdetect.learn import cases
from sifdetect.learn.evaluation import tables
from sifdetect.learn.evaluation.row import Row
from sifdetect.learn.evaluation.worst import FALSE_POSITIVE, LOW_DICE, MISSED, worst
from sifdetect.pipeline import analyze_study
from sifdetect.study import Analysis, Study
from sifdetect.synth.protocol import MrSeries, Protocol
from tests.bundles import PaintedModels, random_models
from tests.evaluation_cases import row, write_case

PIPELINE = "sifdetect.learn.evaluation.assess.analyze_study"


@pytest.fixture(autouse=True)
def _painted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Painted scans are read, except where the shipped models are."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(app, "load_models", lambda options: PaintedModels())


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A fracture that is seen, one that is not, and a line that is none: cases and report."""
    home = tmp_path_factory.mktemp("evaluated")
    write_case(home / "cases/seen", fractured=True, looks_fractured=True)
    write_case(home / "cases/missed", fractured=True, looks_fractured=False)
    write_case(home / "cases/wrong", fractured=False, looks_fractured=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "load_models", lambda options: PaintedModels())
        assert main(["evaluate", str(home / "cases"), "-o", str(home / "out"), "-q"]) == 0
    return home / "cases", home / "out"


def rows(out: Path) -> list[Row]:
    """What ``cases.jsonl`` holds."""
    lines = (out / "cases.jsonl").read_text().splitlines()
    return [Row.from_json(json.loads(line)) for line in lines]


def test_every_case_has_a_row_with_its_answer_and_its_overlaps(
    evaluated: tuple[Path, Path],
) -> None:
    """Said as painted; the box of sacrum fits; the line is marked at every threshold."""
    found = {one.about.name: one for one in rows(evaluated[1])}
    assert {name: one.stated for name, one in found.items()} == {
        "seen": True,
        "missed": False,
        "wrong": True,
    }
    assert (found["seen"].sacrum_dice or 0) > 0.9
    line = found["seen"].series[0].overlap("fracture_line")
    assert line is not None
    assert (line.surface_dice or 0) > 0.9
    marks = {name: one.marks[0] for name, one in found.items()}
    assert (marks["seen"].instances, set(marks["seen"].hits)) == (1, {1})
    assert (marks["missed"].instances, set(marks["missed"].hits)) == (1, {0})
    assert (marks["wrong"].instances, set(marks["wrong"].false)) == (0, {1})


def test_the_figures_are_those_of_the_rows(evaluated: tuple[Path, Path]) -> None:
    """One of two fractures stated, the intact case called fractured; names in the worst lists."""
    document = json.loads((evaluated[1] / "evaluation.json").read_text())
    study = document["study"][0]
    assert (study["n"], study["sensitivity"]["value"], study["specificity"]["value"]) == (3, 0.5, 0)
    assert document["agreement"]["side"]["value"] == 1
    assert document["froc"][0]["instances"] == 2
    assert [one["case"] for one in document["worst"]["missed"]] == ["missed"]
    assert [one["case"] for one in document["worst"]["false-positive"]] == ["wrong"]
    assert {one["by"] for one in document["splits"]} >= {
        "modality",
        "sequence",
        "slice distance",
        "slice thickness",
        "shifted",
        "stage",
        "mimic",
        "coverage of S1–S4",
        "CT-occult",
    }


def test_the_page_holds_all_it_needs(evaluated: tuple[Path, Path]) -> None:
    """Nothing is fetched, pictures are inside, and it opens as well-formed HTML."""
    page = (evaluated[1] / "evaluation.html").read_text()
    assert "http://" not in page
    assert "https://" not in page
    sources = re.findall(r'(?:src|href)="([^"]{0,22})', page)
    assert sources
    assert set(sources) == {"data:image/png;base64,"}
    assert len(sources) == 5
    assert page.count("<table>") == page.count("</table>")
    assert page.count("<svg") == 4


def test_the_page_shows_the_figures_of_the_json(evaluated: tuple[Path, Path]) -> None:
    """Every figure of detection, overlap, agreement and calibration, in words."""
    document = json.loads((evaluated[1] / "evaluation.json").read_text())
    page = (evaluated[1] / "evaluation.html").read_text()
    study, agreement = document["study"][0], document["agreement"]
    shown = [study[name] for name in ("auc", "sensitivity", "specificity", "indeterminate")]
    shown += [entry[name] for entry in document["overlap"] for name in ("dice", "surface_dice")]
    shown += [agreement["side"], agreement["denis_zone"], document["failure"]["auroc"]]
    shown += [entry["sensitivity_at_1"] for entry in document["froc"]]
    assert len(shown) > 15
    assert [one for one in shown if tables.said(one) not in page] == []
    assert tables.said(document["calibration"]["ece"], digits=3) in page


def test_a_stopped_run_goes_on_and_ends_the_same(
    evaluated: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two whole rows and half of one: the third case alone is analysed again."""
    data, done = evaluated
    out = tmp_path / "out"
    shutil.copytree(done, out)
    lines = (out / "cases.jsonl").read_text().splitlines(keepends=True)
    (out / "cases.jsonl").write_text("".join(lines[:2]) + lines[2][:200])
    for name in ("evaluation.json", "evaluation.html"):
        (out / name).unlink()
    analysed = []

    def counting(study: Study, models: PaintedModels) -> Analysis:
        analysed.append(study.study_instance_uid)
        return analyze_study(study, models)

    monkeypatch.setattr(PIPELINE, counting)
    assert main(["evaluate", str(data), "-o", str(out), "-q"]) == 0
    assert analysed == [rows(done)[2].about.name]
    for name in ("evaluation.json", "evaluation.html"):
        assert (out / name).read_bytes() == (done / name).read_bytes()


@pytest.mark.slow
def test_several_processes_leave_what_one_leaves(tmp_path: Path) -> None:
    """Real bundles of random weights in two processes: the same rows, figures and pictures."""
    models = random_models(tmp_path / "models")
    for name in ("a", "b"):
        write_case(tmp_path / "cases" / name, fractured=name == "a", looks_fractured=True)
    common = ["evaluate", str(tmp_path / "cases"), "--models", str(models), "-q"]
    for jobs in ("1", "2"):
        assert main([*common, "--jobs", jobs, "-o", str(tmp_path / jobs)]) == 0
    told = [
        sorted((replace(one, seconds=0.0) for one in rows(tmp_path / jobs)), key=_name)
        for jobs in ("1", "2")
    ]
    assert told[0] == told[1]
    for name in ("evaluation.json", "evaluation.html"):
        one, other = ((tmp_path / jobs / name).read_text() for jobs in ("1", "2"))
        assert one == other.replace("--jobs 2", "--jobs 1")
    pictures = [sorted((tmp_path / jobs / "pictures").iterdir()) for jobs in ("1", "2")]
    assert [one.name for one in pictures[0]] == [one.name for one in pictures[1]]
    assert [one.read_bytes() for one in pictures[0]] == [one.read_bytes() for one in pictures[1]]


def _name(one: Row) -> str:
    return one.about.name


def test_a_case_that_breaks_the_pipeline_is_listed(
    evaluated: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal and a fault of ours are both cases without an answer, and the run goes on."""
    reasons = {"missed": NoSacrumInView("No sacrum"), "seen": IndexError("out of bounds")}

    def broken(study: Study, models: PaintedModels) -> Analysis:
        raise reasons.get(study.study_instance_uid, ValueError("odd"))

    monkeypatch.setattr(PIPELINE, broken)
    assert main(["evaluate", str(evaluated[0]), "-o", str(tmp_path), "-q"]) == 0
    document = json.loads((tmp_path / "evaluation.json").read_text())
    assert {one["case"]: one["reason"] for one in document["failed"]} == {
        "missed": "No sacrum.",
        "seen": "out of bounds",
        "wrong": "odd",
    }
    assert document["study"][0]["sensitivity"]["value"] == 0
    assert document["study"][0]["specificity"]["value"] is None
    assert "out of bounds" in (tmp_path / "evaluation.html").read_text()


def test_no_truth_is_exit_code_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, and nothing is written."""
    (tmp_path / "empty").mkdir()
    assert main(["evaluate", str(tmp_path / "empty"), "-o", str(tmp_path / "out")]) == 4
    assert "holds no case with a truth.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["truth.json", "nifti/ct_lesions.nii.gz", "nifti/ct.nii.gz"])
def test_a_damaged_case_is_exit_code_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """The sentence names the file or the case; there is no traceback."""
    folder = write_case(tmp_path / "cases/one", fractured=True, looks_fractured=True)
    (folder / damage).write_bytes(b"nothing of use")
    assert main(["evaluate", str(tmp_path / "cases"), "-o", str(tmp_path / "out")]) == 4
    said = capsys.readouterr().err
    assert said.startswith("sifdetect: ")
    assert "one" in said
    assert "Traceback" not in said


def test_results_of_other_bundles_are_not_gone_on_with(
    evaluated: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder's order names the bundles; another one is a matter of usage."""
    shutil.copytree(evaluated[1], tmp_path / "out")
    order = json.loads((tmp_path / "out/order.json").read_text())
    changed = {**order, "bundles": {"region_ct": "0" * 64}}
    (tmp_path / "out/order.json").write_text(json.dumps(changed))
    assert main(["evaluate", str(evaluated[0]), "-o", str(tmp_path / "out")]) == 2
    assert "other bundles or cases" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["cases", "--cases", "2"],
        ["--cases", "2"],
        ["--cases", "2", "--seed", "1", "--profile", "pet"],
        ["--cases", "0", "--seed", "1"],
        ["a", "b", "--models", "c"],
        ["--cases", "2", "--seed", "1", "--jobs", "0"],
    ],
)
def test_what_cannot_be_evaluated_is_exit_code_2(arguments: list[str], tmp_path: Path) -> None:
    """Cases are read or made, from a seed, of a profile that exists."""
    assert main(["evaluate", *arguments, "-o", str(tmp_path / "out")]) == 2


def test_the_worst_of_each_kind_come_first() -> None:
    """No answer is worse than a low probability; what went well is in no list."""
    held = [
        row("sure", fractured=True, said=Presence.ABSENT, probability=0.4),
        row("lost", fractured=True, said=None),
        row("low", fractured=True, said=Presence.INDETERMINATE, probability=0.1),
        row("fine", fractured=True, said=Presence.PRESENT, probability=0.9),
        *(
            row(f"false-{n}", fractured=False, said=Presence.PRESENT, probability=0.9)
            for n in "ihgfedcba"
        ),
    ]
    assert [one.about.name for one in worst(held, MISSED)] == ["lost", "low", "sure"]
    assert [one.about.name for one in worst(held, FALSE_POSITIVE)] == [
        f"false-{n}" for n in "abcdef"
    ]
    assert worst(held, LOW_DICE) == []


@pytest.mark.slow
def test_generated_cases_are_evaluated_with_the_shipped_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two made cases, an MR and a CT, on coarse grids: rows, figures and page; what they show."""
    box = Protocol().mr_series[0].field
    small_mr = Protocol(False, (), series=(MrSeries(MrWeighting.STIR, (2.5, 5.0, 2.5), box),))
    small_ct = Protocol(weightings=(), ct_spacing_mm=(2.0, 2.0, 4.0))
    monkeypatch.setitem(cases.PROFILES, "small-mr", small_mr)
    monkeypatch.setitem(cases.PROFILES, "small-ct", small_ct)
    out = tmp_path / "out"
    order = ["--cases", "2", "--seed", "640000", "--profile", "small-mr,small-ct"]
    order += ["--shifted", "0.5"]
    assert main(["evaluate", *order, "-o", str(out), "-q"]) == 0
    document = json.loads((out / "evaluation.json").read_text())
    assert document["head"]["profiles"] == {"small-ct": 1, "small-mr": 1}
    assert [one.about.seed for one in rows(out)] == [640000, 640001]
    assert [one.about.shifted for one in rows(out)] == [False, True]
    thickness = [one.series[0].thickness_mm for one in rows(out)]
    assert thickness[0] == 4.5
    assert thickness[1] is not None
    assert thickness[1] == pytest.approx(rows(out)[1].series[0].slice_mm, abs=0.01)
    assert {one.read.modality for one in rows(out) if one.read} == {"CT", "MR"}
    dice = {one["name"]: one["dice"]["value"] for one in document["overlap"]}
    assert dice["sacrum"] > 0.5
    assert np.all([len(one["sha256"]) == 64 for one in document["head"]["bundles"]])
    assert len(document["head"]["bundles"]) == 4
    assert "640000 to 640001" in (out / "evaluation.html").read_text()
