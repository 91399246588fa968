"""``sifdetect synth``: synthetic cases, with their truth."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sifdetect.commands.options import SHIFTED, add_verbosity, listed

HELP = "write synthetic studies with their truth"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the cases")
    parser.add_argument("--cases", type=int, required=True, metavar="N")
    parser.add_argument("--seed", type=int, required=True, metavar="S")
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
    ordered = {"count": options.cases, "seed": options.seed, "making": making}
    tasks = [name for name in options.format if name in cases.POOLS]
    formats = [name for name in options.format if name not in cases.POOLS]
    written = []
    if formats or not tasks:
        written += cases.write_cases(
            options.out, profile=options.profile, formats=formats, **ordered
        )
    if tasks:
        written += cases.write_pools(options.out, tasks=tasks, **ordered)
    for folder in written:
        print(folder)
    return 0


def _show_progress(done: int, of: int) -> None:
    print(f"\r{done} of {of}", end="\n" if done == of else "", file=sys.stderr, flush=True)
