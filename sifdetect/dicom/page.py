"""Drawing on the summary's page: text, bars, pictures with outlines. Pixels in, pixels out."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.measure import find_contours

from sifdetect.dicom.reformat import Picture
from sifdetect.dicom.seg import color_of

Color = tuple[int, int, int]

BACKGROUND: Color = (12, 15, 20)
PANEL: Color = (24, 29, 37)
RULE: Color = (58, 68, 82)
TEXT: Color = (232, 236, 242)
MUTED: Color = (158, 168, 182)
AMBER: Color = (255, 191, 71)
SACRUM: Color = (120, 170, 190)
GOOD: Color = (98, 176, 148)
_SPELLED = str.maketrans({"ß": "ss", "³": "3", "–": "-", "°": " deg", "×": "x", "≥": ">="})
_SCALE = 2  # pictures are drawn at twice their size and reduced: smooth outlines


@cache
def font(size: int) -> Any:
    """The scalable font that comes with Pillow: no file to find, the same on every machine."""
    return ImageFont.load_default(size)


def drawable(text: str) -> str:
    """``text`` in ASCII, which is what the font holds: accents and other scripts go."""
    spelled = text.translate(_SPELLED)
    return unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode("ascii")


class Page:
    """A square RGB page of ``size`` pixels; the origin is its top left corner."""

    def __init__(self, size: int) -> None:
        self.image = Image.new("RGB", (size, size), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)

    def pixels(self) -> NDArray[np.uint8]:
        """(size, size, 3) uint8."""
        return np.asarray(self.image, dtype=np.uint8)

    def text(
        self,
        at: tuple[float, float],
        text: str,
        *,
        size: int,
        color: Color = TEXT,
        anchor: str = "la",
    ) -> None:
        """One line of text at (x, y); ``anchor`` as Pillow names it."""
        self._draw.text(at, drawable(text), font=font(size), fill=color, anchor=anchor)

    def paragraph(
        self, box: tuple[int, int, int, int], text: str, *, size: int, color: Color = TEXT
    ) -> int:
        """Text wrapped into the box (left, top, right, bottom); what does not fit ends in "...".

        Returns:
            the y below the last line.
        """
        left, top, right, bottom = box
        height = round(size * 1.32)
        most = max(1, (bottom - top) // height)
        for line in _wrapped(drawable(text), right - left, size=size, most=most):
            self._draw.text((left, top), line, font=font(size), fill=color)
            top += height
        return top

    def box(self, box: tuple[float, float, float, float], color: Color) -> None:
        """A filled rectangle (left, top, right, bottom)."""
        self._draw.rectangle(box, fill=color)

    def rule(self, y: int, left: int, right: int) -> None:
        """A thin horizontal line."""
        self._draw.line([(left, y), (right, y)], fill=RULE, width=1)

    def picture(self, left: int, top: int, picture: Picture) -> None:
        """A picture as it is, with side letters, title and a 50 mm bar."""
        self.image.paste(Image.fromarray(picture.gray).convert("RGB"), (left, top))
        self._mark(left, top, picture)

    def outlined(self, left: int, top: int, picture: Picture) -> None:
        """A picture with its findings outlined and numbered, or without any with the sacrum."""
        self.image.paste(_outlined(picture), (left, top))
        self._mark(left, top, picture)

    def _mark(self, left: int, top: int, picture: Picture) -> None:
        height, width = picture.gray.shape
        places = (
            (6, height / 2),
            (width - 6, height / 2),
            (width / 2, 24),
            (width / 2, height - 6),
        )
        for letter, (x, y), anchor in zip(
            picture.edges, places, ("lm", "rm", "ma", "md"), strict=True
        ):
            self._shadowed((left + x, top + y), letter, size=17, anchor=anchor)
        self._shadowed((left + 8, top + 6), picture.title, size=14, anchor="la")
        x, y, bar = left + 10, top + height - 14, 50.0 / picture.pixel_mm
        self._draw.line([(x, y), (x + bar, y)], fill=TEXT, width=2)
        for end in (x, x + bar):
            self._draw.line([(end, y - 4), (end, y + 4)], fill=TEXT, width=2)
        self._shadowed((x + bar / 2, y - 5), "50 mm", size=12, anchor="md")

    def _shadowed(self, at: tuple[float, float], text: str, *, size: int, anchor: str) -> None:
        _bordered(self._draw, at, text, size=size, color=TEXT, anchor=anchor)


def _bordered(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    *,
    size: int,
    color: Color,
    anchor: str,
) -> None:
    """Text with a black border, readable on any gray."""
    draw.text(
        at,
        text,
        font=font(size),
        fill=color,
        anchor=anchor,
        stroke_width=2,
        stroke_fill=(0, 0, 0),
    )


def _wrapped(text: str, width: int, *, size: int, most: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    if len(lines) > most:
        lines = lines[:most]
        while lines[-1] and font(size).getlength(lines[-1] + "...") > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] = lines[-1].rstrip(" .,") + "..."
    return lines


def _outlined(picture: Picture) -> Image.Image:
    height, width = picture.gray.shape
    image = Image.fromarray(picture.gray).convert("RGB")
    image = image.resize((width * _SCALE, height * _SCALE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    if not picture.findings:
        _trace(draw, picture.sacrum, color=SACRUM, width=3)
    for number, share in picture.findings.items():
        _trace(draw, share, color=color_of(number), width=4)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    taken: list[tuple[float, float]] = []
    for number, share in picture.findings.items():
        taken += _number(draw, number, share, taken)
    return image


def _trace(
    draw: ImageDraw.ImageDraw, share: NDArray[np.float32], *, color: Color, width: int
) -> None:
    padded = np.pad(share.astype(np.float64), 1)
    for line in find_contours(padded, 0.5):  # type: ignore[no-untyped-call]  # skimage
        points = [((x - 0.5) * _SCALE, (y - 0.5) * _SCALE) for y, x in line]
        if len(points) > 4:
            draw.line([*points, points[1]], fill=color, width=width, joint="curve")


def _number(
    draw: ImageDraw.ImageDraw,
    number: int,
    share: NDArray[np.float32],
    taken: list[tuple[float, float]],
) -> list[tuple[float, float]]:
    """The finding's number above its largest part, beside the numbers that stand there already.

    Returns:
        where it was drawn; nothing where the finding is not in the picture.
    """
    parts, _ = ndimage.label(share >= 0.5)
    sizes = np.bincount(parts.ravel())[1:]
    if not len(sizes):
        return []
    rows, columns = np.nonzero(parts == sizes.argmax() + 1)
    x, y = float(columns[rows == rows.min()].mean()), float(rows.min()) - 3
    while any(abs(x - other_x) < 14 and abs(y - other_y) < 18 for other_x, other_y in taken):
        x += 14
    _bordered(draw, (x, y), str(number), size=17, color=color_of(number), anchor="md")
    return [(x, y)]
