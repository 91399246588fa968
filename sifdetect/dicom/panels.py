"""Key pictures as they are drawn: outlines, numbers, sides, scale, and where the others cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from skimage.measure import find_contours

from sifdetect.dicom.lettering import Color, Type, draw_line
from sifdetect.dicom.page import AMBER, MUTED, TEXT, draw_badge
from sifdetect.dicom.reformat import Picture
from sifdetect.dicom.seg import color_of

SACRUM: Color = (120, 170, 190)
_SCALE = 2  # outlines are drawn at twice their size and reduced: smooth
_APART = 21.0
_TICK = 9.0
_RING = 13.0


def plain(picture: Picture) -> Image.Image:
    """A picture as it is, with side letters, title, a 50 mm bar and the other planes' ticks."""
    return _marked(Image.fromarray(picture.gray).convert("RGB"), picture)


def outlined(picture: Picture) -> Image.Image:
    """The same with outlines of the numbered findings, or without any finding of the sacrum."""
    image = _marked(_traced(picture), picture)
    draw = ImageDraw.Draw(image)
    for at in picture.marks:
        _ring(draw, at)
    taken: list[tuple[float, float]] = []
    for number, share in picture.findings.items():
        place = _place(share, taken, picture.gray.shape)
        if place is not None:
            draw_badge(draw, place, number, color_of(number))
            taken.append(place)
    return image


def _ring(draw: ImageDraw.ImageDraw, at: tuple[float, float]) -> None:
    """Around what has no outline; with a dark rim, so that it shows on edema too."""
    for radius, color, width in ((_RING + 1, (0, 0, 0), 4), (_RING, AMBER, 2)):
        x, y = at
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, outline=color, width=width)


def _marked(image: Image.Image, picture: Picture) -> Image.Image:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    for (x, y), (to_x, to_y) in picture.ticks:
        _tick(draw, np.array([x, y]), np.array([to_x, to_y]))
    places = ((14, height / 2), (width - 14, height / 2), (width / 2, 20), (width / 2, height - 20))
    for letter, at, anchor in zip(picture.edges, places, ("lm", "rm", "mm", "mm"), strict=True):
        draw_line(draw, at, letter, Type(16, TEXT, border=2), anchor=anchor)
    draw_line(draw, (8, 4), picture.title, Type(14, TEXT, border=2))
    x, y, bar = 10, height - 12, 50.0 / picture.pixel_mm
    for line in (
        [(x, y), (x + bar, y)],
        [(x, y - 4), (x, y + 4)],
        [(x + bar, y - 4), (x + bar, y + 4)],
    ):
        draw.line(line, fill=TEXT, width=2)
    draw_line(draw, (x + bar / 2, y - 6), "50 mm", Type(13, TEXT, border=2), anchor="ms")
    return image


def _tick(draw: ImageDraw.ImageDraw, start: NDArray[np.float64], end: NDArray[np.float64]) -> None:
    """Both ends of the line along which another picture's plane cuts this one."""
    along = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
    for place, inward in ((start, along), (end, -along)):
        stop = place + _TICK * inward
        draw.line([*place.tolist(), *stop.tolist()], fill=(0, 0, 0), width=4)
        draw.line([*place.tolist(), *stop.tolist()], fill=MUTED, width=2)


def _traced(picture: Picture) -> Image.Image:
    height, width = picture.gray.shape
    image = Image.fromarray(picture.gray).convert("RGB")
    image = image.resize((width * _SCALE, height * _SCALE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    if not picture.findings:
        _trace(draw, picture.sacrum, color=SACRUM, width=3)
    for number, share in picture.findings.items():
        _trace(draw, share, color=color_of(number), width=4)
    return image.resize((width, height), Image.Resampling.BOX)


def _trace(
    draw: ImageDraw.ImageDraw, share: NDArray[np.float32], *, color: Color, width: int
) -> None:
    padded = np.pad(share.astype(np.float64), 1)
    for line in find_contours(padded, 0.5):  # type: ignore[no-untyped-call]  # skimage
        points = [((x - 0.5) * _SCALE, (y - 0.5) * _SCALE) for y, x in line]
        if len(points) > 4:
            draw.line([*points, points[1]], fill=color, width=width, joint="curve")


def _place(
    share: NDArray[np.float32], taken: list[tuple[float, float]], shape: tuple[int, ...]
) -> tuple[float, float] | None:
    """Above the finding's largest part, beside the numbers that stand there already."""
    parts, count = ndimage.label(share >= 0.5)
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    rows, columns = np.nonzero(parts == sizes.argmax() + 1)
    x, y = float(columns[rows == rows.min()].mean()), float(rows.min()) - 13
    x, y = float(np.clip(x, 12, shape[1] - 12)), float(np.clip(y, 34, shape[0] - 12))
    while any(np.hypot(x - other_x, y - other_y) < _APART for other_x, other_y in taken):
        x, y = (x + _APART, y) if x + _APART < shape[1] - 12 else (x - 3 * _APART, y + _APART)
    return x, y
