"""A study as the pipeline sees it: volumes with their series, and the series that are not used."""

from __future__ import annotations

from dataclasses import dataclass

from sifdetect.findings import SourceSeries, StudyFindings
from sifdetect.volume import LabelMap, Volume


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
class Analysis:
    """The answer to one study: the findings, and the labels for every series that was used."""

    findings: StudyFindings
    labels: tuple[SeriesLabels, ...]
