"""``sifdetect synth``: synthetic cases, with their truth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sifdetect.commands.options import SHIFTED, add_verbosity, listed
from sifdetect.errors import UsageError

HELP = "write synthetic studies with their truth"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the cases")
    parser.add_argument("--cases", type=int, metavar="N", help="so many, of seeds from S on")
    parser.add_argument("--seed", type=int, metavar="S")
    parser.add_argument(
        "--seeds", type=Path, metavar="FILE", help="instead: the seeds, numbers in a text file"
    )
    parser.add_argument("--profile", default=None, metavar="NAME", help="what the cases show")
    parser.add_argument(
        "--format",
        type=listed,
        default=("dicom",),
        metavar="LIST",
        help="some of dicom,nifti; region,localizer are samples to train on (default: dicom)",
    )
    parser.add_argument(
        "--anatomy", metavar="SOURCE", help="real bones: ssm:FILE, meshes:DIR or a folder"
    )
    parser.add_argument(
        "--enhanced", action="store_true", help="DICOM as one multi-frame file a series"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes side by side (default: 1)"
    )
    parser.add_argument("--shifted", type=float, default=0.0, metavar="SHARE", help=SHIFTED)
    add_verbosity(parser)


def run(options: argparse.Namespace) -> int:
    """Write the cases; the exit code."""
    from sifdetect.learn import anatomy_source, cases, scanned  # noqa: PLC0415  # heavy

    making = cases.Making(
        anatomy=anatomy_source.parse(options.anatomy) if options.anatomy else cases.PROCEDURAL,
        storage=scanned.Storage.ENHANCED if options.enhanced else scanned.Storage.CLASSIC,
        jobs=options.jobs,
        shifted=options.shifted,
        progress=_show_progress if sys.stderr.isatty() and not options.quiet else None,
    )
    seeds = _seeds(options)
    tasks = [name for name in options.format if name in cases.POOLS]
    formats = [name for name in options.format if name not in cases.POOLS]
    written = []
    if formats or not tasks:
        written += cases.write_cases(
            options.out, seeds, profile=options.profile, formats=formats, making=making
        )
    if tasks:
        written += cases.write_pools(options.out, seeds, tasks=tasks, making=making)
    for folder in written:
        print(folder)
    return 0


def _seeds(options: argparse.Namespace) -> Sequence[int]:
    """Those of the file, or N from S on.

    Raises:
        UsageError: both or neither are given, or the file holds something else.
    """
    counted = options.cases is not None and options.seed is not None
    if (options.seeds is not None) == counted or (options.cases is None) != (options.seed is None):
        raise UsageError("Which seeds?", hint="Give --cases N --seed S, or --seeds FILE")
    if options.seeds is None:
        return range(options.seed, options.seed + options.cases)
    try:
        return [int(word) for word in options.seeds.read_text(encoding="utf-8").split()]
    except (OSError, ValueError) as error:
        reason = f"{options.seeds} holds no list of seeds: {error}"
        raise UsageError(reason, hint="Numbers with white space between them") from error


def _show_progress(done: int, of: int) -> None:
    print(f"\r{done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
