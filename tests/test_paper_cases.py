"""The cases of papers A and D, rebuilt, are classified from true labels as the papers do."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from sifdetect.anatomy import Modality, SacralLevel, Side
from sifdetect.changes import Change
from sifdetect.classify import Classification
from sifdetect.compare import Dated, compare, new_contralateral
from sifdetect.findings import BakkerType, Basis, FfpType
from sifdetect.learn.rule_case import read_case
from sifdetect.measure import Measurements
from sifdetect.measurements import SIDES
from tests.paper_cases import PaperCase, paper_cases
from tests.phantoms import FULL

CASES = {case.name: case for case in paper_cases()}

pytestmark = pytest.mark.slow


@cache
def read(name: str, date: int = -1) -> tuple[Measurements, Classification]:
    """What is measured and stated on one date, the last unless told."""
    measured, stated, _ = read_case(CASES[name].dates[date])
    return measured, stated


def dated(name: str, date: int) -> Dated:
    """One date as the comparison takes it."""
    measured, stated = read(name, date)
    return Dated(
        study_instance_uid=f"1.{date}",
        modality=Modality.MR,
        fluid_sensitive=True,
        presence=stated.presence,
        fractures=measured.fractures,
        coverage=FULL,
        marked=measured.components,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_denis_is_what_the_paper_says(case: PaperCase) -> None:
    """Zone of the whole and of each side, subtype, and where the wall is broken."""
    denis = read(case.name)[1].denis
    told = {name: case.expected[name] for name in ("zone", "left", "right", "subtype")}
    stated = {"zone": denis.zone, "left": denis.left, "right": denis.right}
    assert {**stated, "subtype": denis.subtype} == told
    assert denis.evidence.get("wall_level") == case.expected.get("wall")


def test_a_new_contralateral_edema_is_said_first() -> None:
    """Paper A, case 2: the right ala before, both now; no line on either date."""
    now, prior = dated("a-2", 1), dated("a-2", 0)
    changes = compare(now, prior, np.eye(4))
    assert (changes[0].side, changes[0].change) == (Side.LEFT, Change.NEW)
    assert new_contralateral(list(changes), prior) == (Side.LEFT,)
    assert {one.basis for one in now.fractures} == {Basis.EDEMA}


def test_a_ramus_fracture_is_seen_beside_the_slip_of_s3() -> None:
    """Paper A, case 4: the left ring is broken; the whole is a spinopelvic dissociation."""
    measured, stated = read("a-4")
    assert measured.ring.broken == {Side.LEFT}
    assert (stated.ffp.value, stated.ffp.at_least) == (FfpType.IVB, False)


@pytest.mark.parametrize(("name", "kind"), [("d-1", BakkerType.B1), ("d-2", BakkerType.B3)])
def test_bakker_of_both_alae_is_what_the_paper_says(name: str, kind: BakkerType) -> None:
    """Paper D: parallel to the joints; into the foramina."""
    bakker = read(name)[1].bakker
    assert (bakker.left, bakker.right, bakker.corpus) == (kind, kind, None)


@pytest.mark.parametrize("side", SIDES)
def test_the_line_of_paper_d_reaches_the_s3_foramen(side: Side) -> None:
    """Paper D, case 2, on both sides."""
    measured, _ = read("d-2")
    assert SacralLevel.S3 in measured.sides[side].touched_foramina
