"""Options and types of arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from sifdetect.anatomy import MrWeighting

SHIFTED = "share of the cases whose patients and scanners are unlike those of training (default: 0)"


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options of commands that read bundles."""
    parser.add_argument("--models", type=Path, help="folder of the bundles (SIFDETECT_MODELS)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    add_verbosity(parser)


def add_verbosity(parser: argparse.ArgumentParser) -> None:
    """How much is said on stderr."""
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="errors only")
    loud.add_argument("-v", "--verbose", action="store_true", help="more on stderr")


def listed(text: str) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def weightings(text: str) -> tuple[MrWeighting, ...]:
    """MR weightings between commas.

    Raises:
        ArgumentTypeError: one of them does not exist.
    """
    try:
        return tuple(MrWeighting(part.upper()) for part in listed(text))
    except ValueError:
        known = ", ".join(one.value.lower() for one in MrWeighting)
        raise argparse.ArgumentTypeError(f"{text!r} is not some of {known}") from None


def pair(text: str) -> tuple[str, str]:
    """KEY=VALUE.

    Raises:
        ArgumentTypeError: it is not.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
