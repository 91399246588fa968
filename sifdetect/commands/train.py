"""``sifdetect train``: a network from a training file."""

from __future__ import annotations

import argparse
from pathlib import Path

from sifdetect.commands.options import add_verbosity, pair

HELP = "train a network"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument("config", type=Path, metavar="CONFIG")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--set", action="append", type=pair, default=[], metavar="KEY=VALUE", help="override"
    )
    add_verbosity(parser)


def run(options: argparse.Namespace) -> int:
    """Train; the exit code."""
    from sifdetect.learn import train  # noqa: PLC0415  # heavy; --help must not wait for it

    config = train.read_config(options.config, dict(options.set))
    train.train(config, resume=options.resume)
    return 0
