"""``sifdetect …``: the commands, their errors and exit codes."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence

from sifdetect import __version__
from sifdetect.commands import (
    analyze,
    compare,
    data,
    evaluate,
    explain,
    model,
    read_sr,
    synth,
    train,
)
from sifdetect.errors import SifdetectError

LOG = logging.getLogger("sifdetect")
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 130 or that of the error (see ``errors``)."""
    options = _parser().parse_args(arguments)
    _log_to_stderr(options)
    try:
        return int(options.run(options) or 0)
    except SifdetectError as error:
        print(f"sifdetect: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"sifdetect: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return SifdetectError.exit_code
    except KeyboardInterrupt:
        print("sifdetect: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sifdetect",
        description="Shows, measures and reports what may be a sacral insufficiency fracture."
        " Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"sifdetect {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (analyze, compare, explain, read_sr, synth, data, train, evaluate, model):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        module.add(commands.add_parser(name, help=module.HELP))
    return parser


def _log_to_stderr(options: argparse.Namespace) -> None:
    level = logging.INFO
    if options.quiet:
        level = logging.ERROR
    elif options.verbose:
        level = logging.DEBUG
    # Other libraries warn about what was dealt with, image by image, and quote patients' names.
    warnings.simplefilter("ignore")
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(
        lambda record: record.name.startswith(LOG.name) or record.levelno > logging.WARNING
    )
    logging.basicConfig(format="%(message)s", handlers=[handler])
    LOG.setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
