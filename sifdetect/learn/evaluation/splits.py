"""The same figures for parts of the cases: by modality, sequence, slices, stage, mimic, …"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sifdetect.learn.evaluation.overlap import SACRUM
from sifdetect.learn.evaluation.row import Row, SeriesScore
from sifdetect.learn.evaluation.study import Document, detection
from sifdetect.learn.evaluation.voxels import mean_of
from sifdetect.synth.coverage import FRACTURED, WHOLE

OCCULT = "CT-occult fracture"
SLICES_MM = (1.5, 3.0, 5.0)
"""Upper ends of the groups of slice distance and thickness."""


@dataclass(frozen=True)
class Group:
    """Part of the cases.

    Attributes:
        by: the property, as ``stage``.
        name: its value, as ``acute``.
        rows: cases that have it; for a property of series, those whose reported series has it.
        series: series that count for overlaps; all of any case where the property is of series.
        everything: the cases that overlaps are taken from.
    """

    by: str
    name: str
    rows: tuple[Row, ...]
    everything: tuple[Row, ...]
    series: Callable[[SeriesScore], bool]

    def figures(self) -> Document:
        """Detection, and the overlaps that matter most."""

        def mean(name: str, figure: str) -> Document:
            return mean_of(self.everything, name, figure, self.series).to_json()

        return {
            "by": self.by,
            "group": self.name,
            **detection(self.rows),
            "sacrum_dice": mean(SACRUM, "dice"),
            "line_surface_dice": mean("fracture_line", "surface_dice"),
            "edema_dice": mean("edema", "dice"),
        }


def groups(rows: Sequence[Row]) -> Iterator[Group]:
    """Every group that has cases or series."""
    for by, name_of in _OF_SERIES.items():
        yield from _of_series(rows, by, name_of)
    for by, names_of in _OF_CASES.items():
        names = sorted({name for row in rows for name in names_of(row)})
        for name in names:
            chosen = tuple(row for row in rows if name in names_of(row))
            yield Group(by, name, chosen, chosen, lambda _: True)


def _of_series(
    rows: Sequence[Row], by: str, name_of: Callable[[SeriesScore], str]
) -> Iterator[Group]:
    for name in sorted({name_of(one) for row in rows for one in row.series}):

        def wanted(one: SeriesScore, name: str = name) -> bool:
            return name_of(one) == name

        read = tuple(row for row in rows if row.read is not None and wanted(row.read))
        yield Group(by, name, read, tuple(rows), wanted)


def modality_of(row: Row) -> str:
    """What the examination has: CT, MR, or both."""
    return " and ".join(sorted({one.modality for one in row.series})) or "nothing that can be read"


def occult(row: Row) -> str:
    """Whether CT can show the fracture."""
    if row.fractured is not True:
        return "no fracture to be seen"
    return OCCULT if row.about.ct_occult else "fracture that CT can show"


def _slices(millimetres: float | None) -> str:
    if millimetres is None:
        return "not recorded"
    low = 0.0
    for high in SLICES_MM:
        if millimetres <= high:
            return f"{low:g}–{high:g} mm"
        low = high
    return f"over {low:g} mm"


def _coverage(row: Row) -> str:
    shares = row.truth.coverage.by_level
    return "whole" if all(shares.get(level, 0.0) >= WHOLE for level in FRACTURED) else "cut"


_OF_SERIES: dict[str, Callable[[SeriesScore], str]] = {
    "modality": lambda one: one.modality,
    "sequence": lambda one: one.sequence,
    "slice distance": lambda one: _slices(one.slice_mm),
    "slice thickness": lambda one: _slices(one.thickness_mm),
}
_OF_CASES: dict[str, Callable[[Row], tuple[str, ...]]] = {
    "examination": lambda row: (modality_of(row),),
    "profile": lambda row: (row.about.profile or "unnamed",),
    "shifted": lambda row: ("yes" if row.about.shifted else "no",),
    "stage": lambda row: (row.about.stage or "no fracture",),
    "mimic": lambda row: row.about.mimics or ("none",),
    "coverage of S1–S4": lambda row: (_coverage(row),),
    "CT-occult": lambda row: (occult(row),),
}
