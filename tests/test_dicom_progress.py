"""What a comparison with an earlier study says, and where it is said first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sifdetect.anatomy import Side
from sifdetect.changes import Change, FindingChange
from sifdetect.dicom import sentences
from sifdetect.dicom.progress import contralateral, is_worse, progress
from tests.changes import COMPARISON
from tests.result_cases import bilateral


def test_without_a_prior_nothing_is_said() -> None:
    """No heading for what was not done."""
    assert progress(None) == []
    assert contralateral(None) == ""


def test_a_new_contralateral_ala_opens_the_headline() -> None:
    """Before the answer itself, which stays as it is."""
    findings = bilateral().findings
    said = sentences.headline(replace(findings, comparison=COMPARISON))
    opening = "New contralateral finding in the left ala, opposite the earlier one on the right. "
    assert said == opening + sentences.headline(findings)


def test_the_rows_name_the_date_each_change_and_the_limits() -> None:
    """In the order of the comparison, one sentence each."""
    assert progress(COMPARISON) == [
        "Compared with the MR study of 2026-01-05 (91 days earlier).",
        "New contralateral finding in the left ala (edema 0.01 ml): not there before.",
        "Right ala: healed; no longer seen.",
        "The two sacra lie within 1.2 mm after rigid registration.",
        "S5 not wholly in view on both dates.",
    ]


@pytest.mark.parametrize(
    ("change", "worse"),
    [(Change.NEW, True), (Change.GROWN, True), (Change.UNCHANGED, False), (Change.HEALED, False)],
)
def test_what_got_worse_is_told_apart(change: Change, worse: bool) -> None:
    """The summary shows it in another colour."""
    one = FindingChange(side=Side.RIGHT, change=change, reason="as measured")
    told = progress(replace(COMPARISON, changes=(one,), new_contralateral=()))
    assert is_worse(told[1]) is worse
