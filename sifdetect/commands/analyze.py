"""``sifdetect analyze``: studies in, reports out."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sifdetect.access_words import access_said
from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.commands.options import add_common, listed, weightings
from sifdetect.errors import BatchIncomplete, SifdetectError
from sifdetect.findings import StudyFindings, to_json

if TYPE_CHECKING:
    from sifdetect.app import Options

LOG = logging.getLogger("sifdetect")

_WEIGHTINGS = ", ".join(weighting.value.lower() for weighting in MrWeighting)

HELP = "analyse studies, write reports"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="DICOM or NIfTI")
    parser.add_argument("-o", "--out", type=Path, help="folder for the results")
    parser.add_argument(
        "--outputs",
        type=listed,
        default=("sr", "seg", "summary"),
        metavar="LIST",
        help="some of sr,seg,summary,data,text,pdf,gsps,anatomy,fhir,nifti"
        " (default: sr,seg,summary)",
    )
    parser.add_argument(
        "--prior",
        nargs="+",
        type=Path,
        default=(),
        metavar="PATH",
        help="an earlier study of the same patient, or its results folder, to compare with",
    )
    parser.add_argument("--modality", type=str.lower, choices=("ct", "mr"), help="of NIfTI input")
    parser.add_argument(
        "--weighting",
        type=weightings,
        default=(),
        metavar="LIST",
        help=f"of NIfTI input from MR, one for all files or one each: {_WEIGHTINGS}",
    )
    parser.add_argument(
        "--access", action="store_true", help="add the geometry of a sacroplasty, for a physician"
    )
    parser.add_argument("--engine", choices=("auto", "openvino", "torch"), default="auto")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Analyse what was named; the exit code."""
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
        prior=tuple(options.prior),
        modality=None if options.modality is None else Modality(options.modality.upper()),
        weightings=options.weighting,
        access=options.access,
    )


def _show(findings: StudyFindings, options: argparse.Namespace) -> None:
    from sifdetect.dicom.progress import progress  # noqa: PLC0415  # keeps --help instant

    if options.json:
        print(json.dumps(to_json(findings), ensure_ascii=False))
        return
    seen = findings.coverage.sacrum
    said = [
        f"{findings.study_instance_uid}: {findings.presence.value},"
        f" probability {findings.probability:.2f}, {seen:.0%} of the sacrum in view"
    ]
    said += [f"  {text}" for text in progress(findings.comparison)]
    said += [
        f"  {one.id}: {one.side.value}, {', '.join(level.name for level in one.levels)},"
        f" {one.basis.value}, {one.volume_mm3 / 1000:.1f} ml"
        for one in findings.fractures
    ]
    said += [f"  {one.text}" for one in findings.warnings]
    said += [f"  {text}" for text in access_said(findings)]
    print("\n".join(said))
