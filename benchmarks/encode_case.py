"""A 512×512 CT with findings of ordinary size, made in a second: what ``encode.py`` encodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sifdetect.anatomy import AnatomyLabel, Modality, Side
from sifdetect.dicom.example import examples
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.write import SeriesHeader, series_datasets
from sifdetect.findings import Morphology, MorphologyFinding, StudyFindings
from sifdetect.study import SeriesLabels
from sifdetect.volume import Floats, Grid, LabelMap, Volume

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
    example = examples()[0].analysis.findings
    source = replace(example.sources[0], series_instance_uid=about.series_instance_uid)
    one = DicomSeries(source, volume, tuple(datasets), (1,) * slices)
    maps = (LabelMap(array, grid) for array in (anatomy, np.zeros_like(anatomy), marked))
    labels = SeriesLabels(source, *maps)
    findings = _with_fractures(
        replace(example, study_instance_uid=about.study_instance_uid, sources=(source,)),
        [grid.index_to_mm(centre) for centre in centres],
    )
    return findings, (labels,), DicomStudy(about.study_instance_uid, (one,), (), ())


def _grid(slices: int) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, PIXEL_MM], [0, PIXEL_MM, 0], [SLICE_MM, 0, 0]]
    affine[:3, 3] = [-180.0, -180.0, -700.0]
    return Grid((slices, SIDE, SIDE), affine)


def _with_fractures(findings: StudyFindings, centres: list[Floats]) -> StudyFindings:
    """The findings with a copy of their one fracture at each place (3,) in LPS mm."""
    (fracture,) = findings.fractures
    fractures = tuple(
        replace(
            fracture,
            id=f"SIF-{number}",
            side=Side.RIGHT if x < 0 else Side.LEFT,
            centroid_lps_mm=(float(x), float(y), float(z)),
        )
        for number, (x, y, z) in enumerate(centres, start=1)
    )
    pattern = MorphologyFinding(value=Morphology.BILATERAL, rule="two alae, no limb")
    return replace(findings, fractures=fractures, morphology=pattern)
