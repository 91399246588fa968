"""Places at which a test has this process killed, to see what is lost there: nothing must be.

``SIFDETECT_KILL_AT`` holds the name of one place; without it no place does anything. The name lies
outside the settings, so that no settings file can arm it.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "SIFDETECT_KILL_AT"


def reach(place: str) -> None:
    """Die here, as of ``kill -9``, if this is the place."""
    if os.environ.get(VARIABLE) == place:
        os.kill(os.getpid(), signal.SIGKILL)
