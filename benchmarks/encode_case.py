"""A 512×512 CT with findings of ordinary size, made in a second: what ``encode.py`` encodes."""

from __future__ import annotations

import numpy as np

from sifdetect.anatomy import AnatomyLabel, Modality, Plane, SacralLevel, Side
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.write import SeriesHeader, series_datasets
from sifdetect.findings import (
    Algorithm,
    BakkerFinding,
    Basis,
    Coverage,
    DenisFinding,
    FfpFinding,
    Fracture,
    Morphology,
    MorphologyFinding,
    Presence,
    SourceSeries,
    StudyFindings,
)
from sifdetect.study import SeriesLabels
from sifdetect.volume import Grid, LabelMap, Volume

SIDE = 512
PIXEL_MM = 0.7
SLICE_MM = 0.8
HALF_MM = np.array([22.0, 9.0, 7.0])
"""Half axes of a finding: cranial, posterior, lateral; some 6 ml."""

Case = tuple[StudyFindings, tuple[SeriesLabels, ...], DicomStudy]


def made_case(slices: int, count: int) -> Case:
    """Findings, labels and study of ``count`` findings side by side in the middle of the scan."""
    about = SeriesHeader(seed="encode", study_description="BENCHMARK, not a patient")
    grid = _grid(slices)
    anatomy = np.zeros(grid.shape, np.uint8)
    middle = np.array(grid.shape) // 2
    reach = np.array([min(50, slices // 3), 35, 72])  # 390 ml, a large sacrum
    low, high = middle - reach, middle + reach
    anatomy[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = AnatomyLabel.SACRAL_BODY
    marked = np.zeros(grid.shape, np.uint8)
    index = np.indices(tuple(2 * reach)) + low[:, None, None, None]
    centres = [middle + np.array([0, 0, round(22 * (n - (count - 1) / 2))]) for n in range(count)]
    for number, centre in enumerate(centres, start=1):
        offset = (index - centre[:, None, None, None]) * grid.spacing_mm[:, None, None, None]
        inside = ((offset / HALF_MM[:, None, None, None]) ** 2).sum(axis=0) < 1
        marked[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside] = number
    values = np.where(anatomy > 0, np.float32(250), np.float32(40))
    volume = Volume(values, grid, Modality.CT)
    datasets = series_datasets(volume, about)
    for dataset in datasets:
        del dataset.PixelData
    source = SourceSeries(
        series_instance_uid=about.series_instance_uid,
        modality=Modality.CT,
        weighting=None,
        plane=Plane.AXIAL,
        used=True,
        reason="thin bone kernel",
        description="CT pelvis",
    )
    one = DicomSeries(source, volume, tuple(datasets), (1,) * slices)
    maps = (LabelMap(array, grid) for array in (anatomy, np.zeros_like(anatomy), marked))
    labels = SeriesLabels(source, *maps)
    findings = _findings(about, source, [grid.index_to_mm(centre) for centre in centres])
    return findings, (labels,), DicomStudy(about.study_instance_uid, (one,), (), ())


def _grid(slices: int) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, PIXEL_MM], [0, PIXEL_MM, 0], [SLICE_MM, 0, 0]]
    affine[:3, 3] = [-180.0, -180.0, -700.0]
    return Grid((slices, SIDE, SIDE), affine)


def _findings(
    about: SeriesHeader,
    source: SourceSeries,
    centres: list[np.ndarray[tuple[int], np.dtype[np.float64]]],
) -> StudyFindings:
    fractures = tuple(
        Fracture(
            id=f"SIF-{number}",
            side=Side.RIGHT if centre[0] < 0 else Side.LEFT,
            levels=(SacralLevel.S1, SacralLevel.S2),
            basis=Basis.LINE,
            volume_mm3=5800.0,
            length_mm=44.0,
            centroid_lps_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
            foramen_distance_mm={SacralLevel.S1: 4.2, SacralLevel.S2: 3.1},
            canal_distance_mm=11.0,
            confidence=0.9,
        )
        for number, centre in enumerate(centres, start=1)
    )
    return StudyFindings(
        study_instance_uid=about.study_instance_uid,
        presence=Presence.PRESENT,
        probability=0.97,
        denis=DenisFinding(zone=1, left=1, right=1, rule="alar only"),
        morphology=MorphologyFinding(value=Morphology.BILATERAL, rule="two alae, no limb"),
        bakker=BakkerFinding(),
        ffp=FfpFinding(),
        coverage=Coverage(sacrum=1.0, by_level=dict.fromkeys(SacralLevel, 1.0)),
        algorithm=Algorithm(
            name="sifdetect",
            version="0.1.0",
            bundles={"region_ct": "cd" * 32, "localizer_ct": "ab" * 32},
        ),
        fractures=fractures,
        sources=(source,),
    )
