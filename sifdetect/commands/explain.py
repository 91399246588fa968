"""``sifdetect explain``: one page on why the findings of a study say what they say."""

from __future__ import annotations

import argparse
from pathlib import Path

from sifdetect.commands.options import add_verbosity
from sifdetect.errors import UnreadableInput

HELP = "say which rules fired on a study, and which nearly did"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument(
        "path",
        type=Path,
        metavar="FINDINGS",
        help="findings.json, a results folder, or a report or segmentation that sifdetect wrote",
    )
    add_verbosity(parser)


def run(options: argparse.Namespace) -> int:
    """Print the page; the exit code."""
    from sifdetect.dicom.explanation import explanation  # noqa: PLC0415  # heavy
    from sifdetect.dicom.read_sr import read_findings  # noqa: PLC0415  # the same
    from sifdetect.results import read_document  # noqa: PLC0415  # the same

    path = _document(options.path)
    findings = read_document(path) if path.suffix.lower() == ".json" else read_findings(path)
    print(explanation(findings))
    return 0


def _document(path: Path) -> Path:
    """The file itself, or the one findings.json in a folder or in its only subfolder that has one.

    Raises:
        UnreadableInput: the folder holds none, or several.
    """
    if not path.is_dir():
        return path
    inside = path / "findings.json"
    found = [inside] if inside.is_file() else sorted(path.glob("*/findings.json"))
    if len(found) != 1:
        said = "several" if found else "no"
        raise UnreadableInput(
            f"{path} holds {said} findings.json", hint="Name the file of the study that you mean"
        )
    return found[0]
