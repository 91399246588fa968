"""A study as the pipeline sees it: volumes with their series, and the series that are not used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from sifdetect.anatomy import MrWeighting
from sifdetect.findings import OtherFinding, SeriesEvidence, SourceSeries, StudyFindings
from sifdetect.volume import LabelMap, Segmentation, Volume


@dataclass(frozen=True)
class Series:
    """One usable series.

    Attributes:
        volume: intensities on the series' own grid.
        source: what is known of the series; ``source.used`` is True.
    """

    volume: Volume
    source: SourceSeries


@dataclass(frozen=True)
class Study:
    """All series of one study.

    Attributes:
        study_instance_uid: the DICOM UID, or the input's name for NIfTI.
        series: usable series, the most telling first.
        refused: series that are not used, each with its reason.
    """

    study_instance_uid: str
    series: tuple[Series, ...]
    refused: tuple[SourceSeries, ...] = ()

    def sources(
        self, used: Collection[str], reasons: Mapping[str, str]
    ) -> tuple[SourceSeries, ...]:
        """Every series, with whether it was used and why not.

        Args:
            used: UIDs of the series that were used.
            reasons: by UID, why a series that could be read was of no use.
        """
        listed = (one.source for one in self.series)
        weightings = {one.source.series_instance_uid: one.volume.weighting for one in self.series}
        return (
            *(
                one
                if (uid := one.series_instance_uid) in used
                else replace(one, used=False, reason=reasons.get(uid) or _spare(weightings[uid]))
                for one in listed
            ),
            *self.refused,
        )

    @property
    def why_refused(self) -> str:
        """The reasons of the refused series, each once, in brackets; empty where there is none."""
        reasons = list(dict.fromkeys(one.reason for one in self.refused if one.reason))
        return f" ({'; '.join(reasons)})" if reasons else ""


def _spare(weighting: MrWeighting | None) -> str:
    if weighting is MrWeighting.OTHER:
        return "its weighting is none of STIR, fat-saturated T2, Dixon water, T1 and T2"
    return "another series of the study shows the same, finer or over more of it"


@dataclass(frozen=True)
class SeriesLabels:
    """What was segmented, on the grid of one analysed series.

    Attributes:
        source: the series.
        anatomy: AnatomyLabel values.
        lesions: LesionBit sums.
        findings: value n marks the voxels of ``StudyFindings.fractures[n - 1]``.
    """

    source: SourceSeries
    anatomy: LabelMap
    lesions: LabelMap
    findings: LabelMap


@dataclass(frozen=True)
class Region:
    """What a region network said of one modality, and what was stated of that modality alone.

    Attributes:
        series: UIDs of the series it read, the one that shows edema first.
        segmentation: labels and probabilities in its box.
        marked: on the same grid, value n for the voxels of ``stated.fractures[n - 1]``.
        stated: what was then stated of these series alone.
        other_findings: what was seen on them and is not called a fracture.
    """

    series: tuple[str, ...]
    segmentation: Segmentation
    marked: LabelMap
    stated: SeriesEvidence
    other_findings: tuple[OtherFinding, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """The answer to one study.

    Attributes:
        labels: for every series that was used; those that the findings rest on first.
        regions: one for each modality, in the same order.
    """

    findings: StudyFindings
    labels: tuple[SeriesLabels, ...]
    regions: tuple[Region, ...] = ()
