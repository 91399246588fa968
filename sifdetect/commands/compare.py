"""``sifdetect compare``: two examinations of one patient, what has changed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sifdetect.anatomy import Modality
from sifdetect.commands.options import add_common, weightings

HELP = "say what has changed since an earlier study"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    what = "DICOM study, NIfTI file, findings.json or results folder"
    parser.add_argument("now", type=Path, metavar="NOW", help=what)
    parser.add_argument("prior", type=Path, metavar="PRIOR", help="the same, earlier")
    parser.add_argument("--modality", type=str.lower, choices=("ct", "mr"), help="of NIfTI input")
    parser.add_argument(
        "--weighting", type=weightings, default=(), metavar="NAME", help="of NIfTI input from MR"
    )
    parser.add_argument("--engine", choices=("auto", "openvino", "torch"), default="auto")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Compare the two; the exit code."""
    from sifdetect import app  # noqa: PLC0415  # heavy; --help must not wait for it
    from sifdetect.dicom.progress import contralateral, progress  # noqa: PLC0415  # the same
    from sifdetect.engine import Engine  # noqa: PLC0415  # the same
    from sifdetect.findings import plain  # noqa: PLC0415  # the same

    chosen = app.Options(
        models=options.models,
        engine=Engine(options.engine),
        device=options.device,
        modality=None if options.modality is None else Modality(options.modality.upper()),
        weightings=options.weighting,
    )
    found = app.compare_studies([options.now], [options.prior], options=chosen)
    if options.json:
        print(json.dumps(plain(found), ensure_ascii=False))
    else:
        first = contralateral(found)
        print("\n".join([*([first] if first else []), *progress(found)]))
    return 0
