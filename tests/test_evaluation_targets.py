"""The table of targets: which cases count, what is reached, missed, or cannot be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import Modality
from sifdetect.findings import Presence
from sifdetect.learn.evaluation.bootstrap import Estimate
from sifdetect.learn.evaluation.overlap import Overlap
from sifdetect.learn.evaluation.reached import MISSED, OPEN, REACHED, SHOWN, table, verdict
from sifdetect.learn.evaluation.row import Row, SeriesScore
from sifdetect.learn.evaluation.study import Document
from sifdetect.learn.evaluation.targets import TARGETS, Figure, Target
from tests.evaluation_cases import row

STIR = SeriesScore(name="stir", modality="MR", sequence="STIR", slice_mm=5.0, used=True)


@pytest.mark.parametrize(
    ("low", "high", "support", "least", "most"),
    [
        (0.91, 0.95, 40, REACHED, MISSED),
        (0.90, 0.95, 40, REACHED, OPEN),
        (0.85, 0.95, 40, OPEN, OPEN),
        (0.80, 0.89, 40, MISSED, REACHED),
        (0.80, 0.90, 40, OPEN, REACHED),
        (1.00, 1.00, 14, OPEN, OPEN),
        (None, None, 40, OPEN, OPEN),
    ],
)
def test_the_whole_interval_decides(
    low: float | None, high: float | None, support: int, least: str, most: str
) -> None:
    """On one side of 0.90 it is reached or missed; across it, or of few cases, nothing is said."""
    estimate = Estimate(value=0.9, low=low, high=high, n=100)
    target = Target(name="x", figure=Figure.AUC)
    assert verdict(replace(target, least=0.9), estimate, support) == least
    assert verdict(replace(target, most=0.9), estimate, support) == most
    assert verdict(target, estimate, support) == SHOWN


def test_every_target_of_the_order_is_in_the_table() -> None:
    """Each with the number that was asked for."""
    asked = {(one.modality, one.figure, one.of, one.cases.name): one.said for one in TARGETS}
    assert len(asked) == len(TARGETS)
    ct, mr = Modality.CT, Modality.MR
    assert asked[ct, Figure.DICE, "sacrum", "ALL"] == "≥ 0.96"
    assert asked[mr, Figure.DICE, "sacrum", "ALL"] == "≥ 0.94"
    assert asked[mr, Figure.DICE, "sacrum", "THICK_STIR"] == "≥ 0.90"
    assert asked[mr, Figure.DICE, "edema", "ALL"] == "≥ 0.75"
    assert asked[mr, Figure.AUC, "", "ALL"] == "≥ 0.98"
    assert asked[mr, Figure.AUC, "", "DROP"] == "≤ 0.04"
    assert asked[ct, Figure.AUC, "", "SHOWN"] == "≥ 0.92"
    assert asked[ct, Figure.SENSITIVITY, "", "OCCULT"] == "none"
    for modality in (ct, mr):
        assert asked[modality, Figure.LINE_SENSITIVITY, "fracture_line", "ALL"] == "≥ 0.95"
        assert asked[modality, Figure.SURFACE_DICE, "fracture_line", "ALL"] == "≥ 0.78"
        assert asked[modality, Figure.DICE, "sacrum", "DROP"] == "≤ 0.05"
        assert asked[modality, Figure.REGION_ECE, "fracture_line", "ALL"] == "≤ 0.03"
        assert asked[modality, Figure.FAILURE_AUROC, "", "ALL"] == "≥ 0.90"


def named(rows: Sequence[Row]) -> dict[str, Document]:
    """The table by the targets' names."""
    return {one["name"]: one for one in table(rows)}


def shown(name: str, *, dice: float, shifted: bool, fractured: bool, probability: float) -> Row:
    """A case on thick STIR whose sacrum fits so."""
    said = Presence.PRESENT if probability > 0.5 else Presence.ABSENT
    plain = row(name, fractured=fractured, said=said, probability=probability)
    series = (replace(STIR, reported=True, overlaps=(Overlap("sacrum", dice),)),)
    return replace(plain, about=replace(plain.about, shifted=shifted), series=series)


@pytest.fixture(scope="module")
def half_shifted() -> list[Row]:
    """Fifty cases each: Dice 0.95 and 0.85, and probabilities that are right, or chance."""
    rng = np.random.default_rng(4)
    rows = []
    for number in range(100):
        shifted, fractured = number % 2 > 0, number % 4 > 1
        chance = float(rng.random())
        rows.append(
            shown(
                f"case-{number}",
                dice=(0.85 if shifted else 0.95) + float(rng.normal(0, 0.01)),
                shifted=shifted,
                fractured=fractured,
                probability=chance if shifted else 0.6 + 0.4 * chance if fractured else 0.1,
            )
        )
    return rows


def test_a_drop_is_the_plain_half_less_the_shifted_one(half_shifted: list[Row]) -> None:
    """0.10 of Dice and about half of the AUC, with intervals; both are missed."""
    found = named(half_shifted)
    dice = found["drop of the sacrum's Dice, MR"]
    assert dice["reached"]["value"] == pytest.approx(0.1, abs=0.005)
    assert 0.09 < dice["reached"]["low"] < dice["reached"]["high"] < 0.11
    assert (dice["support"], dice["verdict"]) == (50, MISSED)
    area = found["drop of the AUC on the shifted half, MR"]
    assert area["reached"]["value"] == pytest.approx(0.5, abs=0.2)
    assert (area["support"], area["verdict"]) == (25, MISSED)
    # The same figures as elsewhere in the report.
    mean = np.mean([one.sacrum_dice or 0 for one in half_shifted])
    assert found["Dice of the sacrum, MR"]["reached"]["value"] == pytest.approx(mean)
    stated = np.mean([one.stated for one in half_shifted if one.fractured])
    assert found["sensitivity of the study, MR"]["reached"]["value"] == pytest.approx(stated)
    assert found["Dice of the sacrum, STIR of 5 mm"]["support"] == 100


def test_without_a_shifted_half_there_is_no_drop(half_shifted: list[Row]) -> None:
    """Nothing is said of it; and slices 4 mm apart are no STIR of 5 mm."""
    plain = [one for one in half_shifted if not one.about.shifted][:20]
    found = named([replace(r, series=(replace(r.series[0], slice_mm=4.0),)) for r in plain])
    for name in ("drop of the sacrum's Dice, MR", "drop of the AUC on the shifted half, MR"):
        assert (found[name]["reached"]["value"], found[name]["verdict"]) == (None, OPEN)
    assert found["Dice of the sacrum, MR"]["support"] == 20
    assert found["Dice of the sacrum, STIR of 5 mm"]["support"] == 0


def test_occult_fractures_are_scored_apart_on_ct() -> None:
    """Missing them all costs CT nothing but the line that names them; MR has no such line."""
    rows = []
    for number in range(60):
        kind = number % 3
        said = Presence.PRESENT if kind == 1 else Presence.ABSENT
        probability = 0.9 if kind == 1 else 0.05
        one = row(f"case-{number}", fractured=kind > 0, said=said, probability=probability)
        rows.append(replace(one, about=replace(one.about, ct_occult=kind == 2)))
    found = named(rows)
    without = found["sensitivity of the study without CT-occult fractures, CT"]
    assert (without["reached"]["value"], without["reached"]["n"]) == (1.0, 20)
    assert found["sensitivity for CT-occult fractures, CT"]["reached"]["value"] == 0
    assert found["AUC of the study without CT-occult fractures, CT"]["verdict"] == REACHED
    assert {one["modality"] for one in found.values()} == {"CT"}
