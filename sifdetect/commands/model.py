"""``sifdetect model``: bundles listed, verified, exported, described, released, calibrated."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sifdetect.commands.options import add_common, add_verbosity, pair

if TYPE_CHECKING:
    from sifdetect.bundle import BundleSpec

HELP = "list, verify, export, describe, release or calibrate bundles"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's actions and their options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, text in (
        ("list", "say which bundles there are"),
        ("verify", "compare every file with its checksum"),
        ("export", "make bundles anew from their torch weights"),
        ("card", "make the model card anew and print it"),
    ):
        one = actions.add_parser(name, help=text)
        one.set_defaults(run=run)
        one.add_argument("names", nargs="*", metavar="NAME", help="bundles (default: all)")
        add_common(one)
        if name == "export":
            one.add_argument("-o", "--out", type=Path, help="folder to write to (default: there)")
        if name == "card":
            one.add_argument(
                "--evaluation",
                type=Path,
                metavar="FILE",
                help="figures to keep and show: an evaluation.json",
            )
    _add_release(actions.add_parser("release", help="make a bundle from a training run"))
    _add_calibrate(actions.add_parser("calibrate", help="calibrate a region network anew"))


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_release)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the run's training file")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the bundles")
    parser.add_argument(
        "--calibration", type=Path, metavar="POOL", help="samples that were not trained on"
    )
    parser.add_argument("--notes", default="", help="what it was trained on, for the card")
    parser.add_argument(
        "--set", action="append", type=pair, default=[], metavar="KEY=VALUE", help="override"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    add_verbosity(parser)


def _add_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run_calibrate)
    parser.add_argument("name", metavar="NAME", help="a region network, such as region_ct")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="POOL",
        required=True,
        help="samples that were not trained on",
    )
    parser.add_argument("-o", "--out", type=Path, help="folder to write to (default: there)")
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
        if options.action == "card":
            from sifdetect.learn import card  # noqa: PLC0415  # heavy

            text = card.write_card(folder / name, evaluation=options.evaluation)
            print(json.dumps({"name": name, "card": text}) if options.json else text)
            continue
        if options.action == "export":
            from sifdetect.learn import export  # noqa: PLC0415  # needs torch and MONAI

            spec = export.export_again(folder / name, options.out or folder)
        _say(spec, options)
    return 0


def run_release(options: argparse.Namespace) -> int:
    """Make the bundle of a training run; the exit code."""
    from sifdetect.learn import release, train  # noqa: PLC0415  # heavy; needs torch and MONAI
    from sifdetect.learn.dataset import Pool  # noqa: PLC0415  # heavy

    config = train.read_config(options.config, dict(options.set))
    calibration = None if options.calibration is None else Pool(options.calibration)
    spec = release.release(config, options.out, calibration=calibration, notes=options.notes)
    _say(spec, options)
    return 0


def run_calibrate(options: argparse.Namespace) -> int:
    """Calibrate a bundle anew, its weights as they are; the exit code."""
    from sifdetect import app  # noqa: PLC0415  # heavy; --help must not wait for it
    from sifdetect.learn import release  # noqa: PLC0415  # heavy; needs torch and MONAI
    from sifdetect.learn.dataset import Pool  # noqa: PLC0415  # heavy

    folder: Path = options.models or app.default_models()
    out: Path = options.out or folder
    _say(release.recalibrate(folder / options.name, out, Pool(options.calibration)), options)
    return 0


def _say(spec: BundleSpec, options: argparse.Namespace) -> None:
    row = {"name": spec.name, "version": spec.version, "sha256": spec.sha256}
    print(json.dumps(row) if options.json else f"{spec.name} {spec.version} {spec.sha256}")
