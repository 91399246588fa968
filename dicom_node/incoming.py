"""One instance on its way into the spool: written as it comes, gone if it breaks off."""

from __future__ import annotations

import filecmp
import os
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from dicom_node.durable import OWN_FILE, PARTIAL


class Incoming:
    """A file in ``folder`` that has no final name yet; one thread uses it.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """

    def __init__(self, folder: Path | str) -> None:
        self.size = 0
        self._path = f"{folder}/{os.urandom(16).hex()}{PARTIAL}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor: int | None = os.open(self._path, flags, OWN_FILE)
        self._is_synced = False
        self._content = blake3()

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
        """BLAKE3 of what was written, 64 hexadecimal digits."""
        return self._content.hexdigest()

    def is_same_as(self, path: Path) -> bool:
        """Whether that file has the same content, byte by byte."""
        return filecmp.cmp(self._path, path, shallow=False)

    def sync(self) -> None:
        """Make the content survive a power cut; does so once.

        Raises:
            OSError: the disk is full or fails.
        """
        if not self._is_synced:
            assert self._descriptor is not None
            os.fsync(self._descriptor)
            self._is_synced = True

    def name(self, path: str) -> None:
        """Give it its final name, before or after ``sync``; the caller syncs the folder.

        The first name stays beside it until ``discard``: after a power cut it tells which contents
        are in doubt. Where there are no hard links, or a file of that name, it is synced first.

        Raises:
            OSError: the folder cannot be written, or the disk fails.
        """
        try:
            os.link(self._path, path)
        except FileNotFoundError:
            raise
        except OSError:
            self.sync()
            os.replace(self._path, path)

    def withdraw(self, path: str) -> None:
        """Take the final name back, where it still stands for this content."""
        assert self._descriptor is not None
        with suppress(OSError):
            if os.path.samestat(os.stat(path), os.fstat(self._descriptor)):
                os.unlink(path)

    def discard(self) -> None:
        """Close it and remove its first name, and with it all that has no other; does so once."""
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        with suppress(FileNotFoundError):
            os.unlink(self._path)
