"""Where DICOM bytes lie: files, folders, DICOMDIR, zip archives. Nothing is ever extracted by name.

A zip archive's members are read in place, so that a member called ``../../x`` can go nowhere, and
an archive that would blow up is refused before it is read.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import MediaStorageDirectoryStorage

from sifdetect.errors import UnreadableInput
from sifdetect.findings import Warning

MAX_MEMBERS = 200_000
MAX_MEMBER_BYTES = 2 * 1024**3
MAX_ARCHIVE_BYTES = 64 * 1024**3
BOMB_BYTES = 64 * 1024**2
BOMB_RATIO = 200
"""A member of more than BOMB_BYTES that shrank more than BOMB_RATIO times is no image."""

_PREAMBLE_BYTES = 132  # 128 bytes and the letters DICM (PS3.10 7.1)
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
"""Group of the first element where the preamble is missing: 0002, 0008, 0008 big endian."""


@dataclass(frozen=True)
class Located:
    """Bytes that can be opened as often as needed.

    Attributes:
        name: what the reader of a message is told: the path, or ``archive.zip/member``.
        path: the file, or the archive that holds the member.
        member: None for a plain file.
    """

    name: str
    path: Path
    archive: zipfile.ZipFile | None = field(default=None, repr=False)
    member: zipfile.ZipInfo | None = field(default=None, repr=False)

    def open(self, *, at_most: int = MAX_MEMBER_BYTES) -> BinaryIO:
        """A stream over the bytes; of an archive's member ``at_most`` so many, as inflating costs.

        Never more is read than the archive declares for the member.
        """
        if self.archive is None or self.member is None:
            return self.path.open("rb")
        with self.archive.open(self.member) as stream:
            return io.BytesIO(stream.read(min(self.member.file_size, at_most)))

    def head(self) -> bytes:
        """The first bytes, enough to tell whether this may be DICOM."""
        if self.archive is None or self.member is None:
            with self.path.open("rb") as stream:
                return stream.read(_PREAMBLE_BYTES)
        with self.archive.open(self.member) as member:
            return member.read(_PREAMBLE_BYTES)

    def looks_like_dicom(self) -> bool:
        """True with the letters DICM, or where the bytes start like a data set without preamble."""
        head = self.head()
        return head[128:132] == b"DICM" or head[:2] in _FIRST_GROUPS


def locate(
    paths: Sequence[Path], resources: ExitStack, warnings: list[Warning]
) -> Iterator[Located]:
    """Every file below ``paths``, in a fixed order; archives stay open as long as ``resources``.

    Raises:
        UnreadableInput: a path does not exist, an archive cannot be opened or is a bomb, a DICOMDIR
            cannot be read.
    """
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path)
        elif not path.exists():
            raise UnreadableInput(f"{path} does not exist", hint="Check the path")
        elif zipfile.is_zipfile(path) and not Located(str(path), path).looks_like_dicom():
            yield from _in_archive(path, resources, warnings)
        elif _is_dicomdir(path):
            yield from _in_dicomdir(path, warnings)
        else:
            yield Located(str(path), path)


def _in_folder(folder: Path) -> Iterator[Located]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent) / name
            # A named pipe would block the reader for ever; macOS leaves "._x" beside each file x.
            if path.is_file() and not name.startswith("._"):
                yield Located(str(path), path)


def _in_archive(path: Path, resources: ExitStack, warnings: list[Warning]) -> Iterator[Located]:
    try:
        archive = resources.enter_context(zipfile.ZipFile(path))
    except (zipfile.BadZipFile, OSError) as error:
        raise UnreadableInput(
            f"{path} is a damaged zip archive ({error})", hint="Send it again"
        ) from error
    members = [member for member in archive.infolist() if not member.is_dir()]
    _guard(path, members)
    for member in sorted(members, key=lambda one: one.filename):
        name = f"{path}/{member.filename}"
        if member.flag_bits & 0x1:
            text = f"{name} is encrypted and was not read"
            warnings.append(Warning(code="encrypted-file", text=text))
        elif not Path(member.filename).name.startswith("._"):
            yield Located(name, path, archive, member)


def _guard(path: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    hint = "Unpack it yourself and give the folder, if you trust it"
    if len(members) > MAX_MEMBERS:
        raise UnreadableInput(
            f"{path} holds {len(members)} files, more than {MAX_MEMBERS}", hint=hint
        )
    if sum(member.file_size for member in members) > MAX_ARCHIVE_BYTES:
        raise UnreadableInput(
            f"{path} would unpack to more than {MAX_ARCHIVE_BYTES // 1024**3} GiB", hint=hint
        )
    for member in members:
        ratio = member.file_size / max(member.compress_size, 1)
        if member.file_size > MAX_MEMBER_BYTES or (
            member.file_size > BOMB_BYTES and ratio > BOMB_RATIO
        ):
            raise UnreadableInput(
                f"{path} holds {member.filename!r}, which would unpack to "
                f"{member.file_size / 1024**2:.0f} MiB, {ratio:.0f} times its size",
                hint=hint,
            )


def _is_dicomdir(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR":
        return True
    try:
        meta = read_file_meta_info(path)  # no more: the data set may be a deflated bomb
    except Exception:  # noqa: BLE001  # damage of any kind; whoever reads the file names it
        return False
    return bool(meta.get("MediaStorageSOPClassUID", "") == MediaStorageDirectoryStorage)


def _in_dicomdir(path: Path, warnings: list[Warning]) -> Iterator[Located]:
    """The files that a DICOMDIR names (PS3.3 F.3.2.2), as far as they lie below its folder."""
    try:
        records = dcmread(path).get("DirectoryRecordSequence", [])
    except (InvalidDicomError, OSError, EOFError) as error:
        raise UnreadableInput(
            f"{path} is not a readable DICOMDIR ({error})", hint="Give the folder it lies in"
        ) from error
    for components in _referenced(records):
        found = _below(path.parent, components)
        name = "/".join(components)
        if found is None:
            text = f"{path} names {name}, which is not there"
            warnings.append(Warning(code="missing-file", text=text))
        else:
            yield Located(str(found), found)


def _referenced(records: Iterable[Dataset]) -> Iterator[tuple[str, ...]]:
    for record in records:
        value = record.get("ReferencedFileID")
        if value:
            yield (value,) if isinstance(value, str) else tuple(str(part) for part in value)


def _below(folder: Path, components: Sequence[str]) -> Path | None:
    """The file, in the case it is written in or in lower case (as some systems mount a CD)."""
    if any(part in ("", ".", "..") or "/" in part or "\\" in part for part in components):
        return None
    for names in (components, [part.lower() for part in components]):
        path = folder.joinpath(*names)
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None
