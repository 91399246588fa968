"""What must be reached, as data: each target, and which figure shows it.

Set before anything was measured and not moved since; nothing here is read by training, calibration
or the pipeline.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from sifdetect.anatomy import Modality


class Figure(Enum):
    """What is measured; ``reached.py`` says how."""

    DICE = "mean Dice"
    SURFACE_DICE = "mean surface Dice at 2 mm"
    LINE_SENSITIVITY = "sensitivity per lesion at no more than one false mark a case"
    AUC = "AUC of the study"
    SENSITIVITY = "sensitivity of the study"
    SPECIFICITY = "specificity of the study"
    REGION_ECE = "calibration error of voxels, worst region of the sacrum"
    FAILURE_AUROC = "AUROC of low confidence for being wrong"


class Cases(Enum):
    """Which cases count."""

    ALL = "all"
    SHOWN = "without CT-occult fractures"
    OCCULT = "CT-occult fractures alone"
    THICK_STIR = "STIR with slices 4.5 mm or more apart"
    DROP = "cases like training less shifted ones"
    SHOWN_DROP = "the same without CT-occult fractures"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One line of the table.

    Attributes:
        name: what is measured of what, for a reader.
        of: structure or lesion, where the figure needs one.
        least, most: the target; neither where the figure is shown for itself.
        elsewhere: the best that is known of others.
    """

    name: str
    figure: Figure
    modality: Modality = Modality.CT
    of: str = ""
    cases: Cases = Cases.ALL
    least: float | None = None
    most: float | None = None
    elsewhere: str = ""

    @property
    def said(self) -> str:
        """The target, as ≥ 0.96."""
        if self.least is not None:
            return f"≥ {self.least:.2f}"
        return "none" if self.most is None else f"≤ {self.most:.2f}"


_CT, _MR = Modality.CT, Modality.MR
_LINE, _EDEMA, _SACRUM = "fracture_line", "edema", "sacrum"
_RIBS = "0.95 at 1.3 (ribs)"
_READERS = "0.51 (AI), 0.53–0.56 (two readers); sacroiliac STIR"


def _both(target: Target) -> tuple[Target, ...]:
    """The same target for CT and MR."""
    return tuple(replace(target, name=f"{target.name}, {m.value}", modality=m) for m in (_CT, _MR))


def _drops(modality: Modality, cases: Cases, lesion: str, words: str) -> tuple[Target, ...]:
    """How much worse the shifted half is."""
    return (
        Target(
            name=f"drop of the AUC on the shifted half, {modality.value}",
            modality=modality,
            figure=Figure.AUC,
            cases=cases,
            most=0.04,
        ),
        Target(
            name=f"drop of the sacrum's Dice, {modality.value}",
            modality=modality,
            figure=Figure.DICE,
            of=_SACRUM,
            cases=Cases.DROP,
            most=0.05,
        ),
        Target(
            name=f"drop of the {words}, {modality.value}",
            modality=modality,
            figure=Figure.SURFACE_DICE if lesion == _LINE else Figure.DICE,
            of=lesion,
            cases=Cases.DROP,
            most=0.05,
        ),
    )


TARGETS: tuple[Target, ...] = (
    Target(
        name="Dice of the sacrum, CT",
        modality=_CT,
        figure=Figure.DICE,
        of=_SACRUM,
        least=0.96,
        elsewhere="0.963 (TotalSegmentator CT)",
    ),
    Target(
        name="Dice of the sacrum, MR",
        modality=_MR,
        figure=Figure.DICE,
        of=_SACRUM,
        least=0.94,
        elsewhere="0.870 (TotalSegmentator MR)",
    ),
    Target(
        name="Dice of the sacrum, STIR of 5 mm",
        modality=_MR,
        figure=Figure.DICE,
        of=_SACRUM,
        cases=Cases.THICK_STIR,
        least=0.90,
        elsewhere="0.82",
    ),
    Target(
        name="Dice of edema, MR",
        modality=_MR,
        figure=Figure.DICE,
        of=_EDEMA,
        least=0.75,
        elsewhere=_READERS,
    ),
    *_both(
        Target(
            name="sensitivity per line at ≤ 1 false mark a case",
            figure=Figure.LINE_SENSITIVITY,
            of=_LINE,
            least=0.95,
            elsewhere=_RIBS,
        )
    ),
    *_both(
        Target(
            name="surface Dice of the line at 2 mm",
            figure=Figure.SURFACE_DICE,
            of=_LINE,
            least=0.78,
            elsewhere="0.754 (ribs)",
        )
    ),
    Target(name="AUC of the study, MR", modality=_MR, figure=Figure.AUC, least=0.98),
    Target(
        name="sensitivity of the study, MR",
        modality=_MR,
        figure=Figure.SENSITIVITY,
        least=0.96,
        elsewhere="1.00 (readers)",
    ),
    Target(
        name="specificity of the study, MR", modality=_MR, figure=Figure.SPECIFICITY, least=0.95
    ),
    Target(
        name="AUC of the study without CT-occult fractures, CT",
        modality=_CT,
        figure=Figure.AUC,
        cases=Cases.SHOWN,
        least=0.92,
    ),
    Target(
        name="sensitivity of the study without CT-occult fractures, CT",
        modality=_CT,
        figure=Figure.SENSITIVITY,
        cases=Cases.SHOWN,
        least=0.90,
        elsewhere="0.60–0.94 (readers)",
    ),
    Target(name="specificity of the study, CT", modality=_CT, figure=Figure.SPECIFICITY),
    Target(
        name="sensitivity for CT-occult fractures, CT",
        modality=_CT,
        figure=Figure.SENSITIVITY,
        cases=Cases.OCCULT,
    ),
    *_drops(_CT, Cases.SHOWN_DROP, _LINE, "line's surface Dice"),
    *_drops(_MR, Cases.DROP, _EDEMA, "edema's Dice"),
    *_both(
        Target(
            name="calibration error of the line's voxels, worst region",
            figure=Figure.REGION_ECE,
            of=_LINE,
            most=0.03,
        )
    ),
    Target(
        name="calibration error of the edema's voxels, worst region, MR",
        modality=_MR,
        figure=Figure.REGION_ECE,
        of=_EDEMA,
        most=0.03,
    ),
    *_both(Target(name="failure AUROC", figure=Figure.FAILURE_AUROC, least=0.90)),
)
"""In the order of the report."""
