"""``sifdetect model``: bundles listed, verified, exported."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sifdetect.commands.options import add_common

HELP = "list, verify or export bundles"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument("action", choices=("list", "verify", "export"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="bundles (default: all)")
    parser.add_argument("-o", "--out", type=Path, help="for export: the folder to write to")
    add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Do it to every bundle named; the exit code."""
    from sifdetect import app, bundle  # noqa: PLC0415  # heavy; --help must not wait for it

    folder: Path = options.models or app.default_models()
    names = options.names or sorted(
        path.parent.parent.name for path in folder.glob("*/configs/metadata.json")
    )
    for name in names:
        spec = bundle.read_spec(folder / name)
        if options.action != "list":
            bundle.verify(folder / name)
        if options.action == "export":
            from sifdetect.learn import export  # noqa: PLC0415  # needs torch and MONAI

            spec = export.export_again(folder / name, options.out or folder)
        row = {"name": name, "version": spec.version, "sha256": spec.sha256}
        print(json.dumps(row) if options.json else f"{name} {spec.version} {spec.sha256}")
    return 0
