"""The rules on true labels of synthetic cases, beside the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sifdetect.findings import Morphology
from sifdetect.learn import rule_report
from sifdetect.learn.rule_case import Row, compare_case
from sifdetect.learn.rule_report import (
    CLASSES,
    agrees,
    pattern_of,
    read_rows,
    report,
    wilson,
)

FIXED = (1013, 1020, 1077)
"""An H bent by 5°, one ala parallel and the other's rim, a T: all right when this was written."""


def wrong(row: Row) -> list[str]:
    """Classes in which a case's statement is not the truth."""
    return [n for n in CLASSES if not agrees(n, row["truth"][n], row["stated"][n])]


def row(seed: int, **stated: object) -> Row:
    """A case whose truth is all None but for what is stated otherwise."""
    truth = dict.fromkeys((*CLASSES, *rule_report.ERRORS))
    return {
        "seed": seed,
        "stage": "acute",
        "truth": truth,
        "stated": truth | stated,
        "drawn": {"limbs": [], "fragments": 0, "moved": None},
    }


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    """95 of 100: 0.888 to 0.978; no cases say nothing."""
    assert wilson(95, 100) == pytest.approx((0.888, 0.978), abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_level_agrees_within_a_quarter_of_a_segment() -> None:
    """All else must be equal."""
    assert agrees("step_level", 1.5, 1.7)
    assert not agrees("step_level", 1.5, 1.8)
    assert not agrees("step_level", 1.5, None)


def test_each_disagreement_is_listed_with_what_was_drawn() -> None:
    """One case of two is wrong in one class."""
    text = report([row(1), row(2, ffp="IIa")])
    (line,) = [json.loads(one) for one in text.splitlines() if one.startswith("{")]
    assert (line["seed"], line["ffp"]) == (2, "None -> IIa")
    assert "| ffp | 1 | 2 | 0.500 |" in text


def test_cases_that_are_in_the_file_are_not_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was cut goes on where it stopped."""
    path = tmp_path / "agreement.jsonl"
    path.write_text("".join(json.dumps(row(seed)) + "\n" for seed in (5, 6)))
    before = path.read_text()
    assert rule_report.main(["--cases", "2", "--seed", "5", "--out", str(path)]) == 0
    assert path.read_text() == before
    assert "2 cases" in capsys.readouterr().out


def test_a_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """A run that was killed while it wrote leaves half a line, which goes."""
    path = tmp_path / "agreement.jsonl"
    whole = json.dumps(row(5)) + "\n"
    path.write_text(whole + whole[:40])
    assert [one["seed"] for one in read_rows(path)] == [5]
    assert path.read_text() == whole


def test_the_patterns_take_turns() -> None:
    """Eight seeds in a row have eight patterns."""
    patterns = set(Morphology) - {Morphology.INDETERMINATE}
    assert {pattern_of(seed) for seed in range(3001, 3009)} == patterns


def test_the_rules_read_a_fixed_case_as_it_was_drawn() -> None:
    """An H whose upper part is bent by 5°: every class."""
    assert wrong(compare_case(FIXED[0])) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", FIXED[1:])
def test_the_rules_read_more_fixed_cases_as_they_were_drawn(seed: int) -> None:
    """Courses and patterns that the rules once took for others."""
    assert wrong(compare_case(seed)) == []
