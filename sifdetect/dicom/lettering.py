"""Text in the scripts of names: which typeface holds a character, and how wide a line becomes.

The typefaces come with the package, so that a page is the same on every machine.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import groupby
from pathlib import Path

from PIL import ImageDraw, ImageFont

Color = tuple[int, int, int]

FOLDER = Path(__file__).with_name("typefaces")
EAST_ASIAN = FOLDER / "DroidSansFallback-CJK.ttf"
_UNKNOWN = "?"
_NO_CHARACTER = "\uffff"
_SPELLED = str.maketrans({"→": "->", "↔": "<->", "\u00a0": " ", "\u202f": " "})


class Weight(Enum):
    """How bold; the value is the file."""

    REGULAR = FOLDER / "OpenSans-Regular.ttf"
    SEMIBOLD = FOLDER / "OpenSans-Semibold.ttf"


@cache
def face(path: Path, size: int) -> ImageFont.FreeTypeFont:
    """A typeface at ``size`` pixels; plain layout, which every build of Pillow does alike."""
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


@cache
def _holds(path: Path, character: str) -> bool:
    drawn = face(path, 20)
    return bytes(drawn.getmask(character)) != bytes(drawn.getmask(_NO_CHARACTER))


def drawable(text: str) -> str:
    """``text`` in characters that one of the typefaces holds; any other becomes "?"."""
    composed = unicodedata.normalize("NFC", text.translate(_SPELLED))
    return "".join(_held(character) for character in composed)


def _held(character: str) -> str:
    if character.isspace() or any(
        _holds(path, character) for path in (Weight.REGULAR.value, EAST_ASIAN)
    ):
        return " " if character.isspace() else character
    plain = unicodedata.normalize("NFKD", character)[0]
    return plain if plain != character and _holds(Weight.REGULAR.value, plain) else _UNKNOWN


def runs(text: str, weight: Weight) -> Iterator[tuple[str, Path]]:
    """Drawable text in pieces, each with the typeface that holds it."""

    def path_of(character: str) -> Path:
        latin = weight.value
        return latin if character.isspace() or _holds(latin, character) else EAST_ASIAN

    for path, characters in groupby(text, key=path_of):
        yield "".join(characters), path


def width(text: str, size: int, weight: Weight = Weight.REGULAR) -> float:
    """Width of drawable text in pixels."""
    return sum(face(path, size).getlength(piece) for piece, path in runs(text, weight))


@dataclass(frozen=True)
class Type:
    """How a line looks: pixels, colour, weight, and the width of a black border around it.

    The border makes text readable on any gray.
    """

    size: int
    color: Color
    weight: Weight = Weight.REGULAR
    border: int = 0


def draw_line(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    look: Type,
    *,
    anchor: str = "la",
) -> None:
    """One line of text at (x, y).

    Args:
        anchor: as Pillow names it: l, m or r, then a (top), m (middle), s (baseline) or d (bottom);
            heights are those of the Latin typeface, whatever the script.
    """
    size, weight = look.size, look.weight
    x, y = at
    shown = drawable(text)
    ascent, descent = face(weight.value, size).getmetrics()
    capital = 0.714 * size  # cap height of Open Sans
    y += {"a": ascent, "m": capital / 2, "s": 0.0, "d": -float(descent)}[anchor[1]]
    x -= {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * width(shown, size, weight)
    for piece, path in runs(shown, weight):
        font = face(path, size)
        draw.text(
            (x, y),
            piece,
            font=font,
            fill=look.color,
            anchor="ls",
            stroke_width=look.border,
            stroke_fill=(0, 0, 0),
        )
        x += font.getlength(piece)


def wrapped(
    text: str, room: float, *, size: int, most: int, weight: Weight = Weight.REGULAR
) -> list[str]:
    """Lines of at most ``room`` pixels, at most ``most`` of them; what does not fit ends in "…".

    Words are kept whole where they fit; text without spaces breaks between characters.
    """
    lines: list[str] = []
    for word in drawable(text).split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size, weight) <= room:
            lines[-1] = longer
            continue
        for part in _parts(word, room, size, weight):
            lines.append(part)
    if len(lines) > most:
        lines = lines[:most]
        while lines[-1] and width(lines[-1] + "…", size, weight) > room:
            lines[-1] = lines[-1][:-1]
        lines[-1] = lines[-1].rstrip(" .,") + "…"
    return lines


def _parts(word: str, room: float, size: int, weight: Weight) -> list[str]:
    """The word, cut where it alone is wider than the line."""
    parts = [""]
    for character in word:
        if parts[-1] and width(parts[-1] + character, size, weight) > room:
            parts.append("")
        parts[-1] += character
    return parts
