"""Summary page (RGB Secondary Capture): the answer on one picture that every viewer shows.

Key pictures in three planes, the answer in one sentence, a table with units, what was in view and
what was not, and from which series. No patient identity is burned into the pixels.
"""

from __future__ import annotations

import numpy as np
from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
from highdicom.sc import SCImage
from numpy.typing import NDArray
from pydicom import Dataset

from sifdetect.anatomy import SacralLevel
from sifdetect.dicom import sentences, words
from sifdetect.dicom.page import (
    AMBER,
    GOOD,
    MUTED,
    PANEL,
    TEXT,
    Color,
    Page,
)
from sifdetect.dicom.progress import contralateral, is_worse, progress
from sifdetect.dicom.provenance import MANUFACTURER, finish, header_of, moment_of
from sifdetect.dicom.read import DicomSeries, DicomStudy
from sifdetect.dicom.reformat import pictures
from sifdetect.dicom.seg import color_of
from sifdetect.dicom.uids import findings_parts, result_uid, source_parts
from sifdetect.findings import Algorithm, Fracture, Presence, SourceSeries, StudyFindings
from sifdetect.study import SeriesLabels

SERIES_NUMBER = 9802
SIZE = 1024

_EDGE = 24
_PICTURE = 318
_NOTES = 168
_FOOT = 980
_CAPTION = 24
_GAP = 11
_ROWS = 6
_COLUMNS = (
    ("Finding", 0),
    ("Levels", 230),
    ("Volume", 312),
    ("Length", 400),
    ("To foramen", 484),
    ("To canal", 606),
    ("Step", 702),
    ("Angle", 784),
    ("Certainty", 864),
)


def encode_summary(
    findings: StudyFindings, labels: tuple[SeriesLabels, ...], study: DicomStudy
) -> Dataset:
    """The summary page of a study as Secondary Capture.

    Args:
        findings: of the study, with or without fractures.
        labels: of the series that were used, the most telling first.
        study: the source; holds the series that ``labels`` name.

    Raises:
        ValueError: no series was used, or its labels belong to another study.
    """
    shown, series = _shown(labels, study)
    datasets = [dataset for item in study.series for dataset in item.datasets]
    header = header_of(series.datasets[0])
    parts = (*findings_parts(findings), *source_parts(datasets))
    result = SCImage(
        pixel_array=render(findings, shown, series),
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "F"),
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=result_uid("summary series", *parts),
        series_number=SERIES_NUMBER,
        sop_instance_uid=result_uid("summary", *parts),
        instance_number=1,
        manufacturer=MANUFACTURER,
    )
    _complete(result, header)
    return finish(result, header, algorithm=findings.algorithm, moment=moment_of(datasets))


def _complete(result: SCImage, header: Dataset) -> None:
    """Patient and study from the source, and what Secondary Capture asks of a page of pictures.

    Body Part Examined stands for Laterality, which would be required without it; the page has no
    single orientation, so Patient Orientation is empty (PS3.3 C.7.3.1, C.7.6.1).
    """
    result.copy_patient_and_study_information(header)
    result.PatientOrientation = []
    result.BodyPartExamined = "SSPINE"
    result.BurnedInAnnotation = "NO"
    result.SeriesDescription = "SIF summary (research)"
    result.ImageComments = "Research use only. Needs a radiologist."
    for keyword in ("DateOfSecondaryCapture", "TimeOfSecondaryCapture"):
        delattr(result, keyword)


def _shown(labels: tuple[SeriesLabels, ...], study: DicomStudy) -> tuple[SeriesLabels, DicomSeries]:
    """The first series that shows a finding, else the first that was used."""
    if not labels:
        raise ValueError("a summary needs the labels of at least one series")
    chosen = next((item for item in labels if item.findings.values.any()), labels[0])
    for series in study.series:
        if series.source.series_instance_uid == chosen.source.series_instance_uid:
            return chosen, series
    raise ValueError(f"series {chosen.source.series_instance_uid} is not one of the study")


