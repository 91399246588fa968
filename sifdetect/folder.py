"""A results folder appears whole or not at all, and takes the place of nothing but results."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sifdetect.errors import UsageError

_OURS = re.compile(
    r"(findings|labels|fhir)\.json|series-\d+"
    r"|(sr|seg|gsps|anatomy)(-\d+)?\.dcm|(summary|report\.pdf|sr-data)\.dcm"
)
"""What a results folder holds (contract: folder that ``analyze`` writes)."""


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder to write to that takes the place of ``folder`` when all went well, else vanishes.

    Where nothing is written to it, ``folder`` stays as it is.

    Raises:
        UsageError: ``folder`` holds what is not ours; images lie there as often as results.
    """
    foreign = sorted(p.name for p in folder.glob("*") if not is_result(p.name))
    if foreign:
        raise UsageError(
            f"{folder} holds files that sifdetect did not write ({foreign[0]})",
            hint="Give another folder with --out",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.parent / f".{folder.name}.{secrets.token_hex(6)}.part"
    draft.mkdir()  # open to whom the umask says, as files are: in a node to nobody else
    try:
        yield draft
        for path in draft.rglob("*"):
            if path.is_file():
                _sync(path)
        if folder.exists() and not any(draft.iterdir()):
            return
        if folder.exists():
            old = Path(f"{draft}.old")
            os.rename(folder, old)
            os.rename(draft, folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def is_result(name: str) -> bool:
    """True for the name of what ``analyze`` writes to a results folder."""
    return _OURS.fullmatch(name) is not None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
