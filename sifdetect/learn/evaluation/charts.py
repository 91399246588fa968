"""Line charts as SVG, without anything from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 360, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 44
COLORS = ("#0b6fb8", "#d9680f", "#3a8f5c", "#8150a8")
"""Told apart by readers who see no red or green."""

GRID, DASHED = 'fill="none" stroke="#e4e8ec"', 'fill="none" stroke="#8b949e" stroke-dasharray="4 3"'
INK, GREY = "#1b1f24", "#444c56"

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A named line through (x, y), each point marked where ``dots`` is set."""

    name: str
    points: Sequence[Point]
    dots: bool = False


@dataclass(frozen=True)
class Axes:
    """What the axes say; both begin at 0."""

    title: str
    x: str
    y: str
    x_to: float = 1.0
    y_to: float = 1.0
    diagonal: bool = False


def chart(axes: Axes, curves: Sequence[Curve]) -> str:
    """One chart; what lies beyond the axes is cut off."""
    parts = [_frame(axes)]
    for curve, color in zip(curves, COLORS, strict=False):
        inside = [one for one in curve.points if one[0] <= axes.x_to + 1e-9]
        place = [_place(axes, one) for one in inside]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        if curve.dots:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in place]
    parts.append(_legend(curves))
    label = escape(axes.title, quote=True)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
        f' aria-label="{label}" font-family="sans-serif">{"".join(parts)}</svg>'
    )


def _place(axes: Axes, point: Point) -> Point:
    x = LEFT + point[0] / axes.x_to * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - min(point[1] / axes.y_to, 1.0) * (HEIGHT - TOP - BOTTOM)
    return x, y


def _frame(axes: Axes) -> str:
    (x0, y0), (x1, y1) = _place(axes, (0, 0)), _place(axes, (axes.x_to, axes.y_to))
    title = f'<text x="{LEFT}" y="18" font-size="13" font-weight="600" fill="{INK}">'
    parts = [f"{title}{escape(axes.title)}</text>"]
    for fifth in range(6):
        x, y = _place(axes, (axes.x_to * fifth / 5, axes.y_to * fifth / 5))
        parts.append(f'<path d="M{x:.1f} {y0}V{y1}M{x0} {y:.1f}H{x1}" {GRID}/>')
        parts.append(_text(x, y0 + 15, f"{axes.x_to * fifth / 5:.2g}", "middle"))
        parts.append(_text(x0 - 5, y + 4, f"{axes.y_to * fifth / 5:.2g}", "end"))
    if axes.diagonal:
        parts.append(f'<path d="M{x0} {y0}L{x1} {y1}" {DASHED}/>')
    parts.append(_text((x0 + x1) / 2, HEIGHT - 8, axes.x, "middle"))
    middle = (y0 + y1) / 2
    parts.append(
        f'<text x="13" y="{middle}" text-anchor="middle" font-size="11" fill="{GREY}"'
        f' transform="rotate(-90 13 {middle})">{escape(axes.y)}</text>'
    )
    return "".join(parts)


def _legend(curves: Sequence[Curve]) -> str:
    if len(curves) < 2:
        return ""
    return "".join(
        f'<text x="{WIDTH - RIGHT - 6}" y="{HEIGHT - BOTTOM - 8 - 15 * number}" fill="{color}"'
        f' text-anchor="end" font-size="12">{escape(curve.name)}</text>'
        for number, (curve, color) in enumerate(zip(curves, COLORS, strict=False))
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="11" fill="{GREY}">{escape(text)}</text>'
