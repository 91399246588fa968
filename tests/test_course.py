"""The course of an alar line, the anterior ring, and the types that follow from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, Side
from sifdetect.classify import Classification, Context, classify
from sifdetect.findings import BakkerType, FfpType
from sifdetect.measure import measure
from sifdetect.measurements import SIDES, Ring
from sifdetect.ring import ring_of
from sifdetect.volume import LabelMap
from tests.phantoms import FULL, Phantom, straight_frame


def leaning(side: Side, slope: float, x_mm: float, upper: float = 0.2) -> Phantom:
    """A sheet that nears the joint by ``slope`` mm for each mm towards the back."""
    phantom = Phantom()
    away = phantom.x if side is Side.LEFT else -phantom.x
    sheet = np.abs(away - x_mm + slope * (phantom.y + 9)) < 1.5
    sheet &= (phantom.level > upper) & (phantom.level < 0.95) & phantom.sacrum
    alar = np.isin(phantom.anatomy, (AnatomyLabel.SACRAL_ALA_RIGHT, AnatomyLabel.SACRAL_ALA_LEFT))
    phantom.lesions[sheet & alar] |= LesionBit.FRACTURE_LINE.value
    return phantom


def stated(phantom: Phantom, ring: Ring | None = None) -> Classification:
    """Read as a CT; with what is known of the anterior ring."""
    measured = measure(phantom.segmentation(), fluid_sensitive=False, modality=Modality.CT)
    return classify(replace(measured, ring=ring or Ring()), Context(coverage=FULL))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("slope", "x_mm", "kind"),
    [
        (0.0, 44.0, BakkerType.B1),
        (0.15, 42.0, BakkerType.B1),
        (0.7, 42.0, BakkerType.B2),
        (1.4, 44.0, BakkerType.A3),
    ],
)
def test_bakker_follows_how_a_line_nears_the_joint(
    slope: float, x_mm: float, kind: BakkerType, side: Side
) -> None:
    """Parallel, also where it is close; into the joint; across the anterolateral rim."""
    bakker = stated(leaning(side, slope, x_mm)).bakker
    assert {Side.RIGHT: bakker.right, Side.LEFT: bakker.left}[side] is kind
    lean = float(bakker.evidence[f"{side.value}_lean_deg"])
    assert lean == pytest.approx(np.degrees(np.arctan(slope)), abs=5)


def test_a_short_touch_of_a_foramen_is_no_involvement() -> None:
    """Contact over the corner of a foramen grazes it; along its whole wall the line reaches it."""
    grazing = Phantom().line(Side.RIGHT, 0.2, 0.87, x_mm=28.8)
    along = Phantom().line(Side.RIGHT, 0.2, 1.4, x_mm=28.8)
    found = [
        measure(one.segmentation(), fluid_sensitive=False, modality=Modality.CT).sides[Side.RIGHT]
        for one in (grazing, along)
    ]
    assert found[0].touched_foramina
    assert not found[0].course.reached_foramina
    assert found[1].course.reached_foramina


BOTH = frozenset(SIDES)
LEFT = frozenset({Side.LEFT})


@pytest.mark.parametrize(
    ("ring", "expected", "at_least"),
    [
        (Ring(), FfpType.IIA, True),
        (Ring(seen=BOTH), FfpType.IIA, False),
        (Ring(seen=BOTH, broken=LEFT), FfpType.IIC, False),
        (Ring(seen=LEFT, broken=LEFT), FfpType.IIC, True),
    ],
)
def test_ffp_is_at_least_where_the_rami_are_not_seen(
    ring: Ring, expected: FfpType, at_least: bool
) -> None:
    """One parallel line in the ala with each state of the anterior ring."""
    ffp = stated(Phantom().line(Side.LEFT, 0.2, 1.4), ring).ffp
    assert (ffp.value, ffp.at_least) == (expected, at_least)
    assert any("rami" in text or "ring" in text for text in ffp.unseen) is (len(ring.seen) < 2)


@pytest.mark.parametrize(("broken", "kind"), [(LEFT, FfpType.IA), (BOTH, FfpType.IB)])
def test_a_broken_ring_alone_is_type_one(broken: frozenset[Side], kind: FfpType) -> None:
    """No finding of the sacrum, rami in view."""
    assert stated(Phantom(), Ring(seen=BOTH, broken=broken)).ffp.value is kind


def test_rami_are_seen_and_broken_by_their_labels() -> None:
    """A pelvis of two bars in front; a line in the left one."""
    frame = straight_frame()
    grid = frame.grid((-80, 40, -80), (80, 140, 80), 2.5)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    x, y, z = np.moveaxis(frame.to_frame_mm(grid.index_to_mm(index)), -1, 0)
    bar = (np.abs(y - 90) < 6) & (np.abs(z) < 6) & (np.abs(x) < 70)
    anatomy = np.zeros(grid.shape, dtype=np.uint8)
    anatomy[bar & (x > 2)] = AnatomyLabel.HIP_LEFT
    anatomy[bar & (x < -2)] = AnatomyLabel.HIP_RIGHT
    lesions = np.where(bar & (np.abs(x - 30) < 2), LesionBit.FRACTURE_LINE.value, 0)
    whole = LabelMap(anatomy, grid), LabelMap(lesions.astype(np.uint8), grid)
    assert ring_of(*whole, frame) == Ring(seen=BOTH, broken=LEFT)
    cut = [one.cropped((0, 0, 0), (40, 40, 64)) for one in whole]
    assert Side.LEFT not in ring_of(cut[0], cut[1], frame).seen
