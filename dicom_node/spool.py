"""The spool: instances on disk, safe before the sender is told so. The truth of what was received.

``studies/<SHA-256 of the Study Instance UID>/`` holds ``study.json`` and one folder for each kind
of instance; a file is called ``<SHA-256 of the SOP Instance UID>.<BLAKE3 of the content>.dcm``.
The same UID with other content never replaces the first: it is kept beside, in ``conflicts``.
"""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from dicom_node.doubt import settle_doubtful
from dicom_node.durable import (
    PARTIAL,
    FolderSync,
    make_folder,
    read_json,
    write_json,
)
from dicom_node.incoming import Incoming
from dicom_node.intake import Header, Kind, name_of
from dicom_node.killpoint import reach
from dicom_node.leftovers import sweep
from dicom_node.reports import Report, reports_of

_REMEMBERED_STUDIES = 64
_SUFFIX = ".dcm"


class Stored(Enum):
    """What became of an instance."""

    NEW = "new"
    SAME = "same"
    CONFLICT = "conflict"


@dataclass(frozen=True, eq=False)
class _Newcomer:
    """An instance that has its final name and may not survive a power cut yet."""

    identity: str
    path: str
    incoming: Incoming
    settled: Future[None] = field(default_factory=Future)


@dataclass
class _Index:
    """Which content is held of each SOP Instance UID of one study, by their hashes.

    Attributes:
        settling: those of them that may not survive a power cut yet.
    """

    path: Path
    digests: dict[str, str]
    size: int
    syncs: dict[str, FolderSync] = field(default_factory=dict)
    settling: dict[str, _Newcomer] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sync_of(self, folder: str) -> FolderSync:
        """What syncs the names in one of the study's folders, which is made where it is not."""
        path = self.path / folder
        make_folder(path)
        if folder not in self.syncs:
            self.syncs[folder] = FolderSync(path)
        return self.syncs[folder]

    def holds(self, stem: str, incoming: Incoming) -> bool:
        """Whether what is held under that name has this content: other versions hash otherwise."""
        return any(incoming.is_same_as(path) for path in self.path.glob(f"*/{stem}{_SUFFIX}"))

    def enter(self, one: _Newcomer, digest: str) -> None:
        """Give it its name, under the lock; raises OSError."""
        one.incoming.name(one.path)
        self.size += one.incoming.size
        if one.identity not in self.digests:
            self.digests[one.identity] = digest
            self.settling[one.identity] = one

    def end(self, one: _Newcomer, failure: Exception | None = None) -> None:
        """It is safe, or is not and is taken back; tells those who wait for it."""
        with self.lock:
            is_first = self.settling.get(one.identity) is one
            if is_first:
                del self.settling[one.identity]
            if failure is not None:
                one.incoming.withdraw(one.path)
                self.size -= one.incoming.size
            if failure is not None and is_first:
                del self.digests[one.identity]
        if failure is None:
            one.settled.set_result(None)
        else:
            one.settled.set_exception(failure)


@dataclass(frozen=True)
class StudyFolder:
    """What the spool holds of one study."""

    path: Path
    study_instance_uid: str

    def names(self, kind: Kind) -> list[str]:
        """File names of the instances of one kind, sorted."""
        return _names(self.path / kind.value)

    def conflicts(self) -> list[str]:
        """File names of instances that came with a known UID and other content."""
        return _names(self.path / "conflicts")

    def reports(self) -> list[Report]:
        """The study's reports, oldest first."""
        return reports_of(self.path)

    def unfinished(self) -> list[Report]:
        """The reports that have no terminal marker, in no order."""
        found = (Report(path.parent) for path in self.path.glob("reports/*/manifest.json"))
        return [report for report in found if report.marker is None]


