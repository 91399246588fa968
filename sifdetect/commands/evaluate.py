"""``sifdetect evaluate``: how well the pipeline does on cases whose truth is known."""

from __future__ import annotations

import argparse
import json
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sifdetect.commands.options import SHIFTED, add_common, listed
from sifdetect.errors import UsageError

if TYPE_CHECKING:
    from sifdetect.learn.evaluation.row import Row
    from sifdetect.learn.evaluation.sources import Source

LOG = logging.getLogger("sifdetect")

HELP = "compare answers with the truth, write a report"


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.set_defaults(run=run)
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="[BUNDLES] DATA",
        help="folder of cases as `synth --format nifti` writes them, after that of the bundles"
        " where --models does not name it",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--cases", type=int, metavar="N", help="make N cases instead of reading")
    parser.add_argument("--seed", type=int, metavar="S", help="of the first case that is made")
    parser.add_argument(
        "--profile", type=listed, default=(), metavar="LIST", help="of made cases, in turn"
    )
    parser.add_argument("--anatomy", metavar="SOURCE", help="bones of made cases, as for synth")
    parser.add_argument("--shifted", type=float, metavar="SHARE", help=SHIFTED)
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="where made cases stay, to be read next time"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes side by side (default: 1)"
    )
    parser.add_argument(
        "--so-far", action="store_true", help="the report on what OUT holds; evaluate nothing"
    )
    parser.add_argument("--engine", choices=("auto", "openvino", "torch"), default="auto")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:N")
    add_common(parser)


def run(options: argparse.Namespace) -> int:
    """Evaluate what is not evaluated yet and write the report; the exit code."""
    models, data = _places(options)
    # Checked before anything heavy is loaded.
    if (data is None) == (options.cases is None):
        raise UsageError("The cases are either read or made", hint="Give DATA or --cases")
    if options.cases is not None and options.seed is None:
        raise UsageError("Cases cannot be made without a seed", hint="Add --seed")
    if data is not None and options.shifted is not None:
        raise UsageError("Cases that are read cannot be shifted", hint="Give --cases instead")
    if data is not None and options.keep is not None:
        raise UsageError("Cases that are read are kept anyway", hint="Leave out --keep")
    from sifdetect import app  # noqa: PLC0415  # heavy; --help must not wait for it
    from sifdetect.engine import Engine  # noqa: PLC0415  # as above
    from sifdetect.learn.evaluation import report  # noqa: PLC0415  # as above
    from sifdetect.learn.evaluation import run as evaluation  # noqa: PLC0415  # as above

    chosen = app.Options(models=models, engine=Engine(options.engine), device=options.device)
    loaded = app.load_models(chosen)
    source = _source(data, options)
    if options.so_far:
        rows = evaluation.so_far(source, loaded, options.out)
    else:
        rows = evaluation.evaluate(source, loaded, options.out, jobs=options.jobs, progress=_show)
    made = {
        "command": _command(options),
        "engine": f"{loaded.engine.value} on {loaded.device}, {report.cores()} cores",
    }
    document = report.write_report(options.out, rows, evaluation.bundles(loaded.folder), made=made)
    if options.json:
        print(json.dumps(document["study"][0], ensure_ascii=False))
    else:
        print("\n".join(_said(document)))
        print(options.out / report.PAGE)
    return 0


def _places(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Folder of the bundles and folder of the cases; a bundle's own folder stands for its home."""
    *before, data = options.paths or [None]
    if len(before) > 1 or (before and options.models):
        raise UsageError("More folders were given than bundles and cases", hint="Give two")
    models: Path | None = before[0] if before else options.models
    if models is not None and (models / "configs" / "metadata.json").exists():
        models = models.parent
    return models, data


def _source(data: Path | None, options: argparse.Namespace) -> Source:
    from sifdetect.learn import anatomy_source, cases  # noqa: PLC0415  # heavy
    from sifdetect.learn.evaluation import sources  # noqa: PLC0415  # heavy

    if data is not None:
        return sources.Stored(data)
    anatomy = anatomy_source.parse(options.anatomy) if options.anatomy else cases.PROCEDURAL
    return sources.Generated(
        count=options.cases,
        seed=options.seed,
        profiles=sources.profiles_of(options.profile),
        making=cases.Making(anatomy=anatomy, shifted=options.shifted or 0.0),
        kept=options.keep,
    )


def _command(options: argparse.Namespace) -> str:
    """What to type for the same figures; where the results go makes none of them."""
    words = ["sifdetect", "evaluate", *(str(path) for path in options.paths)]
    words += ["--so-far"] if options.so_far else []
    named: dict[str, Any] = {
        "--models": options.models,
        "--cases": options.cases,
        "--seed": options.seed,
        "--profile": ",".join(options.profile) or None,
        "--anatomy": options.anatomy,
        "--shifted": options.shifted,
        "--engine": None if options.engine == "auto" else options.engine,
        "--device": None if options.device == "cpu" else options.device,
    }
    for option, value in named.items():
        words += [] if value is None else [option, str(value)]
    return shlex.join(words)


def _show(done: int, of: int, row: Row) -> None:
    said = row.error if row.found is None else f"{row.found.presence.value}"
    LOG.info(
        "%d of %d: %s is %s, said %s", done, of, row.about.name, row.truth.presence.value, said
    )


def _said(document: dict[str, Any]) -> list[str]:
    from sifdetect.learn.evaluation import tables  # noqa: PLC0415  # with the rest of the report

    lines = []
    for one in document["study"]:
        figures = ", ".join(
            f"{name} {tables.said(one[name])}" for name in ("auc", "sensitivity", "specificity")
        )
        lines.append(f"{one['group']} ({one['n']}): {figures}")
    if document["failed"]:
        lines.append(f"{len(document['failed'])} cases without an answer")
    return lines
