"""One evaluated case: what it was, what is true, what was said, how well it fits; as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sifdetect.findings import Presence, StudyFindings, from_json, to_json
from sifdetect.learn.evaluation.marks import Marks
from sifdetect.learn.evaluation.overlap import SACRUM, Overlap


@dataclass(frozen=True, kw_only=True)
class About:
    """What a case was made from.

    Attributes:
        name: of the case, unique among those evaluated.
        digest: SHA-256 of its truth and its record; a case that changed is evaluated anew.
        seed, profile, generator: None or empty where its record does not say.
        stage: of its fractures; None without any.
        mimics: kinds of what looks like a fracture.
        ct_occult: True where MR alone can show the fracture.
        shifted: True where patient and scanner are unlike those of training.
    """

    name: str
    digest: str
    seed: int | None = None
    profile: str | None = None
    generator: str = ""
    stage: str | None = None
    mimics: tuple[str, ...] = ()
    ct_occult: bool = False
    shifted: bool = False


@dataclass(frozen=True, kw_only=True)
class SeriesScore:
    """One series: what it is, whether the findings rest on it, and its overlaps.

    Attributes:
        slice_mm: distance of two slices.
        thickness_mm: of a slice; None where the case does not say.
    """

    name: str
    modality: str
    sequence: str
    slice_mm: float
    thickness_mm: float | None = None
    used: bool = False
    reported: bool = False
    overlaps: tuple[Overlap, ...] = ()

    def overlap(self, name: str) -> Overlap | None:
        """Of a structure or lesion; None where the truth does not hold it or nothing was read."""
        return next((one for one in self.overlaps if one.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One case.

    Attributes:
        found: None where the pipeline gave no answer; ``error`` says why.
        series: all of the examination, in its order.
        marks: by lesion and modality.
        seconds: that the analysis took; not part of the evaluation's figures.
    """

    about: About
    truth: StudyFindings
    found: StudyFindings | None
    error: str = ""
    series: tuple[SeriesScore, ...] = ()
    marks: tuple[Marks, ...] = ()
    seconds: float = 0.0

    @property
    def fractured(self) -> bool | None:
        """The truth; None where even a perfect reader could not say."""
        known = {Presence.PRESENT: True, Presence.ABSENT: False}
        return known.get(self.truth.presence)

    @property
    def stated(self) -> bool:
        """True where a fracture was stated, at the bundles' operating point."""
        return self.found is not None and self.found.presence is Presence.PRESENT

    @property
    def undecided(self) -> bool:
        """True where the answer was indeterminate."""
        return self.found is not None and self.found.presence is Presence.INDETERMINATE

    @property
    def read(self) -> SeriesScore | None:
        """The series that the findings rest on; the first one where there is no answer."""
        first = self.series[0] if self.series else None
        return next((one for one in self.series if one.reported), first)

    @property
    def sacrum_dice(self) -> float | None:
        """The lowest of its series; None where there is none."""
        found = [one.overlap(SACRUM) for one in self.series]
        return min((one.dice for one in found if one is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "about": asdict(self.about),
            "truth": to_json(self.truth),
            "found": None if self.found is None else to_json(self.found),
            "error": self.error,
            "series": [asdict(one) for one in self.series],
            "marks": [asdict(one) for one in self.marks],
            "seconds": self.seconds,
        }

    @staticmethod
    def from_json(document: dict[str, Any]) -> Row:
        """A row from its JSON form.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of the wrong kind.
        """
        about, found = document["about"], document["found"]
        return Row(
            about=About(**{**about, "mimics": tuple(about["mimics"])}),
            truth=from_json(document["truth"]),
            found=None if found is None else from_json(found),
            error=document["error"],
            series=tuple(_series(one) for one in document["series"]),
            marks=tuple(_marks(one) for one in document["marks"]),
            seconds=float(document["seconds"]),
        )


def _series(document: dict[str, Any]) -> SeriesScore:
    overlaps = tuple(Overlap(**one) for one in document["overlaps"])
    return SeriesScore(**{**document, "overlaps": overlaps})


def _marks(document: dict[str, Any]) -> Marks:
    counts = {name: tuple(document[name]) for name in ("hits", "false")}
    return Marks(**{**document, **counts})
