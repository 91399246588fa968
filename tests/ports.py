"""Free TCP ports on loopback for the servers that tests start."""

from __future__ import annotations

import socket
import subprocess
import time

TIMEOUT_S = 60.0

_held: list[socket.socket] = []


def free_port() -> int:
    """A TCP port on loopback that nobody else is given while this process lives.

    The socket that found the port stays bound, without listening: the system hands the port to
    nobody else, a connection to it is refused, and a server that sets SO_REUSEADDR, as DICOM
    and HTTP servers do, can listen on it.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once ``process`` takes connections on ``port``; raise if it ends or takes 60 s."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port}: exit code {process.poll()}")
