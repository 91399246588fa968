"""Histograms of synthetic cases and real scans over each other, drawn as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FloatArray = NDArray[np.float32]

BINS, COLUMNS = 55, 4
WIDTH, HEIGHT, MARGIN, LEGEND = 250, 170, 18, 22
GREY, BLACK = (200, 200, 200), (0, 0, 0)
REAL = ((208, 0, 0), (0, 90, 200), (0, 130, 60), (160, 0, 160))
"""Colours of the real scans, in their order."""


class Panel(NamedTuple):
    """Values of one region: a sample for each synthetic case and for each named real scan."""

    title: str
    window: tuple[float, float]
    synthetic: Sequence[FloatArray]
    real: dict[str, FloatArray]


def draw(panels: Sequence[Panel]) -> Image.Image:
    """One histogram beside the other, areas of all curves alike.

    Grey: each synthetic case; black: their mean; a colour for each real scan.
    """
    rows = -(-len(panels) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * WIDTH, rows * HEIGHT + LEGEND), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for number, panel in enumerate(panels):
        left, top = number % COLUMNS * WIDTH, number // COLUMNS * HEIGHT
        _draw_panel(pen, font, panel, left, top)
    names = list(dict.fromkeys(name for panel in panels for name in panel.real))
    entries = [("synthetic cases", GREY), ("their mean", BLACK), *zip(names, REAL, strict=False)]
    left = MARGIN
    for name, colour in entries:
        middle = rows * HEIGHT + LEGEND // 2
        pen.line((left, middle, left + 20, middle), fill=colour, width=3)
        pen.text((left + 26, middle - 8), name, fill=BLACK, font=font)
        left += 50 + round(pen.textlength(name, font=font))
    return page


def densities(panel: Panel) -> tuple[list[FloatArray], list[FloatArray]]:
    """Share of the voxels in each of BINS, for each synthetic case and each real scan."""
    edges = np.linspace(*panel.window, BINS + 1)

    def share(values: FloatArray) -> FloatArray:
        return (np.histogram(values, edges)[0] / max(values.size, 1)).astype(np.float32)

    return [share(v) for v in panel.synthetic], [share(v) for v in panel.real.values()]


def _draw_panel(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    panel: Panel,
    left: int,
    top: int,
) -> None:
    cases, scans = densities(panel)
    curves = [(one, GREY, 1) for one in cases]
    if cases:
        curves.append((np.mean(cases, axis=0), BLACK, 2))
    curves += [(one, colour, 2) for one, colour in zip(scans, REAL, strict=False)]
    highest = max((float(np.max(one)) for one, _, _ in curves), default=1.0) or 1.0
    base, tall = top + HEIGHT - 2 * MARGIN, HEIGHT - 3 * MARGIN - 4
    across = left + MARGIN + (np.arange(BINS) + 0.5) * (WIDTH - 2 * MARGIN) / BINS
    for values, colour, width in curves:
        down = base - values / highest * tall
        pen.line(list(zip(across, down, strict=True)), fill=colour, width=width)
    pen.line((left + MARGIN, base, left + WIDTH - MARGIN, base), fill=BLACK)
    pen.text((left + MARGIN, top + 2), panel.title, fill=BLACK, font=font)
    pen.text((left + MARGIN, base + 3), f"{panel.window[0]:.0f} HU", fill=BLACK, font=font)
    right = (left + WIDTH - MARGIN, base + 3)
    pen.text(right, f"{panel.window[1]:.0f} HU", fill=BLACK, font=font, anchor="ra")
