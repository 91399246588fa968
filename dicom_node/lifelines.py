"""How executors show that they live: a lock each, which the system drops when the process dies.

Beside SQLite it is the lock of a file (all executors are on one machine); with PostgreSQL it is an
advisory lock of a session, which ends with the process, or with its machine a few seconds later.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Protocol

import psycopg
from psycopg.conninfo import make_conninfo

from dicom_node.durable import make_folder
from sifdetect.errors import NetworkError

_LOCK_SUFFIX = ".lock"
_PROBE_SECONDS = 1.0
_KEEPALIVE: dict[str, Any] = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
_CONNECT_SECONDS = 5
_ALWAYS_THERE = "postgres"  # the database that every server has (PostgreSQL 15, 23.3)
_SETTLE_SECONDS = 10.0
"""After a lost connection the others, too, have so long to show that they live."""


class Lifelines(Protocol):
    """The locks of all executors that share a database."""

    def hold(self, executor: str) -> None:
        """Show that this executor lives, until its process ends."""

    def renew(self) -> bool:
        """Mend what a stopped database broke; returns whether the others can be judged now."""

    def claimed(self, executor: str) -> AbstractContextManager[bool]:
        """A context in which nobody else takes the executor for dead; its value: whether it is."""

    def forget_dead(self, named: set[str]) -> None:
        """Remove what dead executors left behind that have no job any more."""


class FileLifelines:
    """A locked file for each executor below ``folder``; not for folders on NFS."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "executors"
        self._file: IO[str] | None = None
        self._own = ""

    def hold(self, executor: str) -> None:
        """Lock a file of that name until this process ends."""
        make_folder(self._folder)
        self._own = executor
        self._file = acquired(self._path(executor))

    def renew(self) -> bool:
        """Nothing can have happened to a file's lock."""
        return True

    @contextmanager
    def claimed(self, executor: str) -> Iterator[bool]:
        """Whether nobody holds its file; nobody else takes it meanwhile."""
        probe = locked(self._path(executor))
        try:
            yield probe is not None
        finally:
            if probe is not None:
                probe.close()

    def forget_dead(self, named: set[str]) -> None:
        """Remove the files of executors that are dead and not in ``named``."""
        for path in self._folder.glob(f"*{_LOCK_SUFFIX}"):
            executor = path.name.removesuffix(_LOCK_SUFFIX)
            if executor in named or executor == self._own:
                continue
            with self.claimed(executor) as is_dead:
                if is_dead:
                    path.unlink(missing_ok=True)

    def _path(self, executor: str) -> Path:
        return self._folder / f"{os.path.basename(executor)}{_LOCK_SUFFIX}"


class DatabaseLifelines:
    """An advisory lock for each executor, held by a session of its own; one thread uses it.

    Source: PostgreSQL 15, 13.3.5 (advisory locks) and 20.3.2 (keepalives, asked of both ends: the
    server's are what ends the session of a machine that lost its power).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._own = ""
        self._session: psycopg.Connection[tuple[bool]] | None = None
        self._settled_at = 0.0

    def hold(self, executor: str) -> None:
        """Take the lock of that name until this process, or its session, ends.

        Raises:
            psycopg.OperationalError: the database does not answer.
        """
        self._own = executor
        options = " ".join(f"-c tcp_{name}={value}" for name, value in _KEEPALIVE.items())
        session: psycopg.Connection[tuple[bool]] = psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=_CONNECT_SECONDS,
            options=options,
            application_name=f"sifnode {executor}"[:63],
            **_KEEPALIVE,
        )
        self._session = session
        if not self._taken(executor):  # somebody buries this executor just now: the next renewal
            self._lose()

    def renew(self) -> bool:
        """Take the lock again where the session ended.

        Raises:
            psycopg.OperationalError: the database does not answer.
        """
        try:
            if self._session is not None:
                self._session.execute("SELECT true")
        except psycopg.Error:
            self._lose()
        if self._session is None:
            self._settled_at = time.monotonic() + _SETTLE_SECONDS
            self.hold(self._own)
        return self._session is not None and time.monotonic() >= self._settled_at

    @contextmanager
    def claimed(self, executor: str) -> Iterator[bool]:
        """Whether no session holds its lock; none gets it meanwhile."""
        is_dead = self._taken(executor)
        try:
            yield is_dead
        finally:
            if is_dead and self._session is not None:
                self._session.execute("SELECT pg_advisory_unlock(%s)", [_key(executor)])

    def forget_dead(self, named: set[str]) -> None:
        """Nothing is left of a session."""

    def _taken(self, executor: str) -> bool:
        if self._session is None:
            return False
        row = self._session.execute("SELECT pg_try_advisory_lock(%s)", [_key(executor)]).fetchone()
        return row is not None and row[0]

    def _lose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            with suppress(psycopg.Error):
                session.close()


def database_is_there(url: str) -> bool:
    """Whether the database has been made; its first process makes it.

    Raises:
        NetworkError: no server answers there, or it does not let the node in.
    """
    try:
        for target, is_there in ((url, True), (make_conninfo(url, dbname=_ALWAYS_THERE), False)):
            with suppress(psycopg.OperationalError):
                psycopg.connect(target, connect_timeout=_CONNECT_SECONDS).close()
                return is_there
    except psycopg.Error:  # no address that could be one
        pass
    raise NetworkError(
        "The database of the settings does not answer",
        hint="Check jobs.database, and whether PostgreSQL runs",
    )


def acquired(path: Path) -> IO[str] | None:
    """The locked file, also where somebody just looks whether it is free; None where it is held."""
    deadline = time.monotonic() + _PROBE_SECONDS
    while (file := locked(path)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return file


def locked(path: Path) -> IO[str] | None:
    """The locked file, or None where another process holds it."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _key(executor: str) -> int:
    return int.from_bytes(sha256(f"sifnode {executor}".encode()).digest()[:8], signed=True)