def render(findings: StudyFindings, labels: SeriesLabels, series: DicomSeries) -> NDArray[np.uint8]:
    """The page as (1024, 1024, 3) uint8 RGB."""
    page = Page(SIZE)
    below = _head(page, findings)
    below = _pictures(page, findings, below, pair=(labels, series))
    below = _table(page, findings, below)
    _coverage(page, findings, below + 12)
    _notes(page, findings, below + 12)
    _foot(page, findings.algorithm)
    return page.pixels()


def _pictures(
    page: Page, findings: StudyFindings, top: int, *, pair: tuple[SeriesLabels, DicomSeries]
) -> int:
    """Two rows of pictures, with outlines and without; returns the y below."""
    rows = min(len(findings.fractures), _ROWS)
    table = 26 + 28 * rows + 22 * (len(findings.fractures) > _ROWS) if rows else 0
    labels, series = pair
    since = progress(findings.comparison)
    space = _FOOT - top - _CAPTION - table - _NOTES - _GAP - 20 * len(since) - 25 * bool(since)
    height = min(_PICTURE, space // 2)
    for place, picture in enumerate(pictures(labels, series.volume, size=(_PICTURE, height))):
        left = _EDGE + place * (_PICTURE + _GAP)
        page.outlined(left, top, picture)
        page.picture(left, top + height + _GAP, picture)
    below = top + 2 * height + _GAP + 5
    what = "findings as numbered in the table" if rows else "the sacrum as segmented"
    caption = f"Outlines: {what}. The patient's right is on the left."
    page.text((_EDGE, below), caption, size=13, color=MUTED)
    name = sentences.series_name(series.source)
    page.text((SIZE - _EDGE, below), name, size=13, color=MUTED, anchor="ra")
    return below + _CAPTION - 5


def _head(page: Page, findings: StudyFindings) -> int:
    """Title and answer; returns the y below."""
    page.box((0, 0, SIZE, 40), PANEL)
    page.text(
        (_EDGE, 20), "sifdetect: search for sacral insufficiency fracture", size=18, anchor="lm"
    )
    page.text(
        (SIZE - _EDGE, 20),
        "Research use only. Needs a radiologist.",
        size=18,
        color=AMBER,
        anchor="rm",
    )
    said, first = sentences.headline(findings), contralateral(findings.comparison)
    bottom = page.paragraph((_EDGE + 20, 54, SIZE - _EDGE, 134), said, size=20 if first else 24)
    lines = [f"{scheme} {value}" for scheme, value, _ in sentences.classes(findings)]
    text = "  |  ".join(lines) or " ".join(sentences.coverage(findings)[:1])
    below = page.paragraph((_EDGE + 20, bottom + 4, SIZE - _EDGE, 168), text, size=16, color=MUTED)
    page.box((_EDGE, 56, _EDGE + 5, below), _tone(findings))
    return below + 12


def _tone(findings: StudyFindings) -> Color:
    tones = {
        Presence.PRESENT: color_of(1),
        Presence.INDETERMINATE: AMBER,
        Presence.ABSENT: GOOD,
    }
    return tones[findings.presence]


def _table(page: Page, findings: StudyFindings, top: int) -> int:
    """The measurements, one row a finding; returns the y below."""
    if not findings.fractures:
        return top
    left = _EDGE
    page.box((left, top, SIZE - left, top + 26), PANEL)
    for title, offset in _COLUMNS:
        page.text((left + 8 + offset, top + 13), title, size=14, color=MUTED, anchor="lm")
    y = top + 26
    for number, fracture in list(enumerate(findings.fractures, start=1))[:_ROWS]:
        page.box((left + 8, y + 7, left + 22, y + 21), color_of(number))
        cells = _cells(number, fracture, findings)
        for (_, offset), cell in zip(_COLUMNS, cells, strict=True):
            indent = 30 if offset == 0 else 8
            page.text((left + indent + offset, y + 14), cell, size=15, anchor="lm")
        y += 28
        page.rule(y, left, SIZE - left)
    more = len(findings.fractures) - _ROWS
    if more > 0:
        page.text((left + 8, y + 4), f"and {more} more: see the report", size=14, color=MUTED)
        y += 22
    return y


def _cells(number: int, fracture: Fracture, findings: StudyFindings) -> tuple[str, ...]:
    foramen = "-"
    if fracture.foramen_distance_mm:
        level, distance = min(fracture.foramen_distance_mm.items(), key=lambda pair: pair[1])
        foramen = f"{_millimetres(distance)} ({level.name})"
    zone = words.zone_of(fracture, findings)
    denis = f", Denis {int(zone)}" if zone else ""
    return (
        f"{number}  {words.place(fracture, findings)}{denis}",
        words.level_range(fracture.levels) or "-",
        words.millilitres(fracture.volume_mm3),
        f"{fracture.length_mm:.0f} mm",
        foramen,
        _millimetres(fracture.canal_distance_mm),
        "-" if fracture.step_mm is None else f"{fracture.step_mm:.1f} mm",
        "-" if fracture.angle_deg is None else f"{fracture.angle_deg:.0f} deg",
        words.probability(fracture.confidence),
    )


def _millimetres(distance_mm: float | None) -> str:
    if distance_mm is None:
        return "-"
    return "touches" if distance_mm <= 0 else f"{distance_mm:.1f} mm"


def _coverage(page: Page, findings: StudyFindings, top: int) -> None:
    """A bar for each sacral level: the share that was in the field of view."""
    page.text((_EDGE, top), "In the field of view", size=16)
    y = top + 27
    width = 190
    for level in SacralLevel:
        share = findings.coverage.by_level.get(level)
        page.text((_EDGE, y + 8), level.name, size=15, color=MUTED, anchor="lm")
        page.box((_EDGE + 34, y, _EDGE + 34 + width, y + 16), PANEL)
        if share:
            seen = GOOD if share >= sentences.SEEN_WHOLE else AMBER
            page.box((_EDGE + 34, y, _EDGE + 34 + width * min(1.0, share), y + 16), seen)
        text = "not measured" if share is None else words.percent(share) if share else "not seen"
        page.text((_EDGE + 42 + width, y + 8), text, size=15, anchor="lm")
        y += 22
    limits = sentences.coverage(findings)[1:]
    page.paragraph((_EDGE, y + 2, 352, _FOOT - 4), " ".join(limits), size=14, color=MUTED)


def _notes(page: Page, findings: StudyFindings, top: int) -> None:
    """What else the reader must know, and which series the answer rests on."""
    left, right, bottom = 376, SIZE - _EDGE, _FOOT - 4
    since = [(text, AMBER if is_worse(text) else TEXT) for text in progress(findings.comparison)]
    advice = [(text, AMBER) for text in sentences.recommendations(findings)]
    notes = [(text, TEXT) for text in sentences.notes(findings)]
    unseen = sentences.unseen(findings)
    if unseen:
        notes.append((f"Not assessed: {'; '.join(unseen)}.", TEXT))
    used = [(_series(s), MUTED) for s in findings.sources if s.used]
    unused = [(_series(s), MUTED) for s in findings.sources if not s.used]
    y = top
    for title, lines in (
        ("Since the earlier study", since),
        ("What to know", [*advice, *notes]),
        ("Series", [*used, *unused]),
    ):
        if lines and y + 25 < bottom - 18:
            page.text((left, y), title, size=16)
            y += 25
            for text, color in lines:
                if y < bottom - 18:
                    y = page.paragraph(
                        (left, y, right, min(y + 42, bottom)), text, size=14, color=color
                    )
                    y += 2
            y += 6


def _series(source: SourceSeries) -> str:
    """One line without sizes: used or not, and why."""
    verdict = "used" if source.used else "not used"
    return words.sentence(f"{sentences.series_name(source)} {verdict}: {source.reason}")


def _foot(page: Page, algorithm: Algorithm) -> None:
    page.box((0, _FOOT, SIZE, SIZE), PANEL)
    models = [f"{name} {checksum[:12]}" for name, checksum in sorted(algorithm.bundles.items())]
    by = ", ".join([f"{algorithm.name} {algorithm.version}", *models])
    page.text((_EDGE, 1002), by, size=14, color=MUTED, anchor="lm")
    page.text((SIZE - _EDGE, 1002), "Not a diagnosis", size=14, color=AMBER, anchor="rm")
