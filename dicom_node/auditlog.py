"""The audit log: a file that is only appended to, synced line by line; and what goes into it.

What one sender hands in of one study is told twice: when its first instance comes, and when none
has come for a while. Refusals that repeat are counted, so that a flood of them fills no disk.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node import logs
from dicom_node.audit import MINOR_FAILURE, SUCCESS, AuditConfig, Party, Reporter, Transfer
from dicom_node.durable import OWN_FILE, make_folder, sync_folder
from dicom_node.intake import Header

FILE = "audit.xml"
_QUIET_SECONDS, _LONGEST_SECONDS = 10.0, 300.0
_ALERT_SECONDS = 60.0
_REMEMBERED_ALERTS = 1000


class AuditFile:
    """Lines in a file of a folder; several threads and processes may append."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def append(self, line: str) -> None:
        """Add a line; when this returns it survives a power cut.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        with self._lock:
            make_folder(self._folder)
            descriptor = self._opened()
            try:
                self._write(descriptor, line.encode() + b"\n")
            finally:
                os.close(descriptor)

    def _opened(self) -> int:
        path = self._folder / FILE
        while True:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(path, flags, OWN_FILE)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
            os.close(descriptor)  # another process has just closed this file

    def _write(self, descriptor: int, line: bytes) -> None:
        length = len(line)
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
        if size >= self._max_bytes:
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            (self._folder / FILE).rename(self._folder / f"audit-{stamp}-{os.urandom(3).hex()}.xml")
        if size >= self._max_bytes or size == length:
            sync_folder(self._folder)


@dataclass
class _Open:
    """What came of one study from one sender and is not told yet."""

    patient_id: str
    began: float
    last: float
    kept: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    refused: dict[str, Counter[str]] = field(default_factory=dict)


class Auditor:
    """Writes down who sent what, what was returned where, and who was turned away."""

    def __init__(
        self,
        config: AuditConfig,
        folder: Path,
        *,
        title: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        where = Path(config.folder).expanduser() if config.folder else folder / "audit"
        node = Party(title=title, place=socket.gethostname(), process=str(os.getpid()))
        self._reporter = Reporter(node=node, site=config.site)
        self._node = node
        self._file = AuditFile(where, config.file_mb << 20) if config.enabled else None
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[Party, str], _Open] = {}
        self._alerts: dict[tuple[Party, str], tuple[float, int]] = {}

    def activity(self, *, starts: bool) -> None:
        """The node starts, or has ended its work."""
        if not starts:
            self.settle(everything=True)
        self._append(self._reporter.activity(self._clock(), starts=starts))

    def received(self, sender: Party, header: Header, *, is_new: bool) -> None:
        """An instance is safe in the spool; ``is_new`` unless it was there already."""
        study = self._of(sender, header)
        with self._lock:
            (study.kept if is_new else study.held)[header.sop_class_uid] += 1

    def refused(self, sender: Party, header: Header, reason: str) -> None:
        """An instance was not taken."""
        study = self._of(sender, header)
        with self._lock:
            study.refused.setdefault(reason, Counter())[header.sop_class_uid] += 1

    def returned(
        self, receiver: Party, study: tuple[str, str], answers: Sequence[tuple[str, bool, str]]
    ) -> None:
        """Results were offered to a destination.

        Args:
            study: Study Instance UID and Patient ID.
            answers: SOP Class UID of each object, whether it was accepted, and the answer.
        """
        by_answer: dict[tuple[bool, str], Counter[str]] = {}
        for sop_class, accepted, answer in answers:
            key = (accepted, "" if accepted else answer)
            by_answer.setdefault(key, Counter())[sop_class] += 1
        for (accepted, reason), classes in by_answer.items():
            transfer = Transfer(
                source=self._node,
                destination=receiver,
                study_instance_uid=study[0],
                patient_id=study[1],
                classes=classes,
            )
            outcome = SUCCESS if accepted else MINOR_FAILURE
            self._append(
                self._reporter.transferred(
                    self._clock(), transfer, action="R", outcome=outcome, reason=reason
                )
            )

    def fetched(self, source: Party, study: tuple[str, str], classes: Mapping[str, int]) -> None:
        """An earlier study was fetched from an archive.

        Args:
            study: Study Instance UID and Patient ID.
            classes: how many instances of each SOP class.
        """
        transfer = Transfer(
            source=source,
            destination=self._node,
            study_instance_uid=study[0],
            patient_id=study[1],
            classes=classes,
        )
        self._append(
            self._reporter.transferred(self._clock(), transfer, action="C", outcome=SUCCESS)
        )

    def alert(self, who: Party, reason: str) -> None:
        """Somebody was turned away; the same within a minute is only counted."""
        now = self._clock()
        with self._lock:
            if len(self._alerts) >= _REMEMBERED_ALERTS:  # many at once: told together
                who = Party(title="", place="")
            last, missed = self._alerts.get((who, reason), (-_ALERT_SECONDS, 0))
            repeats = now - last < _ALERT_SECONDS
            self._alerts[who, reason] = (last, missed + 1) if repeats else (now, missed)
        if repeats:
            return  # ``settle`` says how often
        self._append(self._reporter.alert(now, who, reason))

    def settle(self, *, everything: bool = False) -> None:
        """Tell of the studies of which nothing comes any more; to be called every few seconds."""
        now = self._clock()
        with self._lock:
            repeated = [
                (key, one[1])
                for key, one in self._alerts.items()
                if now - one[0] >= _ALERT_SECONDS and one[1]
            ]
            self._alerts = {
                key: one for key, one in self._alerts.items() if now - one[0] < _ALERT_SECONDS
            }
            done = [
                key
                for key, one in self._open.items()
                if everything
                or now - one.last >= _QUIET_SECONDS
                or now - one.began >= _LONGEST_SECONDS
            ]
            ended = [(key, self._open.pop(key)) for key in done]
        for (who, reason), times in repeated:
            self._append(self._reporter.alert(now, who, f"{reason} ({times} times more)"))
        for (sender, uid), one in ended:
            self._tell(sender, uid, one)

    def _of(self, sender: Party, header: Header) -> _Open:
        """What is open of a study; the first instance is told before its sender has the answer."""
        now, key = self._clock(), (sender, header.study_instance_uid)
        with self._lock:
            study = self._open.get(key)
            if study is not None:
                study.last = now
                return study
            study = self._open[key] = _Open(header.patient_id, now, now)
        transfer = self._transfer(sender, header.study_instance_uid, study, Counter())
        self._append(self._reporter.begun(now, transfer))
        return study

    def _tell(self, sender: Party, uid: str, one: _Open) -> None:
        parts = [("C", SUCCESS, "", one.kept), ("R", SUCCESS, "", one.held)]
        parts += [("R", MINOR_FAILURE, reason, them) for reason, them in one.refused.items()]
        for action, outcome, reason, classes in parts:
            if classes:
                transfer = self._transfer(sender, uid, one, classes)
                self._append(
                    self._reporter.transferred(
                        one.last, transfer, action=action, outcome=outcome, reason=reason
                    )
                )

    def _transfer(self, sender: Party, uid: str, one: _Open, classes: Counter[str]) -> Transfer:
        return Transfer(
            source=sender,
            destination=self._node,
            study_instance_uid=uid,
            patient_id=one.patient_id,
            classes=dict(classes),
        )

    def _append(self, line: str) -> None:
        """Write a record; reception goes on without one, and the log says so."""
        if self._file is None:
            return
        try:
            self._file.append(line)
        except OSError as error:
            logs.error("audit record lost", error=error.strerror)
