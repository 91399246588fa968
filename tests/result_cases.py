"""A small study with a bilateral alar finding, as source of every result object under test.

The scan is oblique, its pixels are not square and its slices are thicker than both; a swapped
spacing or a mirrored side therefore shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import (
    AnatomyLabel,
    LesionBit,
    Modality,
    MrWeighting,
    Plane,
    SacralLevel,
    Side,
)
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.write import SeriesHeader, series_datasets
from sifdetect.findings import (
    Algorithm,
    BakkerFinding,
    BakkerType,
    Basis,
    Coverage,
    DenisFinding,
    FfpFinding,
    FfpType,
    Fracture,
    Morphology,
    MorphologyFinding,
    OtherFinding,
    Presence,
    SourceSeries,
    StudyFindings,
    Warning,
)
from sifdetect.study import SeriesLabels
from sifdetect.volume import Grid, LabelMap, Volume
from tests.builders import multiframe

SHAPE = (14, 60, 52)
ODD = (14, 61, 53)
"""A shape whose frames of single bits are no whole number of bytes."""
SPACING_MM = (5.0, 2.0, 2.4)
PATIENT = SeriesHeader(
    seed="results",
    patient_name="Müller^Änne",
    patient_id="P-17",
    patient_birth_date="19440203",
    patient_sex="F",
    character_set="ISO_IR 100",
    date="20240506",
    time="082233",
    accession_number="A-99",
    study_description="Becken, Schmerzen",
    manufacturer="Scanner Works",
)
CENTRE_LPS_MM = np.array([7.0, 40.0, -310.0])
RIGHT_LPS_MM = CENTRE_LPS_MM + np.array([-34.0, 0.0, 8.0])
LEFT_LPS_MM = CENTRE_LPS_MM + np.array([34.0, 2.0, 4.0])


@dataclass(frozen=True)
class Case:
    """What every encoder is called with."""

    findings: StudyFindings
    labels: tuple[SeriesLabels, ...]
    study: DicomStudy


def bilateral(
    modality: Modality = Modality.MR,
    *,
    about: SeriesHeader = PATIENT,
    enhanced: bool = False,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    shape: tuple[int, int, int] = SHAPE,
) -> Case:
    """A study with a fracture in each ala, as the reader hands it over."""
    grid = oblique_grid(spacing_mm, shape)
    weighting = MrWeighting.STIR if modality is Modality.MR else None
    anatomy, lesions, marked = _labels(grid)
    volume = Volume(_intensities(anatomy, lesions, modality), grid, modality, weighting)
    datasets = series_datasets(volume, about)
    numbers = (1,) * shape[0]
    if enhanced:
        datasets, numbers = [multiframe(datasets)], tuple(range(shape[0], 0, -1))
    for dataset in datasets:
        del dataset.PixelData
    series = _source_series(modality, about)
    labels = SeriesLabels(
        source=series,
        anatomy=LabelMap(anatomy, grid),
        lesions=LabelMap(lesions, grid),
        findings=LabelMap(marked, grid),
    )
    one = DicomSeries(series, volume, tuple(datasets), numbers)
    study = DicomStudy(about.study_instance_uid, (one,), (_refused(),), ())
    return Case(_findings(series, about), (labels,), study)


def without_finding(
    presence: Presence, coverage: Coverage | None = None, *, about: SeriesHeader = PATIENT
) -> Case:
    """The same scan without any fracture."""
    case = bilateral(Modality.CT, about=about)
    empty = LabelMap(np.zeros(SHAPE, np.uint8), oblique_grid())
    labels = tuple(replace(item, lesions=empty, findings=empty) for item in case.labels)
    findings = replace(
        case.findings,
        presence=presence,
        probability=0.08,
        fractures=(),
        other_findings=(),
        denis=DenisFinding(),
        morphology=MorphologyFinding(),
        bakker=BakkerFinding(),
        ffp=FfpFinding(),
        coverage=coverage or case.findings.coverage,
    )
    return replace(case, findings=findings, labels=labels)


def oblique_grid(
    spacing_mm: tuple[float, float, float] = SPACING_MM, shape: tuple[int, int, int] = SHAPE
) -> Grid:
    """A stack of tilted axial slices: array axes are slice, row, column."""
    tilt = np.deg2rad(18.0)
    turn = np.deg2rad(7.0)
    column = np.array([np.cos(turn), np.sin(turn), 0.0])
    row = np.array([-np.sin(turn) * np.cos(tilt), np.cos(turn) * np.cos(tilt), np.sin(tilt)])
    normal = np.cross(column, row)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([normal, row, column], axis=1) * spacing_mm
    middle = (np.array(shape) - 1) / 2
    affine[:3, 3] = CENTRE_LPS_MM - affine[:3, :3] @ middle
    return Grid(shape, affine)


def _labels(grid: Grid) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    points = grid.index_to_mm(index)
    x, y, z = np.moveaxis(points - CENTRE_LPS_MM, -1, 0)
    bone = (np.abs(z) < 30) & (np.abs(y) < 22 - 0.25 * np.abs(z)) & (np.abs(x) < 50 - 0.5 * abs(z))
    anatomy = np.zeros(grid.shape, np.uint8)
    anatomy[bone] = AnatomyLabel.SACRAL_BODY
    anatomy[bone & (x < -16)] = AnatomyLabel.SACRAL_CORRIDOR_RIGHT
    anatomy[bone & (x > 16)] = AnatomyLabel.SACRAL_CORRIDOR_LEFT
    anatomy[bone & (x < -24)] = AnatomyLabel.SACRAL_ALA_RIGHT
    anatomy[bone & (x > 24)] = AnatomyLabel.SACRAL_ALA_LEFT
    anatomy[bone & (np.abs(x) < 9) & (y > 6)] = AnatomyLabel.SACRAL_CANAL
    lesions = np.zeros(grid.shape, np.uint8)
    marked = np.zeros(grid.shape, np.uint8)
    for number, centre in ((1, RIGHT_LPS_MM), (2, LEFT_LPS_MM)):
        offset = (points - centre) / np.array([7.0, 12.0, 16.0])
        inside = ((offset**2).sum(axis=-1) < 1) & bone
        marked[inside] = number
        lesions[inside] = LesionBit.EDEMA
        lesions[inside & (np.abs(points[..., 0] - centre[0]) < 2)] |= np.uint8(
            LesionBit.FRACTURE_LINE
        )
    return anatomy, lesions, marked


def _intensities(
    anatomy: NDArray[np.uint8], lesions: NDArray[np.uint8], modality: Modality
) -> NDArray[np.float32]:
    noise = np.random.default_rng(7).normal(0, 12, anatomy.shape)
    bone, edema, line, soft = (260, 300, -20, 45) if modality is Modality.CT else (90, 330, 60, 140)
    values = np.where(anatomy > 0, bone, soft) + noise
    values[(lesions & LesionBit.EDEMA) > 0] += edema - bone
    values[(lesions & LesionBit.FRACTURE_LINE) > 0] = line
    return values.astype(np.float32)


def _source_series(modality: Modality, about: SeriesHeader) -> SourceSeries:
    return SourceSeries(
        series_instance_uid=about.series_instance_uid,
        modality=modality,
        weighting=MrWeighting.STIR if modality is Modality.MR else None,
        plane=Plane.AXIAL,
        used=True,
        reason="shows marrow edema" if modality is Modality.MR else "thin bone kernel",
        description="STIR tra" if modality is Modality.MR else "CT Becken",
    )


def _refused() -> SourceSeries:
    return SourceSeries(
        series_instance_uid="1.2.3.4.5",
        modality=Modality.MR,
        weighting=None,
        plane=None,
        used=False,
        reason="localizer: three planes of one image each",
        description="Übersicht",
    )


def _fracture(number: int, side: Side, centre: NDArray[np.float64], confidence: float) -> Fracture:
    return Fracture(
        id=f"SIF-{number}",
        side=side,
        levels=(SacralLevel.S1, SacralLevel.S2),
        basis=Basis.LINE_AND_EDEMA,
        volume_mm3=5630.4,
        length_mm=31.4,
        centroid_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        foramen_distance_mm={SacralLevel.S1: 6.4, SacralLevel.S2: 4.1},
        canal_distance_mm=18.2,
        step_mm=0.4,
        angle_deg=2.0,
        edema_mm3=5630.4,
        confidence=confidence,
    )


def _findings(series: SourceSeries, about: SeriesHeader) -> StudyFindings:
    return StudyFindings(
        study_instance_uid=about.study_instance_uid,
        presence=Presence.PRESENT,
        probability=0.96,
        denis=DenisFinding(
            zone=1, left=1, right=1, rule="alar only", evidence={"left_canal_mm": 18.2}
        ),
        morphology=MorphologyFinding(value=Morphology.BILATERAL, rule="two alae, no limb"),
        bakker=BakkerFinding(left=BakkerType.B1, right=BakkerType.B1, rule="parallel to joint"),
        ffp=FfpFinding(
            value=FfpType.IIA, at_least=True, rule="dorsal only", unseen=("pubic rami",)
        ),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(SacralLevel, 1.0)),
        algorithm=Algorithm(
            name="sifdetect",
            version="0.1.0",
            bundles={"sacrum_localizer": "ab" * 32, "sacrum_region": "cd" * 32},
        ),
        fractures=(
            _fracture(1, Side.RIGHT, RIGHT_LPS_MM, 0.93),
            _fracture(2, Side.LEFT, LEFT_LPS_MM, 0.88),
        ),
        other_findings=(
            OtherFinding(
                kind="sacroiliac edema",
                side=Side.LEFT,
                centroid_lps_mm=(60.0, 40.0, -300.0),
                volume_mm3=830.0,
            ),
        ),
        warnings=(Warning(code="thick-slices", text="slices are thicker than 4 mm"),),
        sources=(series, _refused()),
    )
