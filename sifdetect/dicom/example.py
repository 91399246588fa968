"""Two made-up studies with a finding each, to show what the encoders write; nobody's images.

They differ in everything that a source can differ in, so that what their results have in common is
what the encoders fix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from sifdetect import __version__
from sifdetect.anatomy import AnatomyLabel, LesionBit, Modality, Plane, SacralLevel, Side
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
    Presence,
    SourceSeries,
    StudyFindings,
)
from sifdetect.study import Analysis, SeriesLabels
from sifdetect.volume import Floats, Grid, LabelMap, Volume

_ABOUT = (
    SeriesHeader(
        seed="conformance 1",
        patient_name="Example^One",
        patient_id="E-1",
        patient_birth_date="19400102",
        patient_sex="F",
        character_set="ISO_IR 100",
        date="20250304",
        time="101112",
        accession_number="A-1",
        study_id="S-1",
        study_description="CT pelvis",
        series_description="its series",
        series_number=3,
        body_part="PELVIS",
        manufacturer="Scanner Works",
        patient_position="HFS",
    ),
    SeriesHeader(
        seed="conformance 2",
        patient_name="Example^Two",
        patient_id="E-2",
        patient_birth_date="19501112",
        patient_sex="M",
        character_set="ISO_IR 192",
        date="20260506",
        time="131415",
        accession_number="A-2",
        study_id="S-2",
        study_description="CT hips",
        series_description="another series",
        series_number=5,
        body_part="HIP",
        manufacturer="Other Scanners",
        patient_position="FFS",
    ),
)


@dataclass(frozen=True)
class Example:
    """One study as the encoders get it.

    Attributes:
        about: what its images say of patient and study.
    """

    analysis: Analysis
    study: DicomStudy
    about: SeriesHeader


def examples() -> tuple[Example, Example]:
    """The two studies; the same ones each time."""
    return _example(0), _example(1)


def _example(number: int) -> Example:
    about = _ABOUT[number]
    grid = _grid(number)
    inside = np.zeros(grid.shape, dtype=bool)
    inside[3 : 7 + number, 10:22, 8:20] = True
    marked = inside.astype(np.uint8)
    volume = Volume(np.where(inside, 60.0, 20.0).astype(np.float32), grid, Modality.CT)
    datasets = series_datasets(volume, about)
    for dataset in datasets:
        del dataset.PixelData
        _tell_apart(dataset, number)
    source = SourceSeries(
        series_instance_uid=about.series_instance_uid,
        modality=Modality.CT,
        weighting=None,
        plane=Plane.AXIAL,
        used=True,
        reason="used",
        description=about.series_description,
    )
    labels = SeriesLabels(
        source=source,
        anatomy=LabelMap(marked * np.uint8(AnatomyLabel.SACRAL_ALA_LEFT), grid),
        lesions=LabelMap(marked * np.uint8(LesionBit.FRACTURE_LINE), grid),
        findings=LabelMap(marked, grid),
    )
    centre = grid.index_to_mm((4.5, 15.5, 13.5))
    study = DicomStudy(
        about.study_instance_uid,
        (DicomSeries(source, volume, tuple(datasets), (1,) * len(datasets)),),
        refused=(),
        warnings=(),
        header=datasets[0],
    )
    return Example(Analysis(_findings(source, centre, number, about), (labels,)), study, about)


def _tell_apart(dataset: Dataset, number: int) -> None:
    """Values that would look copied, or fixed, because they happen to be equal."""
    dataset.InstanceNumber += 100
    dataset.ReferringPhysicianName = ("Doctor^One", "Doctor^Two")[number]
    dataset.PositionReferenceIndicator = ("SN", "XY")[number]
    dataset.AcquisitionDate = ("20250305", "20260507")[number]
    dataset.AcquisitionTime = ("090807", "070809")[number]


def _grid(number: int) -> Grid:
    affine = np.diag([2.0, 1.1 + number / 10, 1.3 + number / 10, 1.0])[[2, 1, 0, 3]]
    affine[:3, 3] = -20.0 * (1 + number)
    return Grid((10 + number, 32 + number, 30 + number), affine)


def _findings(
    source: SourceSeries, centre: Floats, number: int, about: SeriesHeader
) -> StudyFindings:
    fracture = Fracture(
        id="SIF-1",
        side=(Side.LEFT, Side.RIGHT)[number],
        levels=((SacralLevel.S1,), (SacralLevel.S2,))[number],
        basis=Basis.LINE,
        volume_mm3=900.0 + number,
        length_mm=20.0 + number,
        centroid_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        foramen_distance_mm={SacralLevel.S1: 5.0 + number},
        canal_distance_mm=15.0 + number,
        confidence=0.8 + number / 20,
    )
    bundles = {"sacrum_region_ct": ("ab", "cd")[number] * 32}
    return StudyFindings(
        study_instance_uid=about.study_instance_uid,
        presence=Presence.PRESENT,
        probability=0.9,
        denis=DenisFinding(zone=1, left=1, rule="alar only"),
        morphology=MorphologyFinding(value=Morphology.UNILATERAL, rule="one ala"),
        bakker=BakkerFinding(left=BakkerType.B1, rule="parallel to joint"),
        ffp=FfpFinding(value=FfpType.IIA, at_least=True, rule="dorsal only"),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(SacralLevel, 1.0)),
        algorithm=Algorithm(name="sifdetect", version=__version__, bundles=bundles),
        fractures=(fracture,),
        sources=(source,),
    )
