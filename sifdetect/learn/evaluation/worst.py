"""The cases that went worst, and a picture of each: three planes with outlines."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from sifdetect.anatomy import SACRUM_LABELS, LesionBit, Modality
from sifdetect.learn.evaluation.assess import Assessed
from sifdetect.learn.evaluation.overlap import SACRUM, Outlined
from sifdetect.learn.evaluation.row import Row, SeriesScore
from sifdetect.learn.evaluation.sources import ENDING
from sifdetect.learn.planes import BONE, Plane
from sifdetect.volume import Floats, LabelMap, SacralFrame, Volume

KEPT = 6
"""Of each kind."""
SCALE = 2
"""Pixels of the picture to one of the plane."""
TRUE, FOUND = (0, 190, 255), (255, 140, 0)
"""Blue for the truth, orange for what was found: told apart without red and green."""
_SCANNER = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])
_PLANES = (("axial", 2, "R"), ("coronal", 1, "R"), ("sagittal", 0, "A"))

Rgb = NDArray[np.uint8]


@dataclass(frozen=True)
class Kind:
    """A way to go wrong.

    Attributes:
        title: as the report names it.
        badness: the higher the worse; None where a case did not go wrong so.
        why: what is written beside the picture.
    """

    name: str
    title: str
    badness: Callable[[Row], float | None]
    why: Callable[[Row], str]


def worst(rows: Sequence[Row], kind: Kind) -> list[Row]:
    """The KEPT worst cases of a kind, the worst first; by name where they are alike."""
    held = [(badness, row) for row in rows if (badness := kind.badness(row)) is not None]
    held.sort(key=lambda one: (-one[0], one[1].about.name))
    return [row for _, row in held[:KEPT]]


def bar(rows: Sequence[Row], kind: Kind) -> float:
    """How bad a case must at least be to be one of the worst; -inf where there is still room."""
    held = worst(rows, kind)
    least = kind.badness(held[-1]) if len(held) == KEPT else None
    return -np.inf if least is None else least


def picture(assessed: Assessed, kind: Kind) -> bytes | None:
    """PNG: axial, coronal and sagittal through the place in question; None without an image.

    Thin outlines are the sacrum's, thick ones those of fracture lines and edema.
    """
    score = _shown(assessed.row, kind)
    if score is None:
        return None
    uid = f"{score.name}{ENDING}"
    volume = next(o.volume for o in assessed.study.series if o.source.series_instance_uid == uid)
    truth = assessed.case.outlined(score.name, volume.grid)
    labels = () if assessed.analysis is None else assessed.analysis.labels
    found = next((one for one in labels if one.source.series_instance_uid == uid), None)
    said = None if found is None else Outlined(found.anatomy, found.lesions)
    frame = SacralFrame(_place(assessed.row, kind, truth.anatomy), _SCANNER)
    planes = [_drawn(volume, truth, said, _Cut(frame, *one)) for one in _PLANES]
    return _png(np.concatenate(planes, axis=1))


@dataclass(frozen=True)
class _Cut:
    frame: SacralFrame
    name: str
    normal: int
    edge: str

    @property
    def plane(self) -> Plane:
        return Plane(self.normal, 0.0, low_mm=(-90.0, -72.0, -72.0), high_mm=(90.0, 72.0, 72.0))


def _shown(row: Row, kind: Kind) -> SeriesScore | None:
    """The series to look at: the one that was read, or the one whose sacrum fits least."""
    if kind is not LOW_DICE:
        return row.read
    fits = [(fit.dice, one) for one in row.series if (fit := one.overlap(SACRUM)) is not None]
    return min(fits, key=lambda one: one[0])[1]


def _place(row: Row, kind: Kind, anatomy: LabelMap) -> Floats:
    """(3,) LPS mm of what was missed or wrongly found; else the middle of the true sacrum."""
    findings = {MISSED: row.truth, FALSE_POSITIVE: row.found}.get(kind)
    seen = [one for one in findings.fractures if one.confidence > 0] if findings else []
    if seen:
        return np.array(max(seen, key=lambda one: one.volume_mm3).centroid_lps_mm)
    index = np.argwhere(np.isin(anatomy.values, SACRUM_LABELS))
    middle = index.mean(axis=0) if len(index) else (np.array(anatomy.grid.shape) - 1) / 2
    return anatomy.grid.index_to_mm(middle)


def _drawn(volume: Volume, truth: Outlined, found: Outlined | None, cut: _Cut) -> Rgb:
    grid = cut.plane.grid(cut.frame)
    grey = _grey(cut.plane.picture(volume.resampled(grid).values), volume)
    canvas = np.repeat(_enlarged(grey)[..., None], 3, axis=2)
    for outlined, color in ((truth, TRUE), (found, FOUND)):
        if outlined is None:
            continue
        anatomy = outlined.anatomy.resampled(grid).values
        bits = outlined.lesions.resampled(grid).values
        sacrum = np.isin(anatomy, SACRUM_LABELS)
        lesions = (bits & (LesionBit.FRACTURE_LINE | LesionBit.EDEMA)) > 0
        for mask, width in ((sacrum, 1), (lesions, 2)):
            canvas[_outline(cut.plane.picture(mask.astype(np.float32)), width)] = color
    return _lettered(canvas, cut)


def _grey(picture: NDArray[np.float32], volume: Volume) -> NDArray[np.float32]:
    """0–255: CT at the bone window, MR up to the 99.5th percentile of the picture."""
    low, high = BONE
    if volume.modality is Modality.MR:
        low, high = 0.0, max(float(np.percentile(picture, 99.5)), 1e-6)
    return np.asarray(np.clip((picture - low) / (high - low), 0, 1) * 255, dtype=np.float32)


def _enlarged(picture: NDArray[np.float32]) -> Rgb:
    return np.asarray(np.clip(ndimage.zoom(picture, SCALE, order=1), 0, 255), dtype=np.uint8)


def _outline(mask: NDArray[np.float32], width: int) -> NDArray[np.bool_]:
    inside = ndimage.zoom(mask, SCALE, order=1) > 0.5
    return np.asarray(inside & ~ndimage.binary_erosion(inside, iterations=width, border_value=1))


def _lettered(canvas: Rgb, cut: _Cut) -> Rgb:
    image = Image.fromarray(np.ascontiguousarray(canvas))
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    pen.text((4, image.height // 2 - 8), cut.edge, fill=(255, 255, 255), font=font)
    pen.text((4, 2), cut.name, fill=(255, 255, 255), font=font)
    return np.asarray(image)


def _png(canvas: Rgb) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(canvas)).quantize(96, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    image.save(stream, format="png", optimize=True)
    return stream.getvalue()


def _missed(row: Row) -> float | None:
    if row.fractured is not True or row.stated:
        return None
    return 2.0 if row.found is None else 1.0 - row.found.probability


def _false_positive(row: Row) -> float | None:
    return row.found.probability if row.found and row.fractured is False and row.stated else None


def _ill_fitting(row: Row) -> float | None:
    return None if row.sacrum_dice is None else 1.0 - row.sacrum_dice


def _shown_name(row: Row) -> str:
    shown = _shown(row, LOW_DICE)
    return "" if shown is None else shown.name


def _said(row: Row) -> str:
    if row.found is None:
        return f"no answer: {row.error}"
    return f"said {row.found.presence.value}, probability {row.found.probability:.2f}"


MISSED = Kind("missed", "Missed fractures", _missed, _said)
FALSE_POSITIVE = Kind("false-positive", "False positives", _false_positive, _said)
LOW_DICE = Kind(
    "low-dice",
    "Lowest Dice of the sacrum",
    _ill_fitting,
    lambda row: f"Dice {row.sacrum_dice:.2f} on {_shown_name(row)}",
)
KINDS = (MISSED, FALSE_POSITIVE, LOW_DICE)
