"""Settings of what the node asks an archive: what a study should hold, and earlier studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sifdetect.errors import ConfigurationError

_NAME = r"|[A-Za-z0-9][A-Za-z0-9-]{0,31}"
_AE_TITLE = r"(?=.*[^ ])[ -\[\]-~]{1,16}"


def _number(default: float, low: float, high: float) -> float:
    made: float = field(default=default, metadata={"low": low, "high": high})
    return made


def _text(default: str, pattern: str) -> str:
    made: str = field(default=default, metadata={"pattern": pattern})
    return made


@dataclass(frozen=True, kw_only=True)
class ArchiveConfig:
    """Which destination is asked, and what for.

    Attributes:
        destination: its name; empty asks nobody.
        expect: ``series`` waits for the rest of each series that came, ``study`` for every CT and
            MR series too, ``nothing`` for neither.
        retrieve: how images are fetched; from a destination with a url always by WADO-RS.
        move_ae_title, move_port: where C-MOVE has them sent; entered in the archive.
    """

    destination: str = _text("", _NAME)
    expect: str = _text("series", r"series|study|nothing")
    timeout_seconds: float = _number(10.0, 1, 600)
    retrieve: str = _text("c-get", r"c-get|c-move")
    move_ae_title: str = _text("SIFPRIORS", _AE_TITLE)
    move_port: int = field(default=11114, metadata={"low": 0, "high": 65535})


@dataclass(frozen=True, kw_only=True)
class PriorsConfig:
    """Whether earlier studies are fetched, and how much of them.

    Attributes:
        wait_seconds: how long a study that is complete waits for its prior.
    """

    enabled: bool = False
    max_years: float = _number(5.0, 0, 100)
    max_instances: int = field(default=2000, metadata={"low": 1, "high": 100000})
    max_mb: int = field(default=2048, metadata={"low": 1, "high": 10**6})
    timeout_seconds: float = _number(120.0, 1, 3600)
    wait_seconds: float = _number(30.0, 0, 3600)


def check(
    archive: ArchiveConfig, priors: PriorsConfig, destinations: Sequence[str], where: str
) -> None:
    """Refuse an archive that is no destination.

    Raises:
        ConfigurationError: it is none, or priors are wanted and there is no archive.
    """
    if (archive.destination or priors.enabled) and archive.destination not in destinations:
        raise ConfigurationError(
            f"{where}: archive.destination is {archive.destination!r}, none of the destinations",
            hint=f"Known: {', '.join(destinations) or 'none'}",
        )
