"""Debian's PostgreSQL for tests: a server of its own in a temporary folder, on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.ports import free_port

_PROGRAMS = Path("/usr/lib/postgresql")
_START_SECONDS = 60
_OWNER = "postgres"
"""Who runs the server where the tests are root's, whom PostgreSQL refuses."""


@dataclass
class Postgres:
    """A server that can be stopped and started."""

    folder: Path
    programs: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    def url(self, database: str) -> str:
        """A database on the server, which need not be there yet."""
        return f"postgresql://sifnode@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Make its files."""
        command = [
            "initdb",
            "-D",
            "data",
            "-A",
            "trust",
            "-U",
            "sifnode",
            "--no-sync",
            "-E",
            "UTF8",
        ]
        subprocess.run(
            [str(self.programs / command[0]), *command[1:], "--locale=C.UTF-8"],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            check=True,
            **_as_owner(),
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["-D", "data", "-k", str(self.folder), "-p", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "postgres"), *options, "-h", "127.0.0.1", "-N", "200"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                **_as_owner(),
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL does not start"
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """Stop it at once, without waiting for its clients (PostgreSQL 19.5: SIGQUIT)."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server at work; it and its files are gone afterwards."""
    versions = sorted(_PROGRAMS.glob("*/bin/initdb"))
    if not versions:
        pytest.skip("initdb is not installed (Debian package postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="sifnode-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, _OWNER, _OWNER)
    made = Postgres(folder, versions[-1].parent, free_port())
    try:
        made.initialise()
        made.start()
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _as_owner() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": _OWNER, "group": _OWNER, "extra_groups": []}
