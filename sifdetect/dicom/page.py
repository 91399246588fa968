"""Drawing on the summary's page: text, boxes, bars. Pixels in, pixels out; see ``panels`` too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sifdetect.dicom.lettering import Color, Type, Weight, draw_line, drawable, width, wrapped

Box = tuple[float, float, float, float]

BACKGROUND: Color = (11, 14, 19)
PANEL: Color = (23, 28, 36)
RULE: Color = (46, 55, 68)
TEXT: Color = (234, 238, 243)
MUTED: Color = (154, 166, 181)
AMBER: Color = (255, 191, 71)
GOOD: Color = (98, 190, 155)
LINE_HEIGHT = 1.34
"""Of a paragraph, in sizes of its type."""


class Page:
    """An RGB page of ``size`` (width, height) pixels; the origin is its top left corner."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.image = Image.new("RGB", size, BACKGROUND)
        self.draw = ImageDraw.Draw(self.image)

    def pixels(self) -> NDArray[np.uint8]:
        """(height, width, 3) uint8."""
        return np.asarray(self.image, dtype=np.uint8)

    def text(
        self,
        at: tuple[float, float],
        text: str,
        *,
        size: int,
        color: Color = TEXT,
        weight: Weight = Weight.REGULAR,
        anchor: str = "la",
    ) -> None:
        """One line of text at (x, y); ``anchor`` as in ``lettering.draw_line``."""
        draw_line(self.draw, at, text, Type(size, color, weight), anchor=anchor)

    def paragraph(
        self,
        box: tuple[int, int, int, int],
        text: str,
        *,
        size: int,
        color: Color = TEXT,
        weight: Weight = Weight.REGULAR,
    ) -> int:
        """Text wrapped into the box (left, top, right, bottom); what does not fit ends in "…".

        Returns:
            the y below the last line.
        """
        left, top, right, bottom = box
        height = round(size * LINE_HEIGHT)
        most = max(1, (bottom - top) // height)
        for line in wrapped(text, right - left, size=size, most=most, weight=weight):
            self.text((left, top), line, size=size, color=color, weight=weight)
            top += height
        return top

    def box(self, box: Box, color: Color, *, radius: int = 0) -> None:
        """A filled rectangle (left, top, right, bottom)."""
        self.draw.rounded_rectangle(box, radius, fill=color)

    def frame(self, box: Box, color: Color, *, radius: int = 0) -> None:
        """The border of a rectangle."""
        self.draw.rounded_rectangle(box, radius, outline=color, width=1)

    def rule(self, y: int, left: int, right: int) -> None:
        """A thin horizontal line."""
        self.draw.line([(left, y), (right, y)], fill=RULE, width=1)

    def pill(self, at: tuple[float, float], text: str, color: Color, *, filled: bool) -> float:
        """A rounded label in capitals, its left edge and middle at (x, y); returns its right."""
        x, y = at
        word = drawable(text.upper())
        right = x + width(word, 14, Weight.SEMIBOLD) + 20
        place = (x, y - 12, right, y + 12)
        (self.box if filled else self.frame)(place, color, radius=12)
        shown = BACKGROUND if filled else color
        middle = ((x + right) / 2, y)
        self.text(middle, word, size=14, color=shown, weight=Weight.SEMIBOLD, anchor="mm")
        return right

    def badge(self, at: tuple[float, float], number: int, color: Color) -> None:
        """A number in a disc of its colour, centred at (x, y)."""
        draw_badge(self.draw, at, number, color)


def draw_badge(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], number: int, color: Color
) -> None:
    """A number in a disc of its colour with a dark rim, centred at (x, y)."""
    x, y = at
    draw.ellipse((x - 10, y - 10, x + 10, y + 10), fill=BACKGROUND)
    draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=color)
    draw_line(draw, (x, y), str(number), Type(14, BACKGROUND, Weight.SEMIBOLD), anchor="mm")
