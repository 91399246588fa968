"""Rule tables: order, names, sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from sifdetect.dicom.explanation import TABLES
from sifdetect.rules import Rule, first_match

SMALL_OR_LARGE: tuple[Rule[int, str], ...] = (
    Rule("small", lambda n: n < 3, "a few", "counted"),
    Rule("large", lambda n: n < 9, "some", "counted"),
)


@pytest.mark.parametrize(("number", "expected"), [(2, "a few"), (5, "some")])
def test_the_first_rule_that_holds_decides(number: int, expected: str) -> None:
    """Both rows hold for 2; the later one is not asked."""
    assert first_match(SMALL_OR_LARGE, number).result == expected


def test_a_table_without_an_answer_is_an_error() -> None:
    """Nothing is stated by default."""
    with pytest.raises(LookupError):
        first_match(SMALL_OR_LARGE, 10)


@pytest.mark.parametrize("table", TABLES)
def test_rules_have_names_of_their_own_and_sources(table: Sequence[Rule[Any, Any]]) -> None:
    """The name reaches the report, the source says where the definition comes from."""
    names = [rule.name for rule in table]
    assert len(set(names)) == len(names)
    assert all(rule.source for rule in table)
