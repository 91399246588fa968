"""``sifdetect data``: other people's data imported, checked, split, exported, made into samples."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

from sifdetect.anatomy import Modality, MrWeighting
from sifdetect.commands.options import add_common, add_verbosity, weightings
from sifdetect.errors import InputError

HELP = "import, check, split or export labelled data to train on"
LOG = logging.getLogger("sifdetect")

_LAYOUTS = ("auto", "dicom", "nifti", "nnunet", "decathlon", "cases")


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, about, options, run in (
        ("import", "labelled images to a dataset", _import_options, _import),
        ("check", "say what is wrong with a dataset", _check_options, _check),
        ("split", "part it into training and validation", _split_options, _split),
        ("export", "write it as nnU-Net v2 wants it", _export_options, _export),
        ("samples", "make it into samples to train on", _samples_options, _samples),
    ):
        one = actions.add_parser(name, help=about)
        one.set_defaults(run=run)
        options(one)


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="folder, zip or datalist")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DATASET")
    parser.add_argument("--layout", choices=_LAYOUTS, default="auto", help="default: auto")
    parser.add_argument("--labels", type=Path, metavar="MAP.yaml", help="their label: ours")
    parser.add_argument("--patients", type=Path, metavar="CSV", help="columns case, patient")
    parser.add_argument("--modality", type=str.lower, choices=("ct", "mr"), help="of NIfTI images")
    parser.add_argument(
        "--weighting",
        type=weightings,
        default=(),
        metavar="LIST",
        help="of NIfTI images from MR, one for all or one a channel: "
        + ", ".join(one.value.lower() for one in MrWeighting),
    )
    add_verbosity(parser)


def _import(options: argparse.Namespace) -> int:
    from sifdetect.learn.external import importing  # noqa: PLC0415  # heavy; --help must not wait
    from sifdetect.learn.external.source import Told  # noqa: PLC0415  # as above

    told = Told(
        modality=None if options.modality is None else Modality(options.modality.upper()),
        weightings=options.weighting,
        patients=importing.read_patients(options.patients),
    )
    dataset = importing.import_source(
        options.source,
        options.out,
        layout=importing.Layout(options.layout),
        labels=options.labels,
        told=told,
    )
    patients = {case.patient for case in dataset.cases}
    said = sorted({name for case in dataset.cases for name in case.annotated})
    print(f"{options.out}: {len(dataset.cases)} cases of {len(patients)} patients")
    print(f"annotated: {', '.join(said)}")
    return 0


def _check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument(
        "-o", "--out", type=Path, metavar="PICTURES", help="an overlay of each case"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a fault on stdout")
    add_verbosity(parser)


def _check(options: argparse.Namespace) -> int:
    from sifdetect.learn.external import check  # noqa: PLC0415  # heavy; --help must not wait

    count = 0
    for fault in check.check_dataset(options.dataset, options.out):
        count += 1
        print(json.dumps(asdict(fault), ensure_ascii=False) if options.json else fault)
    if count == 0 and not options.json:
        print(f"{options.dataset}: nothing is wrong")
    LOG.info("%d faults", count)
    return InputError.exit_code if count else 0


def _split_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("--validation", type=float, default=0.2, help="share of patients (0.2)")
    parser.add_argument("--seed", type=int, default=0)
    add_verbosity(parser)


def _split(options: argparse.Namespace) -> int:
    from sifdetect.learn.external import split  # noqa: PLC0415  # heavy; --help must not wait

    parted = split.split_dataset(options.dataset, validation=options.validation, seed=options.seed)
    for part in ("training", "validation"):
        cases = [case for case in parted.cases if case.split == part]
        ill = sum(split.has_lesion(case) for case in cases)
        patients = len({case.patient for case in cases})
        print(f"{part}: {patients} patients, {len(cases)} cases, {ill} with a lesion")
    return 0


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="DATASET|CASES")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--layout", choices=("nnunet",), default="nnunet")
    parser.add_argument("--id", type=int, default=501, metavar="N", help="of the dataset (501)")
    parser.add_argument("--name", default="Sacrum", help="of the dataset (Sacrum)")
    parser.add_argument("--kind", type=str.upper, help="only such images: ct, mr, stir, t1 …")
    add_verbosity(parser)


def _export(options: argparse.Namespace) -> int:
    from sifdetect.learn.external import export  # noqa: PLC0415  # heavy; --help must not wait

    naming = export.Naming(options.id, options.name)
    print(export.export_nnunet(options.source, options.out, naming=naming, kind=options.kind))
    return 0


def _samples_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="POOL")
    parser.add_argument("--task", choices=("region", "localizer"), required=True)
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="region samples of a case, each with another error of the frame (1)",
    )
    parser.add_argument("--seed", type=int, default=0)
    add_common(parser)


def _samples(options: argparse.Namespace) -> int:
    from sifdetect import app  # noqa: PLC0415  # heavy; --help must not wait
    from sifdetect.bundle import Task  # noqa: PLC0415  # as above
    from sifdetect.engine import Models  # noqa: PLC0415  # as above
    from sifdetect.learn.external import pool  # noqa: PLC0415  # as above

    made = pool.write_pool(
        options.dataset,
        options.out,
        task=Task(options.task),
        models=Models(options.models or app.default_models()),
        repeats=options.repeats,
        seed=options.seed,
    )
    row = {"samples": made.samples, "held_out": made.held_out, "left_out": made.left_out}
    if options.json:
        print(json.dumps(row, ensure_ascii=False))
    else:
        print(f"{options.out}: {made.samples} samples, the first {made.held_out} for validation")
    for case, why in made.left_out.items():
        LOG.warning("%s is left out: %s", case, why)
    return 0
