"""Markdown from values: what the pages that are made from the code have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from pydicom.uid import UID

Lines = Iterator[str]
_WIDTH = 100


def prose(text: str) -> Lines:
    """A paragraph and an empty line after it."""
    yield textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    yield ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Lines:
    """A table and an empty line after it."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def named(uid: str) -> tuple[str, str]:
    """A UID's name in PS3.6 and the UID."""
    return UID(uid).name, f"`{uid}`"


def listed(uids: Iterable[str]) -> str:
    """UIDs by their names, in one line."""
    return ", ".join(UID(one).name for one in uids)