class Spool:
    """The instances of all studies below one folder; threads may store at the same time.

    One process at a time may store into a folder: the caller holds its lock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._studies = folder / "studies"
        self._incoming = folder / "incoming"
        self._indices: OrderedDict[str, _Index] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, *, shared: bool = False) -> None:
        """Make the folders, and remove what a killed predecessor left unfinished.

        Args:
            shared: whether other processes may be at work here; what may be theirs is left.

        Raises:
            OSError: the folder cannot be written.
        """
        make_folder(self._studies)
        make_folder(self._incoming)
        settle_doubtful(self._incoming.glob(f"*{PARTIAL}"), self._studies)
        sweep(self.folder, shared=shared)

    def free_bytes(self) -> int:
        """Room left on the disk that holds the spool."""
        return shutil.disk_usage(self.folder).free

    def store(self, header: Header, kind: Kind, chunks: tuple[bytes, ...]) -> Stored:
        """Keep one instance; when this returns it survives a power cut.

        Args:
            chunks: the file's bytes, in order.

        Raises:
            OSError: the disk is full or fails; nothing is left of the instance then.
        """
        incoming = self.begin()
        try:
            for chunk in chunks:
                incoming.write(chunk)
            return self.keep(incoming, header, kind)
        finally:
            incoming.discard()

    def begin(self) -> Incoming:
        """Open a file for an instance that is about to come.

        Raises:
            OSError: the disk is full or fails.
        """
        return Incoming(self._incoming)

    def keep(self, incoming: Incoming, header: Header, kind: Kind) -> Stored:
        """Give a written instance its name; when this returns it survives a power cut.

        Raises:
            OSError: the disk is full or fails; nothing is left of the instance then.
        """
        identity, digest = name_of(header.sop_instance_uid), incoming.digest
        index = self._index(header.study_instance_uid)
        with index.lock:
            held = index.digests.get(identity)
            if held and held != digest and index.holds(f"{identity}.{held}", incoming):
                digest = held
            folder = kind.value if held in (None, digest) else "conflicts"
            sync, first = index.sync_of(folder), index.settling.get(identity)
            path = f"{index.path}/{folder}/{identity}.{digest}{_SUFFIX}"
            newcomer = _Newcomer(identity, path, incoming)
            if held != digest:
                index.enter(newcomer, digest)
        if held == digest:
            if first is not None:
                first.settled.result()
            sync.wait()
            return Stored.SAME
        reach("instance named")
        try:
            incoming.sync()
            sync.wait()
        except Exception as error:
            index.end(newcomer, error)
            raise
        reach("instance synced")
        index.end(newcomer)
        incoming.discard()
        return Stored.NEW if held is None else Stored.CONFLICT

    def with_one_more(self, header: Header, incoming: Incoming) -> tuple[int, int]:
        """How many instances and bytes the study would have if this one were kept."""
        index = self._index(header.study_instance_uid)
        held = index.digests.get(name_of(header.sop_instance_uid))
        more = 0 if held == incoming.digest else incoming.size
        return len(index.digests) + (held is None), index.size + more

    def studies(self) -> Iterator[StudyFolder]:
        """Every study in the spool."""
        for path in sorted(self._studies.iterdir()):
            document = read_json(path / "study.json") if path.is_dir() else None
            if document is not None:
                yield StudyFolder(path, document["study_instance_uid"])

    def study(self, study_instance_uid: str) -> StudyFolder:
        """What is held of one study, which may be nothing."""
        return StudyFolder(self._study_path(study_instance_uid), study_instance_uid)

    def remove_instances(self, study: StudyFolder, names: list[str]) -> None:
        """Remove images by name, and all instances that are none; reports stay."""
        index = self._index(study.study_instance_uid)
        with index.lock:
            doomed = [study.path / Kind.IMAGE.value / name for name in names]
            for kind in ("others", "returned", "conflicts"):
                doomed += [study.path / kind / name for name in _names(study.path / kind)]
            for path in doomed:
                path.unlink(missing_ok=True)
                reach("instance removed")
            index.digests, index.size = _digests(study.path), _size(study.path)

    def _study_path(self, study_instance_uid: str) -> Path:
        return self._studies / name_of(study_instance_uid)

    def _index(self, study_instance_uid: str) -> _Index:
        name = name_of(study_instance_uid)
        with self._lock:
            index = self._indices.get(name)
            if index is None:
                path = self._studies / name
                if not (path / "study.json").exists():
                    make_folder(path)
                    write_json(path / "study.json", {"study_instance_uid": study_instance_uid})
                index = self._indices[name] = _Index(path, _digests(path), _size(path))
            self._indices.move_to_end(name)
            self._forget_oldest()
            return index

    def _forget_oldest(self) -> None:
        for name, index in list(self._indices.items())[:-_REMEMBERED_STUDIES]:
            if not index.lock.locked() and not index.settling:
                del self._indices[name]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*{_SUFFIX}"))


def _size(study: Path) -> int:
    return sum(path.stat().st_size for path in study.glob(f"*/*{_SUFFIX}"))


def _digests(study: Path) -> dict[str, str]:
    held = {}
    for kind in Kind:
        for name in _names(study / kind.value):
            identity, digest = name.removesuffix(_SUFFIX).split(".")
            held[identity] = digest
    return held
