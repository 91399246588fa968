"""What the demonstration shows: the report that came back, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import SecondaryCaptureImageStorage

from sifdetect.anatomy import Side
from sifdetect.findings import Fracture, StudyFindings

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border: 1px solid #bbb; padding: .3rem .7rem; text-align: left; vertical-align: top }
th { background: #eee }
img { max-width: 100%; height: auto }
.note { border-left: .3rem solid #b60; padding-left: 1rem }
"""


@dataclass(frozen=True)
class Row:
    """One thing that can be right or wrong."""

    what: str
    truth: str
    reported: str


def show(truth: StudyFindings, received: Sequence[pydicom.Dataset]) -> str:
    """The comparison as a table of text."""
    rows = [Row("", "truth", "report"), *_rows(truth, received)]
    widths = [max(len(cell) for cell in column) for column in zip(*map(_cells, rows), strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(_cells(row), widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def write_page(out: Path, truth: StudyFindings, received: Sequence[pydicom.Dataset]) -> Path:
    """Write the pictures as PNG and ``index.html`` beside them; gives the page's path."""
    pictures = _write_pictures(out, received)
    table = "".join(
        f"<tr><th>{escape(row.what)}</th><td>{escape(row.truth)}</td>"
        f"<td>{escape(row.reported)}</td></tr>"
        for row in _rows(truth, received)
    )
    objects = "".join(
        f"<tr><td>{escape(item.Modality)}</td><td>{escape(item.SOPClassUID.name)}</td>"
        f"<td>{escape(str(item.get('SeriesDescription', '')))}</td></tr>"
        for item in received
    )
    images = "".join(f'<p><img src="{name}" alt="summary"></p>' for name in pictures)
    page = out / "index.html"
    page.write_text(
        f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>sifdetect: one study there and back</title>
<style>{STYLE}</style>
<h1>One study there and back</h1>
<p class="note">A synthetic patient. Research software: it never diagnoses.</p>
<h2>What was there, and what the report says</h2>
<table><tr><th></th><th>truth</th><th>report</th></tr>{table}</table>
<h2>The summary picture</h2>{images}
<h2>What came back over DICOM</h2>
<table><tr><th>modality</th><th>kind</th><th>description</th></tr>{objects}</table>
<p>The files lie in <code>results/</code>, the study that was sent in <code>study/</code>.</p>
</html>
""",
        encoding="utf-8",
    )
    return page


def _rows(truth: StudyFindings, received: Sequence[pydicom.Dataset]) -> list[Row]:
    said = _coded(received)
    rows = [
        Row("finding like a fracture", truth.presence.value, said.get("SIF-LIKE", "not stated")),
        Row("pattern", truth.morphology.value.value, said.get("MORPHOLOGY", "not stated")),
        Row("Denis zone, right", _zone(truth.denis.right), said.get("DENIS-RIGHT", "not stated")),
        Row("Denis zone, left", _zone(truth.denis.left), said.get("DENIS-LEFT", "not stated")),
    ]
    segments = _segments(received)
    for fracture in truth.fractures:
        levels = ", ".join(level.name for level in fracture.levels)
        there = f"{_place(fracture)}, {levels}"
        rows.append(Row(f"fracture {fracture.id}", there, _nearest(fracture, segments)))
    return rows


def _coded(received: Sequence[pydicom.Dataset]) -> dict[str, str]:
    """Coded answers of the report: code value of the question to meaning of the answer."""
    return {
        item.ConceptNameCodeSequence[0].CodeValue: item.ConceptCodeSequence[0].CodeMeaning
        for report in received
        if report.Modality == "SR"
        for item in _items(report)
        if item.get("ValueType") == "CODE"
    }


def _items(item: pydicom.Dataset) -> list[pydicom.Dataset]:
    """All content items below one, in reading order."""
    found = []
    for child in item.get("ContentSequence", []):
        found += [child, *_items(child)]
    return found


def _segments(received: Sequence[pydicom.Dataset]) -> list[tuple[str, np.ndarray]]:
    """Label and centroid (3,) in LPS mm of every segment of every segmentation."""
    found = []
    for item in received:
        if item.Modality != "SEG":
            continue
        segmentation = highdicom.seg.Segmentation.from_dataset(item)
        for segment in segmentation.SegmentSequence:
            volume = segmentation.get_volume(segment_numbers=[int(segment.SegmentNumber)])
            index = np.argwhere(volume.array.reshape(*volume.spatial_shape, -1).any(axis=-1))
            centroid = volume.map_indices_to_reference(index).mean(axis=0)
            found.append((f"{segment.SegmentLabel}, {item.SeriesDescription}", centroid))
    return found


def _nearest(fracture: Fracture, segments: list[tuple[str, np.ndarray]]) -> str:
    side = fracture.side.value
    distances = [
        (float(np.linalg.norm(centroid - np.array(fracture.centroid_lps_mm))), label)
        for label, centroid in segments
        if fracture.side is Side.MIDLINE or side in label
    ]
    if not distances:
        return "not outlined"
    distance, label = min(distances)
    return f"{label.partition(',')[0]}, centre {distance:.1f} mm away"


def _place(fracture: Fracture) -> str:
    return "midline" if fracture.side is Side.MIDLINE else f"{fracture.side.value} side"


def _zone(zone: int | None) -> str:
    return "unknown" if zone is None else f"zone {'I' * zone}" if zone else "none"


def _write_pictures(out: Path, received: Sequence[pydicom.Dataset]) -> list[str]:
    """Write every Secondary Capture as PNG; gives their names."""
    names: list[str] = []
    for item in received:
        if item.SOPClassUID == SecondaryCaptureImageStorage:
            name = f"summary-{len(names) + 1}.png" if names else "summary.png"
            Image.fromarray(item.pixel_array).save(out / name)
            names.append(name)
    return names


def _cells(row: Row) -> tuple[str, str, str]:
    return row.what, row.truth, row.reported
