"""Instances that are in doubt at a start: those with two names.

An instance gets its final name before its content is synced, so that both need one commit of the
file system's journal and not two. It keeps its first name too until both are safe. What has two
names after a power cut or a kill is therefore compared with the digest in the final one.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import file_digest
from pathlib import Path

from blake3 import blake3

from dicom_node import logs
from dicom_node.durable import sync_file, sync_folder


def settle_doubtful(leftovers: Iterable[Path], studies: Path) -> None:
    """Remove first names that a killed node left; a final name stays where its content is whole.

    Args:
        leftovers: files of ``incoming``; those with a second name lie below ``studies`` too.

    Raises:
        OSError: the disk fails.
    """
    found = {path.stat().st_ino: path for path in leftovers}
    doubtful = {inode for inode, path in found.items() if path.stat().st_nlink > 1}
    for path in studies.glob("*/*/*.dcm") if doubtful else ():
        if path.stat().st_ino in doubtful:
            _judge(path)
    for leftover in found.values():
        leftover.unlink()


def _judge(path: Path) -> None:
    if path.name.split(".")[1] in _digests(path):
        sync_file(path)
    else:
        path.unlink()  # nobody was told that it is safe
        logs.warning("unfinished instance removed", study=path.parent.parent.name)
    sync_folder(path.parent)


def _digests(path: Path) -> tuple[str, str]:
    """What its final name may hold: the digest of this version, and the one of earlier ones."""
    with path.open("rb") as file:
        earlier = file_digest(file, "sha256").hexdigest()
    return blake3().update_mmap(path).hexdigest(), earlier
