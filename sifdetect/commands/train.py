"""``sifdetect train``: a network from a training file, or a bundle fine-tuned on own cases."""

from __future__ import annotations

import argparse
from pathlib import Path

from sifdetect.commands.options import add_verbosity, pair
from sifdetect.errors import UsageError

HELP = "train a network, or fine-tune a bundle on your own cases"

_EPILOG = """\
sifdetect train CONFIG            trains as the training file says
sifdetect train --from BUNDLE --data POOL -o OUT
                                  fine-tunes on as few as 10 cases and reports before and after
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("config", type=Path, metavar="CONFIG", nargs="?", help="a training file")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--set", action="append", type=pair, default=[], metavar="KEY=VALUE", help="override"
    )
    own = parser.add_argument_group("fine-tuning")
    own.add_argument("--from", dest="bundle", type=Path, metavar="BUNDLE", help="its folder")
    own.add_argument("--data", type=Path, metavar="POOL", help="samples of your own cases")
    own.add_argument("-o", "--out", type=Path, help="folder for run and report")
    own.add_argument("--pool", type=Path, help="synthetic samples to mix in")
    own.add_argument(
        "--share", type=float, default=0.5, metavar="S", help="of synthetic ones (default: 0.5)"
    )
    own.add_argument("--steps", type=int, default=300, metavar="N", help="default: 300")
    own.add_argument("--seed", type=int, default=0, metavar="S")
    own.add_argument("--device", default="auto", help="auto, cpu or cuda:N")
    add_verbosity(parser)


def run(options: argparse.Namespace) -> int:
    """Train; the exit code.

    Raises:
        UsageError: neither a training file nor all that fine-tuning needs is named.
    """
    if (options.config is None) == (options.bundle is None):
        raise UsageError("Name a training file, or a bundle with --from", hint="See --help")
    if options.bundle is not None:
        return _fine_tune(options)
    from sifdetect.learn import train  # noqa: PLC0415  # heavy; --help must not wait for it
    from sifdetect.learn.jobs import keep_freed_memory  # noqa: PLC0415  # as above

    keep_freed_memory()
    config = train.read_config(options.config, dict(options.set))
    train.train(config, resume=options.resume)
    return 0


def _fine_tune(options: argparse.Namespace) -> int:
    if options.data is None or options.out is None:
        raise UsageError("Fine-tuning needs --data POOL and -o OUT", hint="See --help")
    if not 0 <= options.share <= 1 or options.steps < 1:
        raise UsageError("A share lies between 0 and 1, and there is at least one step")
    from sifdetect.learn import finetune  # noqa: PLC0415  # heavy; --help must not wait for it

    job = finetune.FineTuning(
        bundle=options.bundle,
        data=options.data,
        out=options.out,
        pool=options.pool,
        share=options.share,
        steps=options.steps,
        seed=options.seed,
        device=options.device,
    )
    print(finetune.fine_tune(job, resume=options.resume))
    return 0
