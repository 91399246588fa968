"""The node as its users run it: ``sifnode serve`` as a process of its own, on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE

AE_TITLE = "SIFDETECT"
PROGRAM = Path(sys.executable).parent / "sifnode"
CONFIGURATION = "sifnode.toml"
QUIET_SECONDS = 2.0
START_TIMEOUT_S = 120.0
VERIFICATION = UID("1.2.840.10008.1.1")


@dataclass(frozen=True)
class Destination:
    """The storage SCP on loopback that gets the results."""

    ae_title: str
    port: int


class Node:
    """A node with a fresh spool; it runs inside a ``with`` block.

    Args:
        folder: empty folder for configuration, spool and log.
        port: where it listens for DICOM.
        destination: where its results go.
        more: tables of the settings beside the usual ones, in TOML.
    """

    def __init__(
        self, folder: Path, port: int, destination: Destination, *, more: str = ""
    ) -> None:
        self.port = port
        self.spool = folder / "spool"
        self._more = more
        self._folder = folder
        self._destination = destination
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Node:
        """Start, and wait until C-ECHO succeeds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / CONFIGURATION
        configuration.write_text(self._configuration())
        with (self._folder / "node.log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", "--config", configuration],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"OMP_NUM_THREADS": "2"},
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it, whatever happened inside."""
        self._stop()

    def study(self, study_uid: str) -> dict[str, Any]:
        """What ``sifnode status --json`` says of one study."""
        command: list[str | Path] = [
            PROGRAM,
            "status",
            "--config",
            self._folder / CONFIGURATION,
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        studies: list[dict[str, Any]] = json.loads(done.stdout)["studies"]
        return next(one for one in studies if one["study_instance_uid"] == study_uid)

    def log(self) -> str:
        """What it has said so far, for the message of a failed test."""
        return (self._folder / "node.log").read_text(errors="replace")[-4000:]

    def _configuration(self) -> str:
        # A JSON string is a TOML basic string too.
        return f"""
[dicom]
ae_title = "{AE_TITLE}"
port = {self.port}
[http]
enabled = false
[storage]
folder = {json.dumps(str(self.spool))}
min_free_mb = 0
[study]
quiet_seconds = {QUIET_SECONDS}
[send]
first_retry_seconds = 2.0
[destination.pacs]
host = "127.0.0.1"
port = {self._destination.port}
ae_title = "{self._destination.ae_title}"
{self._more}"""

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if _listens(self.port) and _echo(self.port):
                return
            time.sleep(0.2)
        raise RuntimeError(f"the node did not come up:\n{self.log()}")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _echo(port: int) -> bool:
    client = AE(ae_title="ECHO")
    client.add_requested_context(VERIFICATION)
    association = client.associate("127.0.0.1", port, ae_title=AE_TITLE)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool(status and status.Status == 0x0000)
