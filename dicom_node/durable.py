"""Files that are either there whole, on the disk, or not there at all."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dicom_node.killpoint import reach

OWN_FOLDER, OWN_FILE = 0o700, 0o600
"""Modes of what is made: images and reports are for nobody else on this machine."""
OTHERS = 0o077
"""The bits of a mode that let anybody but the owner in."""
PARTIAL = ".part"
"""Ending of a file that is still being written; what a kill leaves behind is swept by its name."""


def write_partial(path: Path, chunks: Iterable[bytes]) -> None:
    """Write and sync a file that a rename is to put in its place; nothing is left on failure.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    try:
        with open(path, "xb", opener=_opened_for_owner) as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def put_in_place(partial: Path, path: Path) -> None:
    """Rename ``partial`` to ``path`` and sync the folder that now holds it."""
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderSync:
    """Syncs a folder once for all who renamed something into it at about the same time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Condition()
        self._started = self._finished = 0
        self._is_busy = False

    def wait(self) -> None:
        """Return when the names that are in the folder now survive a power cut.

        Raises:
            OSError: the folder cannot be synced; each who waits tries it for itself.
        """
        with self._turn:
            wanted = self._started + 1  # one that runs already may have missed the newest name
            while self._finished < wanted:
                if self._is_busy:
                    self._turn.wait()
                else:
                    self._lead()

    def _lead(self) -> None:
        self._is_busy = True
        self._started += 1
        number = self._started
        self._turn.release()
        try:
            sync_folder(self._folder)
        except OSError:
            number = 0
            raise
        finally:
            self._turn.acquire()
            self._is_busy = False
            self._finished = max(self._finished, number)
            self._turn.notify_all()


def sync_file(path: Path) -> None:
    """Make the content of ``path`` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make ``folder`` and what it lies in, each synced into its parent."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(OWN_FOLDER, exist_ok=True)
        sync_folder(folder.parent)


def open_to_others(folder: Path) -> Path | None:
    """The first file or folder, from ``folder`` down, whose mode lets in more than its owner."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in names)):
            with suppress(FileNotFoundError):  # a running node removes what it is done with
                if path.lstat().st_mode & OTHERS:
                    return path
    return None


def _opened_for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, OWN_FILE)


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Put ``document`` at ``path``, durably and at once."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}{PARTIAL}")
    text = json.dumps(document, ensure_ascii=False, indent=1) + "\n"
    write_partial(partial, [text.encode()])
    reach(f"{path.name} written")
    put_in_place(partial, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The document at ``path``, or None where there is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    assert isinstance(document, dict)
    return document
