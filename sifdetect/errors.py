"""What can go wrong, whose fault it is, and what the sender is told.

Every error is one sentence (``reason``: what and where) and a ``hint`` (what to do). ``exit_code``
is the command line's answer; ``dimse_status`` is the C-STORE answer where the error reaches the
network (PS3.4 Table B.2-1).
"""

from __future__ import annotations


class SifdetectError(Exception):
    """Any failure that sifdetect can name.

    Args:
        reason: what went wrong and where, one sentence without a final full stop.
        hint: what the reader can do about it; empty when there is nothing to do.
    """

    exit_code = 1
    dimse_status = 0x0110  # Processing failure (PS3.7 C.5.8)

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.reason}. {self.hint}." if self.hint else f"{self.reason}."


class UsageError(SifdetectError):
    """The command line was called in a way that has no meaning."""

    exit_code = 2


class ConfigurationError(SifdetectError):
    """A configuration file or environment variable is wrong."""

    exit_code = 3


class InputError(SifdetectError):
    """The sender's fault: the input cannot be used as it is."""

    exit_code = 4
    dimse_status = 0xA900  # Data set does not match SOP class


class UnreadableInput(InputError):
    """A file is missing, truncated, or not of a kind that can be read."""

    dimse_status = 0xC000  # Cannot understand


class UnsuitableSeries(InputError):
    """A series is well formed and still cannot be analysed (localizer, gantry tilt …)."""


class MissingAttribute(InputError):
    """A DICOM attribute without which the series has no meaning is absent or empty."""


class NoSacrumInView(InputError):
    """No part of the sacrum lies inside the field of view."""


class UnsuitablePrior(InputError):
    """An earlier study that must not or cannot be compared with this one."""


class ModelError(SifdetectError):
    """A bundle is missing, incomplete, or does not match its checksum."""

    exit_code = 5


class NetworkError(SifdetectError):
    """A peer could not be reached or refused what it was sent."""

    exit_code = 6
    dimse_status = 0xA700  # Refused: out of resources


class BatchIncomplete(SifdetectError):
    """Part of a batch failed; the rest was done and written."""

    exit_code = 7
