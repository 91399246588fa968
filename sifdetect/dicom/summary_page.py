"""The summary's page: the answer, key pictures, measurements, what was in view, and by what.

Drawn for a viewer that shows it pixel by pixel: no type is smaller than 13 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sifdetect.anatomy import Modality, SacralLevel
from sifdetect.dicom import panels, reasons, sentences, words
from sifdetect.dicom.lettering import Color, Weight, drawable, width, wrapped
from sifdetect.dicom.marks import places
from sifdetect.dicom.page import AMBER, GOOD, MUTED, PANEL, TEXT, Page
from sifdetect.dicom.progress import contralateral, is_worse, progress
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.reformat import Picture, pictures
from sifdetect.dicom.seg import color_of
from sifdetect.findings import Algorithm, Presence, SourceSeries, StudyFindings
from sifdetect.study import SeriesLabels

SIZE = (1024, 972)
"""Width and height; at three bytes a pixel the object stays below 3 MB without compression."""

_BOLD = Weight.SEMIBOLD
_EDGE = 24
_BESIDE = 352
_INSIDE = SIZE[0] - 2 * _EDGE
_GAP = 8
_PICTURE = (_INSIDE - 2 * _GAP) // 3
_TALLEST = 272
_FOOT = SIZE[1] - 28
_NOTES, _MOST_NOTES = 158, 240
_LINE = 19
_ROW = 26
_ROWS = 6
_COLUMNS = (  # title, place within the table, "l" or "r" of that place
    ("Finding", 34, "l"),
    ("Levels", 264, "l"),
    ("Seen as", 330, "l"),
    ("Volume, ml", 506, "r"),
    ("Length, mm", 590, "r"),
    ("Foramen, mm", 692, "r"),
    ("Canal, mm", 770, "r"),
    ("Step, mm", 836, "r"),
    ("Angle, °", 896, "r"),
    ("Certainty", 968, "r"),
)
_TONES = {
    Presence.PRESENT: ("Finding", color_of(1)),
    Presence.INDETERMINATE: ("Indeterminate", AMBER),
    Presence.ABSENT: ("Nothing seen", GOOD),
}


def render(findings: StudyFindings, labels: SeriesLabels, series: DicomSeries) -> NDArray[np.uint8]:
    """The page as (972, 1024, 3) uint8 RGB."""
    page = Page(SIZE)
    below = _tiles(page, findings, _head(page, findings))
    below = _pictures(page, findings, below, pair=(labels, series))
    below = _table(page, findings, below)
    _coverage(page, findings, below + 10)
    _notes(page, findings, below + 10)
    _foot(page, findings.algorithm)
    return page.pixels()


def _head(page: Page, findings: StudyFindings) -> int:
    """Who speaks, and the answer; returns the y below."""
    page.box((0, 0, SIZE[0], 36), PANEL)
    page.text((_EDGE, 18), "sifdetect", size=17, weight=_BOLD, anchor="lm")
    about = "Search for sacral insufficiency fracture"
    page.text((_EDGE + 88, 18), about, size=15, color=MUTED, anchor="lm")
    limits = "Research use only, needs a radiologist"
    page.pill(
        (SIZE[0] - _EDGE - width(limits.upper(), 14, _BOLD) - 20, 18), limits, AMBER, filled=False
    )
    word, tone = _TONES[findings.presence]
    if findings.presence is Presence.ABSENT and "stated" in sentences.headline(findings):
        word, tone = "None stated", AMBER  # green would tell the hasty not to look
    page.pill((_EDGE, 58), word, tone, filled=True)
    box = (_EDGE, 74, SIZE[0] - _EDGE, 74 + 2 * 29)
    size = 18 if contralateral(findings.comparison) else 21
    return page.paragraph(box, sentences.headline(findings), size=size, weight=_BOLD) + 7


def _tiles(page: Page, findings: StudyFindings, top: int) -> int:
    """The classes side by side, each under its name; returns the y below."""
    shown = [(name, value) for name, value, _ in reasons.classes(findings)]
    used = [sentences.series_kind(source) for source in findings.sources if source.used]
    if len(shown) < 4:
        shown.append(("Read from", ", ".join(dict.fromkeys(used)) or "-"))
    if "probability" not in sentences.headline(findings):
        shown.insert(0, ("Probability", sentences.chance(findings)))
    unsure = sentences.outline_is_uncertain(findings)
    share = "uncertain" if unsure else words.percent(findings.coverage.sacrum)
    shown.append(("Sacrum in view", share))
    needs = [max(width(drawable(value), 16, _BOLD), width(name, 13)) + 24 for name, value in shown]
    spare = _INSIDE - _GAP * (len(shown) - 1) - sum(needs)
    left = float(_EDGE)
    for (name, value), need in zip(shown, needs, strict=True):
        room = need + spare / len(shown) if spare > 0 else need * (1 + spare / sum(needs))
        page.box((left, top, left + room, top + 44), PANEL, radius=4)
        page.text((left + 12, top + 13), name, size=13, color=MUTED, anchor="lm")
        (line,) = wrapped(value, room - 18, size=16, most=1, weight=_BOLD)
        page.text((left + 12, top + 31), line, size=16, weight=_BOLD, anchor="lm")
        left += room + _GAP
    return top + 44 + 10


def _pictures(
    page: Page, findings: StudyFindings, top: int, *, pair: tuple[SeriesLabels, DicomSeries]
) -> int:
    """Two rows of pictures, with outlines and without; returns the y below."""
    rows = min(len(findings.fractures), _ROWS)
    table = 24 + _ROW * rows + 20 * (len(findings.fractures) > _ROWS) if rows else 0
    labels, series = pair
    notes = max(_NOTES, min(_MOST_NOTES, _tall(findings)))
    height = min(_TALLEST, (_FOOT - top - 24 - table - notes - _GAP) // 2)
    marks = places(findings)
    drawn = pictures(labels, series.volume, size=(_PICTURE, height), marks=marks)
    for place, picture in enumerate(drawn):
        left = _EDGE + place * (_PICTURE + _GAP)
        page.image.paste(panels.outlined(picture), (left, top))
        page.image.paste(panels.plain(picture), (left, top + height + _GAP))
    below = top + 2 * height + _GAP + 3
    what = "findings as numbered below" if rows else "the sacrum as segmented"
    ringed = " Rings: what else was seen." if any(one.marks for one in drawn) else ""
    caption = f"Outlines: {what}.{ringed} Ticks: the other planes. The patient's right is left."
    page.text((_EDGE, below), caption, size=13, color=MUTED)
    room = _INSIDE - width(caption, 13) - 20
    (name,) = wrapped(_shown(series, drawn), room, size=13, most=1)
    page.text((SIZE[0] - _EDGE, below), name, size=13, color=MUTED, anchor="ra")
    return below + 21


def _shown(series: DicomSeries, drawn: tuple[Picture, ...]) -> str:
    """The series that the pictures show and, for CT, the window."""
    name = sentences.series_name(series.source)
    if series.volume.modality is not Modality.CT:
        return name
    low, high = drawn[0].window
    return f"{name}, C {(low + high) / 2:.0f} W {high - low:.0f} HU"


def _table(page: Page, findings: StudyFindings, top: int) -> int:
    """The measurements, one row a finding; returns the y below."""
    if not findings.fractures:
        return top
    page.box((_EDGE, top, SIZE[0] - _EDGE, top + 24), PANEL)
    for title, at, side in _COLUMNS:
        page.text((_EDGE + at, top + 12), title, size=13, color=MUTED, anchor=f"{side}m")
    y = top + 24
    for number, fracture in list(enumerate(findings.fractures, start=1))[:_ROWS]:
        page.badge((_EDGE + 17, y + _ROW // 2), number, color_of(number))
        cells = words.cells(fracture, findings)
        for (_, at, side), cell in zip(_COLUMNS, cells, strict=True):
            style = _BOLD if at == _COLUMNS[0][1] else Weight.REGULAR
            middle = (_EDGE + at, y + _ROW // 2)
            page.text(middle, cell, size=15, weight=style, anchor=f"{side}m")
        y += _ROW
        page.rule(y, _EDGE, SIZE[0] - _EDGE)
    more = len(findings.fractures) - _ROWS
    if more > 0:
        page.text((_EDGE + 34, y + 2), f"and {more} more: see the report", size=14, color=MUTED)
        y += 20
    return y


def _coverage(page: Page, findings: StudyFindings, top: int) -> None:
    """A bar for each sacral level: the share that was in the field of view."""
    page.text((_EDGE, top), "In the field of view", size=15, weight=_BOLD)
    y, left, room = top + 27, _EDGE + 30, 176
    unsure = sentences.outline_is_uncertain(findings)
    for level in SacralLevel:
        share = findings.coverage.by_level.get(level)
        page.text((_EDGE, y + 7), level.name, size=14, color=MUTED, anchor="lm")
        page.box((left, y, left + room, y + 14), PANEL, radius=3)
        if share:
            seen = GOOD if share >= sentences.SEEN_WHOLE and not unsure else AMBER
            page.box((left, y, left + room * min(1.0, share), y + 14), seen, radius=3)
        text = "not measured" if share is None else words.percent(share) if share else "not seen"
        page.text((left + room + 10, y + 7), text, size=14, anchor="lm")
        y += 20
    limits = " ".join(sentences.coverage(findings)[1:])
    if limits and y + 18 < _FOOT:
        page.paragraph((_EDGE, y, 330, _FOOT - 2), limits, size=13, color=MUTED)


def _notes(page: Page, findings: StudyFindings, top: int) -> None:
    """What else the reader must know, and which series the answer rests on."""
    bottom, y = _FOOT - 2, top
    for title, texts in _blocks(findings):
        if texts and y + 42 <= bottom:
            page.text((_BESIDE, y), title, size=15, weight=_BOLD)
            y += 24
            for text, color in texts:
                if y + 18 <= bottom:
                    box = (_BESIDE, y, SIZE[0] - _EDGE, min(y + 3 * _LINE, bottom))
                    y = page.paragraph(box, text, size=14, color=color)
            y += 5


def _tall(findings: StudyFindings) -> int:
    """Pixels that ``_notes`` would fill."""
    room = SIZE[0] - _EDGE - _BESIDE
    return 10 + sum(
        29 + _LINE * sum(len(wrapped(text, room, size=14, most=3)) for text, _ in texts)
        for _, texts in _blocks(findings)
        if texts
    )


def _blocks(findings: StudyFindings) -> Sequence[tuple[str, list[tuple[str, Color]]]]:
    """Headings, and the paragraphs under each with their colours."""
    lines: list[tuple[str, Color]] = [(t, AMBER) for t in sentences.recommendations(findings)]
    lines += [(t, AMBER if "mass" in t else TEXT) for t in sentences.notes(findings)]
    unseen = reasons.unseen(findings)
    if unseen:
        lines.append((f"Not assessed: {'; '.join(unseen)}.", TEXT))
    since = [(text, AMBER if is_worse(text) else TEXT) for text in progress(findings.comparison)]
    return (
        ("Since the earlier study", since),
        ("What to know", lines),
        ("Series", [(_series(findings.sources), MUTED)] if findings.sources else []),
    )


def _series(sources: Sequence[SourceSeries]) -> str:
    """All in one paragraph, without sizes: those that were used, then the others with why not.

    One line each they would not fit beside long notes, and which was left out would not be seen.
    """
    used = [sentences.series_name(one) for one in sources if one.used]
    others = [sentences.series_name(one) + sentences.why(one) for one in sources if not one.used]
    parts = (("Used", used), ("Not used", others))
    return " ".join(words.sentence(f"{what}: {'; '.join(of)}") for what, of in parts if of)


def _foot(page: Page, algorithm: Algorithm) -> None:
    page.box((0, _FOOT, SIZE[0], SIZE[1]), PANEL)
    models = [f"{name} {checksum[:12]}" for name, checksum in sorted(algorithm.bundles.items())]
    by = "  ·  ".join([f"{algorithm.name} {algorithm.version}", *models])
    last = "Not a diagnosis. Preliminary, unverified"
    (line,) = wrapped(by, _INSIDE - width(last, 13) - 20, size=13, most=1)
    page.text((_EDGE, _FOOT + 14), line, size=13, color=MUTED, anchor="lm")
    page.text((SIZE[0] - _EDGE, _FOOT + 14), last, size=13, color=AMBER, anchor="rm")
