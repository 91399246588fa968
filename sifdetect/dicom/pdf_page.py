"""The report as a PDF page for people who read no DICOM: whose it is, the answer, why, by what."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from PIL import Image
from pydicom import Dataset

from sifdetect.access_words import access_said
from sifdetect.dicom import panels, reasons, sentences, words
from sifdetect.dicom.lettering import EAST_ASIAN, Weight, drawable
from sifdetect.dicom.marks import places
from sifdetect.dicom.progress import progress
from sifdetect.dicom.provenance import STATEMENT, Moment
from sifdetect.dicom.read import DicomSeries
from sifdetect.dicom.reformat import pictures
from sifdetect.findings import StudyFindings
from sifdetect.study import SeriesLabels

_MARGIN_MM = 16.0
_WIDTH_MM = 210.0 - 2 * _MARGIN_MM
_PICTURE = (440, 340)
_GRAY, _INK, _AMBER = (96, 104, 116), (20, 24, 30), (160, 92, 0)
_TITLES = (
    ("Finding", 48, "L"),
    ("Levels", 15, "L"),
    ("Seen as", 24, "L"),
    ("Volume\nml", 15, "R"),
    ("Length\nmm", 15, "R"),
    ("Foramen\nmm", 22, "R"),
    ("Canal\nmm", 14, "R"),
    ("Step\nmm", 11, "R"),
    ("Angle\n°", 12, "R"),
    ("Cert.", 14, "R"),
)


def render_pdf(
    findings: StudyFindings,
    header: Dataset,
    moment: Moment,
    pair: tuple[SeriesLabels, DicomSeries] | None,
) -> bytes:
    """The report as PDF, A4, one page or two.

    Args:
        header: of the source; patient and study as it names them.
        moment: of the result; the PDF is the same whenever it is made.
        pair: the series that the pictures show; None for a page without pictures.
    """
    pdf = _document(moment, "  ·  ".join(value for _, value in _identity(header) if value))
    _head(pdf, header)
    _answer(pdf, findings)
    if pair is not None:
        _pictures(pdf, findings, *pair)
    _table(pdf, findings)
    _reasons(pdf, findings)
    return bytes(pdf.output())


class _Document(FPDF):
    whose = ""

    def header(self) -> None:
        """Patient and study on every page but the first, which names them in full: pages part."""
        if self.page_no() > 1:
            _style(self, 8, color=_GRAY)
            _line(self, self.whose, 4.5)
            self.ln(2)

    def footer(self) -> None:
        """The limits of use, on every page."""
        self.set_y(-14)
        _style(self, 8, color=_AMBER)
        self.cell(0, 4, f"{STATEMENT} Preliminary, unverified.", align="L")
        self.set_x(-_MARGIN_MM - 20)
        self.cell(20, 4, f"{self.page_no()}", align="R")


def _document(moment: Moment, whose: str) -> FPDF:
    pdf = _Document(format="A4")
    pdf.whose = whose
    pdf.set_margin(_MARGIN_MM)
    pdf.set_auto_page_break(True, margin=18)
    pdf.add_font("sans", "", str(Weight.REGULAR.value))
    pdf.add_font("sans", "B", str(Weight.SEMIBOLD.value))
    pdf.set_title("Search for sacral insufficiency fracture, preliminary")
    pdf.set_producer("sifdetect")
    pdf.set_lang("en")
    made = datetime.strptime(f"{moment.date}{moment.time}", "%Y%m%d%H%M%S")
    pdf.set_creation_date(made.replace(tzinfo=UTC))
    pdf.add_page()
    return pdf


def _style(pdf: FPDF, size: float, *, bold: str = "", color: tuple[int, int, int] = _INK) -> None:
    pdf.set_font("sans", bold, size)
    pdf.set_text_color(*color)


def _line(pdf: FPDF, text: str, height: float) -> None:
    shown = drawable(text)
    if any(ord(character) >= 0x2E80 for character in shown) and "east" not in pdf.fonts:
        pdf.add_font("east", "", str(EAST_ASIAN))
        pdf.add_font("east", "B", str(EAST_ASIAN))
        pdf.set_fallback_fonts(["east"], exact_match=False)
    pdf.multi_cell(0, height, shown, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _head(pdf: FPDF, header: Dataset) -> None:
    _style(pdf, 15, bold="B")
    _line(pdf, "Search for sacral insufficiency fracture", 7)
    _style(pdf, 9, color=_AMBER)
    _line(pdf, "Research use only, needs a radiologist. Preliminary and unverified.", 5)
    pdf.ln(2)
    for name, value in _identity(header):
        _style(pdf, 9, color=_GRAY)
        pdf.cell(26, 4.8, name)
        _style(pdf, 9)
        _line(pdf, value or "-", 4.8)
    pdf.ln(1.5)
    pdf.set_draw_color(190, 196, 204)
    pdf.line(_MARGIN_MM, pdf.get_y(), 210 - _MARGIN_MM, pdf.get_y())
    pdf.ln(2.5)


def _identity(header: Dataset) -> list[tuple[str, str]]:
    """Patient and study as the source has them; every script of the name, one after the other."""
    names = str(header.get("PatientName") or "").split("=")
    spoken = [" ".join(", ".join(n.split("^", 1)).replace("^", " ").split()) for n in names]
    birth = _date(str(header.get("PatientBirthDate") or ""))
    sex = str(header.get("PatientSex") or "")
    patient = [str(header.get("PatientID") or ""), birth and f"born {birth}", sex]
    study = [
        _date(str(header.get("StudyDate") or "")),
        str(header.get("StudyDescription") or ""),
        str(header.get("AccessionNumber") or "") and f"accession {header.AccessionNumber}",
    ]
    return [
        ("Patient", "  ·  ".join(name.strip(", ") for name in spoken if name.strip(", "))),
        ("", "  ·  ".join(part for part in patient if part)),
        ("Study", "  ·  ".join(part for part in study if part)),
    ]


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 else text


def _answer(pdf: FPDF, findings: StudyFindings) -> None:
    _style(pdf, 12.5, bold="B")
    _line(pdf, sentences.headline(findings), 6)
    _style(pdf, 9.5)
    classes = [f"{name} {value}" for name, value, _ in reasons.classes(findings)]
    if classes:
        _line(pdf, "  ·  ".join(classes), 5)
    for text in sentences.recommendations(findings):
        _style(pdf, 9.5, color=_AMBER)
        _line(pdf, text, 5)
    pdf.ln(2)


def _pictures(
    pdf: FPDF, findings: StudyFindings, labels: SeriesLabels, series: DicomSeries
) -> None:
    gap = 2.0
    wide = (_WIDTH_MM - 2 * gap) / 3
    top = pdf.get_y()
    marks = places(findings)
    drawn = pictures(labels, series.volume, size=_PICTURE, marks=marks)
    for place, picture in enumerate(drawn):
        stream = BytesIO()
        panels.outlined(picture).save(stream, "JPEG", quality=90)
        left = _MARGIN_MM + place * (wide + gap)
        pdf.image(Image.open(stream), x=left, y=top, w=wide)
    pdf.set_y(top + wide * _PICTURE[1] / _PICTURE[0] + 1)
    _style(pdf, 8, color=_GRAY)
    ringed = " Rings: what else was seen." if any(one.marks for one in drawn) else ""
    shown = f"{sentences.series_name(series.source)}. The patient's right is on the left.{ringed}"
    _line(pdf, shown, 4.5)
    pdf.ln(2)


def _table(pdf: FPDF, findings: StudyFindings) -> None:
    if not findings.fractures:
        return
    _style(pdf, 8, color=_GRAY)
    widths = tuple(width for _, width, _ in _TITLES)
    aligns = tuple(side for _, _, side in _TITLES)
    with pdf.table(
        col_widths=widths,
        text_align=aligns,
        line_height=4.4,
        borders_layout="HORIZONTAL_LINES",
        width=_WIDTH_MM,
    ) as table:
        table.row([title for title, _, _ in _TITLES])
        for number, fracture in enumerate(findings.fractures, start=1):
            name, *cells = words.cells(fracture, findings)
            _style(pdf, 8.5)
            table.row([f"{number}  {name}", *cells])
    pdf.ln(2)


def _reasons(pdf: FPDF, findings: StudyFindings) -> None:
    algorithm = findings.algorithm
    models = [f"{name} {sha[:12]}" for name, sha in sorted(algorithm.bundles.items())]
    by = "  ·  ".join([f"{algorithm.name} {algorithm.version}", *models])
    known_by = ["(the first digits of the SHA-256 of each model's weights)"] if models else []
    blocks = (
        ("Since the earlier study", progress(findings.comparison)),
        ("Why", [reasons.reason(*row) for row in reasons.classes(findings)]),
        ("In view", sentences.coverage(findings)),
        ("What to know", sentences.notes(findings)),
        ("Access", list(access_said(findings))),
        ("Series", [sentences.series_line(source) for source in findings.sources]),
        ("By", [" ".join([by, *known_by])]),
    )
    for title, texts in blocks:
        if texts:
            _style(pdf, 9, bold="B")
            _line(pdf, title, 5)
            for text in texts:
                _style(pdf, 8.5)
                _line(pdf, text, 4.3)
            pdf.ln(1)
