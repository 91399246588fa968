"""A process that has everything imported and forks nodes: each is a process of its own, at once.

`python nursery.py` reads one JSON request a line and answers with one. ``Nursling`` looks like a
``subprocess.Popen`` to who started it.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import IO, Any

_ROOT = Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.01
_PR_SET_PDEATHSIG = 1  # prctl(2): no node outlives the nursery


class Nursling:
    """A node that the nursery forked; its standard output goes to a file."""

    def __init__(self, environment: dict[str, str], *, out: Path, log: Path) -> None:
        request = {"start": environment, "out": str(out), "log": str(log)}
        self.pid = int(_ask(request)["pid"])
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it is known to have ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """Its exit code, minus the number of the signal that ended it; None while it runs."""
        if self.returncode is None:
            self.returncode = _ask({"poll": self.pid})["code"]
        return self.returncode

    def wait(self, timeout: float = 400.0) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("node", timeout)
            time.sleep(_POLL_SECONDS)
        return code


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    nursery = _nursery()
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(json.dumps(request) + "\n")
    nursery.stdin.flush()
    answer: dict[str, Any] = json.loads(nursery.stdout.readline())
    return answer


@cache
def _nursery() -> subprocess.Popen[str]:
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__))],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.kill)
    return process


def _serve() -> None:
    import dicom_node.service  # noqa: F401, PLC0415  # so that each fork has it already

    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            answer = {"code": _code_of(request["poll"])}
        else:
            answer = {"pid": _fork(request)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _code_of(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _fork(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.environ.clear()
        os.environ.update(request["start"])
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        for name, number in (("out", 1), ("log", 2)):
            opened = os.open(request[name], flags, 0o644)
            os.dup2(opened, number)
            os.close(opened)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from tests.node_runner import run  # noqa: PLC0415  # only the fork is a node

        code = run()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
