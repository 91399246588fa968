"""Every object that a study of ``result_cases`` gives, and the images that they belong to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydicom import Dataset

from sifdetect.anatomy import Modality, SacralLevel, Side
from sifdetect.dicom.seg import encode_seg, segmented
from sifdetect.dicom.sr import encode_sr
from sifdetect.dicom.summary import encode_summary
from sifdetect.dicom.text_report import encode_text_report
from sifdetect.dicom.write import SeriesHeader, series_datasets
from sifdetect.findings import Basis, Coverage, DenisFinding, Fracture, Presence
from sifdetect.volume import LabelMap
from tests.builders import multiframe
from tests.result_cases import PATIENT, Case, bilateral, without_finding

CUT = Coverage(
    sacrum=0.5,
    by_level={
        SacralLevel.S1: 1.0,
        SacralLevel.S2: 1.0,
        SacralLevel.S3: 0.4,
        SacralLevel.S4: 0.0,
        SacralLevel.S5: 0.0,
    },
    limits=("the lower edge of the scan cuts the sacrum at S3",),
)


def results_of(case: Case) -> dict[str, Dataset]:
    """What ``analyze`` writes of a study, each object by the name of its file."""
    (labels,), (series,) = case.labels, case.study.series
    results = {}
    if segmented(labels, series):
        results["seg"] = encode_seg(case.findings, labels, series)
    results["sr"] = (
        encode_sr(case.findings, case.labels, case.study)
        if case.findings.fractures
        else encode_text_report(case.findings, case.study)
    )
    results["summary"] = encode_summary(case.findings, case.labels, case.study)
    return results


def images_of(case: Case, about: SeriesHeader = PATIENT) -> list[Dataset]:
    """The images of a study with their pixels, which its results refer to."""
    (series,) = case.study.series
    datasets = series_datasets(series.volume, about)
    if len(series.datasets) == 1:
        datasets = [multiframe(datasets)]
    assert {str(one.SOPInstanceUID) for one in datasets} == {
        str(one.SOPInstanceUID) for one in series.datasets
    }
    return datasets


def with_findings(count: int, modality: Modality = Modality.MR) -> Case:
    """A study with that many findings, one above the other, on both sides and in the midline."""
    case = bilateral(modality)
    values = np.zeros_like(case.labels[0].findings.values)
    fractures = []
    for number in range(1, count + 1):
        side = (Side.RIGHT, Side.LEFT, Side.MIDLINE)[(number - 1) % 3]
        column = {Side.RIGHT: 10, Side.LEFT: 38, Side.MIDLINE: 24}[side]
        first = 2 + 5 * ((number - 1) // 3)
        values[first : first + 3, 24:34, column : column + 4] = number
        fractures.append(_fracture(number, side, case, values))
    marked = LabelMap(values, case.labels[0].findings.grid)
    lesions = LabelMap((values > 0).astype(np.uint8), marked.grid)
    labels = (replace(case.labels[0], findings=marked, lesions=lesions),)
    central = any(one.side is Side.MIDLINE for one in fractures)
    denis = DenisFinding(zone=3 if central else 1, left=1, right=1, rule="alar only")
    findings = replace(case.findings, fractures=tuple(fractures), denis=denis)
    return replace(case, findings=findings, labels=labels)


def indeterminate() -> Case:
    """A scan that is cut at S3, without a finding in view."""
    return without_finding(Presence.INDETERMINATE, CUT)


def uncertain() -> Case:
    """A finding that is too uncertain to be called a fracture, with its outline."""
    case = with_findings(1)
    findings = replace(case.findings, presence=Presence.INDETERMINATE, probability=0.4)
    return replace(case, findings=findings)


def _fracture(number: int, side: Side, case: Case, values: np.ndarray) -> Fracture:
    grid = case.labels[0].findings.grid
    x, y, z = grid.index_to_mm(np.argwhere(values == number).mean(axis=0))
    return Fracture(
        id=f"SIF-{number}",
        side=side,
        levels=(SacralLevel.S1,),
        basis=Basis.LINE,
        volume_mm3=2880.0 + number,
        length_mm=24.0,
        centroid_lps_mm=(float(x), float(y), float(z)),
        foramen_distance_mm={SacralLevel.S1: 3.4, SacralLevel.S2: 0.0},
        canal_distance_mm=0.0,
        sclerosis_mm3=0.0,
        confidence=0.4 + number / 20,
    )
