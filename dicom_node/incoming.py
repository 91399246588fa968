"""One instance on its way into the spool: written as it comes, gone if it breaks off."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from dicom_node.durable import OWN_FILE, PARTIAL


class Incoming:
    """A file in ``folder`` that has no final name yet; one thread uses it.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._path = folder / f"{os.urandom(16).hex()}{PARTIAL}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor: int | None = os.open(self._path, flags, OWN_FILE)
        self._is_renamed = self._is_synced = False
        self._content = sha256()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append ``chunk``.

        Raises:
            OSError: the disk is full or fails; what was written is to be discarded.
        """
        assert self._descriptor is not None
        rest = memoryview(chunk)
        self._content.update(rest)
        while rest:
            written = os.write(self._descriptor, rest)
            self.size += written
            rest = rest[written:]

    def read(self, start: int, length: int) -> bytes:
        """So many bytes of what was written, or fewer at the end."""
        assert self._descriptor is not None
        return os.pread(self._descriptor, length, start)

    @property
    def digest(self) -> str:
        """SHA-256 of what was written, in hexadecimal."""
        return self._content.hexdigest()

    def sync(self) -> None:
        """Make the content survive a power cut; does so once.

        Raises:
            OSError: the disk is full or fails.
        """
        if not self._is_synced:
            assert self._descriptor is not None
            os.fsync(self._descriptor)
            self._is_synced = True

    def rename(self, path: Path) -> None:
        """Give it its final name, in a folder that the caller syncs."""
        self._path.replace(path)
        self._is_renamed = True

    def discard(self) -> None:
        """Close it, and remove it where it got no final name; does so once."""
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        if not self._is_renamed:
            self._path.unlink(missing_ok=True)
