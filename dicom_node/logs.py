"""One JSON object a line on standard error; events and identifiers of objects, never a patient.

What may stand in a log: AE titles, addresses, UIDs, file hashes, counts, statuses, names of errors.
What may not: any other attribute of a data set, and messages that may quote one.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import TextIO

_LOGGER = logging.getLogger("dicom_node")
_FIELDS = "event_fields"


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send this process's log to ``stream`` (standard error) as JSON lines.

    The libraries beneath are heard from warnings on, and only by name of what happened.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines())
    _LOGGER.handlers = [handler]
    _LOGGER.propagate = False
    _LOGGER.setLevel(level.upper())
    dbos = logging.getLogger("dbos")
    dbos.handlers = [handler]
    dbos.propagate = False
    for name in ("pynetdicom", "pydicom"):  # they quote attributes of what they work on
        library = logging.getLogger(name)
        library.handlers = [logging.NullHandler()]
        library.propagate = False
        library.setLevel(logging.CRITICAL)


def log_thread_failures() -> None:
    """Have exceptions that end a thread logged by their name, instead of printed with values."""

    def tell(failure: threading.ExceptHookArgs) -> None:
        thread = failure.thread.name if failure.thread else ""
        error("thread failed", thread=thread, error=failure.exc_type.__name__)

    threading.excepthook = tell


def info(event: str, **fields: object) -> None:
    """Something ordinary happened."""
    _LOGGER.info(event, extra={_FIELDS: fields})


def warning(event: str, **fields: object) -> None:
    """Something happened that an administrator may want to look into."""
    _LOGGER.warning(event, extra={_FIELDS: fields})


def error(event: str, **fields: object) -> None:
    """Something failed that needs an administrator."""
    _LOGGER.error(event, extra={_FIELDS: fields})


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.name != _LOGGER.name:
            line["logger"] = record.name
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False, default=str)
