"""Ordered rule tables, and what their rules are asked about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sifdetect.anatomy import DenisZone, Modality, MrWeighting, SacralLevel, Side
from sifdetect.findings import Basis, Presence, Warning
from sifdetect.measurements import SIDES, Measurements, SideMeasurements

Subject = TypeVar("Subject")
Result = TypeVar("Result")

COMPLETE = 0.95
"""Share of a level's expected extent in view from which it counts as seen; the extent is that of
the mean adult, so that a twentieth more or less says nothing."""

HALF_SEEN = 0.5
"""Share in view under which nothing is said about a part."""

REACH_MM3 = 40.0
"""A line reaches a zone with at least this much of it, about twelve voxels of 1.5 mm."""

REACH_SHARE = 0.1
"""Nor with less than a tenth of its volume: no cortex marks the border, and labels blur it."""

NEEDED_LEVELS = (SacralLevel.S1, SacralLevel.S2, SacralLevel.S3, SacralLevel.S4)
"""Levels that must be seen before a fracture is called absent; the tip at S5 bears no load."""

LINES = (Basis.LINE, Basis.LINE_AND_EDEMA)


def reaches(side: SideMeasurements, zone: DenisZone) -> bool:
    """True where one ala's line reaches a zone by REACH_MM3 and REACH_SHARE."""
    least = max(REACH_MM3, REACH_SHARE * side.line_mm3)
    return side.basis in LINES and side.zone_mm3.get(zone, 0.0) >= least


@dataclass(frozen=True)
class Rule(Generic[Subject, Result]):
    """One row of a table.

    Attributes:
        name: reaches the report.
        holds: asked of the subject; the first row that holds decides.
        result: what is then stated.
        source: where the definition comes from.
    """

    name: str
    holds: Callable[[Subject], bool]
    result: Result
    source: str


def first_match(table: Sequence[Rule[Subject, Result]], subject: Subject) -> Rule[Subject, Result]:
    """The first rule of a table that holds.

    Raises:
        LookupError: none holds; a table ends with a row that always does.
    """
    for rule in table:
        if rule.holds(subject):
            return rule
    raise LookupError("the table has no rule for this case")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known of the study beside its measurements.

    Attributes:
        coverage: share of each sacral level in the field of view, 0–1; a level that is not named
            counts as not seen.
        probability: calibrated probability of a fracture; None to take the uncalibrated score.
        weightings: of the MR series that were used.
        outline_certain: False where what was outlined may not be the sacrum, or not where it lies.
        warnings: about the quality of the images, handed on.
    """

    coverage: dict[SacralLevel, float]
    probability: float | None = None
    weightings: tuple[MrWeighting, ...] = ()
    outline_certain: bool = True
    warnings: tuple[Warning, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the rules are asked about; ``presence`` is decided first and known to the others."""

    measurements: Measurements
    context: Context
    presence: Presence = Presence.INDETERMINATE

    @property
    def probability(self) -> float:
        """Calibrated where a calibration is known."""
        stated = self.context.probability
        return self.measurements.score if stated is None else stated

    @property
    def bases(self) -> set[Basis]:
        """What the findings rest on."""
        return {fracture.basis for fracture in self.measurements.fractures}

    @property
    def complete(self) -> bool:
        """True where NEEDED_LEVELS are in the field of view."""
        return all(self.context.coverage.get(level, 0.0) >= COMPLETE for level in NEEDED_LEVELS)

    def hidden(self, side: Side) -> bool:
        """True where so little of an ala is in view that nothing is said about it."""
        return self.measurements.sides[side].in_view < HALF_SEEN


OUTLINE_UNCERTAIN = "outline-uncertain"
"""Code of the warning that what was outlined may not be the sacrum."""
NO_EDEMA = "marrow edema is not seen on CT: a fracture without a line may be missed"


def edema_only(side: Side) -> str:
    """What is said of an ala whose edema shows no line; a line on CT answers it."""
    return f"no line seen in the {side.value} ala: zone and extent are of its edema"


def unseen_sides(facts: Facts) -> tuple[str, ...]:
    """What each class that rests on the two alae could not see."""
    unseen = [f"the {side.value} ala is not in view" for side in SIDES if facts.hidden(side)]
    for side in SIDES:
        if facts.measurements.sides[side].basis is Basis.EDEMA:
            unseen.append(edema_only(side))
    if facts.measurements.modality is Modality.CT:
        unseen.append(NO_EDEMA)
    elif not facts.measurements.fluid_sensitive:
        unseen.append("no fluid-sensitive series: marrow edema cannot be judged")
    return tuple(unseen)
