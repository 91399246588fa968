"""``sifdetect …``: parsing and printing only."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sifdetect import __version__
from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.errors import BatchIncomplete, SifdetectError
from sifdetect.findings import StudyFindings, to_json

if TYPE_CHECKING:
    from sifdetect.app import Options

LOG = logging.getLogger("sifdetect")
INTERRUPTED = 130

_WEIGHTINGS = ", ".join(weighting.value.lower() for weighting in MrWeighting)


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


def _analyze(options: argparse.Namespace) -> int:
    from sifdetect import app  # noqa: PLC0415  # heavy; --help must not wait for it

    chosen = _app_options(options)
    if options.out is None:
        failures: list[SifdetectError | None] = []
        for one in app.analyze_each(options.paths, options=chosen):
            failures.append(one if isinstance(one, SifdetectError) else None)
            if isinstance(one, SifdetectError):
                print(f"sifdetect: {one}", file=sys.stderr)
            else:
                _show(one, options)
        return _exit_code(failures)
    studies = app.analyze_to_folder(
        options.paths, options.out, outputs=options.outputs, options=chosen
    )
    for study in studies:
        if study.findings is not None:
            _show(study.findings, options)
        if study.error is not None:
            print(f"sifdetect: {study.folder.name}: {study.error}", file=sys.stderr)
        LOG.info("%s: %s", study.folder, ", ".join(path.name for path in study.files))
    return _exit_code([study.error for study in studies])


def _exit_code(outcomes: Sequence[SifdetectError | None]) -> int:
    """0, the error's own where every study failed, else that of a batch that is incomplete."""
    errors = [error for error in outcomes if error is not None]
    if not errors:
        return 0
    return errors[0].exit_code if len(errors) == len(outcomes) else BatchIncomplete.exit_code


def _app_options(options: argparse.Namespace) -> Options:
    from sifdetect.app import Options  # noqa: PLC0415  # heavy; --help must not wait for it
    from sifdetect.engine import Engine  # noqa: PLC0415  # keeps --help instant

    return Options(
        models=options.models,
        engine=Engine(options.engine),
        device=options.device,
        modality=None if options.modality is None else Modality(options.modality.upper()),
        weightings=options.weighting,
    )


def _show(findings: StudyFindings, options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(to_json(findings), ensure_ascii=False))
        return
    seen = findings.coverage.sacrum
    said = [
        f"{findings.study_instance_uid}: {findings.presence.value},"
        f" probability {findings.probability:.2f}, {seen:.0%} of the sacrum in view"
    ]
    said += [
        f"  {one.id}: {one.side.value}, {', '.join(level.name for level in one.levels)},"
        f" {one.basis.value}, {one.volume_mm3 / 1000:.1f} ml"
        for one in findings.fractures
    ]
    said += [f"  {one.text}" for one in findings.warnings]
    print("\n".join(said))


def _synth(options: argparse.Namespace) -> int:
    from sifdetect.learn import anatomy_source, cases, scanned  # noqa: PLC0415  # heavy

    making = cases.Making(
        anatomy=anatomy_source.parse(options.anatomy) if options.anatomy else cases.PROCEDURAL,
        storage=scanned.Storage.ENHANCED if options.enhanced else scanned.Storage.CLASSIC,
        jobs=options.jobs,
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


def _train(options: argparse.Namespace) -> int:
    from sifdetect.learn import train  # noqa: PLC0415  # heavy; --help must not wait for it

    config = train.read_config(options.config, dict(options.set))
    train.train(config, resume=options.resume)
    return 0


def _model(options: argparse.Namespace) -> int:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sifdetect",
        description="Shows, measures and reports what may be a sacral insufficiency fracture."
        " Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"sifdetect {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_analyze(commands.add_parser("analyze", help="analyse studies, write reports"))
    _add_synth(commands.add_parser("synth", help="write synthetic studies with their truth"))
    _add_train(commands.add_parser("train", help="train a network"))
    _add_model(commands.add_parser("model", help="list, verify or export bundles"))
    return parser


def _add_analyze(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_analyze)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="DICOM or NIfTI")
    parser.add_argument("-o", "--out", type=Path, help="folder for the results")
    parser.add_argument(
        "--outputs",
        type=_listed,
        default=("sr", "seg", "summary"),
        metavar="LIST",
        help="some of sr,seg,summary,nifti (default: sr,seg,summary)",
    )
    parser.add_argument("--modality", type=str.lower, choices=("ct", "mr"), help="of NIfTI input")
    parser.add_argument(
        "--weighting",
        type=_weightings,
        default=(),
        metavar="LIST",
        help=f"of NIfTI input from MR, one for all files or one each: {_WEIGHTINGS}",
    )
    parser.add_argument("--engine", choices=("auto", "openvino", "torch"), default="auto")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    _add_common(parser)


def _add_synth(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_synth)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the cases")
    parser.add_argument("--cases", type=int, required=True, metavar="N")
    parser.add_argument("--seed", type=int, required=True, metavar="S")
    parser.add_argument("--profile", default=None, metavar="NAME", help="what the cases show")
    parser.add_argument(
        "--format",
        type=_listed,
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
    _add_verbosity(parser)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_train)
    parser.add_argument("config", type=Path, metavar="CONFIG")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument(
        "--set", action="append", type=_pair, default=[], metavar="KEY=VALUE", help="override"
    )
    _add_verbosity(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_model)
    parser.add_argument("action", choices=("list", "verify", "export"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="bundles (default: all)")
    parser.add_argument("-o", "--out", type=Path, help="for export: the folder to write to")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", type=Path, help="folder of the bundles (SIFDETECT_MODELS)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout")
    _add_verbosity(parser)


def _add_verbosity(parser: argparse.ArgumentParser) -> None:
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="errors only")
    loud.add_argument("-v", "--verbose", action="store_true", help="more on stderr")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _weightings(text: str) -> tuple[MrWeighting, ...]:
    try:
        return tuple(MrWeighting(part.upper()) for part in _listed(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not some of {_WEIGHTINGS}") from None


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


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
