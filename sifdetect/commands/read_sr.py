"""``sifdetect read-sr``: our own reports and segmentations back to findings JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sifdetect.commands.options import add_verbosity
from sifdetect.errors import BatchIncomplete, SifdetectError
from sifdetect.findings import to_json

HELP = "findings JSON from reports and segmentations that sifdetect wrote"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="sr.dcm, sr-data.dcm or seg.dcm"
    )
    add_verbosity(parser)


def run(options: argparse.Namespace) -> int:
    """Print one JSON object a file on stdout, and on stderr what could not be read."""
    from sifdetect.dicom.read_sr import read_findings  # noqa: PLC0415  # heavy; --help must not wait

    errors: list[SifdetectError] = []
    for path in options.paths:
        try:
            findings = read_findings(path)
        except SifdetectError as error:
            errors.append(error)
            print(f"sifdetect: {error}", file=sys.stderr)
        else:
            print(json.dumps(to_json(findings), ensure_ascii=False))
    if not errors:
        return 0
    return errors[0].exit_code if len(errors) == len(options.paths) else BatchIncomplete.exit_code
